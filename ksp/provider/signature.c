/* Signatures: hashing and padding parameters here, the private operation in the backend, verification in the
 * default provider on the public half. */
#include "internal.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <string.h>
#include <strings.h>

#include "base/ossl.h"

struct signature {
        struct provider *provider;
        struct object *object;
        int padding;                  /* RSA_PKCS1_PADDING or RSA_PKCS1_PSS_PADDING */
        int salt_len;                 /* octets, or RSA_PSS_SALTLEN_* */
        enum key_digest digest, mgf1; /* mgf1 NONE: as digest */
        EVP_MD_CTX *hashing;          /* sign */
        EVP_MD_CTX *verifying;
        uint8_t message[KSP_MESSAGE_MAX]; /* sign, for a backend that wants it unhashed */
        size_t message_len;
};

static void *sig_new(void *provctx, const char *propq)
{
        struct signature *s = calloc(1, sizeof *s);

        (void)propq;
        if (!s)
                return NULL;
        s->provider = provctx;
        s->padding = RSA_PKCS1_PADDING;
        s->salt_len = RSA_PSS_SALTLEN_DIGEST;
        return s;
}

static void sig_free(void *ctx)
{
        struct signature *s = ctx;

        EVP_MD_CTX_free(s->hashing);
        EVP_MD_CTX_free(s->verifying);
        object_unref(s->object);
        free(s);
}

static bool copy_hashing(EVP_MD_CTX **to, const EVP_MD_CTX *from)
{
        if (!from)
                return true;
        *to = EVP_MD_CTX_new();
        return *to && EVP_MD_CTX_copy_ex(*to, from) == 1;
}

static void *sig_dup(void *ctx)
{
        const struct signature *s = ctx;
        struct signature *copy = malloc(sizeof *copy);

        if (!copy)
                return NULL;
        *copy = *s;
        copy->hashing = copy->verifying = NULL;
        if (copy->object)
                (void)object_ref(copy->object);
        if (!copy_hashing(&copy->hashing, s->hashing) || !copy_hashing(&copy->verifying, s->verifying)) {
                sig_free(copy);
                return NULL;
        }
        return copy;
}

static int set_ctx_params(void *ctx, const OSSL_PARAM params[])
{
        struct signature *s = ctx;
        const OSSL_PARAM *p;

        if (!params)
                return 1;
        p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
        if (p && !param_digest(p, &s->digest))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
        if (p && (!param_padding(p, &s->padding) || s->padding == RSA_PKCS1_OAEP_PADDING))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
        if (p && !param_digest(p, &s->mgf1))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
        if (!p)
                return 1;
        if (p->data_type != OSSL_PARAM_UTF8_STRING)
                return OSSL_PARAM_get_int(p, &s->salt_len);
        if (strcasecmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0)
                s->salt_len = RSA_PSS_SALTLEN_DIGEST;
        else if (strcasecmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_MAX) == 0)
                s->salt_len = RSA_PSS_SALTLEN_MAX;
        else if (strcasecmp(p->data, OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO) == 0)
                s->salt_len = RSA_PSS_SALTLEN_AUTO;
        else
                s->salt_len = atoi(p->data);
        return 1;
}

static const OSSL_PARAM *settable_ctx_params(void *ctx, void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)ctx;
        (void)provctx;
        return params;
}

/* The salt's length in octets; -1: impossible. */
static int salt_octets(const struct signature *s)
{
        int hash = (int)key_digest_len(s->digest), most = (int)object_size(s->object) - hash - 2;

        switch (s->salt_len) {
        case RSA_PSS_SALTLEN_DIGEST:
                return hash;
        case RSA_PSS_SALTLEN_AUTO: /* for a signature: the longest */
        case RSA_PSS_SALTLEN_MAX:
                return most;
        case -4: /* RSA_PSS_SALTLEN_AUTO_DIGEST_MAX, OpenSSL 3.1 */
                return hash < most ? hash : most;
        default:
                return s->salt_len <= most ? s->salt_len : -1;
        }
}

static int md_nid(enum key_digest digest)
{
        const char *name = key_digest_name(digest);

        return name ? EVP_MD_get_type(EVP_get_digestbyname(name)) : NID_undef;
}

static X509_ALGOR *digest_algor(enum key_digest digest)
{
        X509_ALGOR *algor = X509_ALGOR_new();

        if (algor)
                X509_ALGOR_set_md(algor, EVP_get_digestbyname(key_digest_name(digest)));
        return algor;
}

