/* The provider on ksp.h: what libcrypto does with a key that never leaves the TPM (platform.md: X.509, CMS,
 * PSS, OAEP), each in the default library context and in one of its own, and what it must not be able to do.
 */
#include "test.h"

#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/ossl.h"
#include "local-key.h"
#include "swtpm.h"

static struct swtpm swtpm;
static struct ksp *ksp;

static int start(void **state)
{
        struct ksp_config config = {.host_secret = {(const uint8_t *)"test secret", 11}};

        (void)state;
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        if (!swtpm_start(&swtpm))
                return -1;
        config.tcti = swtpm.tcti;
        return ksp_open(&config, &ksp, NULL) ? -1 : 0;
}

static int stop(void **state)
{
        (void)state;
        ksp_close(ksp);
        swtpm_stop(&swtpm);
        return 0;
}

struct place {
        OSSL_LIB_CTX *libctx; /* NULL: the default one */
        EVP_PKEY *key;
        X509 *cert;
};

static X509 *self_signed(OSSL_LIB_CTX *libctx, EVP_PKEY *key)
{
        CLEANUP(x509_free_p) X509 *cert = X509_new_ex(libctx, NULL);
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        const uint8_t *p;
        X509 *again;
        int len;

        assert_non_null(cert);
        assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
        assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
        assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -60));
        assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
        assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                                    (const uint8_t *)"x", -1, -1, 0),
                         1);
        assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
        assert_int_equal(X509_set_pubkey(cert, key), 1);
        assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
        /* Read back: the certificate's public key is then OpenSSL's own. */
        len = i2d_X509(cert, &der);
        assert_true(len > 0);
        p = der;
        again = X509_new_ex(libctx, NULL);
        assert_non_null(d2i_X509(&again, &p, len));
        assert_int_equal(X509_verify(again, X509_get0_pubkey(again)), 1);
        return again;
}

static void check_request(const struct place *at)
{
        CLEANUP(x509_req_free_p) X509_REQ *request = X509_REQ_new_ex(at->libctx, NULL);

        assert_int_equal(X509_REQ_set_version(request, X509_REQ_VERSION_1), 1);
        assert_int_equal(X509_REQ_set_pubkey(request, at->key), 1);
        assert_true(X509_REQ_sign(request, at->key, EVP_sha384()) > 0);
        assert_int_equal(X509_REQ_verify(request, at->key), 1); /* verification by the private object */
}

static void check_cms_sign(const struct place *at)
{
        CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf("content", 7);
        CLEANUP(bio_free_p) BIO *out = BIO_new(BIO_s_mem());
        CMS_ContentInfo *cms = CMS_sign_ex(NULL, NULL, NULL, in, CMS_PARTIAL | CMS_BINARY, at->libctx, NULL);
        CMS_SignerInfo *si;
        STACK_OF(X509) *certs = sk_X509_new_null();

        assert_non_null(cms);
        si = CMS_add1_signer(cms, at->cert, at->key, EVP_sha256(), CMS_BINARY | CMS_NOSMIMECAP | CMS_PARTIAL);
        assert_non_null(si);
        assert_int_equal(
                CMS_signed_add1_attr_by_txt(si, "2.16.840.1.113733.1.9.2", V_ASN1_PRINTABLESTRING, "19", 2),
                1);
        assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
        (void)sk_X509_push(certs, at->cert);
        assert_int_equal(CMS_verify(cms, certs, NULL, NULL, out, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 1);
        sk_X509_free(certs);
        CMS_ContentInfo_free(cms);
}

static void check_cms_decrypt(const struct place *at, bool oaep, bool with_cert)
{
        CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf("content", 7);
        CLEANUP(bio_free_p) BIO *out = BIO_new(BIO_s_mem());
        CMS_ContentInfo *cms =
                CMS_encrypt_ex(NULL, in, EVP_aes_128_cbc(), CMS_PARTIAL | CMS_BINARY, at->libctx, NULL);
        CMS_RecipientInfo *ri = CMS_add1_recipient_cert(cms, at->cert, CMS_KEY_PARAM);
        char text[16] = "";

        assert_non_null(ri);
        if (oaep) {
                EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(ri);

                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, "SHA256", NULL), 1);
        }
        assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
        assert_int_equal(CMS_decrypt(cms, at->key, with_cert ? at->cert : NULL, NULL, out, CMS_DEBUG_DECRYPT),
                         1);
        assert_int_equal(BIO_read(out, text, sizeof text), 7);
        assert_string_equal(text, "content");
        CMS_ContentInfo_free(cms);
}

