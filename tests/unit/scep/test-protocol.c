/* service/worker/protocol: both directions, every bound, every cut, mutations. */
#include "test.h"

#include <stdlib.h>

#include "base/fields.h"
#include "worker/protocol.h"

static const struct job jobs[] = {
        {.kind = JOB_PARSE, .of.parse = {"auto", {(const uint8_t *)"<x/>", 4}, "wifi.profile"}},
        {.kind = JOB_PARSE, .of.parse = {"ini", {(const uint8_t *)"a", 1}, NULL}},
        {.kind = JOB_DISCOVER,
         .of.discover = {.urls = {{"http://a/", "https://b/c?d"}, 2},
                         .identifier = "ca",
                         .suffix = 1,
                         .want = DISCOVER_BOTH,
                         .link = {"http://proxy:3128",
                                  {(const uint8_t *)"PEM", 3},
                                  {{{(const uint8_t *)"c1", 2}, {(const uint8_t *)"c22", 3}}, 2},
                                  5000,
                                  30000,
                                  1}}},
        {.kind = JOB_EXCHANGE,
         .of.exchange = {.url = "http://a/b",
                         .post = 1,
                         .type = 19,
                         .request = {(const uint8_t *)"\x30\x00", 2},
                         .transaction = "00ff",
                         .nonce = {(const uint8_t *)"0123456789abcdef", 16},
                         .signers = {{{(const uint8_t *)"c1", 2}, {(const uint8_t *)"c22", 3}}, 2},
                         .recipient = {(const uint8_t *)"own", 3},
                         .allow = 1,
                         .ways = REPLY_BY_PASSWORD,
                         .link = {.connect_ms = 1, .total_ms = 2}}},
};

static const struct result results[] = {
        {.kind = RESULT_PARSED, .of.parsed = {{(const uint8_t *)"cmds", 4}}},
        {.kind = RESULT_DISCOVERED,
         .of.discovered = {"http://a/",
                           {(const uint8_t *)"AES", 3},
                           {(const uint8_t *)"DER", 3},
                           200,
                           {200, 1, -3600}}},
        {.kind = RESULT_DISCOVERED,
         .of.discovered = {.url = "http://a/", .certs = {(const uint8_t *)"DER", 3}, .caps_status = 404}},
        {.kind = RESULT_EXCHANGED,
         .of.exchanged = {.status = 0, .fail = -1, .certs = {{{(const uint8_t *)"c", 1}}, 1}, .notes = 5}},
        {.kind = RESULT_EXCHANGED,
         .of.exchanged = {.status = 2,
                          .fail = 2,
                          .text = "gr\xc3\xbc\xc3\x9f",
                          .has_hresult = 1,
                          .hresult = 0x80070057}},
        {.kind = RESULT_EXCHANGED, .of.exchanged = {.status = 3, .fail = -1}},
        {.kind = RESULT_EXCHANGED,
         .of.exchanged = {.status = 0,
                          .fail = -1,
                          .crls = {{{(const uint8_t *)"crl", 3}, {(const uint8_t *)"another", 7}}, 2}}},
        {.kind = RESULT_FAILED,
         .of.failed = {"HttpError", "The server answered HTTP 503", "Start it.", {.status = 503}}},
};

static enum job_kind job_of(enum result_kind kind)
{
        return kind == RESULT_PARSED ? JOB_PARSE : kind == RESULT_DISCOVERED ? JOB_DISCOVER : JOB_EXCHANGE;
}

static void jobs_round_trip(void **state)
{
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(jobs); i++) {
                struct bytes first = {0}, second = {0};
                struct job job;

                expect_ok(job_encode(&jobs[i], &first, &e));
                expect_ok(job_decode(bytes_view(&first), &job, &e));
                expect_ok(job_encode(&job, &second, &e));
                assert_int_equal(first.len, second.len);
                assert_memory_equal(first.data, second.data, first.len);
                bytes_done(&second);
                for (size_t len = 0; len < first.len; len++) {
                        /* a copy of its own, so that reading past it is seen */
                        uint8_t *cut = malloc(len ? len : 1);
                        struct error none;
                        enum err r;

                        memcpy(cut, first.data, len);
                        r = job_decode((struct view){cut, len}, &job, &none);
                        /* Whole where only an optional field at the end is missing, and then it says so
                         * itself. */
                        if (r == ERR_OK) {
                                expect_ok(job_encode(&job, &second, &e));
                                assert_int_equal(second.len, len);
                                bytes_done(&second);
                        } else {
                                assert_int_equal(r, ERR_PROTOCOL);
                        }
                        free(cut);
                }
                bytes_done(&first);
                bytes_done(&second);
        }
        {
                struct bytes record = {0};
                struct job job;

                expect_ok(job_encode(&jobs[2], &record, &e));
                expect_ok(job_decode(bytes_view(&record), &job, &e));
                assert_int_equal(job.of.discover.urls.n, 2);
                assert_string_equal(job.of.discover.urls.at[1], "https://b/c?d");
                assert_string_equal(job.of.discover.link.proxy, "http://proxy:3128");
                assert_int_equal(job.of.discover.link.total_ms, 30000);
                assert_int_equal(job.of.discover.link.client.n, 2);
                assert_memory_equal(job.of.discover.link.client.at[1].data, "c22", 3);
                bytes_done(&record);
        }
}

