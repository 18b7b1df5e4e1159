/* service/scep/http over TLS: whom it believes, how it shows who it is, and what it never does. */
#include "test.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "pki.h"
#include "scep-http/http.h"
#include "server.h"

#define BODY(s)                                                                                              \
        {                                                                                                    \
                (const uint8_t *)(s), sizeof(s) - 1                                                          \
        }
#define LONG .from = -3650, .to = 3650 /* these are verified by the real clock */

static X509 *ca, *other_ca, *server_cert, *expired, *elsewhere, *rsa_client, *ec_client, *stranger;
static struct bytes bundle, other_bundle;

static struct bytes pem_of(X509 *cert)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        struct bytes b = {0};

        (void)PEM_write_bio_X509(bio, cert);
        assert_int_equal(bio_bytes(bio, &b, NULL), ERR_OK);
        return b;
}

static X509 *leaf(const char *subject, unsigned key, bool ec, const char *san, int to)
{
        return pki_cert(&(struct pki_spec){.subject = subject,
                                           .issuer = ca,
                                           .issuer_key = 1,
                                           .key = key,
                                           .ec = ec,
                                           .from = -3650,
                                           .to = to,
                                           .san = san});
}

static int init(void **state)
{
        (void)state;
        ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = 1, .ca = true, LONG});
        other_ca = pki_cert(&(struct pki_spec){.subject = "Other CA", .key = 5, .ca = true, LONG});
        server_cert = leaf("server", 2, false, "IP:127.0.0.1,DNS:localhost", 3650);
        expired = leaf("server", 2, false, "IP:127.0.0.1", -3000);
        elsewhere = leaf("server", 2, false, "DNS:ndes.contoso.com", 3650);
        rsa_client = leaf("rsa client", 3, false, NULL, 3650);
        ec_client = leaf("ec client", 0, true, NULL, 3650);
        stranger = pki_cert(&(struct pki_spec){
                .subject = "stranger", .issuer = other_ca, .issuer_key = 5, .key = 4, LONG});
        bundle = pem_of(ca);
        other_bundle = pem_of(other_ca);
        return http_global_init(NULL);
}

static int done(void **state)
{
        X509 *const all[] = {ca, other_ca, server_cert, expired, elsewhere, rsa_client, ec_client, stranger};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(all); i++)
                X509_free(all[i]);
        bytes_done(&bundle);
        bytes_done(&other_bundle);
        http_global_done();
        return 0;
}

/* A client certificate whose key is an ordinary one of OpenSSL's. */
struct identity {
        struct http_client client;
        struct error failure;
};

static void identity_open(struct identity *id, X509 *cert, EVP_PKEY *key)
{
        *id = (struct identity){.client = {.chain = pki_stack(&cert, 1), .key = key}};
        id->client.failure = &id->failure;
}

static void identity_done(struct identity *id)
{
        union {
                const STACK_OF(X509) * in;
                STACK_OF(X509) * out;
        } chain = {.in = id->client.chain};

        sk_X509_pop_free(chain.out, X509_free);
}

static struct http_options trusting(const struct bytes *anchors, const struct http_client *client)
{
        return (struct http_options){
                .ca_bundle = bytes_view(anchors), .connect_ms = 5000, .total_ms = 5000, .client = client};
}

static enum err get(const char *url, const struct http_options *options, struct http_reply *ret,
                    struct error *e)
{
        const struct http_request request = {.url = url, .operation = "GetCACaps"};

        return http_perform(&request, options, ret, e);
}

static const struct server_rule plain[] = {
        {"/ok", ACT_ANSWER, 200, NULL, BODY("AES\n")},
        {"/s400", ACT_ANSWER, 400, NULL, BODY("No required SSL certificate")},
        {"/s403", ACT_ANSWER, 403, NULL, BODY("x")},
        {0}};

