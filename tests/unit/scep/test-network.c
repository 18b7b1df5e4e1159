/* service/worker/network: whole jobs against a server thread, from a message we built to the certificates in
 * the result. */
#include "rep.h"

#include <openssl/cms.h>
#include <stdio.h>

#include "network/network.h"
#include "scep-build/message.h"
#include "scep-build/signer.h"
#include "scep-http/http.h"
#include "server.h"

#define ID "aaaabbbbccccddddeeeeffff0000111122223333"
#define BODY(s)                                                                                              \
        {                                                                                                    \
                (const uint8_t *)(s), sizeof(s) - 1                                                          \
        }

static X509 *ca, *ra, *own, *issued;

static int make(void **state)
{
        CLEANUP(bytes_done) struct bytes name = pki_name("device");

        (void)state;
        ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = 1, .ca = true});
        ra = pki_cert(
                &(struct pki_spec){.subject = "RA", .issuer = ca, .issuer_key = 1, .key = 2, .serial = 2});
        issued = pki_cert(&(struct pki_spec){
                .subject = "device", .issuer = ca, .issuer_key = 1, .key = 4, .serial = 77});
        if (signer_build(bytes_view(&name), pki_key(4), "SHA256", time(NULL), 7 * PKI_DAY, &own, NULL))
                return 1;
        return http_global_init(NULL);
}

static int drop(void **state)
{
        (void)state;
        X509_free(ca), X509_free(ra), X509_free(own), X509_free(issued);
        http_global_done();
        return 0;
}

/* The server: verifies nothing, reads the nonce, answers as *ctx says. */
static struct bytes reply_to(const char *request, size_t len, void *ctx)
{
        struct rep rep = *(const struct rep *)ctx;
        const char *body = strstr(request, "\r\n\r\n") + 4;
        const uint8_t *p = (const uint8_t *)body;
        CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)(len - (size_t)(body - request)));
        ASN1_OBJECT *oid = OBJ_txt2obj("2.16.840.1.113733.1.9.5", 1);
        const ASN1_STRING *nonce = CMS_signed_get0_data_by_OBJ(
                sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0), oid, -3, V_ASN1_OCTET_STRING);
        struct bytes der;

        rep.nonce = (struct view){nonce->data, (size_t)nonce->length};
        der = rep_make(&rep);
        ASN1_OBJECT_free(oid);
        CMS_ContentInfo_free(cms);
        return der;
}

static const struct server_rule scep_rules[] = {
        {"PKIOperation", ACT_ANSWER, 200, "Content-Type: application/x-pki-message\r\n", {0}}, {0}};

/* Runs one exchange; *ret_record must outlive *ret. */
static enum err exchange_of(enum scep_type type, struct rep *rep, const char *path, struct bytes *ret_record,
                            struct result *ret, struct error *e)
{
        struct server server = {.answer = reply_to, .ctx = rep};
        CLEANUP(bytes_done) struct bytes message = {0};
        CLEANUP(bytes_done) struct bytes ra_der = {0};
        CLEANUP(bytes_done) struct bytes own_der = {0};
        const struct message_spec spec = {type, str_view("request"), ra,          SCEP_AES128,
                                          own,  pki_key(4),          SCEP_SHA256, ID};
        struct job_exchange job = {.post = 1,
                                   .type = (uint64_t)type,
                                   .transaction = ID,
                                   .link = {.connect_ms = 5000, .total_ms = 5000}};
        struct result_http http = {0};
        uint8_t nonce[16];
        char url[128];
        enum err r;

        assert_int_equal(message_build(&spec, nonce, &message, e), ERR_OK);
        assert_int_equal(x509_der(ra, &ra_der, e), ERR_OK);
        assert_int_equal(x509_der(own, &own_der, e), ERR_OK);
        server_start(&server, scep_rules);
        snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server.port, path);
        job.url = url;
        job.request = bytes_view(&message);
        job.nonce = (struct view){nonce, sizeof nonce};
        job.signers = (struct job_blobs){{bytes_view(&ra_der)}, 1};
        job.recipient = bytes_view(&own_der);
        job.ways = REPLY_BY_TRANSPORT;
        r = network_exchange(&job, &(struct network_opener){.key = pki_key(4)}, NULL, ret_record, &http, e);
        if (!r) {
                assert_int_equal(http.status, 200);
                r = result_decode(bytes_view(ret_record), JOB_EXCHANGE, ret, e);
        }
        server_stop(&server);
        return r;
}

