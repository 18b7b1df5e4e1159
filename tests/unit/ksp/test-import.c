/* ksp_import(): keys that others made, what becomes of them on the disk, and what is refused. */
#include "test.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/ossl.h"
#include "ksp.h"
#include "swtpm.h"

static struct swtpm swtpm;
static struct ksp *ksp, *without_secret;
static char folder[] = "/tmp/scepter-import.XXXXXX";
static int dir = -1;

static int start(void **state)
{
        struct ksp_config config = {.host_secret = {(const uint8_t *)"test secret", 11}};

        (void)state;
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        if (!swtpm_start(&swtpm) || !mkdtemp(folder))
                return -1;
        config.tcti = swtpm.tcti;
        dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (ksp_open(&config, &ksp, NULL))
                return -1;
        config.host_secret.len = 0;
        return ksp_open(&config, &without_secret, NULL) ? -1 : 0;
}

static int stop(void **state)
{
        (void)state;
        ksp_close(ksp);
        ksp_close(without_secret);
        swtpm_stop(&swtpm);
        close_p(&dir);
        return tree_remove(AT_FDCWD, folder, NULL) ? -1 : 0;
}

static EVP_PKEY *made(const char *kind)
{
        if (strncmp(kind, "rsa", 3) == 0)
                return EVP_RSA_gen((unsigned)atoi(kind + 4));
        return strcmp(kind, "ed25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen(kind);
}

enum form { PKCS8, ENCRYPTED, TRADITIONAL, PUBLIC };

static void add_key(BIO *bio, EVP_PKEY *key, enum form form)
{
        if (form == PKCS8)
                assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
        else if (form == ENCRYPTED)
                assert_int_equal(
                        PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_256_cbc(), "x", 1, NULL, NULL), 1);
        else if (form == TRADITIONAL)
                assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL),
                                 1);
        else
                assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
}

static struct view content(BIO *bio)
{
        char *data;
        long len = BIO_get_mem_data(bio, &data);

        return (struct view){(const uint8_t *)data, (size_t)len};
}

/* Signs with what was imported; verifies with what it was imported from. */
static void check_signature(struct ksp_key *key, EVP_PKEY *original)
{
        static const uint8_t hash[32] = "hash";
        const bool rsa = key_alg_is_rsa(ksp_key_alg(key));
        const struct key_sign how = {rsa ? KEY_SCHEME_RSA_PSS : KEY_SCHEME_ECDSA, KEY_DIGEST_SHA256,
                                     KEY_DIGEST_SHA256, 32};
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(original, NULL);
        CLEANUP(bytes_done) struct bytes signature = {0};
        struct error e = {0};

        expect_ok(ksp_sign(key, 0, &how, (struct view){hash, sizeof hash}, &signature, &e));
        assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
        if (rsa)
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
        if (rsa)
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32), 1);
        assert_int_equal(EVP_PKEY_verify(ctx, signature.data, signature.len, hash, sizeof hash), 1);
}

static void software(void **state)
{
        static const struct {
                const char *kind;
                enum key_alg alg;
        } cases[] = {{"rsa-2048", KEY_ALG_RSA_2048},
                     {"rsa-3072", KEY_ALG_RSA_3072},
                     {"P-256", KEY_ALG_EC_P256},
                     {"P-384", KEY_ALG_EC_P384}};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(evp_pkey_free_p) EVP_PKEY *original = made(cases[i].kind);
                CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
                CLEANUP(bytes_done) struct bytes stored = {0};
                struct ksp_key *key, *again;
                struct error e = {0};

                BIO_puts(bio, "Bag attributes\n  a comment\n");
                add_key(bio, original, PUBLIC); /* other blocks are passed over */
                add_key(bio, original, PKCS8);
                expect_ok(ksp_import(ksp, content(bio), &key, &e));
                assert_int_equal(ksp_key_alg(key), cases[i].alg);
                assert_false(ksp_key_in_tpm(key));
                assert_int_equal(EVP_PKEY_eq(ksp_key_public(key), original), 1);
                check_signature(key, original);
                /* On the disk it is like any other software key: encrypted, and only with the host secret to
                 * be had. */
                expect_ok(ksp_key_save(key, dir, "key.pem", &e));
                expect_ok(file_read(dir, "key.pem", 65536, &stored, &e));
                assert_non_null(strstr((char *)stored.data, "BEGIN ENCRYPTED PRIVATE KEY"));
                expect_ok(ksp_load(ksp, dir, "key.pem", &again, &e));
                assert_memory_equal(ksp_key_id(key), ksp_key_id(again), KEY_ID_LEN);
                check_signature(again, original);
                ksp_key_unref(again);
                expect_err(ksp_load(without_secret, dir, "key.pem", &again, &e), ERR_HOST_SECRET);
                expect_err(ksp_import(without_secret, content(bio), &again, &e), ERR_HOST_SECRET);
                expect_ok(ksp_delete(ksp, key, dir, "key.pem", &e));
                ksp_key_unref(key);
        }
}

