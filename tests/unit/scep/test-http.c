/* service/scep/http against a server thread on loopback. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "scep-http/http.h"
#include "server.h"

#define BODY(s)                                                                                              \
        {                                                                                                    \
                (const uint8_t *)(s), sizeof(s) - 1                                                          \
        }

static const struct server_rule rules[] = {
        {"/ok", ACT_ANSWER, 200, "Content-Type: text/plain\r\nDate: Fri, 01 Jan 2038 00:00:00 GMT\r\n",
         BODY("AES\nSHA-256\n")},
        {"/none", ACT_ANSWER, 200, NULL, BODY("")},
        {"/page", ACT_ANSWER, 200, "Content-Type: text/html\r\n", BODY("\n <html>portal</html>")},
        {"/s401", ACT_ANSWER, 401, NULL, BODY("x")},
        {"/s403", ACT_ANSWER, 403, NULL, BODY("<html>")},
        {"/s404", ACT_ANSWER, 404, NULL, BODY("")},
        {"/s414", ACT_ANSWER, 414, NULL, BODY("")},
        {"/s429", ACT_ANSWER, 429, "Retry-After: 90\r\n", BODY("")},
        {"/s-eternal", ACT_ANSWER, 429, "Retry-After: 99999999\r\n", BODY("")},
        {"/s-odd", ACT_ANSWER, 429, "Retry-After: soon\r\n", BODY("")},
        {"/s-far", ACT_ANSWER, 429, "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n", BODY("")},
        {"/s-gone", ACT_ANSWER, 429, "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", BODY("")},
        {"/s-less", ACT_ANSWER, 429, "Retry-After: -7\r\n", BODY("")},
        {"/s-huge", ACT_ANSWER, 429, "Retry-After: 99999999999999999999999\r\n", BODY("")},
        {"/s418", ACT_ANSWER, 418, NULL, BODY("")},
        {"/s500", ACT_ANSWER, 500, NULL, BODY("err")},
        {"/s503", ACT_ANSWER, 503, NULL, BODY("")},
        {"/s504", ACT_ANSWER, 504, NULL, BODY("")},
        {.match = "/close", .act = ACT_CLOSE},
        {.match = "/stall", .act = ACT_STALL},
        {"/cut", ACT_CUT, 200, NULL, BODY("AES")},
        {.match = "/garbage", .act = ACT_GARBAGE},
        {.match = "/endless", .act = ACT_ENDLESS},
        {.match = "/headers", .act = ACT_HEADERS},
        {"/hop1", ACT_ANSWER, 302, "Location: /hop2?x=1\r\n", BODY("")},
        {"/hop2", ACT_ANSWER, 307, "Location: http://127.0.0.1:@/ok\r\n", BODY("")},
        {"/loop", ACT_ANSWER, 301, "Location: /loop\r\n", BODY("")},
        {"/away", ACT_ANSWER, 302, "Location: ftp://127.0.0.1/x\r\n", BODY("")},
        {"/nowhere", ACT_ANSWER, 302, NULL, BODY("")},
        {0},
};

static const struct http_options quick = {.connect_ms = 5000, .total_ms = 10000};

static int init(void **state)
{
        (void)state;
        return http_global_init(NULL);
}

static int done(void **state)
{
        (void)state;
        http_global_done();
        return 0;
}

static void get_table(void **state)
{
        static const struct {
                const char *path;
                enum err err;
                int64_t status;
                const char *says, *remedy;
        } cases[] = {
                {"/ok", ERR_OK, 200, NULL, NULL},
                {"/none", ERR_OK, 200, NULL, NULL},
                {"/page", ERR_REPLY, 200, "web page", NULL},
                {"/s401", ERR_HTTP, 401, "HTTP 401", "pass-through"},
                {"/s403", ERR_HTTP, 403, "HTTP 403", "mscep.dll"},
                {"/s404", ERR_HTTP, 404, "HTTP 404", "PkiClientSuffix"},
                {"/s414", ERR_HTTP, 414, "HTTP 414", "65534"},
                {"/s418", ERR_HTTP, 418, "HTTP 418", "URL"},
                {"/s500", ERR_HTTP, 500, "HTTP 500", "RA certificates"},
                {"/s503", ERR_HTTP, 503, "HTTP 503", "application pool"},
                {"/s504", ERR_HTTP, 504, "HTTP 504", "connector"},
                {"/close", ERR_NETWORK, 0, "without an answer", NULL},
                {"/cut", ERR_NETWORK, 200, "broke", NULL},
                {"/garbage", ERR_REPLY, 0, "not answer with HTTP", NULL},
                {"/endless", ERR_REPLY, 200, "larger", NULL},
                {"/headers", ERR_REPLY, 200, "larger", NULL},
                {"/hop1", ERR_OK, 200, NULL, NULL},
                {"/loop", ERR_HTTP, 301, "redirects the request", "final address"},
                {"/away", ERR_HTTP, 302, "ftp://", NULL},
                {"/nowhere", ERR_HTTP, 302, "unnamed", NULL},
        };
        struct server server = {0};

        (void)state;
        server_start(&server, rules);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char url[128];
                const struct http_request request = {
                        .url = url, .operation = "GetCACaps", .message = "default"};
                CLEANUP(http_reply_done) struct http_reply reply = {0};
                struct error e = {0};

                snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server.port, cases[i].path);
                if (cases[i].err)
                        expect_err(http_perform(&request, &quick, &reply, &e), cases[i].err);
                else
                        expect_ok(http_perform(&request, &quick, &reply, &e));
                assert_int_equal(reply.status, cases[i].status);
                if (cases[i].says && !strstr(e.message, cases[i].says))
                        fail_msg("%s: '%s' is not in: %s", cases[i].path, cases[i].says, e.message);
                if (cases[i].remedy && !strstr(e.remedy, cases[i].remedy))
                        fail_msg("%s: '%s' is not in: %s", cases[i].path, cases[i].remedy, e.remedy);
        }
        server_stop(&server);
}

static void stays_away(void **state)
{
        static const struct {
                const char *path;
                uint64_t seconds;
        } cases[] = {{"/s429", 90},
                     {"/s-eternal", HTTP_RETRY_AFTER_MAX},
                     {"/s-odd", 0},
                     {"/s418", 0},
                     {"/s-far", HTTP_RETRY_AFTER_MAX},
                     {"/s-gone", 0},
                     {"/s-less", 0},
                     {"/s-huge", 0}};
        struct server server = {0};

        (void)state;
        server_start(&server, rules);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char url[128];
                const struct http_request request = {.url = url, .operation = "GetCACaps"};
                CLEANUP(http_reply_done) struct http_reply reply = {0};
                struct error e = {0};

                snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server.port, cases[i].path);
                assert_int_equal(http_perform(&request, &quick, &reply, &e), ERR_HTTP);
                assert_int_equal(reply.retry_after, cases[i].seconds);
        }
        server_stop(&server);
}

static void facts(void **state)
{
        struct server server = {0};
        char url[128];
        const struct http_request request = {.url = url, .operation = "GetCACaps", .message = "a b&c"};
        CLEANUP(http_reply_done) struct http_reply reply = {0};
        struct error e = {0};

        (void)state;
        server_start(&server, rules);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/ok?tenant=7", server.port);
        expect_ok(http_perform(&request, &quick, &reply, &e));
        assert_int_equal(reply.body.len, 12);
        assert_string_equal(reply.type, "text/plain");
        assert_true(reply.has_date);
        assert_true(reply.date_offset == 2145916800 - (int64_t)time(NULL) ||
                    reply.date_offset == 2145916799 - (int64_t)time(NULL) ||
                    reply.date_offset == 2145916801 - (int64_t)time(NULL));
        assert_int_equal(server.n, 1);
        assert_non_null(strstr(server.requests[0],
                               "GET /ok?tenant=7&operation=GetCACaps&message=a%20b%26c HTTP/1.1\r\n"));
        assert_null(strcasestr(server.requests[0], "Cookie:"));
        server_stop(&server);
}

static void post(void **state)
{
        static const uint8_t body[] = {0x30, 0x03, 0, 0xff, 0x0a};
        struct server server = {0};
        char url[128];
        const struct http_request request = {
                .url = url, .operation = "PKIOperation", .body = {body, sizeof body}};
        struct error e = {0};
        const char *r;

        (void)state;
        server_start(&server, rules);
        {
                CLEANUP(http_reply_done) struct http_reply reply = {0};

                snprintf(url, sizeof url, "http://127.0.0.1:%u/ok", server.port);
                expect_ok(http_perform(&request, &quick, &reply, &e));
                r = server.requests[0];
                assert_non_null(strstr(r, "POST /ok?operation=PKIOperation HTTP/1.1\r\n"));
                assert_non_null(strstr(r, "Content-Type: application/x-pki-message\r\n"));
                assert_non_null(strstr(r, "Content-Length: 5\r\n"));
                assert_null(strcasestr(r, "Expect:"));
                assert_null(strcasestr(r, "Transfer-Encoding"));
                assert_memory_equal(r + server.lens[0] - sizeof body, body, sizeof body);
        }
        {
                CLEANUP(http_reply_done) struct http_reply reply = {0};

                snprintf(url, sizeof url, "http://127.0.0.1:%u/hop1", server.port);
                expect_err(http_perform(&request, &quick, &reply, &e), ERR_HTTP);
                assert_non_null(strstr(e.message, "redirects a POST"));
                assert_int_equal(server.n, 2); /* not followed */
        }
        server_stop(&server);
}