static enum err exchange(struct rep *rep, const char *path, struct bytes *ret_record, struct result *ret,
                         struct error *e)
{
        return exchange_of(SCEP_PKCS_REQ, rep, path, ret_record, ret, e);
}

/* GetCRL: what comes is a CRL, and nothing else. */
static void crls(void **state)
{
        CLEANUP(bytes_done) struct bytes crl = pki_crl(ra, 2);
        CLEANUP(bytes_done) struct bytes payload = pki_degenerate_crls(&issued, 1, &crl, 1);
        CLEANUP(bytes_done) struct bytes certs = pki_degenerate(&issued, 1);
        struct rep rep = {.type = "3",
                          .status = "0",
                          .transaction = ID,
                          .recipient = own,
                          .payload = bytes_view(&payload),
                          .signer = ra,
                          .signer_key = pki_key(2)};
        struct bytes record = {0};
        struct result result;
        struct error e = {0};

        (void)state;
        expect_ok(exchange_of(SCEP_GET_CRL, &rep, "/scep", &record, &result, &e));
        assert_int_equal(result.of.exchanged.certs.n, 0);
        assert_int_equal(result.of.exchanged.crls.n, 1);
        assert_true(view_equal(result.of.exchanged.crls.at[0], bytes_view(&crl)));
        bytes_done(&record);
        rep.payload = bytes_view(&certs);
        expect_err(exchange_of(SCEP_GET_CRL, &rep, "/scep", &record, &result, &e), ERR_REPLY);
        rep.status = "2";
        rep.fail = "2";
        rep.content = REP_ABSENT;
        expect_ok(exchange_of(SCEP_GET_CRL, &rep, "/scep", &record, &result, &e));
        assert_int_equal(result.of.exchanged.fail, SCEP_BAD_REQUEST);
        bytes_done(&record);
}

static void exchanges(void **state)
{
        CLEANUP(bytes_done) struct bytes payload = pki_degenerate(&issued, 1);
        struct rep rep = {.type = "3",
                          .status = "0",
                          .transaction = ID,
                          .recipient = own,
                          .payload = bytes_view(&payload),
                          .signer = ra,
                          .signer_key = pki_key(2)};
        struct bytes record = {0};
        struct result result;
        struct error e = {0};
        CLEANUP(x509_free_p) X509 *back = NULL;

        (void)state;
        expect_ok(exchange(&rep, "/scep", &record, &result, &e));
        assert_int_equal(result.of.exchanged.status, SCEP_SUCCESS);
        assert_int_equal(result.of.exchanged.certs.n, 1);
        expect_ok(x509_parse(result.of.exchanged.certs.at[0], &back, &e));
        assert_int_equal(X509_cmp(back, issued), 0);
        bytes_done(&record);

        rep.status = "3";
        rep.content = REP_ABSENT;
        expect_ok(exchange(&rep, "/scep", &record, &result, &e));
        assert_int_equal(result.of.exchanged.status, SCEP_PENDING);
        bytes_done(&record);

        rep.status = "2";
        rep.fail = "2";
        rep.text = "bad\nchallenge";
        rep.ms_error = "-2147024809";
        expect_ok(exchange(&rep, "/scep", &record, &result, &e));
        assert_int_equal(result.of.exchanged.fail, SCEP_BAD_REQUEST);
        assert_string_equal(result.of.exchanged.text, "bad challenge");
        assert_int_equal(result.of.exchanged.hresult, 0x80070057);
        bytes_done(&record);

        rep.status = "4";
        expect_err(exchange(&rep, "/scep", &record, &result, &e), ERR_REPLY);
}