static void in_tpm(void **state)
{
        static const enum key_alg algs[] = {KEY_ALG_RSA_2048, KEY_ALG_EC_P256};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(algs); i++) {
                const struct ksp_spec spec = {.alg = algs[i], .protection = KEY_PROTECTION_TPM};
                CLEANUP(free_p) char *reason = NULL;
                CLEANUP(bytes_done) struct bytes pem = {0};
                struct ksp_key *key, *imported, *again;
                struct ksp_key_info info;
                struct error e = {0};

                expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
                expect_ok(ksp_key_save(key, dir, "tpm.pem", &e));
                expect_ok(file_read(dir, "tpm.pem", 65536, &pem, &e));
                expect_ok(ksp_import(ksp, bytes_view(&pem), &imported, &e));
                assert_true(ksp_key_in_tpm(imported));
                check_signature(imported, ksp_key_public(key));
                expect_ok(ksp_describe(imported, &info, &e));
                assert_true(info.attributes & KSP_FIXED_TPM);
                expect_ok(ksp_key_save(imported, dir, "again.pem", &e));
                expect_ok(ksp_load(without_secret, dir, "again.pem", &again, &e)); /* no secret needed */
                ksp_key_unref(again);
                ksp_key_unref(imported);
                ksp_key_unref(key);
        }
}

/* A key of the TPM with other attributes in its public area: told before it is needed. */
static void unusable_in_tpm(void **state)
{
        static const uint8_t rsa_sha256[] = {0, 1, 0, 0xb}; /* type and nameAlg; the attributes follow */
        static const struct {
                uint32_t clear, set;
                const char *says;
        } cases[] = {{1 << 17, 0, "'decrypt'"}, {1 << 6, 0, "policy"}, {0, 1 << 16, "restricted"}};
        const struct ksp_spec spec = {.alg = KEY_ALG_RSA_2048, .protection = KEY_PROTECTION_TPM};
        CLEANUP(free_p) char *reason = NULL;
        CLEANUP(bytes_done) struct bytes pem = {0};
        struct ksp_key *key;
        struct error e = {0};

        (void)state;
        expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
        expect_ok(ksp_key_save(key, dir, "tpm.pem", &e));
        ksp_key_unref(key);
        expect_ok(file_read(dir, "tpm.pem", 65536, &pem, &e));
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf(pem.data, (int)pem.len);
                CLEANUP(bio_free_p) BIO *out = BIO_new(BIO_s_mem());
                char *name, *header;
                uint8_t *der, *at;
                uint32_t attributes = 0;
                long len;

                assert_int_equal(PEM_read_bio(in, &name, &header, &der, &len), 1);
                at = memmem(der, (size_t)len, rsa_sha256, sizeof rsa_sha256);
                assert_non_null(at);
                at += sizeof rsa_sha256;
                for (int n = 0; n < 4; n++)
                        attributes = attributes << 8 | at[n];
                attributes = (attributes & ~cases[i].clear) | cases[i].set;
                for (int n = 0; n < 4; n++)
                        at[n] = (uint8_t)(attributes >> (24 - 8 * n));
                assert_true(PEM_write_bio(out, name, header, der, len) > 0);
                expect_err(ksp_import(ksp, content(out), &key, &e), ERR_KEY_NOT_SUPPORTED);
                if (!strstr(e.message, cases[i].says))
                        fail_msg("%s", e.message);
                OPENSSL_free(name);
                OPENSSL_free(header);
                OPENSSL_free(der);
        }
}

