#include "soft.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/ossl.h"

static const char default_provider[] = "provider=default";

enum err soft_create(enum key_alg alg, EVP_PKEY **ret, struct error *e)
{
        EVP_PKEY *key;

        if (key_alg_is_rsa(alg))
                key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)key_alg_bits(alg));
        else
                key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", alg == KEY_ALG_EC_P256 ? "P-256" : "P-384");
        if (!key)
                return ossl_error(e, ERR_FAILED, "A software key could not be made");
        *ret = key;
        return ERR_OK;
}

enum err soft_need_secret(struct view secret, struct error *e)
{
        if (secret.len)
                return ERR_OK;
        return error_set(e, ERR_HOST_SECRET, "The host secret that encrypts software keys is missing");
}

enum err soft_pem_write(EVP_PKEY *key, struct view secret, struct bytes *ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        enum err r = soft_need_secret(secret, e);
        /* PEM_write_bio_PKCS8PrivateKey() only reads its passphrase. */
        union {
                const uint8_t *in;
                char *out;
        } passphrase = {.in = secret.data};

        if (r)
                return r;
        if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_256_cbc(), passphrase.out,
                                                  (int)secret.len, NULL, NULL) != 1)
                return ossl_error(e, ERR_FAILED, "A software key could not be encoded");
        return bio_bytes(bio, ret, e);
}

OSSL_CLEANUP(X509_SIG, x509_sig_free, X509_SIG_free)
OSSL_CLEANUP(PKCS8_PRIV_KEY_INFO, pkcs8_free, PKCS8_PRIV_KEY_INFO_free)

/* Step by step: PEM_read_bio_PrivateKey_ex() prepares OpenSSL's decoders for each type of key in each form
 * before it looks at this one, which takes longer than reading it. */
enum err soft_pem_read(struct view pem, struct view secret, EVP_PKEY **ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        CLEANUP(x509_sig_free_p) X509_SIG *encrypted = NULL;
        CLEANUP(pkcs8_free_p) PKCS8_PRIV_KEY_INFO *plain = NULL;
        EVP_PKEY *key = NULL;
        enum err r = soft_need_secret(secret, e);

        if (r)
                return r;
        if (!bio)
                return error_no_memory(e);
        encrypted = PEM_read_bio_PKCS8(bio, NULL, NULL, NULL);
        if (encrypted)
                plain = PKCS8_decrypt_ex(encrypted, (const char *)secret.data, (int)secret.len, NULL,
                                         default_provider);
        if (plain)
                key = EVP_PKCS82PKEY_ex(plain, NULL, default_provider);
        if (!key)
                return ossl_error(
                        e, ERR_KEY_DAMAGED,
                        "A software key could not be read; it is damaged, or the host secret is another one");
        *ret = key;
        return ERR_OK;
}

enum err soft_alg(EVP_PKEY *key, enum key_alg *ret, struct error *e)
{
        bool rsa = EVP_PKEY_is_a(key, "RSA");
        int bits = EVP_PKEY_get_bits(key);

        if (rsa || EVP_PKEY_is_a(key, "EC")) {
                for (int alg = 0; alg < _KEY_ALG_MAX; alg++) {
                        if (key_alg_is_rsa((enum key_alg)alg) == rsa &&
                            (int)key_alg_bits((enum key_alg)alg) == bits) {
                                *ret = (enum key_alg)alg;
                                return ERR_OK;
                        }
                }
        }
        return error_set(e, ERR_KEY_NOT_SUPPORTED, "Keys of %d bits and this type are not supported", bits);
}

static bool set_sign(EVP_PKEY_CTX *ctx, const struct key_sign *how)
{
        const char *digest = key_digest_name(how->digest), *mgf1 = key_digest_name(how->mgf1);

        if (EVP_PKEY_sign_init(ctx) != 1)
                return false;
        if (how->scheme == KEY_SCHEME_RSA_PKCS1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1)
                return false;
        if (how->scheme == KEY_SCHEME_RSA_PSS &&
            EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1)
                return false;
        if (digest && EVP_PKEY_CTX_set_signature_md(ctx, EVP_get_digestbyname(digest)) != 1)
                return false;
        if (how->scheme != KEY_SCHEME_RSA_PSS)
                return true;
        return EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, how->salt_len) == 1 &&
               (!mgf1 || EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, mgf1, NULL) == 1);
}