/* Key agreement as CMS does it, which leaves the curve out of the sender's key; and ECDH alone. */
static void check_cms_agree(const struct place *at, bool with_cert)
{
        static const struct {
                const char *kdf;
                int wrap;
        } cases[] = {{"SHA1", NID_undef},
                     {"SHA256", NID_id_aes128_wrap},
                     {"SHA384", NID_id_aes256_wrap},
                     {"SHA512", NID_id_aes192_wrap}};

        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf("content", 7);
                CLEANUP(bio_free_p) BIO *out = BIO_new(BIO_s_mem());
                CMS_ContentInfo *cms = CMS_encrypt_ex(NULL, in, EVP_aes_256_cbc(), CMS_PARTIAL | CMS_BINARY,
                                                      at->libctx, NULL);
                CMS_RecipientInfo *ri = CMS_add1_recipient_cert(cms, at->cert, CMS_KEY_PARAM);
                EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(ri);
                char text[16] = "";

                assert_int_equal(CMS_RecipientInfo_type(ri), CMS_RECIPINFO_AGREE);
                assert_int_equal(EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_get_digestbyname(cases[i].kdf)), 1);
                if (cases[i].wrap != NID_undef)
                        assert_int_equal(EVP_EncryptInit_ex(CMS_RecipientInfo_kari_get0_ctx(ri),
                                                            EVP_get_cipherbynid(cases[i].wrap), NULL, NULL,
                                                            NULL),
                                         1);
                assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
                if (CMS_decrypt(cms, at->key, with_cert ? at->cert : NULL, NULL, out, CMS_DEBUG_DECRYPT) !=
                    1) {
                        ERR_print_errors_fp(stderr);
                        fail_msg("%s, wrap %d", cases[i].kdf, cases[i].wrap);
                }
                assert_int_equal(BIO_read(out, text, sizeof text), 7);
                assert_string_equal(text, "content");
                CMS_ContentInfo_free(cms);
        }
}

static void check_ecdh(const struct place *at)
{
        EVP_PKEY *peer = EVP_PKEY_Q_keygen(at->libctx, NULL, "EC", "P-256");
        EVP_PKEY *odd = EVP_PKEY_Q_keygen(at->libctx, NULL, "EC", "P-384");
        CLEANUP(evp_pkey_ctx_free_p)
        EVP_PKEY_CTX *ours = EVP_PKEY_CTX_new_from_pkey(at->libctx, at->key, NULL);
        CLEANUP(evp_pkey_ctx_free_p)
        EVP_PKEY_CTX *theirs = EVP_PKEY_CTX_new_from_pkey(at->libctx, peer, NULL);
        EVP_PKEY *public = NULL, *odd_public = NULL;
        uint8_t a[32], b[32];
        size_t n = 0, m = sizeof b;

        assert_int_equal(public_copy(at->libctx, peer, &public, NULL), ERR_OK);
        assert_int_equal(public_copy(at->libctx, odd, &odd_public, NULL), ERR_OK);
        assert_int_equal(EVP_PKEY_derive_init(ours), 1);
        assert_int_not_equal(EVP_PKEY_derive_set_peer(ours, odd_public), 1);
        assert_int_equal(EVP_PKEY_derive_set_peer(ours, public), 1);
        assert_int_equal(EVP_PKEY_derive(ours, NULL, &n), 1);
        assert_int_equal(n, sizeof a);
        assert_int_equal(EVP_PKEY_derive(ours, a, &n), 1);
        /* and a key of nobody's, in the same process, by whichever provider is found */
        assert_int_equal(EVP_PKEY_derive_init(theirs), 1);
        assert_int_equal(EVP_PKEY_derive_set_peer(theirs, X509_get0_pubkey(at->cert)), 1);
        assert_int_equal(EVP_PKEY_derive(theirs, b, &m), 1);
        assert_memory_equal(a, b, sizeof a);
        ERR_clear_error();
        EVP_PKEY_free(public);
        EVP_PKEY_free(odd_public);
        EVP_PKEY_free(peer);
        EVP_PKEY_free(odd);
}