static void results_round_trip(void **state)
{
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(results); i++) {
                struct bytes first = {0}, second = {0};
                struct result result;

                expect_ok(result_encode(&results[i], &first, &e));
                expect_ok(result_decode(bytes_view(&first), job_of(results[i].kind), &result, &e));
                expect_ok(result_encode(&result, &second, &e));
                assert_int_equal(first.len, second.len);
                assert_memory_equal(first.data, second.data, first.len);
                for (size_t len = 0; len < first.len; len++) {
                        uint8_t *cut = malloc(len ? len : 1);

                        memcpy(cut, first.data, len);
                        /* Optional fields stand anywhere, required numbers after them: no cut is whole. */
                        expect_err(
                                result_decode((struct view){cut, len}, job_of(results[i].kind), &result, &e),
                                ERR_PROTOCOL);
                        free(cut);
                }
                if (results[i].kind != RESULT_FAILED)
                        expect_err(
                                result_decode(bytes_view(&first),
                                              job_of(results[i].kind) == JOB_PARSE ? JOB_DISCOVER : JOB_PARSE,
                                              &result, &e),
                                ERR_PROTOCOL);
                else
                        for (int kind = JOB_PARSE; kind < _JOB_KIND_MAX; kind++)
                                expect_ok(
                                        result_decode(bytes_view(&first), (enum job_kind)kind, &result, &e));
                bytes_done(&first);
                bytes_done(&second);
        }
}

static void bounds(void **state)
{
        char *long_url = malloc(JOB_URL_MAX + 2);
        uint8_t *big = calloc(1, JOB_BODY_MAX + 1);
        struct bytes out = {0};
        struct error e;
        struct job job;
        struct result result;

        (void)state;
        memset(long_url, 'u', JOB_URL_MAX + 1);
        long_url[JOB_URL_MAX + 1] = 0;
#define BAD_JOB(n, path, value)                                                                              \
        job = jobs[n];                                                                                       \
        job.of.path = value;                                                                                 \
        expect_err(job_encode(&job, &out, &e), ERR_PROTOCOL)
        BAD_JOB(0, parse.format, NULL);
        BAD_JOB(0, parse.format, "");
        BAD_JOB(0, parse.document, ((struct view){NULL, 0}));
        BAD_JOB(0, parse.document, ((struct view){big, JOB_BODY_MAX + 1}));
        BAD_JOB(0, parse.origin, "new\nline");
        BAD_JOB(0, parse.origin, "\xff");
        BAD_JOB(2, discover.urls.n, 0);
        BAD_JOB(2, discover.urls.n, JOB_URLS_MAX + 1);
        BAD_JOB(2, discover.urls.at[0], long_url);
        BAD_JOB(2, discover.suffix, 3);
        BAD_JOB(2, discover.want, DISCOVER_ALL + 1);
        BAD_JOB(2, discover.link.total_ms, JOB_TIMEOUT_MAX_MS + 1);
        BAD_JOB(2, discover.link.client.n, JOB_CERTS_MAX + 1);
        BAD_JOB(2, discover.link.client.at[0], ((struct view){big, JOB_CERT_MAX + 1}));
        BAD_JOB(3, exchange.post, 2);
        BAD_JOB(3, exchange.signers.n, 0);
        BAD_JOB(3, exchange.signers.n, JOB_CERTS_MAX + 1);
        BAD_JOB(3, exchange.signers.at[1], ((struct view){big, JOB_CERT_MAX + 1}));
        BAD_JOB(3, exchange.allow, 2);
        BAD_JOB(3, exchange.ways, 8);
        job.kind = _JOB_KIND_MAX;
        expect_err(job_encode(&job, &out, &e), ERR_PROTOCOL);
        assert_null(out.data);

        /* What encodes but is no sense is seen by the reader. */
        job = jobs[3];
        job.of.exchange.nonce.len = 8;
        expect_ok(job_encode(&job, &out, &e));
        expect_err(job_decode(bytes_view(&out), &job, &e), ERR_PROTOCOL);
        bytes_done(&out);
        job = jobs[2];
        job.of.discover.want = 0;
        expect_ok(job_encode(&job, &out, &e));
        expect_err(job_decode(bytes_view(&out), &job, &e), ERR_PROTOCOL);
        bytes_done(&out);
#define LIE(n, path, value)                                                                                  \
        result = results[n];                                                                                 \
        result.of.path = value;                                                                              \
        expect_ok(result_encode(&result, &out, &e));                                                         \
        expect_err(result_decode(bytes_view(&out), JOB_EXCHANGE, &result, &e), ERR_PROTOCOL);                \
        bytes_done(&out)
        LIE(3, exchanged.status, 1);
        LIE(3, exchanged.status, 2);
        LIE(3, exchanged.certs.n, 0);
        LIE(3, exchanged.fail, -2);
        LIE(5, exchanged.status, 0);
        LIE(6, exchanged.status, 3);
        LIE(6, exchanged.crls.n, 0);
        LIE(6, exchanged.certs, ((struct job_blobs){{{(const uint8_t *)"c", 1}}, 1}));
        result = results[6];
        result.of.exchanged.crls.at[0] = (struct view){big, JOB_BODY_MAX + 1}; /* larger than all else */
        expect_ok(result_encode(&result, &out, &e));
        expect_ok(result_decode(bytes_view(&out), JOB_EXCHANGE, &result, &e));
        assert_int_equal(result.of.exchanged.crls.at[0].len, JOB_BODY_MAX + 1);
        bytes_done(&out);
        free(long_url);
        free(big);
}

