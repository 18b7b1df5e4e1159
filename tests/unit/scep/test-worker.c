/* scepter-worker and scepter-parse as the daemon runs them: exec'd on a socketpair, one job in, one result
 * out, sandbox closed. */
#include "rep.h"

#include <openssl/cms.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "channel/stream.h"
#include "channel/tls13.h"
#include "policy/command.h"
#include "scep-build/message.h"
#include "scep-build/signer.h"
#include "server.h"
#include "keys/unwrap.h"
#include "worker/protocol.h"

#define ID "aaaabbbbccccddddeeeeffff0000111122223333"
#define BODY(s)                                                                                              \
        {                                                                                                    \
                (const uint8_t *)(s), sizeof(s) - 1                                                          \
        }

static X509 *ca, *ra, *own, *own_ec, *issued;

static int make(void **state)
{
        CLEANUP(bytes_done) struct bytes name = pki_name("device");

        (void)state;
        ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = 1, .ca = true});
        ra = pki_cert(
                &(struct pki_spec){.subject = "RA", .issuer = ca, .issuer_key = 1, .key = 2, .serial = 2});
        issued = pki_cert(&(struct pki_spec){
                .subject = "device", .issuer = ca, .issuer_key = 1, .key = 4, .serial = 77});
        assert_int_equal(signer_build(bytes_view(&name), pki_ec_key(), "SHA256", time(NULL), 7 * PKI_DAY,
                                      &own_ec, NULL),
                         ERR_OK);
        return signer_build(bytes_view(&name), pki_key(4), "SHA256", time(NULL), 7 * PKI_DAY, &own, NULL) ? 1
                                                                                                          : 0;
}

static int drop(void **state)
{
        (void)state;
        X509_free(ca), X509_free(ra), X509_free(own), X509_free(own_ec), X509_free(issued);
        return 0;
}

struct worker {
        pid_t pid;
        int fd;
};

