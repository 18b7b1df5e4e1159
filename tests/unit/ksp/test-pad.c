/* ksp/tpm/pad against OpenSSL: what we pad it verifies, what it encrypts we unpad, and every broken padding
 * is refused. The raw private operation is done by OpenSSL with RSA_NO_PADDING. */
#include "test.h"

#include <openssl/rsa.h>

#include "base/ossl.h"
#include "pad.h"

static EVP_PKEY *key;

static int make_key(void **state)
{
        (void)state;
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
        return key ? 0 : -1;
}

static int drop_key(void **state)
{
        (void)state;
        EVP_PKEY_free(key);
        return 0;
}

static void raw(const uint8_t *in, uint8_t *out)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
        size_t len = 256;

        assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
        assert_int_equal(EVP_PKEY_decrypt(ctx, out, &len, in, 256), 1);
        assert_int_equal(len, 256);
}

static void signatures(void **state)
{
        static const struct {
                const char *name;
                struct key_sign how;
        } cases[] = {
                {"/pkcs1/sha1", {KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA1, KEY_DIGEST_NONE, 0}},
                {"/pkcs1/sha256", {KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA256, KEY_DIGEST_NONE, 0}},
                {"/pkcs1/sha512", {KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA512, KEY_DIGEST_NONE, 0}},
                {"/pkcs1/sha3-256", {KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA3_256, KEY_DIGEST_NONE, 0}},
                {"/pss/sha256/32", {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256, KEY_DIGEST_SHA256, 32}},
                {"/pss/sha256/max", {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256, KEY_DIGEST_SHA256, 222}},
                {"/pss/sha512/0", {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA512, KEY_DIGEST_SHA512, 0}},
                {"/pss/sha256/mgf-sha1", {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256, KEY_DIGEST_SHA1, 20}},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
                const struct key_sign *how = &cases[i].how;
                uint8_t hash[64], padded[256], signature[256];
                struct view data = {hash, key_digest_len(how->digest)};

                memset(hash, (int)i + 1, sizeof hash);
                expect_ok(pad_sign(how, data, padded, sizeof padded, &e));
                raw(padded, signature);
                assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
                if (how->scheme == KEY_SCHEME_RSA_PSS)
                        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_signature_md(
                                         ctx, EVP_get_digestbyname(key_digest_name(how->digest))),
                                 1);
                if (how->scheme == KEY_SCHEME_RSA_PSS) {
                        assert_int_equal(
                                EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, key_digest_name(how->mgf1), NULL), 1);
                        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, how->salt_len), 1);
                }
                assert_int_equal(EVP_PKEY_verify(ctx, signature, 256, hash, data.len), 1);
        }
}

static void refused_signatures(void **state)
{
        static const struct {
                struct key_sign how;
                size_t len;
        } cases[] = {
                {{KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA256, KEY_DIGEST_NONE, 0}, 31},
                {{KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_NONE, KEY_DIGEST_NONE, 0}, 246},
                {{KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256, KEY_DIGEST_SHA256, 223}, 32},
                {{KEY_SCHEME_RSA_PSS, KEY_DIGEST_NONE, KEY_DIGEST_SHA256, 20}, 32},
                {{KEY_SCHEME_ECDSA, KEY_DIGEST_SHA256, KEY_DIGEST_NONE, 0}, 32},
        };
        uint8_t data[256] = {0}, padded[256];
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                expect_err(
                        pad_sign(&cases[i].how, (struct view){data, cases[i].len}, padded, sizeof padded, &e),
                        ERR_INVALID);
}

static void decryption(void **state)
{
        static const struct {
                struct key_decrypt how;
                size_t len;
        } cases[] = {
                {{KEY_PADDING_RSA_PKCS1, 0, 0, {0}}, 16},
                {{KEY_PADDING_RSA_PKCS1, 0, 0, {0}}, 0},
                {{KEY_PADDING_RSA_PKCS1, 0, 0, {0}}, 245},
                {{KEY_PADDING_RSA_OAEP, KEY_DIGEST_SHA1, KEY_DIGEST_SHA1, {0}}, 16},
                {{KEY_PADDING_RSA_OAEP, KEY_DIGEST_SHA256, KEY_DIGEST_SHA1, {0}}, 190},
                {{KEY_PADDING_RSA_OAEP, KEY_DIGEST_SHA256, KEY_DIGEST_SHA256, {0}}, 0},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
                CLEANUP(secret_done) struct secret plain = {0};
                const struct key_decrypt *how = &cases[i].how;
                uint8_t message[256], encrypted[256], padded[256];
                size_t len = sizeof encrypted;

                memset(message, 0x5a, sizeof message);
                assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
                if (how->padding == KEY_PADDING_RSA_OAEP) {
                        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
                        assert_int_equal(
                                EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, key_digest_name(how->digest), NULL),
                                1);
                        assert_int_equal(
                                EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, key_digest_name(how->mgf1), NULL), 1);
                }
                assert_int_equal(EVP_PKEY_encrypt(ctx, encrypted, &len, message, cases[i].len), 1);
                raw(encrypted, padded);
                expect_ok(unpad_decrypt(how, padded, sizeof padded, &plain, &e));
                assert_int_equal(plain.len, cases[i].len);
                assert_memory_equal(plain.data, message, plain.len);
                secret_done(&plain);
                /* The same with another padding's eyes. */
                raw(encrypted, padded);
                if (how->padding == KEY_PADDING_RSA_OAEP) {
                        const struct key_decrypt labelled = {
                                KEY_PADDING_RSA_OAEP, how->digest, how->mgf1, {(const uint8_t *)"x", 1}};

                        expect_err(unpad_decrypt(&labelled, padded, sizeof padded, &plain, &e), ERR_INVALID);
                } else {
                        const struct key_decrypt oaep = {
                                KEY_PADDING_RSA_OAEP, KEY_DIGEST_SHA1, KEY_DIGEST_SHA1, {0}};

                        expect_err(unpad_decrypt(&oaep, padded, sizeof padded, &plain, &e), ERR_INVALID);
                }
        }
}

static void bad_pkcs1(void **state)
{
        static const struct {
                const char *name;
                size_t at;
                uint8_t value;
        } cases[] = {
                {"/first-octet", 0, 1},
                {"/block-type", 1, 1},
                {"/zero-too-early", 9, 0},
                {"/zero-at-2", 2, 0},
        };
        const struct key_decrypt how = {KEY_PADDING_RSA_PKCS1, 0, 0, {0}};
        CLEANUP(secret_done) struct secret plain = {0};
        uint8_t padded[256];
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                memset(padded, 0xaa, sizeof padded);
                padded[0] = 0;
                padded[1] = 2;
                padded[200] = 0;
                padded[cases[i].at] = cases[i].value;
                expect_err(unpad_decrypt(&how, padded, sizeof padded, &plain, &e), ERR_INVALID);
        }
        memset(padded, 0xaa, sizeof padded); /* no zero at all */
        padded[0] = 0;
        padded[1] = 2;
        expect_err(unpad_decrypt(&how, padded, sizeof padded, &plain, &e), ERR_INVALID);
        memset(padded, 0xaa, sizeof padded); /* the earliest zero that is allowed */
        padded[0] = 0;
        padded[1] = 2;
        padded[10] = 0;
        expect_ok(unpad_decrypt(&how, padded, sizeof padded, &plain, &e));
        assert_int_equal(plain.len, 245);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(signatures), cmocka_unit_test(refused_signatures),
                                           cmocka_unit_test(decryption), cmocka_unit_test(bad_pkcs1)};

        return cmocka_run_group_tests_name("pad", tests, make_key, drop_key);
}