static void trust(void **state)
{
        const struct {
                const char *name;
                X509 *cert;
                const struct bytes *anchors;
                enum err err;
                const char *says;
        } cases[] = {
                {"good", server_cert, &bundle, ERR_OK, NULL},
                {"wrong bundle", server_cert, &other_bundle, ERR_TLS, "issuer"},
                {"no bundle: the system's", server_cert, NULL, ERR_TLS, "issuer"},
                {"expired", expired, &bundle, ERR_TLS, "expired"},
                {"another name", elsewhere, &bundle, ERR_TLS, "127.0.0.1"},
        };
        static const struct bytes none = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct server server = {
                        .tls = server_tls(&(struct server_tls){.cert = cases[i].cert, .key = pki_key(2)})};
                const struct http_options options =
                        trusting(cases[i].anchors ? cases[i].anchors : &none, NULL);
                CLEANUP(http_reply_done) struct http_reply reply = {0};
                SSL_CTX *tls = server.tls;
                struct error e = {0};
                char url[128];

                server_start(&server, plain);
                snprintf(url, sizeof url, "https://127.0.0.1:%u/ok", server.port);
                if (get(url, &options, &reply, &e) != cases[i].err)
                        fail_msg("%s: %s", cases[i].name, e.message);
                if (cases[i].says && (!strstr(e.message, cases[i].says) || !strstr(e.remedy, "CaBundle=")))
                        fail_msg("%s: %s %s", cases[i].name, e.message, e.remedy);
                server_stop(&server);
                SSL_CTX_free(tls);
        }
}