/* Landlock may be missing where tests run: --weak-workers is then what the daemon would be told, too. */
static bool has_landlock(void)
{
        return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static struct worker start_with(const char *program, const char *option)
{
        struct worker w;
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        w.pid = fork();
        assert_true(w.pid >= 0);
        if (w.pid == 0) {
                dup2(pair[1], 3); /* pair[1] may be 3 itself: then it only loses its flag below */
                if (pair[1] == 3)
                        (void)fcntl(3, F_SETFD, 0);
                execl(program, program, option, NULL);
                _exit(127);
        }
        close(pair[1]);
        w.fd = pair[0];
        return w;
}

static struct worker start(const char *program)
{
        return start_with(program, has_landlock() ? NULL : "--weak-workers");
}

static int end(struct worker *w)
{
        int status;

        close(w->fd);
        assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
        if (!WIFEXITED(status))
                fail_msg("the worker was killed by signal %d", WTERMSIG(status));
        return WEXITSTATUS(status);
}

static void send_job(const struct worker *w, const struct job *job)
{
        struct bytes record = {0};
        struct error e = {0};

        expect_ok(job_encode(job, &record, &e));
        expect_ok(channel_send(w->fd, FRAME_JOB, 0, bytes_view(&record), &e));
        bytes_done(&record);
}

static void receive(const struct worker *w, enum job_kind kind, struct secret *body, struct result *ret)
{
        struct frame_header h;
        struct error e = {0};

        expect_ok(channel_receive(w->fd, FRAME_WORKER_MAX, &h, body, &e));
        assert_int_equal(h.type, FRAME_RESULT);
        expect_ok(result_decode(secret_view(body), kind, ret, &e));
}

static const char ini[] = "[Profile]\nName=corp-wifi\nType=device\n"
                          "[Server]\nUrl=https://ndes.contoso.com/certsrv/mscep/mscep.dll\n"
                          "CaThumbprint=00112233445566778899aabbccddeeff00112233\n"
                          "[Subject]\nName=CN=device\n";

static void parse(void **state)
{
        struct job job = {.kind = JOB_PARSE,
                          .of.parse = {.format = "auto", .document = BODY(ini), .origin = "wifi.profile"}};
        struct result result;
        struct error e = {0};

        (void)state;
        for (int round = 0; round < 2; round++) {
                struct worker w = start(PARSE);
                CLEANUP(secret_done) struct secret body = {0};

                job.of.parse.document = round ? str_view("[Profile]\nNonsense=1\n") : str_view(ini);
                send_job(&w, &job);
                receive(&w, JOB_PARSE, &body, &result);
                if (round == 0) {
                        struct commands commands = {0};

                        if (result.kind == RESULT_FAILED)
                                fail_msg("%s: %s", result.of.failed.name, result.of.failed.message);
                        expect_ok(commands_decode(result.of.parsed.commands, &commands, &e));
                        assert_int_equal(commands.count, 1);
                        commands_done(&commands);
                } else {
                        assert_int_equal(result.kind, RESULT_FAILED);
                        assert_string_equal(result.of.failed.name, "InvalidProfile");
                        assert_non_null(strstr(result.of.failed.message, "wifi.profile"));
                }
                assert_int_equal(end(&w), 0);
        }
}

static void discover(void **state)
{
        CLEANUP(bytes_done) struct bytes der = pki_degenerate(&ca, 1);
        const struct server_rule script[] = {{"GetCACaps", ACT_ANSWER, 200, NULL, BODY("AES\n")},
                                             {"GetCACert", ACT_ANSWER, 200, NULL, bytes_view(&der)},
                                             {0}};
        static const char *const hosts[] = {"127.0.0.1", "localhost"};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(hosts); i++) {
                CLEANUP(secret_done) struct secret body = {0};
                struct job job = {.kind = JOB_DISCOVER,
                                  .of.discover = {.want = DISCOVER_BOTH,
                                                  .link = {.connect_ms = 5000, .total_ms = 5000}}};
                struct server server = {0};
                struct worker w = start(NETWORK);
                struct result result;
                char url[128];

                server_start(&server, script);
                snprintf(url, sizeof url, "http://%s:%u/scep", hosts[i], server.port);
                job.of.discover.urls = (struct job_texts){{url}, 1};
                send_job(&w, &job);
                receive(&w, JOB_DISCOVER, &body, &result);
                if (result.kind == RESULT_FAILED)
                        fail_msg("%s: %s", result.of.failed.name, result.of.failed.message);
                assert_string_equal(result.of.discovered.url, url);
                assert_int_equal(end(&w), 0);
                server_stop(&server);
        }
}

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

static void answer(const struct worker *w, uint32_t id, struct view data)
{
        struct fields_writer f = FIELDS_WRITER(8192, true);
        CLEANUP(bytes_done) struct bytes body = {0};
        struct error e = {0};

        fields_put(&f, FRAME_TAG_DATA, data);
        expect_ok(fields_finish(&f, &body, &e));
        expect_ok(channel_send(w->fd, FRAME_ANSWER, id, bytes_view(&body), &e));
}

/* The same for a key agreement: a point comes, nothing else, and its x goes back. */
static void grant_derive(const struct worker *w, const struct frame_header *h, const struct secret *body)
{
        EVP_PKEY *peer = EVP_PKEY_new();
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pki_ec_key(), NULL);
        struct key_request request;
        struct error e = {0};
        uint8_t shared[32];
        size_t len = sizeof shared;

        expect_ok(key_request_decode(h->type, secret_view(body), &request, &e));
        assert_int_equal(request.handle, 0);
        assert_int_equal(request.data.len, 65);
        assert_int_equal(EVP_PKEY_copy_parameters(peer, pki_ec_key()), 1);
        assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, request.data.data, request.data.len), 1);
        assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
        assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
        assert_int_equal(EVP_PKEY_derive(ctx, shared, &len), 1);
        answer(w, h->id, (struct view){shared, len});
        EVP_PKEY_free(peer);
}

/* And for the challenge, which the worker never has. */
static void grant_unwrap(const struct worker *w, const struct frame_header *h, const struct secret *body,
                         const char *password)
{
        CLEANUP(secret_done) struct secret key = {0};
        CLEANUP(bytes_done) struct bytes told = {0};
        struct key_request request;
        struct error e = {0};

        expect_ok(key_request_decode(h->type, secret_view(body), &request, &e));
        if (password_unwrap(str_view(password), &request.unwrap, request.data, &key, &e) == ERR_OK) {
                answer(w, h->id, secret_view(&key));
                return;
        }
        expect_ok(frame_error_encode(&e, &told, NULL));
        expect_ok(channel_send(w->fd, FRAME_ERROR, h->id, bytes_view(&told), NULL));
}

