#include "pkcs11-server.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ossl.h"
#include "channel/stream.h"
#include "fuzz.h"

struct served {
        EVP_PKEY *key;
        struct bytes cert, spki, input;
        uint8_t id[KEY_ID_LEN];
        const char *label;
        uint64_t owner; /* 0: the device */
        bool wants_pin;
};

const char pkcs11_server_pin[] = "4711 right";

static struct server {
        struct served keys[SERVED_KEYS];
        struct bytes odd[SERVED_ODD];
        char folder[64], path[96];
        int fd;
        _Atomic uint32_t state;
        _Atomic uint8_t damage;
        _Atomic bool shows_odd;
} server;

static uint32_t roll(void)
{
        uint32_t x = atomic_load(&server.state);

        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        atomic_store(&server.state, x);
        return x;
}

/* Certificates */

static struct bytes certificate(EVP_PKEY *subject, EVP_PKEY *signer, const char *name)
{
        X509 *cert = X509_new();
        struct bytes der = {0};
        struct error e = {0};

        fuzz_promise(cert && X509_set_pubkey(cert, subject) &&
                             X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
                             X509_gmtime_adj(X509_getm_notAfter(cert), 1000000) &&
                             ASN1_INTEGER_set(X509_get_serialNumber(cert), 7) &&
                             X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                                        (const unsigned char *)name, -1, -1, 0) &&
                             X509_sign(cert, signer, EVP_sha256()) && x509_der(cert, &der, &e) == ERR_OK,
                     "a certificate can be made");
        X509_free(cert);
        return der;
}

/* An RSA key of so many bits that nobody has the private half of. */
static EVP_PKEY *public_rsa(int bits)
{
        BIGNUM *n = BN_new();
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        OSSL_PARAM *params;
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
        EVP_PKEY *key = NULL;

        fuzz_promise(BN_set_bit(n, bits - 1) && BN_set_bit(n, 0) &&
                             OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
                             OSSL_PARAM_BLD_push_uint(build, OSSL_PKEY_PARAM_RSA_E, 65537),
                     "parameters can be made");
        params = OSSL_PARAM_BLD_to_param(build);
        fuzz_promise(EVP_PKEY_fromdata_init(ctx) == 1 &&
                             EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1,
                     "a public key can be made");
        OSSL_PARAM_free(params);
        OSSL_PARAM_BLD_free(build);
        EVP_PKEY_CTX_free(ctx);
        BN_free(n);
        return key;
}

static void make_input(struct served *s)
{
        uint8_t made[512];
        size_t len = sizeof made;
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->key, NULL);

        if (EVP_PKEY_is_a(s->key, "RSA"))
                fuzz_promise(EVP_PKEY_encrypt_init(ctx) == 1 &&
                                     EVP_PKEY_encrypt(ctx, made, &len, (const unsigned char *)"plain", 5) ==
                                             1,
                             "something can be encrypted");
        else
                fuzz_promise(EVP_PKEY_get_octet_string_param(s->key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, made,
                                                             sizeof made, &len) == 1,
                             "a key has a point");
        fuzz_promise(bytes_copy(&s->input, made, len, NULL) == ERR_OK, "it can be kept");
        EVP_PKEY_CTX_free(ctx);
}

static void make_keys(void)
{
        static const char *const labels[SERVED_KEYS] = {"rsa", "p256", "p384", "user", "pin"};
        EVP_PKEY *odd[SERVED_ODD] = {public_rsa(512), public_rsa(8192), EVP_EC_gen("P-521"),
                                     EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
        struct error e = {0};

        for (unsigned i = 0; i < SERVED_KEYS; i++) {
                struct served *s = &server.keys[i];
                CLEANUP(x509_free_p) X509 *cert = NULL;
                const uint8_t *p;

                s->label = labels[i];
                s->owner = i >= 3 ? (uint64_t)geteuid() + 1 : 0;
                s->wants_pin = i == SERVED_KEYS - 1;
                s->key = i == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen(i == 2 ? "P-384" : "P-256");
                s->cert = certificate(s->key, s->key, s->label);
                p = s->cert.data;
                cert = d2i_X509(NULL, &p, (long)s->cert.len);
                fuzz_promise(cert && X509_pubkey_digest(cert, EVP_sha1(), s->id, NULL) &&
                                     spki_der(s->key, &s->spki, &e) == ERR_OK,
                             "a key can be made");
                make_input(s);
        }
        for (unsigned i = 0; i < SERVED_ODD; i++) {
                server.odd[i] = certificate(odd[i], server.keys[0].key, "odd");
                EVP_PKEY_free(odd[i]);
        }
}

/* Operations */

static const EVP_MD *md_of(enum key_digest digest)
{
        return digest ? EVP_get_digestbyname(key_digest_name(digest)) : NULL;
}

static bool sign(const struct served *s, const struct key_request *q, uint8_t *ret, size_t *len)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->key, NULL);
        const EVP_MD *md = md_of(q->sign.digest), *mgf1 = md_of(q->sign.mgf1);
        const bool pss = q->sign.scheme == KEY_SCHEME_RSA_PSS;

        if (EVP_PKEY_is_a(s->key, "RSA") != (q->sign.scheme != KEY_SCHEME_ECDSA))
                return false;
        return EVP_PKEY_sign_init(ctx) == 1 &&
               (q->sign.scheme == KEY_SCHEME_ECDSA ||
                EVP_PKEY_CTX_set_rsa_padding(ctx, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) == 1) &&
               (!md || EVP_PKEY_CTX_set_signature_md(ctx, md) == 1) &&
               (!pss || (EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, q->sign.salt_len) == 1 &&
                         (!mgf1 || EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, mgf1) == 1))) &&
               EVP_PKEY_sign(ctx, ret, len, q->data.data, q->data.len) == 1;
}