/* Fields the table does not know, twice, or of another shape. */
static void shapes(void **state)
{
        struct bytes good = {0};
        struct error e = {0};
        struct job job;

        (void)state;
        expect_ok(job_encode(&jobs[0], &good, &e));
        {
                static const struct {
                        uint16_t tag;
                        const char *value;
                        size_t len;
                } extra[] = {{99, "x", 1},  {1, "\0\0\0\0\0\0\0\1", 8},
                             {2, "ini", 4}, {4, "x", 2},
                             {3, "x", 1},   {0, "", 0}};

                for (size_t i = 0; i < N_ELEMENTS(extra); i++) {
                        struct fields_writer w = FIELDS_WRITER(4096, false);
                        struct bytes tail = {0}, both = {0};

                        fields_put(&w, extra[i].tag,
                                   (struct view){(const uint8_t *)extra[i].value, extra[i].len});
                        expect_ok(fields_finish(&w, &tail, &e));
                        both.data = malloc(good.len + tail.len);
                        memcpy(both.data, good.data, good.len);
                        memcpy(both.data + good.len, tail.data, tail.len);
                        both.len = good.len + tail.len;
                        expect_err(job_decode(bytes_view(&both), &job, &e), ERR_PROTOCOL);
                        bytes_done(&tail);
                        bytes_done(&both);
                }
        }
        bytes_done(&good);
}

static void mutations(void **state)
{
        uint32_t s = 4711;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(jobs) + N_ELEMENTS(results); i++) {
                struct bytes record = {0};
                bool is_job = i < N_ELEMENTS(jobs);
                const struct result *from = is_job ? NULL : &results[i - N_ELEMENTS(jobs)];

                assert_int_equal(is_job ? job_encode(&jobs[i], &record, NULL)
                                        : result_encode(from, &record, NULL),
                                 ERR_OK);
                for (int k = 0; k < 3000; k++) {
                        uint8_t *copy = malloc(record.len);
                        struct bytes again = {0};
                        struct job job;
                        struct result result;

                        memcpy(copy, record.data, record.len);
                        for (int n = 0; n < 3; n++) {
                                s = s * 1664525u + 1013904223u;
                                copy[(s >> 8) % record.len] = (uint8_t)(s >> 24);
                        }
                        /* What is still taken can be written again. */
                        if (is_job && job_decode((struct view){copy, record.len}, &job, NULL) == ERR_OK)
                                assert_int_equal(job_encode(&job, &again, NULL), ERR_OK);
                        if (!is_job && result_decode((struct view){copy, record.len}, job_of(from->kind),
                                                     &result, NULL) == ERR_OK)
                                assert_int_equal(result_encode(&result, &again, NULL), ERR_OK);
                        bytes_done(&again);
                        free(copy);
                }
                bytes_done(&record);
        }
}

static void errors(void **state)
{
        struct error e = {0}, back = {0};
        struct result_failed failed = {0};

        (void)state;
        (void)error_set(&e, ERR_HTTP, "The server answered HTTP 503");
        (void)error_remedy(&e, ERR_HTTP, "Start it.");
        result_from_error(&e, &failed);
        assert_int_equal(result_error(&failed, &back), ERR_HTTP);
        assert_string_equal(back.message, e.message);
        assert_string_equal(back.remedy, "Start it.");
        failed.name = "Ok";
        assert_int_equal(result_error(&failed, &back), ERR_FAILED);
        failed.name = "Nonsense";
        assert_int_equal(result_error(&failed, &back), ERR_FAILED);
        memset(&e, 0, sizeof e);
        result_from_error(&e, &failed);
        assert_true(*failed.message && *failed.remedy);
        assert_string_equal(job_kind_name(JOB_EXCHANGE), "exchange");
        assert_string_equal(job_kind_name(_JOB_KIND_MAX), "unknown");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(jobs_round_trip), cmocka_unit_test(results_round_trip),
                cmocka_unit_test(bounds),          cmocka_unit_test(shapes),
                cmocka_unit_test(mutations),       cmocka_unit_test(errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