static void by_get(void **state)
{
        static const uint8_t body[] = {0xfb, 0xff, 0xfe, 0x3e, 0x3f};
        CLEANUP(free_p) char *base64 = NULL;
        CLEANUP(free_p) char *url = NULL;
        CLEANUP(free_p) char *empty = NULL;
        struct error e = {0};

        (void)state;
        expect_ok(http_base64((struct view){body, sizeof body}, &base64, &e));
        assert_string_equal(base64, "+//+Pj8=");
        expect_ok(http_base64((struct view){body, 0}, &empty, &e));
        assert_string_equal(empty, "");
        expect_ok(http_url_make("http://h/p", false, "PKIOperation", base64, &url, &e));
        /* the case of the escapes is libcurl's */
        assert_int_equal(strcasecmp(url, "http://h/p?operation=PKIOperation&message=%2B%2F%2F%2BPj8%3D"), 0);
        assert_non_null(strstr(url, "Pj8"));
}

static void slow(void **state)
{
        static const struct http_options short_time = {.connect_ms = 300, .total_ms = 300};
        struct server server = {0};
        char url[128];
        const struct http_request request = {.url = url, .operation = "GetCACaps"};
        CLEANUP(http_reply_done) struct http_reply reply = {0};
        struct error e;

        (void)state;
        server_start(&server, rules);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/stall", server.port);
        expect_err(http_perform(&request, &short_time, &reply, &e), ERR_TIMEOUT);
        server_stop(&server);
}