static void refusals(void **state)
{
        static const struct {
                const char *name, *kind, *second;
                enum form form;
                enum err err;
                const char *says;
        } cases[] = {
                {"none", NULL, NULL, PKCS8, ERR_INVALID, "no private key"},
                {"public", "P-256", NULL, PUBLIC, ERR_INVALID, "no private key"},
                {"encrypted", "P-256", NULL, ENCRYPTED, ERR_INVALID, "passphrase"},
                {"traditional", "P-256", NULL, TRADITIONAL, ERR_INVALID, "EC PRIVATE KEY"},
                {"two", "P-256", "P-384", PKCS8, ERR_INVALID, "more than one"},
                {"twice the same", "P-256", "P-256", PKCS8, ERR_INVALID, "more than one"},
                {"rsa-1024", "rsa-1024", NULL, PKCS8, ERR_KEY_NOT_SUPPORTED, "1024"},
                {"ed25519", "ed25519", NULL, PKCS8, ERR_KEY_NOT_SUPPORTED, NULL},
                {"secp256k1", "secp256k1", NULL, PKCS8, ERR_KEY_NOT_SUPPORTED, "P-256"},
                {"P-521", "P-521", NULL, PKCS8, ERR_KEY_NOT_SUPPORTED, "P-256"},
        };
        static const char *const texts[] = {
                "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
                "-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n",
                "-----BEGIN PRIVATE KEY-----\nno base 64\n",
        };
        struct ksp_key *key;
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(evp_pkey_free_p) EVP_PKEY *first = cases[i].kind ? made(cases[i].kind) : NULL;
                CLEANUP(evp_pkey_free_p) EVP_PKEY *second = cases[i].second ? made(cases[i].second) : NULL;
                CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());

                BIO_puts(bio, "text\n");
                if (first)
                        add_key(bio, first, cases[i].form);
                if (second)
                        add_key(bio, second, cases[i].form);
                expect_err(ksp_import(ksp, content(bio), &key, &e), cases[i].err);
                if (cases[i].says && !strstr(e.message, cases[i].says))
                        fail_msg("%s: %s", cases[i].name, e.message);
        }
        for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
                memset(&e, 0, sizeof e);
                assert_int_not_equal(ksp_import(ksp, str_view(texts[i]), &key, &e), ERR_OK);
                assert_true(e.message[0] && e.remedy[0]);
        }
}

/* Octets changed at random never give a key without a public half, and never more than a named error. */
static void mutations(void **state)
{
        CLEANUP(evp_pkey_free_p) EVP_PKEY *original = made("P-256");
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        struct view pem;
        unsigned seed = 1;
        struct error e = {0};

        (void)state;
        add_key(bio, original, PKCS8);
        pem = content(bio);
        for (int i = 0; i < 3000; i++) {
                CLEANUP(free_p) uint8_t *copy = malloc(pem.len);
                struct ksp_key *key;

                memcpy(copy, pem.data, pem.len);
                for (int n = rand_r(&seed) % 3; n >= 0; n--)
                        copy[(size_t)rand_r(&seed) % pem.len] = (uint8_t)rand_r(&seed);
                if (ksp_import(ksp, (struct view){copy, pem.len}, &key, &e) == ERR_OK) {
                        assert_non_null(ksp_key_public(key));
                        ksp_key_unref(key);
                } else {
                        assert_true(e.code != ERR_OK && e.message[0]);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(software), cmocka_unit_test(in_tpm),
                                           cmocka_unit_test(unusable_in_tpm), cmocka_unit_test(refusals),
                                           cmocka_unit_test(mutations)};

        return cmocka_run_group_tests_name("import", tests, start, stop);
}