/* A server that knows one form of the URL, or none. */
static void discover_table(void **state)
{
        static const struct server_rule plain[] = {
                {"/scep?operation=GetCACaps&message=default", ACT_ANSWER, 200, NULL, BODY("SCEPStandard\n")},
                {"/scep?operation=GetCACert&message=default", ACT_ANSWER, 200, NULL, {0}},
                {"/", ACT_ANSWER, 404, NULL, BODY("x")},
                {0},
        };
        static const struct server_rule suffixed[] = {
                {"/scep/pkiclient.exe?operation=GetCACaps", ACT_ANSWER, 200, NULL, BODY("AES\n")},
                {"/scep/pkiclient.exe?operation=GetCACert", ACT_ANSWER, 200, NULL, {0}},
                {"/", ACT_ANSWER, 404, NULL, BODY("x")},
                {0},
        };
        static const struct server_rule no_caps[] = {{"GetCACaps", ACT_ANSWER, 500, NULL, BODY("x")},
                                                     {"GetCACert", ACT_ANSWER, 200, NULL, {0}},
                                                     {0}};
        static const struct server_rule closes[] = {
                {.match = "GetCACaps", .act = ACT_CLOSE}, {"GetCACert", ACT_ANSWER, 200, NULL, {0}}, {0}};
        static const struct server_rule portal[] = {{"/", ACT_ANSWER, 200, NULL, BODY("<html>")}, {0}};
        static const struct server_rule login[] = {{"/", ACT_ANSWER, 302, NULL, BODY("")}, {0}};
        static const struct server_rule nothing[] = {{"/", ACT_ANSWER, 404, NULL, BODY("x")}, {0}};
        static const struct server_rule junk[] = {{"GetCACaps", ACT_ANSWER, 200, NULL, BODY("AES\n")},
                                                  {"GetCACert", ACT_ANSWER, 200, NULL, BODY("junk")},
                                                  {0}};
        const struct {
                const char *name;
                const struct server_rule *rules;
                uint64_t suffix;
                enum err err;
                const char *path; /* that answered */
                int64_t caps_status;
        } cases[] = {
                {"plain", plain, SCEP_SUFFIX_AUTO, ERR_OK, "/scep", 200},
                {"plain/forced-suffix", plain, SCEP_SUFFIX_YES, ERR_HTTP, NULL, 0},
                {"suffixed", suffixed, SCEP_SUFFIX_AUTO, ERR_OK, "/scep/pkiclient.exe", 200},
                {"suffixed/forced", suffixed, SCEP_SUFFIX_YES, ERR_OK, "/scep/pkiclient.exe", 200},
                {"suffixed/never", suffixed, SCEP_SUFFIX_NO, ERR_HTTP, NULL, 0},
                {"caps-500", no_caps, SCEP_SUFFIX_AUTO, ERR_OK, "/scep", 500},
                {"caps-closed", closes, SCEP_SUFFIX_AUTO, ERR_OK, "/scep", 0},
                {"portal", portal, SCEP_SUFFIX_AUTO, ERR_REPLY, NULL, 0},
                {"login", login, SCEP_SUFFIX_AUTO, ERR_HTTP, NULL, 0},
                {"nothing", nothing, SCEP_SUFFIX_AUTO, ERR_HTTP, NULL, 0},
                {"junk", junk, SCEP_SUFFIX_AUTO, ERR_REPLY, NULL, 0},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct server_rule script[8];
                struct server server = {0};
                CLEANUP(bytes_done) struct bytes der = pki_degenerate(&ca, 1);
                CLEANUP(bytes_done) struct bytes record = {0};
                struct job_discover job = {.suffix = cases[i].suffix,
                                           .want = DISCOVER_BOTH,
                                           .link = {.connect_ms = 5000, .total_ms = 5000}};
                struct result_http http = {0};
                struct result result;
                struct error e = {0};
                char url[128], want[160];
                size_t n = 0;

                do {
                        script[n] = cases[i].rules[n];
                        if (script[n].match && strstr(script[n].match, "GetCACert") && !script[n].body.data)
                                script[n].body = bytes_view(&der);
                } while (cases[i].rules[n++].match);
                server_start(&server, script);
                snprintf(url, sizeof url, "http://127.0.0.1:%u/scep", server.port);
                job.urls = (struct job_texts){{"http://127.0.0.1:1/first", url},
                                              2}; /* the first one is not there */
                if (cases[i].err) {
                        expect_err(network_discover(&job, NULL, &record, &http, &e), cases[i].err);
                        assert_non_null(strstr(e.message, url));
                } else {
                        expect_ok(network_discover(&job, NULL, &record, &http, &e));
                        expect_ok(result_decode(bytes_view(&record), JOB_DISCOVER, &result, &e));
                        snprintf(want, sizeof want, "http://127.0.0.1:%u%s", server.port, cases[i].path);
                        assert_string_equal(result.of.discovered.url, want);
                        assert_int_equal(result.of.discovered.caps_status, cases[i].caps_status);
                        assert_int_equal(result.of.discovered.certs.len, der.len);
                        if (cases[i].caps_status != 200)
                                assert_int_equal(result.of.discovered.caps.len, 0);
                }
                server_stop(&server);
        }
}