static void clients(void **state)
{
        const struct {
                const char *name;
                X509 *cert;
                EVP_PKEY *key;
                struct server_tls server;
                const char *path;
                enum err err;
                const char *says, *remedy;
        } cases[] = {
                {"rsa", rsa_client, pki_key(3), {.clients = ca}, "/ok", ERR_OK, NULL, NULL},
                {"ec", ec_client, pki_ec_key(), {.clients = ca}, "/ok", ERR_OK, NULL, NULL},
                {"groups",
                 ec_client,
                 pki_ec_key(),
                 {.clients = ca, .groups = "P-256"},
                 "/ok",
                 ERR_OK,
                 NULL,
                 NULL},
                {"not asked for", rsa_client, pki_key(3), {0}, "/ok", ERR_OK, NULL, NULL},
                {"none",
                 NULL,
                 NULL,
                 {.clients = ca},
                 "/ok",
                 ERR_TLS,
                 "asks for a client certificate",
                 "ClientCertificate="},
                {"none, TLS 1.2",
                 NULL,
                 NULL,
                 {.clients = ca, .max_version = TLS1_2_VERSION},
                 "/ok",
                 ERR_TLS,
                 "asks for a client certificate",
                 "ClientCertificate="},
                {"another CA's",
                 stranger,
                 pki_key(4),
                 {.clients = ca},
                 "/ok",
                 ERR_TLS,
                 "refused the client certificate",
                 "issuer"},
                {"TLS 1.2",
                 rsa_client,
                 pki_key(3),
                 {.clients = ca, .max_version = TLS1_2_VERSION},
                 "/ok",
                 ERR_TLS,
                 "TLS 1.3",
                 "Enable TLS 1.3"},
                {"TLS 1.2, not asked for",
                 rsa_client,
                 pki_key(3),
                 {.max_version = TLS1_2_VERSION},
                 "/ok",
                 ERR_TLS,
                 "TLS 1.3",
                 "Enable TLS 1.3"},
                {"no client, TLS 1.2",
                 NULL,
                 NULL,
                 {.max_version = TLS1_2_VERSION},
                 "/ok",
                 ERR_OK,
                 NULL,
                 NULL},
                {"another's key",
                 rsa_client,
                 pki_key(4),
                 {.clients = ca},
                 "/ok",
                 ERR_TLS,
                 "cannot be used",
                 NULL},
                {"400, none",
                 NULL,
                 NULL,
                 {.clients = ca, .optional = true},
                 "/s400",
                 ERR_HTTP,
                 "has none",
                 "ClientCertificate="},
                {"400, some",
                 rsa_client,
                 pki_key(3),
                 {.clients = ca, .optional = true},
                 "/s400",
                 ERR_HTTP,
                 "asked for a client certificate",
                 "issuer"},
                {"403, not asked for",
                 rsa_client,
                 pki_key(3),
                 {0},
                 "/s403",
                 ERR_HTTP,
                 "HTTP 403",
                 "mscep.dll"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct server_tls spec = cases[i].server;
                struct server server = {0};
                struct identity id;
                CLEANUP(http_reply_done) struct http_reply reply = {0};
                struct http_options options;
                struct error e = {0};
                char url[128];
                SSL_CTX *tls;

                spec.cert = server_cert;
                spec.key = pki_key(2);
                tls = server.tls = server_tls(&spec);
                if (cases[i].cert)
                        identity_open(&id, cases[i].cert, cases[i].key);
                options = trusting(&bundle, cases[i].cert ? &id.client : NULL);
                server_start(&server, plain);
                snprintf(url, sizeof url, "https://127.0.0.1:%u%s", server.port, cases[i].path);
                if (get(url, &options, &reply, &e) != cases[i].err)
                        fail_msg("%s: %s", cases[i].name, e.message);
                if (cases[i].says && !strstr(e.message, cases[i].says))
                        fail_msg("%s: %s", cases[i].name, e.message);
                if (cases[i].remedy && !strstr(e.remedy, cases[i].remedy))
                        fail_msg("%s: %s", cases[i].name, e.remedy);
                if (!cases[i].err && cases[i].cert && cases[i].server.clients) {
                        char wanted[64];

                        snprintf(wanted, sizeof wanted, "/CN=%s client",
                                 cases[i].name[0] == 'r' ? "rsa" : "ec");
                        assert_string_equal(server.peer, wanted);
                }
                server_stop(&server);
                SSL_CTX_free(tls);
                if (cases[i].cert)
                        identity_done(&id);
        }
}

/* Never with a client certificate: http, and a proxy that would be shown it. */
static void misuse(void **state)
{
        struct identity id;
        CLEANUP(http_reply_done) struct http_reply reply = {0};
        struct http_options options;
        struct error e = {0};

        (void)state;
        identity_open(&id, rsa_client, pki_key(3));
        options = trusting(&bundle, &id.client);
        expect_err(get("http://127.0.0.1:1/ok", &options, &reply, &e), ERR_INVALID);
        options.proxy = "https://127.0.0.1:1";
        expect_err(get("https://127.0.0.1:1/ok", &options, &reply, &e), ERR_INVALID);
        identity_done(&id);
}

/* What an earlier connection of the session came to is not told of a later one. */
static void no_old_reasons(void **state)
{
        const struct server_tls strict = {.cert = server_cert, .key = pki_key(2), .clients = ca};
        struct server server = {.tls = server_tls(&strict)};
        SSL_CTX *tls = server.tls;
        struct identity id;
        CLEANUP(http_reply_done) struct http_reply reply = {0};
        struct http_options options;
        struct error e = {0};
        char url[128];

        (void)state;
        identity_open(&id, stranger, pki_key(4));
        (void)error_set(&id.failure, ERR_TPM_LOCKED_OUT, "The TPM is locked out");
        options = trusting(&bundle, &id.client);
        expect_ok(http_session_new(&options.session, &e));
        server_start(&server, plain);
        snprintf(url, sizeof url, "https://127.0.0.1:%u/ok", server.port);
        expect_err(get(url, &options, &reply, &e), ERR_TLS);
        assert_non_null(strstr(e.message, "refused the client certificate"));
        expect_err(get("https://127.0.0.1:1/ok", &options, &reply, &e), ERR_NETWORK);
        expect_err(get("https://no-such-host.invalid/", &options, &reply, &e), ERR_NETWORK);
        http_session_free(options.session);
        server_stop(&server);
        SSL_CTX_free(tls);
        identity_done(&id);
}

/* A server that says nothing is not one without TLS 1.3. */
static void silence(void **state)
{
        static const struct server_rule rules[] = {{.match = "", .act = ACT_STALL}, {0}};
        struct server server = {0};
        struct identity id;
        CLEANUP(http_reply_done) struct http_reply reply = {0};
        struct http_options options;
        struct error e = {0};
        char url[128];

        (void)state;
        identity_open(&id, rsa_client, pki_key(3));
        options = trusting(&bundle, &id.client);
        options.connect_ms = options.total_ms = 300;
        server_start(&server, rules);
        snprintf(url, sizeof url, "https://127.0.0.1:%u/ok", server.port);
        expect_err(get(url, &options, &reply, &e), ERR_TIMEOUT);
        server_stop(&server);
        identity_done(&id);
}

static struct server_rule hop(const char *match, char *line, size_t size, const char *scheme, unsigned port,
                              const char *path)
{
        snprintf(line, size, "Location: %s://127.0.0.1:%u%s\r\n", scheme, port, path);
        return (struct server_rule){match, ACT_ANSWER, 302, line, BODY("")};
}

/* From https never to http, not by a detour either; with a client certificate to no other server. */
static void redirects(void **state)
{
        enum { ANY = 0, WITHOUT, WITH };
        static const struct {
                const char *path;
                int client;
                enum err err;
                const char *says;
        } cases[] = {
                {"/down", ANY, ERR_HTTP, "redirects"},
                {"/around", ANY, ERR_HTTP, "redirects"},
                {"/here", ANY, ERR_OK, NULL},
                {"/there", WITHOUT, ERR_OK, NULL},
                {"/there", WITH, ERR_HTTP, "not shown the client certificate"},
                {"/here-there", WITH, ERR_HTTP, "not shown the client certificate"},
        };
        const struct server_tls spec = {
                .cert = server_cert, .key = pki_key(2), .clients = ca, .optional = true};
        struct server first = {.tls = server_tls(&spec)}, second = {.tls = first.tls}, third = {0};
        char lines[8][128];
        SSL_CTX *tls = first.tls;
        struct server_rule rules[8];
        struct identity id;
        struct error e = {0};

        (void)state;
        identity_open(&id, rsa_client, pki_key(3));
        server_start(&second, plain);
        server_start(&third, plain);
        server_start(&first, plain);
        rules[0] = hop("/down", lines[0], sizeof lines[0], "http", third.port, "/ok");
        rules[1] = hop("/around", lines[1], sizeof lines[1], "https", first.port, "/down");
        rules[2] = hop("/here-there", lines[2], sizeof lines[2], "https", first.port, "/there");
        rules[3] = hop("/here", lines[3], sizeof lines[3], "HTTPS", first.port, "/ok");
        rules[4] = hop("/there", lines[4], sizeof lines[4], "https", second.port, "/ok");
        rules[5] = plain[0];
        rules[6] = (struct server_rule){0};
        first.rules = rules; /* nobody has connected yet */
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                for (int with = WITHOUT; with <= WITH; with++) {
                        CLEANUP(http_reply_done) struct http_reply reply = {0};
                        struct http_options options = trusting(&bundle, with == WITH ? &id.client : NULL);
                        unsigned before = second.connections;
                        char url[128];

                        if (cases[i].client != ANY && cases[i].client != with)
                                continue;
                        snprintf(url, sizeof url, "https://127.0.0.1:%u%s", first.port, cases[i].path);
                        memset(&e, 0, sizeof e);
                        if (get(url, &options, &reply, &e) != cases[i].err)
                                fail_msg("%s: %s", cases[i].path, e.message);
                        if (cases[i].says && !strstr(e.message, cases[i].says))
                                fail_msg("%s: %s", cases[i].path, e.message);
                        if (with == WITH)
                                assert_int_equal(second.connections, before);
                }
        }
        assert_int_equal(third.connections, 0);
        server_stop(&first);
        server_stop(&second);
        server_stop(&third);
        SSL_CTX_free(tls);
        identity_done(&id);
}