/* The daemon's side of the one grant. @refuse: the key says no. */
static void grant(const struct worker *w, const struct frame_header *h, const struct secret *body,
                  bool refuse)
{
        struct key_request request;
        struct error e = {0};
        uint8_t plain[KEY_MODULUS_MAX];
        size_t len = sizeof plain;
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pki_key(4), NULL);
        struct bytes answer = {0};

        assert_int_equal(h->type, FRAME_DECRYPT);
        expect_ok(key_request_decode(FRAME_DECRYPT, secret_view(body), &request, &e));
        assert_int_equal(request.handle, 0);
        assert_int_equal(request.decrypt.padding, KEY_PADDING_RSA_PKCS1);
        if (refuse) {
                (void)error_set(&e, ERR_TPM_LOCKED_OUT, "The TPM is locked");
                expect_ok(frame_error_encode(&e, &answer, NULL));
                expect_ok(channel_send(w->fd, FRAME_ERROR, h->id, bytes_view(&answer), NULL));
        } else {
                struct fields_writer f = FIELDS_WRITER(8192, true);

                assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
                assert_int_equal(EVP_PKEY_decrypt(ctx, plain, &len, request.data.data, request.data.len), 1);
                fields_put(&f, FRAME_TAG_DATA, (struct view){plain, len});
                expect_ok(fields_finish(&f, &answer, &e));
                expect_ok(channel_send(w->fd, FRAME_ANSWER, h->id, bytes_view(&answer), &e));
        }
        EVP_PKEY_CTX_free(ctx);
        bytes_done(&answer);
}