static void check_pss(const struct place *at)
{
        static const int salts[] = {RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_MAX, 20};
        static const char data[] = "to be signed";

        for (size_t i = 0; i < N_ELEMENTS(salts); i++) {
                CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
                CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *check = EVP_MD_CTX_new();
                EVP_PKEY_CTX *pctx;
                uint8_t signature[512];
                size_t len = 0;

                assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, "SHA256", at->libctx, NULL, at->key, NULL),
                                 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salts[i]), 1);
                assert_int_equal(EVP_DigestSign(ctx, NULL, &len, (const uint8_t *)data, sizeof data), 1);
                assert_true(len <= sizeof signature);
                assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const uint8_t *)data, sizeof data), 1);
                assert_int_equal(EVP_DigestVerifyInit_ex(check, &pctx, "SHA256", at->libctx, NULL,
                                                         X509_get0_pubkey(at->cert), NULL),
                                 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salts[i]), 1);
                assert_int_equal(EVP_DigestVerify(check, signature, len, (const uint8_t *)data, sizeof data),
                                 1);
                /* The same by the provider's own object: libcrypto sets padding and salt after the
                 * initialisation. */
                EVP_MD_CTX_free(STEAL(check));
                check = EVP_MD_CTX_new();
                assert_int_equal(
                        EVP_DigestVerifyInit_ex(check, &pctx, "SHA256", at->libctx, NULL, at->key, NULL), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salts[i]), 1);
                assert_int_equal(EVP_DigestVerify(check, signature, len, (const uint8_t *)data, sizeof data),
                                 1);
        }
}

/* A certificate signed with PSS carries the right parameters, or its verification fails. */
static void check_pss_certificate(const struct place *at)
{
        CLEANUP(x509_free_p) X509 *cert = X509_dup(at->cert);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pctx;

        assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, "SHA384", at->libctx, NULL, at->key, NULL), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
        assert_true(X509_sign_ctx(cert, ctx) > 0);
        assert_int_equal(X509_verify(cert, X509_get0_pubkey(at->cert)), 1);
        EVP_MD_CTX_free(ctx);
}

static void check_secrecy(const struct place *at, bool rsa)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        CLEANUP(bn_free_p) BIGNUM *d = NULL;
        OSSL_PARAM *params = NULL;

        assert_int_not_equal(PEM_write_bio_PrivateKey(bio, at->key, NULL, NULL, 0, NULL, NULL), 1);
        assert_int_not_equal(EVP_PKEY_get_bn_param(at->key, rsa ? "d" : "priv", &d), 1);
        assert_int_not_equal(EVP_PKEY_todata(at->key, EVP_PKEY_KEYPAIR, &params), 1);
        assert_int_equal(EVP_PKEY_todata(at->key, EVP_PKEY_PUBLIC_KEY, &params), 1);
        OSSL_PARAM_free(params);
        assert_int_equal(PEM_write_bio_PUBKEY_ex(bio, at->key, at->libctx, NULL), 1);
        ERR_clear_error();
}

static void everything(enum key_alg alg, enum key_protection protection)
{
        const struct ksp_spec spec = {.alg = alg, .protection = protection};
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        CLEANUP(free_p) char *reason = NULL;
        bool rsa = key_alg_is_rsa(alg);
        struct error e = {0};

        expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
        for (int own = 0; own < 2; own++) {
                struct place at = {.libctx = own ? OSSL_LIB_CTX_new() : NULL};
                struct ksp_provider provider;

                expect_ok(ksp_provider_load(at.libctx, &provider, &e));
                expect_ok(local_key(at.libctx, key, 1000, (struct view){0}, NULL, &at.key, &e));
                at.cert = self_signed(at.libctx, at.key);
                assert_int_equal(X509_check_private_key(at.cert, at.key), 1);
                check_request(&at);
                check_cms_sign(&at);
                check_secrecy(&at, rsa);
                if (rsa) {
                        check_cms_decrypt(&at, false, true);
                        check_cms_decrypt(&at, false, false);
                        check_cms_decrypt(&at, true, true);
                        check_pss(&at);
                        check_pss_certificate(&at);
                } else {
                        check_cms_agree(&at, true);
                        check_cms_agree(&at, false);
                        check_ecdh(&at);
                }
                X509_free(at.cert);
                EVP_PKEY_free(at.key);
                ksp_provider_unload(&provider);
                OSSL_LIB_CTX_free(at.libctx);
        }
}

static void tpm_rsa_key(void **state)
{
        (void)state;
        everything(KEY_ALG_RSA_2048, KEY_PROTECTION_TPM);
}