enum err soft_sign(EVP_PKEY *key, const struct key_sign *how, struct view data, struct bytes *ret,
                   struct error *e)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        uint8_t signature[KEY_MODULUS_MAX + 64];
        size_t len = sizeof signature;

        if ((how->scheme == KEY_SCHEME_ECDSA) == (EVP_PKEY_is_a(key, "RSA") == 1))
                return error_set(e, ERR_INVALID, "The key is not of the type the signature asks for");
        if (!ctx || !set_sign(ctx, how))
                return ossl_error(e, ERR_INVALID, "This key cannot make such a signature");
        if (EVP_PKEY_sign(ctx, signature, &len, data.data, data.len) != 1)
                return ossl_error(e, ERR_INVALID, "Signing with a software key failed");
        return bytes_copy(ret, signature, len, e);
}

static bool set_decrypt(EVP_PKEY_CTX *ctx, const struct key_decrypt *how)
{
        const char *digest = key_digest_name(how->digest), *mgf1 = key_digest_name(how->mgf1);
        void *label = NULL;

        if (EVP_PKEY_decrypt_init(ctx) != 1)
                return false;
        if (how->padding == KEY_PADDING_RSA_PKCS1)
                return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
        if (!digest || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
            EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, digest, NULL) != 1 ||
            EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, mgf1 ? mgf1 : digest, NULL) != 1)
                return false;
        if (!how->label.len)
                return true;
        label = OPENSSL_memdup(how->label.data, how->label.len);
        if (!label)
                return false;
        if (EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)how->label.len) == 1)
                return true;
        OPENSSL_free(label);
        return false;
}

enum err soft_decrypt(EVP_PKEY *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                      struct error *e)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        CLEANUP(secret_done) struct secret plain = {0};
        size_t len = KEY_MODULUS_MAX;
        enum err r;

        if (!EVP_PKEY_is_a(key, "RSA"))
                return error_set(e, ERR_INVALID, "Only RSA keys decrypt");
        if (!ctx || !set_decrypt(ctx, how))
                return ossl_error(e, ERR_INVALID, "This key cannot decrypt so");
        r = secret_new(&plain, len, e);
        if (r)
                return r;
        if (EVP_PKEY_decrypt(ctx, plain.data, &len, data.data, data.len) != 1) {
                (void)ossl_error(e, ERR_INVALID, "The data could not be decrypted with this key");
                return error_remedy(e, ERR_INVALID, "Check that the data was encrypted to this certificate.");
        }
        plain.len = len;
        *ret = plain;
        plain = (struct secret){0};
        return ERR_OK;
}

/* What lies on no curve must not reach a chip: its answers could give the key away piece by piece. */
enum err soft_point(EVP_PKEY *own, struct view octets, EVP_PKEY **ret, struct error *e)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = NULL;
        CLEANUP(evp_pkey_free_p) EVP_PKEY *point = NULL;
        const size_t len = ((size_t)EVP_PKEY_get_bits(own) + 7) / 8;

        if (!EVP_PKEY_is_a(own, "EC"))
                return error_set(e, ERR_INVALID, "Only EC keys agree on secrets");
        if (octets.len != 1 + 2 * len || octets.data[0] != 4)
                return error_set(e, ERR_INVALID, "%zu octets are no point of the key's curve", octets.len);
        point = EVP_PKEY_new();
        if (point && EVP_PKEY_copy_parameters(point, own) == 1 &&
            EVP_PKEY_set1_encoded_public_key(point, octets.data, octets.len) == 1)
                ctx = EVP_PKEY_CTX_new_from_pkey(NULL, point, NULL);
        if (!ctx || EVP_PKEY_public_check(ctx) != 1)
                return ossl_error(e, ERR_INVALID, "The other side's public key does not lie on the curve");
        *ret = STEAL(point);
        return ERR_OK;
}

enum err soft_derive(EVP_PKEY *key, EVP_PKEY *peer, struct secret *ret, struct error *e)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        CLEANUP(secret_done) struct secret shared = {0};
        size_t len = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
        enum err r = secret_new(&shared, len, e);

        if (r)
                return r;
        if (!ctx || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
            EVP_PKEY_derive(ctx, shared.data, &len) != 1)
                return ossl_error(e, ERR_INVALID, "The key could not agree on a secret");
        shared.len = len;
        *ret = shared;
        shared = (struct secret){0};
        return ERR_OK;
}