/* The announcement of the next CA is asked for where it is wanted and listed, and never fails the rest. */
static void announcement(void **state)
{
#define LISTED "AES\nGetNextCACert\n"
        static const struct {
                const char *caps;
                uint64_t want;
                struct server_rule next;
                const char *body, *error;
        } cases[] = {
                {LISTED, DISCOVER_ALL, {"GetNextCACert", ACT_ANSWER, 200, NULL, BODY("next")}, "next", NULL},
                {LISTED, DISCOVER_BOTH, {"GetNextCACert", ACT_ANSWER, 200, NULL, BODY("next")}, "", NULL},
                {"AES\n", DISCOVER_ALL, {"GetNextCACert", ACT_ANSWER, 200, NULL, BODY("next")}, "", NULL},
                {LISTED, DISCOVER_ALL, {"GetNextCACert", ACT_ANSWER, 404, NULL, BODY("x")}, "", "HttpError"},
                {LISTED,
                 DISCOVER_ALL,
                 {"GetNextCACert", ACT_ANSWER, 200, NULL, BODY("<html>")},
                 "",
                 "InvalidReply"},
                {LISTED,
                 DISCOVER_ALL,
                 {"GetNextCACert", ACT_ANSWER, 200, NULL, BODY("")},
                 "",
                 "InvalidReply"},
                {LISTED, DISCOVER_ALL, {.match = "GetNextCACert", .act = ACT_CLOSE}, "", "NetworkError"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(bytes_done) struct bytes der = pki_degenerate(&ca, 1);
                CLEANUP(bytes_done) struct bytes record = {0};
                const struct server_rule script[] = {
                        cases[i].next,
                        {"GetCACaps", ACT_ANSWER, 200, NULL, str_view(cases[i].caps)},
                        {"GetCACert", ACT_ANSWER, 200, NULL, bytes_view(&der)},
                        {0}};
                struct job_discover job = {.want = cases[i].want,
                                           .link = {.connect_ms = 5000, .total_ms = 5000}};
                struct result_http http = {0};
                struct server server = {0};
                struct result result;
                struct error e = {0};
                char url[128];

                server_start(&server, script);
                snprintf(url, sizeof url, "http://127.0.0.1:%u/scep", server.port);
                job.urls = (struct job_texts){{url}, 1};
                expect_ok(network_discover(&job, NULL, &record, &http, &e));
                expect_ok(result_decode(bytes_view(&record), JOB_DISCOVER, &result, &e));
                assert_int_equal(http.status, 200);
                assert_int_equal(result.of.discovered.next.len, strlen(cases[i].body));
                assert_memory_equal(result.of.discovered.next.data, cases[i].body, strlen(cases[i].body));
                if (cases[i].error) {
                        assert_string_equal(result.of.discovered.next_name, cases[i].error);
                        assert_true(result.of.discovered.next_message[0] &&
                                    result.of.discovered.next_remedy[0]);
                } else {
                        assert_null(result.of.discovered.next_name);
                }
                server_stop(&server);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(exchanges), cmocka_unit_test(crls),
                                           cmocka_unit_test(discover_table), cmocka_unit_test(announcement)};

        return cmocka_run_group_tests(tests, make, drop);
}