static void unreachable(void **state)
{
        struct server server = {0};
        char url[128];
        const struct http_request request = {.url = url, .operation = "GetCACaps"};
        CLEANUP(http_reply_done) struct http_reply reply = {0};
        struct http_options options = quick;
        struct error e;
        unsigned port;

        (void)state;
        server_start(&server, rules);
        port = server.port;
        snprintf(url, sizeof url, "https://127.0.0.1:%u/ok", port); /* speaks no TLS */
        expect_err(http_perform(&request, &quick, &reply, &e), ERR_TLS);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/ok", port);
        options.deny_local = true;
        expect_err(http_perform(&request, &options, &reply, &e), ERR_DENIED);
        options = quick;
        options.total_ms = 0;
        expect_err(http_perform(&request, &options, &reply, &e), ERR_INVALID);
        options = quick;
        options.proxy = "http://127.0.0.1:1";
        expect_err(http_perform(&request, &options, &reply, &e), ERR_NETWORK);
        server_stop(&server);
        /* nobody listens there any more */
        expect_err(http_perform(&request, &quick, &reply, &e), ERR_NETWORK);
        snprintf(url, sizeof url, "http://no-such-host.invalid/");
        expect_err(http_perform(&request, &quick, &reply, &e), ERR_NETWORK);
        snprintf(url, sizeof url, "file:///etc/passwd");
        expect_err(http_perform(&request, &quick, &reply, &e), ERR_INVALID);
}