/* RSASSA-PSS-params (RFC 4055 §3.1); NULL: out of memory. */
static ASN1_STRING *pss_params(const struct signature *s)
{
        enum key_digest mgf1 = s->mgf1 != KEY_DIGEST_NONE ? s->mgf1 : s->digest;
        RSA_PSS_PARAMS *pss = RSA_PSS_PARAMS_new();
        X509_ALGOR *inner = digest_algor(mgf1);
        ASN1_STRING *packed = NULL, *inner_packed = NULL;
        bool ok = pss && inner;

        if (ok) {
                pss->hashAlgorithm = digest_algor(s->digest);
                pss->maskGenAlgorithm = X509_ALGOR_new();
                pss->saltLength = ASN1_INTEGER_new();
                ok = pss->hashAlgorithm && pss->maskGenAlgorithm && pss->saltLength &&
                     ASN1_INTEGER_set_int64(pss->saltLength, salt_octets(s)) &&
                     ASN1_item_pack(inner, ASN1_ITEM_rptr(X509_ALGOR), &inner_packed);
        }
        if (ok)
                ok = X509_ALGOR_set0(pss->maskGenAlgorithm, OBJ_nid2obj(NID_mgf1), V_ASN1_SEQUENCE,
                                     inner_packed);
        else
                ASN1_STRING_free(inner_packed);
        if (ok)
                (void)ASN1_item_pack(pss, ASN1_ITEM_rptr(RSA_PSS_PARAMS), &packed);
        X509_ALGOR_free(inner);
        RSA_PSS_PARAMS_free(pss);
        return packed;
}

/* The AlgorithmIdentifier that goes into certificates and requests. */
static int algorithm_id(const struct signature *s, uint8_t **ret)
{
        X509_ALGOR *algor = X509_ALGOR_new();
        ASN1_STRING *params = NULL;
        int nid = NID_undef, len = -1;

        if (!algor)
                return -1;
        if (s->object->rsa && s->padding == RSA_PKCS1_PSS_PADDING) {
                params = pss_params(s);
                if (params && X509_ALGOR_set0(algor, OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, params))
                        len = i2d_X509_ALGOR(algor, ret);
                else
                        ASN1_STRING_free(params);
        } else if (OBJ_find_sigid_by_algs(&nid, md_nid(s->digest),
                                          s->object->rsa ? NID_rsaEncryption : NID_X9_62_id_ecPublicKey) &&
                   X509_ALGOR_set0(algor, OBJ_nid2obj(nid), s->object->rsa ? V_ASN1_NULL : V_ASN1_UNDEF,
                                   NULL)) {
                len = i2d_X509_ALGOR(algor, ret);
        }
        X509_ALGOR_free(algor);
        return len;
}

static int get_ctx_params(void *ctx, OSSL_PARAM params[])
{
        struct signature *s = ctx;
        OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);

        if (p) {
                uint8_t *der = NULL;
                int len = s->object ? algorithm_id(s, &der) : -1;
                bool ok = len > 0 && OSSL_PARAM_set_octet_string(p, der, (size_t)len);

                OPENSSL_free(der);
                if (!ok)
                        return 0;
        }
        p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
        if (p && !param_answer_padding(p, s->padding))
                return 0;
        p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_DIGEST);
        if (p && (s->digest == KEY_DIGEST_NONE || !OSSL_PARAM_set_utf8_string(p, key_digest_name(s->digest))))
                return 0;
        p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
        if (p) {
                enum key_digest mgf1 = s->mgf1 != KEY_DIGEST_NONE ? s->mgf1 : s->digest;

                if (mgf1 == KEY_DIGEST_NONE || !OSSL_PARAM_set_utf8_string(p, key_digest_name(mgf1)))
                        return 0;
        }
        p = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
        if (p && p->data_type == OSSL_PARAM_UTF8_STRING) {
                char text[16];

                (void)snprintf(text, sizeof text, "%d", s->object ? salt_octets(s) : s->salt_len);
                return OSSL_PARAM_set_utf8_string(p, text);
        }
        return !p || OSSL_PARAM_set_int(p, s->salt_len);
}

static const OSSL_PARAM *gettable_ctx_params(void *ctx, void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)ctx;
        (void)provctx;
        return params;
}