static void exchange(void **state)
{
        static const struct {
                const char *cipher;
                uint64_t allow;
                bool refuse;
                const char *failure; /* NULL: SUCCESS */
                uint64_t ways;       /* 0: by transport */
                const char *password;
                int iterations;
                enum frame_type asks; /* 0: nothing, where ways is not 0 */
        } cases[] = {
                {"AES-128-CBC", 0, false, NULL, 0, NULL, 0, FRAME_DECRYPT},
                {"DES-EDE3-CBC", 0, false, NULL, 0, NULL, 0, FRAME_DECRYPT},
                {"DES-CBC", EXCHANGE_ALLOW_DES, false, NULL, 0, NULL, 0,
                 FRAME_DECRYPT}, /* the legacy provider loads inside the sandbox */
                {"DES-CBC", 0, false, "ServerAlgorithm", 0, NULL, 0, 0},
                {"AES-128-CBC", 0, true, "", 0, NULL, 0, FRAME_DECRYPT},
                {"AES-128-CBC", 0, false, NULL, REPLY_BY_AGREEMENT, NULL, 0, FRAME_DERIVE},
                {"DES-EDE3-CBC", 0, false, NULL, REPLY_BY_AGREEMENT, NULL, 0, FRAME_DERIVE},
                {"AES-256-CBC", 0, false, NULL, REPLY_BY_AGREEMENT | REPLY_BY_PASSWORD, "word", 0,
                 FRAME_UNWRAP},
                {"DES-EDE3-CBC", 0, false, NULL, REPLY_BY_PASSWORD, "word", 0, FRAME_UNWRAP},
                {"AES-128-CBC", 0, false, "InvalidReply", REPLY_BY_PASSWORD, "another", 0, FRAME_UNWRAP},
                {"AES-128-CBC", 0, false, "ServerAlgorithm", REPLY_BY_PASSWORD, "word",
                 KEY_ITERATIONS_MAX + 1, 0},
                {"AES-128-CBC", 0, false, "InvalidReply", REPLY_BY_AGREEMENT, "word", 0, 0},
                {"AES-128-CBC", 0, false, "InvalidReply", REPLY_BY_PASSWORD, NULL, 0, 0},
        };
        CLEANUP(bytes_done) struct bytes payload = pki_degenerate(&issued, 1);
        CLEANUP(bytes_done) struct bytes ra_der = {0};
        CLEANUP(bytes_done) struct bytes own_der = {0};
        CLEANUP(bytes_done) struct bytes ec_der = {0};
        static const struct server_rule script[] = {{"PKIOperation", ACT_ANSWER, 200, NULL, {0}}, {0}};

        (void)state;
        assert_int_equal(x509_der(ra, &ra_der, NULL), ERR_OK);
        assert_int_equal(x509_der(own, &own_der, NULL), ERR_OK);
        assert_int_equal(x509_der(own_ec, &ec_der, NULL), ERR_OK);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const bool rsa = cases[i].ways == 0;
                struct rep rep = {.type = "3",
                                  .status = "0",
                                  .transaction = ID,
                                  .recipient = rsa ? own : own_ec,
                                  .password = cases[i].password,
                                  .iterations = cases[i].iterations,
                                  .payload = bytes_view(&payload),
                                  .cipher = cases[i].cipher,
                                  .signer = ra,
                                  .signer_key = pki_key(2)};
                const struct message_spec spec = {SCEP_PKCS_REQ,
                                                  str_view("request"),
                                                  ra,
                                                  SCEP_AES128,
                                                  rsa ? own : own_ec,
                                                  rsa ? pki_key(4) : pki_ec_key(),
                                                  SCEP_SHA256,
                                                  ID};
                struct server server = {.answer = reply_to, .ctx = &rep};
                CLEANUP(bytes_done) struct bytes message = {0};
                unsigned asked = 0;
                struct job job = {.kind = JOB_EXCHANGE,
                                  .of.exchange = {.post = 1,
                                                  .type = 19,
                                                  .transaction = ID,
                                                  .allow = cases[i].allow,
                                                  .ways = rsa ? REPLY_BY_TRANSPORT : cases[i].ways,
                                                  .link = {.connect_ms = 5000, .total_ms = 5000}}};
                struct job_exchange *x = &job.of.exchange;
                struct worker w = start(NETWORK);
                struct error e = {0};
                uint8_t nonce[16];
                char url[128];
                bool ended = false;

                expect_ok(message_build(&spec, nonce, &message, &e));
                server_start(&server, script);
                snprintf(url, sizeof url, "http://127.0.0.1:%u/scep", server.port);
                x->url = url;
                x->request = bytes_view(&message);
                x->nonce = (struct view){nonce, sizeof nonce};
                x->signers = (struct job_blobs){{bytes_view(&ra_der)}, 1};
                x->recipient = bytes_view(rsa ? &own_der : &ec_der);
                send_job(&w, &job);
                while (!ended) {
                        CLEANUP(secret_done) struct secret body = {0};
                        struct frame_header h;
                        struct result result;

                        expect_ok(channel_receive(w.fd, FRAME_WORKER_MAX, &h, &body, &e));
                        if (h.type != FRAME_RESULT) {
                                asked++;
                                assert_int_equal(h.type, cases[i].asks);
                                if (h.type == FRAME_DERIVE)
                                        grant_derive(&w, &h, &body);
                                else if (h.type == FRAME_UNWRAP)
                                        grant_unwrap(&w, &h, &body, "word");
                                else
                                        grant(&w, &h, &body, cases[i].refuse);
                                continue;
                        }
                        ended = true;
                        expect_ok(result_decode(secret_view(&body), JOB_EXCHANGE, &result, &e));
                        if (!cases[i].failure) {
                                if (result.kind == RESULT_FAILED)
                                        fail_msg("%s: %s", result.of.failed.name, result.of.failed.message);
                                assert_int_equal(result.of.exchanged.status, SCEP_SUCCESS);
                                assert_int_equal(result.of.exchanged.certs.n, 1);
                        } else {
                                assert_int_equal(result.kind, RESULT_FAILED);
                                if (*cases[i].failure)
                                        assert_string_equal(result.of.failed.name, cases[i].failure);
                        }
                }
                assert_int_equal(asked, cases[i].asks ? 1 : 0);
                assert_int_equal(end(&w), 0);
                server_stop(&server);
        }
}