static void urls(void **state)
{
        static const struct {
                const char *url;
                bool ok;
        } checks[] = {
                {"http://ndes.contoso.com/certsrv/mscep/mscep.dll", true},
                {"https://h", true},
                {"HTTPS://h:8443/x?y=z", true},
                {"http://[::1]/x", true},
                {"", false},
                {"ftp://h/", false},
                {"h/x", false},
                {"http://", false},
                {"http://u:p@h/", false},
                {"http://u@h/", false},
                {"http://h/#f", false},
                {"https://%37/", false},
                {"https://%31%32%37.1/", false},
                {"https://%61/", true},
                {"https://[fe80::1%25eth0]/", true},
                {"http://h/a b", false},
                {"http://h/\n", false},
                {"file:///x", false},
                {"javascript:x", false},
        };
        static const struct {
                const char *base;
                bool suffix;
                const char *made;
        } made[] = {
                {"http://h/m.dll", false, "http://h/m.dll"},
                {"http://h/m.dll", true, "http://h/m.dll/pkiclient.exe"},
                {"http://h/m.dll/", true, "http://h/m.dll/pkiclient.exe"},
                {"http://h/m.dll/pkiclient.exe", true, "http://h/m.dll/pkiclient.exe"},
                {"http://h/m.dll/PKIClient.exe/", true, "http://h/m.dll/pkiclient.exe"},
                {"http://h/m.dll/pkiclient.exe", false, "http://h/m.dll/pkiclient.exe"},
                {"http://h", true, "http://h/pkiclient.exe"},
                {"http://h/x?a=b", true, "http://h/x/pkiclient.exe?a=b"},
        };
        struct error e = {0};
        CLEANUP(free_p) char *host = NULL;
        char *long_url = malloc(HTTP_URL_MAX + 2);

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(checks); i++) {
                if (checks[i].ok)
                        expect_ok(http_url_check(checks[i].url, &e));
                else
                        expect_err(http_url_check(checks[i].url, &e), ERR_INVALID);
        }
        for (size_t i = 0; i < N_ELEMENTS(made); i++) {
                CLEANUP(free_p) char *url = NULL;

                expect_ok(http_url_base(made[i].base, made[i].suffix, &url, &e));
                assert_string_equal(url, made[i].made);
        }
        memset(long_url, 'a', HTTP_URL_MAX + 1);
        long_url[HTTP_URL_MAX + 1] = 0;
        memcpy(long_url, "http://", 7);
        expect_err(http_url_check(long_url, &e), ERR_INVALID);
        free(long_url);
        expect_ok(http_url_host("https://NDES.Contoso.com:443/x", &host, &e));
        assert_string_equal(host, "ndes.contoso.com");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(get_table), cmocka_unit_test(facts),       cmocka_unit_test(stays_away),
                cmocka_unit_test(post),      cmocka_unit_test(by_get),      cmocka_unit_test(slow),
                cmocka_unit_test(urls),      cmocka_unit_test(unreachable),
        };

        return cmocka_run_group_tests(tests, init, done);
}