static bool take_key(struct signature *s, void *key, bool private)
{
        struct object *object = key;

        if (!object)
                return s->object != NULL; /* initialised again with the key it has */
        if (!object->public || (private && !object->backend))
                return false;
        object_ref(object);
        object_unref(s->object);
        s->object = object;
        return true;
}

static int sign_init(void *ctx, void *key, const OSSL_PARAM params[])
{
        return take_key(ctx, key, true) && set_ctx_params(ctx, params);
}

typedef enum err sign_function(void *key, const struct key_sign *how, struct view data, struct bytes *ret,
                               struct error *e);

static int sign_by(struct signature *s, sign_function *function, uint8_t *sig, size_t *sig_len, size_t size,
                   struct view data)
{
        CLEANUP(bytes_done) struct bytes made = {0};
        struct key_sign how = {.scheme = KEY_SCHEME_ECDSA, .digest = s->digest};
        struct error e = {0};
        int salt = 0;

        if (s->object->rsa) {
                how.scheme = s->padding == RSA_PKCS1_PSS_PADDING ? KEY_SCHEME_RSA_PSS : KEY_SCHEME_RSA_PKCS1;
                how.mgf1 = s->mgf1 != KEY_DIGEST_NONE ? s->mgf1 : s->digest;
                if (how.scheme == KEY_SCHEME_RSA_PSS)
                        salt = salt_octets(s);
                if (salt < 0)
                        return 0;
                how.salt_len = (uint16_t)salt;
        }
        if (function(s->object->key, &how, data, &made, &e)) {
                queue_error(&e);
                return 0;
        }
        if (made.len > size)
                return 0;
        memcpy(sig, made.data, made.len);
        *sig_len = made.len;
        return 1;
}

static int sign(void *ctx, unsigned char *sig, size_t *sig_len, size_t size, const unsigned char *tbs,
                size_t tbs_len)
{
        struct signature *s = ctx;

        if (!sig) {
                *sig_len = object_size(s->object);
                return 1;
        }
        return sign_by(s, s->object->backend->sign, sig, sig_len, size, (struct view){tbs, tbs_len});
}

static EVP_MD *fetch_digest(const struct signature *s)
{
        return EVP_MD_fetch(s->provider->libctx, key_digest_name(s->digest), NULL);
}

static int digest_sign_init(void *ctx, const char *name, void *key, const OSSL_PARAM params[])
{
        struct signature *s = ctx;
        CLEANUP(evp_md_free_p) EVP_MD *md = NULL;

        if (!take_key(s, key, true) || !set_ctx_params(s, params))
                return 0;
        if (name && *name && !key_digest_from_name(name, &s->digest))
                return 0;
        if (s->digest == KEY_DIGEST_NONE)
                s->digest = KEY_DIGEST_SHA256;
        s->message_len = 0;
        if (s->object->backend->sign_message)
                return 1;
        md = fetch_digest(s);
        if (!s->hashing)
                s->hashing = EVP_MD_CTX_new();
        return md && s->hashing && EVP_DigestInit_ex2(s->hashing, md, NULL) == 1;
}

static int digest_sign_update(void *ctx, const unsigned char *data, size_t len)
{
        struct signature *s = ctx;

        if (s->object && s->object->backend->sign_message) {
                if (len > sizeof s->message - s->message_len)
                        return 0;
                memcpy(s->message + s->message_len, data, len);
                s->message_len += len;
                return 1;
        }
        return s->hashing && EVP_DigestUpdate(s->hashing, data, len) == 1;
}

static int digest_sign_final(void *ctx, unsigned char *sig, size_t *sig_len, size_t size)
{
        struct signature *s = ctx;
        uint8_t hash[EVP_MAX_MD_SIZE];
        unsigned len;

        if (!sig) { /* asked for the size: must not finish the hash */
                *sig_len = object_size(s->object);
                return 1;
        }
        if (s->object->backend->sign_message)
                return sign_by(s, s->object->backend->sign_message, sig, sig_len, size,
                               (struct view){s->message, s->message_len});
        if (!s->hashing || EVP_DigestFinal_ex(s->hashing, hash, &len) != 1)
                return 0;
        return sign_by(s, s->object->backend->sign, sig, sig_len, size, (struct view){hash, len});
}