/* The daemon's side of the client certificate: it gets a transcript hash and a scheme, and nothing else. */
static void sign_for_tls(const struct worker *w, const struct frame_header *h, const struct secret *body,
                         EVP_PKEY *key, size_t transcript, bool refuse)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        CLEANUP(bytes_done) struct bytes answer = {0};
        struct fields_writer f = FIELDS_WRITER(8192, false);
        struct tls13_input input;
        struct key_request request;
        struct key_sign how;
        EVP_PKEY_CTX *pctx;
        uint8_t signature[512];
        size_t len = sizeof signature;
        struct error e = {0};

        assert_int_equal(h->type, FRAME_TLS_SIGN);
        assert_true(h->len < 100); /* handle, scheme, hash: there is no room for anything else */
        expect_ok(key_request_decode(FRAME_TLS_SIGN, secret_view(body), &request, &e));
        assert_int_equal(request.handle, 0);
        assert_int_equal(request.data.len, transcript);
        if (refuse) {
                (void)error_set(&e, ERR_TPM_LOCKED_OUT, "The TPM is locked");
                expect_ok(frame_error_encode(&e, &answer, NULL));
                expect_ok(channel_send(w->fd, FRAME_ERROR, h->id, bytes_view(&answer), NULL));
                return;
        }
        assert_true(tls13_input_make(request.data, &input));
        assert_true(tls13_scheme_sign(request.tls_scheme, &how));
        assert_int_equal(
                EVP_DigestSignInit_ex(ctx, &pctx, key_digest_name(how.digest), NULL, NULL, key, NULL), 1);
        if (how.scheme == KEY_SCHEME_RSA_PSS) {
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, how.salt_len), 1);
        }
        assert_int_equal(EVP_DigestSign(ctx, signature, &len, input.octets, input.len), 1);
        fields_put(&f, FRAME_TAG_DATA, (struct view){signature, len});
        expect_ok(fields_finish(&f, &answer, &e));
        expect_ok(channel_send(w->fd, FRAME_ANSWER, h->id, bytes_view(&answer), &e));
}

