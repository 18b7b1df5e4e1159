/* service/keys/tls-sign: a TLS 1.3 peer accepts what comes out, and nothing else comes out. */
#include "test.h"

#include <openssl/rsa.h>

#include "base/ossl.h"
#include "keys/tls-sign.h"

static struct ksp *ksp;

static int start(void **state)
{
        const struct ksp_config config = {.host_secret = {(const uint8_t *)"test secret", 11}};

        (void)state;
        return ksp_open(&config, &ksp, NULL) ? -1 : 0;
}

static int stop(void **state)
{
        (void)state;
        ksp_close(ksp);
        return 0;
}

/* As the server does it, from the standard's text. */
static bool accepted(EVP_PKEY *key, const char *digest, const uint8_t *transcript, size_t len,
                     const struct bytes *signature)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pctx;
        uint8_t input[64 + 34 + 48];

        memset(input, 0x20, 64);
        memcpy(input + 64, "TLS 1.3, client CertificateVerify", 34);
        memcpy(input + 98, transcript, len);
        assert_int_equal(EVP_DigestVerifyInit_ex(ctx, &pctx, digest, NULL, NULL, key, NULL), 1);
        if (EVP_PKEY_is_a(key, "RSA")) {
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
        }
        return EVP_DigestVerify(ctx, signature->data, signature->len, input, 98 + len) == 1;
}

static void table(void **state)
{
        static const struct {
                uint16_t scheme;
                const char *digest;
        } schemes[] = {{0x0804, "SHA256"}, {0x0805, "SHA384"}, {0x0806, "SHA512"}, {0x0403, "SHA256"},
                       {0x0503, "SHA384"}, {0x0401, NULL},     {0x0201, NULL},     {0, NULL}};
        static const struct {
                enum key_alg alg;
                unsigned fits; /* bits: which of the above */
        } keys[] = {{KEY_ALG_RSA_2048, 0x07}, {KEY_ALG_EC_P256, 0x08}, {KEY_ALG_EC_P384, 0x10}};
        uint8_t transcript[64];

        (void)state;
        memset(transcript, 0x5a, sizeof transcript);
        for (size_t k = 0; k < N_ELEMENTS(keys); k++) {
                const struct ksp_spec spec = {.alg = keys[k].alg, .protection = KEY_PROTECTION_SOFTWARE};
                CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
                CLEANUP(free_p) char *reason = NULL;
                struct error e = {0};

                expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
                for (size_t s = 0; s < N_ELEMENTS(schemes); s++) {
                        for (size_t len = 0; len <= sizeof transcript; len += 16) {
                                CLEANUP(bytes_done) struct bytes signature = {0};
                                const struct view v = {transcript, len};

                                if (!(keys[k].fits >> s & 1) || (len != 32 && len != 48)) {
                                        expect_err(tls_sign(key, 0, schemes[s].scheme, v, &signature, &e),
                                                   ERR_INVALID);
                                        continue;
                                }
                                expect_ok(tls_sign(key, 0, schemes[s].scheme, v, &signature, &e));
                                assert_true(accepted(ksp_key_public(key), schemes[s].digest, transcript, len,
                                                     &signature));
                                assert_false(accepted(ksp_key_public(key), schemes[s].digest, transcript,
                                                      80 - len, &signature));
                        }
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(table)};

        return cmocka_run_group_tests_name("tls-sign", tests, start, stop);
}