static bool decrypt(const struct served *s, const struct key_request *q, uint8_t *ret, size_t *len)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->key, NULL);
        const bool oaep = q->decrypt.padding == KEY_PADDING_RSA_OAEP;
        const EVP_MD *md = md_of(q->decrypt.digest), *mgf1 = md_of(q->decrypt.mgf1);

        return EVP_PKEY_is_a(s->key, "RSA") && EVP_PKEY_decrypt_init(ctx) == 1 &&
               EVP_PKEY_CTX_set_rsa_padding(ctx, oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING) == 1 &&
               (!oaep || !md || EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1) &&
               (!oaep || !mgf1 || EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, mgf1) == 1) &&
               EVP_PKEY_decrypt(ctx, ret, len, q->data.data, q->data.len) == 1;
}

static bool derive(const struct served *s, const struct key_request *q, uint8_t *ret, size_t *len)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->key, NULL);
        CLEANUP(evp_pkey_free_p) EVP_PKEY *peer = EVP_PKEY_new();

        return EVP_PKEY_is_a(s->key, "EC") && EVP_PKEY_copy_parameters(peer, s->key) == 1 &&
               EVP_PKEY_set1_encoded_public_key(peer, q->data.data, q->data.len) == 1 &&
               EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
               EVP_PKEY_derive(ctx, ret, len) == 1;
}

/* ERR_OK: nothing is wrong with it. */
static enum err judge(const struct served *s, const struct key_request *q)
{
        if (!s || !s->wants_pin)
                return ERR_OK;
        if (!q->pin.len)
                return ERR_PIN_NEEDED;
        return view_equal(q->pin, str_view(pkcs11_server_pin)) ? ERR_OK : ERR_TPM_WRONG_AUTH;
}

static enum err operate(enum frame_type type, const struct key_request *q, struct fields_writer *w)
{
        const struct served *s =
                q->handle >= 1 && q->handle <= SERVED_KEYS ? &server.keys[q->handle - 1] : NULL;
        uint8_t made[1024];
        size_t len = sizeof made;
        bool done = false;

        if (type == FRAME_VERIFY || judge(s, q))
                return judge(s, q);
        if (s && type == FRAME_SIGN)
                done = sign(s, q, made, &len);
        else if (s && type == FRAME_DECRYPT)
                done = decrypt(s, q, made, &len);
        else if (s)
                done = derive(s, q, made, &len);
        if (done)
                fields_put(w, FRAME_TAG_DATA, (struct view){made, len});
        return done ? ERR_OK : type == FRAME_SIGN ? ERR_INVALID : ERR_NOT_FOUND;
}

/* Listing */

static void entry(struct fields_writer *w, const struct served *s)
{
        fields_put_str(w, FRAME_TAG_LABEL, s->label);
        if (s->owner)
                fields_put_u64(w, FRAME_TAG_OWNER, s->owner - 1);
}

static void list(struct fields_writer *w)
{
        for (unsigned i = 0; i < SERVED_KEYS; i++) {
                struct fields_writer one = FIELDS_WRITER(FRAME_KEYS_MAX, false);
                CLEANUP(bytes_done) struct bytes body = {0};

                entry(&one, &server.keys[i]);
                fields_put(&one, FRAME_TAG_KEY_ID, (struct view){server.keys[i].id, KEY_ID_LEN});
                fuzz_promise(fields_finish(&one, &body, NULL) == ERR_OK, "an entry can be made");
                fields_put(w, FRAME_TAG_ENTRY, bytes_view(&body));
        }
        fields_put_u64(w, FRAME_TAG_NEXT, 0);
}

static struct view shown(const struct served *s)
{
        /* Well-formed, but nothing that anybody asked for. */
        if (atomic_load(&server.shows_odd) || roll() % 256 < atomic_load(&server.damage))
                return bytes_view(&server.odd[roll() % SERVED_ODD]);
        return bytes_view(&s->cert);
}

static enum err look(enum frame_type type, const struct key_request *q, struct fields_writer *w)
{
        enum err r = ERR_NOT_FOUND;