static void client_certificate(void **state)
{
        static const struct {
                const char *name;
                bool ec, keep, refuse;
                const char *groups, *suites;
                size_t transcript;
                unsigned signatures;
        } cases[] = {
                {"rsa", false, true, false, NULL, NULL, 48, 1},
                {"ec", true, true, false, NULL, NULL, 48, 1},
                {"rsa, each request a connection", false, false, false, NULL, NULL, 48, 2},
                {"ec, SHA-256, P-256", true, true, false, "P-256", "TLS_AES_128_GCM_SHA256", 32, 1},
                {"rsa, SHA-256", false, true, false, NULL, "TLS_CHACHA20_POLY1305_SHA256", 32, 1},
                {"refused", true, true, true, NULL, NULL, 48, 1},
        };
        const struct pki_spec specs[] = {
                {.subject = "TLS CA", .key = 1, .ca = true, .from = -3650, .to = 3650},
                {.subject = "server",
                 .issuer_key = 1,
                 .key = 2,
                 .from = -3650,
                 .to = 3650,
                 .san = "IP:127.0.0.1"},
                {.subject = "client", .issuer_key = 1, .key = 3, .from = -3650, .to = 3650},
                {.subject = "client", .issuer_key = 1, .ec = true, .from = -3650, .to = 3650},
        };
        CLEANUP(bytes_done) struct bytes der = pki_degenerate(&ca, 1);
        CLEANUP(bytes_done) struct bytes bundle = {0};
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        const struct server_rule script[] = {{"GetCACaps", ACT_ANSWER, 200, NULL, BODY("AES\n")},
                                             {"GetCACert", ACT_ANSWER, 200, NULL, bytes_view(&der)},
                                             {0}};
        X509 *certs[N_ELEMENTS(specs)];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(specs); i++) {
                struct pki_spec spec = specs[i];

                spec.issuer = i ? certs[0] : NULL;
                certs[i] = pki_cert(&spec);
        }
        assert_int_equal(PEM_write_bio_X509(bio, certs[0]), 1);
        assert_int_equal(bio_bytes(bio, &bundle, NULL), ERR_OK);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                EVP_PKEY *key = cases[i].ec ? pki_ec_key() : pki_key(3);
                CLEANUP(bytes_done) struct bytes client = {0};
                struct job job = {.kind = JOB_DISCOVER,
                                  .of.discover = {.want = DISCOVER_BOTH,
                                                  .link = {.ca_bundle = bytes_view(&bundle),
                                                           .connect_ms = 5000,
                                                           .total_ms = 5000}}};
                struct server server = {.keep = cases[i].keep,
                                        .tls = server_tls(&(struct server_tls){.cert = certs[1],
                                                                               .key = pki_key(2),
                                                                               .clients = certs[0],
                                                                               .groups = cases[i].groups,
                                                                               .suites = cases[i].suites})};
                SSL_CTX *tls = server.tls;
                struct worker w = start(NETWORK);
                unsigned signatures = 0;
                char url[128];
                bool ended = false;
                struct error e = {0};

                expect_ok(x509_der(certs[cases[i].ec ? 3 : 2], &client, &e));
                server_start(&server, script);
                snprintf(url, sizeof url, "https://127.0.0.1:%u/scep", server.port);
                job.of.discover.urls = (struct job_texts){{url}, 1};
                job.of.discover.link.client = (struct job_blobs){{bytes_view(&client)}, 1};
                send_job(&w, &job);
                while (!ended) {
                        CLEANUP(secret_done) struct secret body = {0};
                        struct frame_header h;
                        struct result result;

                        expect_ok(channel_receive(w.fd, FRAME_WORKER_MAX, &h, &body, &e));
                        ended = h.type == FRAME_RESULT;
                        if (!ended) {
                                sign_for_tls(&w, &h, &body, key, cases[i].transcript, cases[i].refuse);
                                signatures++;
                                continue;
                        }
                        expect_ok(result_decode(secret_view(&body), JOB_DISCOVER, &result, &e));
                        if (cases[i].refuse) {
                                assert_string_equal(result.of.failed.name, "TpmLockedOut");
                                assert_non_null(strstr(result.of.failed.message, "client certificate's key"));
                        } else if (result.kind == RESULT_FAILED) {
                                fail_msg("%s: %s", cases[i].name, result.of.failed.message);
                        }
                }
                assert_int_equal(signatures, cases[i].signatures);
                assert_int_equal(end(&w), 0);
                if (!cases[i].refuse)
                        assert_string_equal(server.peer, "/CN=client");
                server_stop(&server);
                SSL_CTX_free(tls);
        }
        for (size_t i = 0; i < N_ELEMENTS(certs); i++)
                X509_free(certs[i]);
}

/* What @w was sent is no job of its kind. */
static void expect_refused(struct worker w)
{
        CLEANUP(secret_done) struct secret body = {0};
        struct result result;

        receive(&w, JOB_PARSE, &body, &result);
        assert_string_equal(result.of.failed.name, "ProtocolError");
        assert_int_equal(end(&w), 0);
}

static void protocol(void **state)
{
        const struct job job = {.kind = JOB_PARSE, .of.parse = {.format = "ini", .document = BODY("x")}};
        struct error e = {0};
        struct worker w;

        (void)state;
        w = start(NETWORK); /* does not parse documents */
        send_job(&w, &job);
        expect_refused(w);
        w = start(PARSE);
        expect_ok(channel_send(w.fd, FRAME_JOB, 0, str_view("junk"), &e));
        expect_refused(w);
        w = start(PARSE);
        expect_ok(channel_send(w.fd, FRAME_ANSWER, 0, str_view(""), &e));
        expect_refused(w);

        w = start(PARSE);
        assert_int_equal(end(&w), 0); /* started ahead of a job that did not come */
        w = start(PARSE);
        assert_int_equal(write(w.fd, "S", 1), 1);
        assert_int_equal(end(&w), 1); /* the daemon went away: nobody to tell */
        w = start_with(PARSE, "--kind");
        assert_int_equal(end(&w), 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(parse), cmocka_unit_test(discover),
                                           cmocka_unit_test(exchange), cmocka_unit_test(client_certificate),
                                           cmocka_unit_test(protocol)};

        return cmocka_run_group_tests(tests, make, drop);
}