static bool set_verify(const struct signature *s, EVP_PKEY_CTX *ctx)
{
        enum key_digest mgf1 = s->mgf1 != KEY_DIGEST_NONE ? s->mgf1 : s->digest;

        if (!s->object->rsa)
                return true;
        if (EVP_PKEY_CTX_set_rsa_padding(ctx, s->padding) != 1)
                return false;
        if (s->padding != RSA_PKCS1_PSS_PADDING)
                return true;
        return EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, s->salt_len) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, key_digest_name(mgf1), NULL) == 1;
}

static int verify_init(void *ctx, void *key, const OSSL_PARAM params[])
{
        return take_key(ctx, key, false) && set_ctx_params(ctx, params);
}

static int verify(void *ctx, const unsigned char *sig, size_t sig_len, const unsigned char *tbs,
                  size_t tbs_len)
{
        const struct signature *s = ctx;
        CLEANUP(evp_md_free_p) EVP_MD *md = NULL;
        CLEANUP(evp_pkey_ctx_free_p)
        EVP_PKEY_CTX *pctx = EVP_PKEY_CTX_new_from_pkey(s->provider->libctx, s->object->public, NULL);

        if (!pctx || EVP_PKEY_verify_init(pctx) != 1)
                return 0;
        if (s->digest != KEY_DIGEST_NONE) {
                md = fetch_digest(s);
                if (!md || EVP_PKEY_CTX_set_signature_md(pctx, md) != 1)
                        return 0;
        }
        return set_verify(s, pctx) && EVP_PKEY_verify(pctx, sig, sig_len, tbs, tbs_len) == 1;
}

static int digest_verify_init(void *ctx, const char *name, void *key, const OSSL_PARAM params[])
{
        struct signature *s = ctx;

        if (!take_key(s, key, false) || !set_ctx_params(s, params))
                return 0;
        if (name && *name && !key_digest_from_name(name, &s->digest))
                return 0;
        if (s->digest == KEY_DIGEST_NONE)
                s->digest = KEY_DIGEST_SHA256;
        EVP_MD_CTX_free(s->verifying);
        s->verifying = EVP_MD_CTX_new();
        return s->verifying &&
               EVP_DigestVerifyInit_ex(s->verifying, NULL, key_digest_name(s->digest), s->provider->libctx,
                                       NULL, s->object->public, NULL) == 1;
}

static int digest_verify_update(void *ctx, const unsigned char *data, size_t len)
{
        const struct signature *s = ctx;

        return s->verifying && EVP_DigestVerifyUpdate(s->verifying, data, len) == 1;
}

static int digest_verify_final(void *ctx, const unsigned char *sig, size_t sig_len)
{
        const struct signature *s = ctx;

        /* Padding and salt are set between initialisation and here. */
        return s->verifying && set_verify(s, EVP_MD_CTX_get_pkey_ctx(s->verifying)) &&
               EVP_DigestVerifyFinal(s->verifying, sig, sig_len) == 1;
}

#define ENTRY(id, function)                                                                                  \
        {                                                                                                    \
                id, (void (*)(void))(function)                                                               \
        }
#define COMMON                                                                                               \
        ENTRY(OSSL_FUNC_SIGNATURE_NEWCTX, sig_new), ENTRY(OSSL_FUNC_SIGNATURE_FREECTX, sig_free),            \
                ENTRY(OSSL_FUNC_SIGNATURE_DUPCTX, sig_dup), ENTRY(OSSL_FUNC_SIGNATURE_SIGN_INIT, sign_init), \
                ENTRY(OSSL_FUNC_SIGNATURE_SIGN, sign), ENTRY(OSSL_FUNC_SIGNATURE_VERIFY_INIT, verify_init),  \
                ENTRY(OSSL_FUNC_SIGNATURE_VERIFY, verify),                                                   \
                ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digest_sign_init),                               \
                ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, digest_sign_update),                           \
                ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, digest_sign_final),                             \
                ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, digest_verify_init),                           \
                ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, digest_verify_update),                       \
                ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, digest_verify_final),                         \
                ENTRY(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, get_ctx_params),                                   \
                ENTRY(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, gettable_ctx_params),                         \
                ENTRY(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_ctx_params),                                   \
                ENTRY(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable_ctx_params)

const OSSL_DISPATCH ksp_rsa_signature[] = {COMMON, {0, NULL}};
const OSSL_DISPATCH ksp_ec_signature[] = {COMMON, {0, NULL}};