        for (unsigned i = 0; i < SERVED_KEYS; i++) {
                const struct served *s = &server.keys[i];

                if (memcmp(s->id, q->key_id, KEY_ID_LEN) != 0 || (type == FRAME_DESCRIBE && q->index > 1))
                        continue;
                r = ERR_OK;
                if (s->wants_pin)
                        fields_put_u64(w, FRAME_TAG_WANTS_PIN, true);
                if (type == FRAME_OPEN) {
                        fields_put_u64(w, FRAME_TAG_HANDLE, i + 1);
                        fields_put(w, FRAME_TAG_SPKI, bytes_view(&s->spki));
                        fields_put(w, FRAME_TAG_KEY_ID, (struct view){s->id, KEY_ID_LEN});
                } else {
                        entry(w, s);
                }
                fields_put(w, FRAME_TAG_CERTIFICATE,
                           q->index == 1 ? bytes_view(&server.odd[i % SERVED_ODD]) : shown(s));
        }
        return r;
}

/* Answers */

static void spoil(uint8_t *p, size_t len)
{
        for (uint32_t n = 1 + roll() % 8; len && n > 0; n--)
                p[roll() % len] = (uint8_t)roll();
}

/* One frame with the body, or something else; false: the connection has to end, or the other side waits. */
static bool reply(int fd, enum frame_type type, uint32_t id, struct bytes *body)
{
        const bool damage = roll() % 256 < atomic_load(&server.damage);
        uint8_t junk[64];

        switch (damage ? roll() % 8 : 8) {
        case 0:
                spoil(body->data, body->len);
                break;
        case 1:
                if (body->len)
                        body->len = roll() % body->len;
                break;
        case 2:
                id ^= 1;
                break;
        case 3:
                type = FRAME_ERROR;
                break;
        case 4:
                type = (enum frame_type)(roll() % 256);
                break;
        case 5:
                spoil(junk, sizeof junk);
                (void)!send(fd, junk, sizeof junk, MSG_NOSIGNAL);
                return false;
        case 6:
                if (channel_send(fd, type, id, bytes_view(body), NULL))
                        return false;
                break;
        case 7:
                return false;
        default:
                break;
        }
        return channel_send(fd, type, id, bytes_view(body), NULL) == ERR_OK;
}

static bool answer(int fd, const struct frame_header *h, struct view in)
{
        struct fields_writer w = FIELDS_WRITER(FRAME_KEYS_MAX, false);
        CLEANUP(bytes_done) struct bytes body = {0};
        struct key_request q;
        struct error e = {0};
        const bool good = key_request_decode(h->type, in, &q, &e) == ERR_OK;
        enum err r = ERR_OK;

        fuzz_promise(good, "the module asks what can be read");
        if (h->type == FRAME_CLOSE)
                return true;
        if (h->type == FRAME_LIST)
                list(&w);
        else if (h->type == FRAME_OPEN || h->type == FRAME_DESCRIBE)
                r = look(h->type, &q, &w);
        else
                r = operate(h->type, &q, &w);
        fuzz_promise(fields_finish(&w, &body, NULL) == ERR_OK, "an answer can be made");
        if (!r)
                return reply(fd, FRAME_ANSWER, h->id, &body);
        bytes_done(&body);
        (void)error_set(&e, r, "It cannot be done");
        fuzz_promise(frame_error_encode(&e, &body, NULL) == ERR_OK, "an error can be made");
        return reply(fd, FRAME_ERROR, h->id, &body);
}

static void *serve(void *ctx)
{
        (void)ctx;
        for (;;) {
                int fd = accept(server.fd, NULL, NULL);
                bool more = fd >= 0;

                while (more) {
                        CLEANUP(secret_done) struct secret body = {0};
                        struct frame_header h;

                        more = channel_receive(fd, FRAME_KEYS_MAX, &h, &body, NULL) == ERR_OK &&
                               answer(fd, &h, secret_view(&body));
                }
                (void)close(fd);
        }
        return NULL;
}

static void remove_socket(void)
{
        (void)unlink(server.path);
        (void)rmdir(server.folder);
}

void pkcs11_server_start(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        pthread_t thread;

        make_keys();
        strcpy(server.folder, "/tmp/scepter-fuzz.XXXXXX");
        fuzz_promise(mkdtemp(server.folder) != NULL, "a folder can be made");
        (void)snprintf(server.path, sizeof server.path, "%s/keys.sock", server.folder);
        strcpy(address.sun_path, server.path);
        server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        fuzz_promise(bind(server.fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                             listen(server.fd, 8) == 0 && setenv("SCEPTER_KEYS", server.path, 1) == 0 &&
                             atexit(remove_socket) == 0,
                     "a socket can be made");
        fuzz_promise(pthread_create(&thread, NULL, serve, NULL) == 0 && pthread_detach(thread) == 0,
                     "a thread can be made");
}

void pkcs11_server_set(uint32_t seed, uint8_t damage, bool odd)
{
        atomic_store(&server.shows_odd, odd);
        atomic_store(&server.state, seed | 1);
        atomic_store(&server.damage, damage);
}

struct view pkcs11_server_input(unsigned key)
{
        return bytes_view(&server.keys[key % SERVED_KEYS].input);
}

const uint8_t *pkcs11_server_id(unsigned key)
{
        return server.keys[key % SERVED_KEYS].id;
}