static void tpm_ec_key(void **state)
{
        (void)state;
        everything(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
}

static void software_keys(void **state)
{
        (void)state;
        everything(KEY_ALG_RSA_2048, KEY_PROTECTION_SOFTWARE);
        everything(KEY_ALG_EC_P256, KEY_PROTECTION_SOFTWARE);
}

/* An error of the backend arrives with its own words. */
static void errors_arrive(void **state)
{
        const struct ksp_spec spec = {.alg = KEY_ALG_RSA_2048, .protection = KEY_PROTECTION_SOFTWARE};
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = NULL;
        CLEANUP(evp_pkey_free_p) EVP_PKEY *pkey = NULL;
        CLEANUP(free_p) char *reason = NULL;
        struct ksp_provider provider;
        uint8_t out[256], in[256] = {0};
        size_t len = sizeof out;
        struct error e = {0};

        (void)state;
        expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
        expect_ok(ksp_provider_load(NULL, &provider, &e));
        expect_ok(local_key(NULL, key, 0, (struct view){0}, NULL, &pkey, &e));
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
        assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
        assert_int_not_equal(EVP_PKEY_decrypt(ctx, out, &len, in, sizeof in), 1);
        ossl_error(&e, ERR_FAILED, "x");
        assert_non_null(strstr(e.message, "could not be decrypted with this key"));
        EVP_PKEY_CTX_free(STEAL(ctx));
        EVP_PKEY_free(STEAL(pkey));
        ksp_provider_unload(&provider);
}

/* A backend that wants to see what it signs: it gets the message and not its hash. */
struct seen {
        uint8_t message[KSP_MESSAGE_MAX];
        size_t len;
        struct key_sign how;
        unsigned calls;
};

static enum err see_sign(void *key, const struct key_sign *how, struct view data, struct bytes *ret,
                         struct error *e)
{
        (void)key, (void)how, (void)data, (void)ret;
        return error_set(e, ERR_KEY_DENIED, "A hash says nothing");
}

static enum err see_decrypt(void *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                            struct error *e)
{
        (void)key, (void)how, (void)data, (void)ret;
        return error_set(e, ERR_KEY_DENIED, "No decrypt");
}

static enum err see_message(void *key, const struct key_sign *how, struct view message, struct bytes *ret,
                            struct error *e)
{
        struct seen *seen = key;

        memcpy(seen->message, message.data, message.len);
        seen->len = message.len;
        seen->how = *how;
        seen->calls++;
        return bytes_copy(ret, "signature", 9, e);
}

static void see_close(void *key)
{
        (void)key;
}

static void messages(void **state)
{
        static const struct ksp_backend backend = {
                .sign = see_sign, .decrypt = see_decrypt, .close = see_close, .sign_message = see_message};
        static const uint8_t data[KSP_MESSAGE_MAX + 1] = "64 blanks, a context and a hash";
        EVP_PKEY *public = EVP_RSA_gen(2048), *key = NULL;
        struct ksp_provider provider;
        struct seen seen = {.len = 0};
        struct error e = {0};

        (void)state;
        expect_ok(ksp_provider_load(NULL, &provider, &e));
        expect_ok(ksp_provider_key(NULL, &backend, &seen, public, &key, &e));
        for (int parts = 1; parts <= 3; parts++) {
                CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
                EVP_PKEY_CTX *pctx;
                uint8_t signature[512];
                size_t len = sizeof signature, third = 50;

                /* as TLS does it: the size first, then the signature */
                assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, "SHA384", NULL, NULL, key, NULL), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
                for (int i = 0; i + 1 < parts; i++)
                        assert_int_equal(EVP_DigestSignUpdate(ctx, data + (size_t)i * third, third), 1);
                assert_int_equal(EVP_DigestSign(ctx, NULL, &len, NULL, 0), 1);
                assert_int_equal(len, 256);
                assert_int_equal(
                        EVP_DigestSign(ctx, signature, &len, data + (size_t)(parts - 1) * third, third), 1);
                assert_int_equal(len, 9);
                assert_int_equal(seen.len, (size_t)parts * third);
                assert_memory_equal(seen.message, data, seen.len);
                assert_int_equal(seen.how.scheme, KEY_SCHEME_RSA_PSS);
                assert_int_equal(seen.how.digest, KEY_DIGEST_SHA384);
                assert_int_equal(seen.how.salt_len, 48);
        }
        assert_int_equal(seen.calls, 3);
        for (size_t len = KSP_MESSAGE_MAX; len <= sizeof data; len++) {
                CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
                uint8_t signature[512];
                size_t room = sizeof signature;

                assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL), 1);
                assert_int_equal(EVP_DigestSign(ctx, signature, &room, data, len) == 1,
                                 len == KSP_MESSAGE_MAX);
        }
        {
                /* A hash alone goes where it always went, and is refused there. */
                CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
                uint8_t signature[512];
                size_t room = sizeof signature;

                assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
                assert_int_not_equal(EVP_PKEY_sign(ctx, signature, &room, data, 32), 1);
        }
        ERR_clear_error();
        EVP_PKEY_free(key);
        EVP_PKEY_free(public);
        ksp_provider_unload(&provider);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(tpm_rsa_key), cmocka_unit_test(tpm_ec_key),
                                           cmocka_unit_test(software_keys), cmocka_unit_test(errors_arrive),
                                           cmocka_unit_test(messages)};

        return cmocka_run_group_tests_name("provider", tests, start, stop);
}