/* A session has one handshake, and so one signature, for a server that keeps its connections. */
static void sessions(void **state)
{
        const struct server_tls spec = {.cert = server_cert, .key = pki_key(2), .clients = ca};
        struct identity id;
        struct error e = {0};

        (void)state;
        identity_open(&id, rsa_client, pki_key(3));
        for (int keep = 0; keep < 2; keep++) {
                struct server server = {.tls = server_tls(&spec), .keep = keep};
                struct http_options options = trusting(&bundle, &id.client);
                SSL_CTX *tls = server.tls;
                char url[128];

                server_start(&server, plain);
                expect_ok(http_session_new(&options.session, &e));
                for (int i = 0; i < 3; i++) {
                        CLEANUP(http_reply_done) struct http_reply reply = {0};

                        snprintf(url, sizeof url, "https://127.0.0.1:%u/ok", server.port);
                        expect_ok(get(url, &options, &reply, &e));
                        assert_int_equal(reply.body.len, 4);
                }
                http_session_free(options.session);
                assert_int_equal(server.n, 3);
                assert_int_equal(server.handshakes, keep ? 1 : 3);
                server_stop(&server);
                SSL_CTX_free(tls);
        }
        identity_done(&id);
}

static void same_server(void **state)
{
        static const struct {
                const char *a, *b;
                bool same;
        } cases[] = {
                {"https://h/x", "https://h/y?z", true},    {"https://h/x", "HTTPS://H:443/", true},
                {"https://h", "https://h:8443", false},    {"https://h", "http://h", false},
                {"https://h", "https://h.example", false}, {"https://h", "https://g@h/", true},
                {"https://h", "https://h@evil/", false},   {"https://[::1]/", "https://[::1]:443/a", true},
                {"https://h", "no url at all://", false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                if (http_url_same_server(cases[i].a, cases[i].b) != cases[i].same)
                        fail_msg("%s %s", cases[i].a, cases[i].b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(trust),          cmocka_unit_test(clients),     cmocka_unit_test(misuse),
                cmocka_unit_test(no_old_reasons), cmocka_unit_test(silence),     cmocka_unit_test(redirects),
                cmocka_unit_test(sessions),       cmocka_unit_test(same_server),
        };

        return cmocka_run_group_tests_name("tls", tests, init, done);
}
