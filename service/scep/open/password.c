/*
 * A content key that was wrapped by a password, the challenge (PasswordRecipientInfo, RFC 5652 §6.2.4, RFC
 * 8894 §3.1). Whoever has the challenge unwraps it; the content is decrypted here.
 */
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <string.h>

#include "scep-open/parts.h"

enum { IV_MAX = 16 };

struct password_recipient {
        ASN1_INTEGER *version;
        X509_ALGOR *derivation; /* absent: the password is the key, which nobody uses */
        X509_ALGOR *encryption;
        ASN1_OCTET_STRING *octets;
};
typedef struct password_recipient PASSWORD_RECIPIENT;

ASN1_SEQUENCE(PASSWORD_RECIPIENT) =
        {
                ASN1_SIMPLE(PASSWORD_RECIPIENT, version, ASN1_INTEGER),
                ASN1_IMP_OPT(PASSWORD_RECIPIENT, derivation, X509_ALGOR, 0),
                ASN1_SIMPLE(PASSWORD_RECIPIENT, encryption, X509_ALGOR),
                ASN1_SIMPLE(PASSWORD_RECIPIENT, octets, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(PASSWORD_RECIPIENT)

                static void password_recipient_free_p(PASSWORD_RECIPIENT * *p)
{
        ASN1_item_free((ASN1_VALUE *)*p, ASN1_ITEM_rptr(PASSWORD_RECIPIENT));
}

OSSL_CLEANUP(X509_ALGOR, algorithm_free, X509_ALGOR_free)
OSSL_CLEANUP(PBKDF2PARAM, pbkdf2_free, PBKDF2PARAM_free)
OSSL_CLEANUP(EVP_CIPHER_CTX, cipher_ctx_free, EVP_CIPHER_CTX_free)
OSSL_CLEANUP(EVP_CIPHER, cipher_free, EVP_CIPHER_free)

static enum err not_taken(const char *what, const ASN1_OBJECT *oid, struct error *e)
{
        char name[80];

        OBJ_obj2txt(name, sizeof name, oid, 0);
        (void)error_set(e, ERR_SERVER_ALGORITHM,
                        "The server encrypted its reply by password with the %s %s, which is not taken", what,
                        name);
        return error_remedy(e, ERR_SERVER_ALGORITHM, "Have the server use PBKDF2 with HMAC-SHA-256 and AES.");
}

/* The SEQUENCE in an algorithm's parameters; empty: there is none. */
static struct view parameters(const X509_ALGOR *algorithm, const ASN1_OBJECT **ret_oid)
{
        const void *value;
        int type;

        X509_ALGOR_get0(ret_oid, &type, &value, algorithm);
        if (type != V_ASN1_SEQUENCE)
                return (struct view){0};
        return (struct view){ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)};
}

static enum err read_prf(const PBKDF2PARAM *param, struct key_unwrap *how, struct error *e)
{
        static const struct {
                int nid;
                enum key_digest digest;
        } prfs[] = {{NID_hmacWithSHA1, KEY_DIGEST_SHA1},
                    {NID_hmacWithSHA256, KEY_DIGEST_SHA256},
                    {NID_hmacWithSHA384, KEY_DIGEST_SHA384},
                    {NID_hmacWithSHA512, KEY_DIGEST_SHA512}};
        const ASN1_OBJECT *oid;

        how->prf = KEY_DIGEST_SHA1; /* RFC 8018 §A.2 */
        if (!param->prf)
                return ERR_OK;
        X509_ALGOR_get0(&oid, NULL, NULL, param->prf);
        for (size_t i = 0; i < N_ELEMENTS(prfs); i++) {
                if (prfs[i].nid == OBJ_obj2nid(oid)) {
                        how->prf = prfs[i].digest;
                        return ERR_OK;
                }
        }
        return not_taken("function", oid, e);
}

/* *ret_param owns the salt that *how borrows. */
static enum err read_derivation(const X509_ALGOR *algorithm, struct key_unwrap *how, PBKDF2PARAM **ret_param,
                                struct error *e)
{
        const ASN1_OBJECT *oid;
        const struct view der = parameters(algorithm, &oid);
        const uint8_t *p = der.data;
        PBKDF2PARAM *param = NULL;
        int64_t iterations = 0, length = 0;

        if (OBJ_obj2nid(oid) != NID_id_pbkdf2)
                return not_taken("key derivation", oid, e);
        param = der.len ? d2i_PBKDF2PARAM(NULL, &p, (long)der.len) : NULL;
        *ret_param = param;
        if (!param || param->salt->type != V_ASN1_OCTET_STRING ||
            ASN1_INTEGER_get_int64(&iterations, param->iter) != 1)
                return ossl_error(e, ERR_REPLY, "The key derivation of the reply could not be read");
        if (iterations < 1 || iterations > KEY_ITERATIONS_MAX) {
                (void)error_set(
                        e, ERR_SERVER_ALGORITHM,
                        "The server encrypted its reply by password with %lld iterations, and at most "
                        "%d are done",
                        (long long)iterations, KEY_ITERATIONS_MAX);
                return error_remedy(e, ERR_SERVER_ALGORITHM, "Have the server use fewer.");
        }
        how->iterations = (uint32_t)iterations;
        how->salt = (struct view){ASN1_STRING_get0_data(param->salt->value.octet_string),
                                  (size_t)ASN1_STRING_length(param->salt->value.octet_string)};
        if (param->keylength && (ASN1_INTEGER_get_int64(&length, param->keylength) != 1 ||
                                 length != (int64_t)key_kek_len(how->kek)))
                return error_set(e, ERR_REPLY,
                                 "The key derivation of the reply makes keys of another length");
        return read_prf(param, how, e);
}

static enum err read_kek(const X509_ALGOR *algorithm, X509_ALGOR **ret_inner, struct key_unwrap *how,
                         struct error *e)
{
        static const struct {
                int nid;
                enum key_kek kek;
        } keks[] = {{NID_aes_128_cbc, KEY_KEK_AES128},
                    {NID_aes_192_cbc, KEY_KEK_AES192},
                    {NID_aes_256_cbc, KEY_KEK_AES256},
                    {NID_des_ede3_cbc, KEY_KEK_DES3}};
        const ASN1_OBJECT *oid;
        const struct view der = parameters(algorithm, &oid);
        const uint8_t *p = der.data;
        const void *iv;
        int type;

        if (OBJ_obj2nid(oid) != NID_id_alg_PWRI_KEK)
                return not_taken("key wrap", oid, e);
        *ret_inner = der.len ? d2i_X509_ALGOR(NULL, &p, (long)der.len) : NULL;
        if (!*ret_inner)
                return ossl_error(e, ERR_REPLY, "The key wrap of the reply could not be read");
        X509_ALGOR_get0(&oid, &type, &iv, *ret_inner);
        if (type != V_ASN1_OCTET_STRING)
                return error_set(e, ERR_REPLY, "The key wrap of the reply has no IV");
        how->iv = (struct view){ASN1_STRING_get0_data(iv), (size_t)ASN1_STRING_length(iv)};
        for (size_t i = 0; i < N_ELEMENTS(keks); i++) {
                if (keks[i].nid == OBJ_obj2nid(oid)) {
                        how->kek = keks[i].kek;
                        return ERR_OK;
                }
        }
        return not_taken("cipher", oid, e);
}

static enum err read_iv(const X509_ALGOR *cipher, size_t len, uint8_t ret[IV_MAX], struct error *e)
{
        const void *iv;
        int type;

        X509_ALGOR_get0(NULL, &type, &iv, cipher);
        if (type != V_ASN1_OCTET_STRING || (size_t)ASN1_STRING_length(iv) != len || len > IV_MAX)
                return error_set(e, ERR_REPLY, "The cipher of the reply's envelope has no IV of %zu octets",
                                 len);
        memcpy(ret, ASN1_STRING_get0_data(iv), len);
        return ERR_OK;
}

static enum err decrypt(const EVP_CIPHER *cipher, struct view key, const uint8_t *iv, struct view in,
                        struct bytes *ret, struct error *e)
{
        CLEANUP(cipher_ctx_free_p) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        uint8_t *out = malloc(in.len + EVP_MAX_BLOCK_LENGTH + 1);
        int n = 0, rest = 0;

        if (!ctx || !out) {
                free(out);
                return error_no_memory(e);
        }
        if (in.len > INT32_MAX / 2 || EVP_DecryptInit_ex2(ctx, cipher, key.data, iv, NULL) != 1 ||
            EVP_DecryptUpdate(ctx, out, &n, in.data, (int)in.len) != 1 ||
            EVP_DecryptFinal_ex(ctx, out + n, &rest) != 1) {
                free(out);
                return ossl_error(e, ERR_REPLY, "The content of the reply's envelope could not be decrypted");
        }
        out[n + rest] = 0;
        *ret = (struct bytes){out, (size_t)(n + rest)};
        return ERR_OK;
}

enum err password_open(const struct reply_spec *spec, struct view raw, const struct envelope_content *content,
                       struct bytes *ret, struct error *e)
{
        CLEANUP(password_recipient_free_p) PASSWORD_RECIPIENT *parsed = NULL;
        CLEANUP(algorithm_free_p) X509_ALGOR *inner = NULL;
        CLEANUP(pbkdf2_free_p) PBKDF2PARAM *param = NULL;
        CLEANUP(cipher_free_p) EVP_CIPHER *cipher = NULL;
        CLEANUP(bytes_done) struct bytes sequence = {0};
        CLEANUP(secret_done) struct secret key = {0};
        struct key_unwrap how = {0};
        struct view wrapped;
        uint8_t iv[IV_MAX];
        const uint8_t *p;
        enum err r = implicit_sequence(raw, &sequence, e);

        if (r)
                return r;
        p = sequence.data;
        parsed = (PASSWORD_RECIPIENT *)ASN1_item_d2i(NULL, &p, (long)sequence.len,
                                                     ASN1_ITEM_rptr(PASSWORD_RECIPIENT));
        if (!parsed || !parsed->derivation)
                return ossl_error(e, ERR_REPLY, "The password recipient of the reply could not be read");
        cipher = EVP_CIPHER_fetch(content->libctx, OBJ_nid2sn(content->nid), NULL);
        if (!cipher)
                return ossl_error(e, ERR_FAILED, "The cipher of the reply's envelope is not available");
        r = read_kek(parsed->encryption, &inner, &how, e);
        if (!r)
                r = read_derivation(parsed->derivation, &how, &param, e);
        if (!r)
                r = read_iv(content->cipher, (size_t)EVP_CIPHER_get_iv_length(cipher), iv, e);
        if (r)
                return r;
        wrapped = (struct view){ASN1_STRING_get0_data(parsed->octets),
                                (size_t)ASN1_STRING_length(parsed->octets)};
        /* RFC 3211 §2.3.1: one octet of length and three to check stand before the key. */
        if (!key_unwrap_valid(&how, wrapped.len) || wrapped.len < content->key_len + 4)
                return error_set(
                        e, ERR_REPLY,
                        "The wrapped key of the reply, its salt or its IV has a length that cannot be");
        r = spec->unwrap(spec->unwrap_ctx, &how, wrapped, &key, e);
        if (r)
                return error_context(e, r, "The envelope of the reply");
        if (key.len != content->key_len)
                return error_set(e, ERR_REPLY,
                                 "The key of the reply's envelope has %zu octets instead of %zu", key.len,
                                 content->key_len);
        return decrypt(cipher, secret_view(&key), iv, content->octets, ret, e);
}
