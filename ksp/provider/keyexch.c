/*
 * ECDH: the backend answers the shared secret. libcrypto knows no derivation of its own around it: where one
 * is asked for (X9.63, as CMS has it), it is done here.
 */
#include "internal.h"

#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>
#include <strings.h>

#include "base/ossl.h"

enum { UKM_MAX = 4096, DERIVED_MAX = 1024 };

struct exchange {
        struct object *object, *peer;
        bool kdf;
        enum key_digest digest;
        size_t out_len;
        struct bytes ukm;
};

static void *exchange_new(void *provctx)
{
        (void)provctx;
        return calloc(1, sizeof(struct exchange));
}

static void exchange_free(void *ctx)
{
        struct exchange *x = ctx;

        object_unref(x->object);
        object_unref(x->peer);
        bytes_done(&x->ukm);
        free(x);
}

static bool set_kdf(struct exchange *x, const OSSL_PARAM *p)
{
        if (p->data_type != OSSL_PARAM_UTF8_STRING || !p->data)
                return false;
        x->kdf = *(const char *)p->data != 0;
        return !x->kdf || strcasecmp(p->data, OSSL_KDF_NAME_X963KDF) == 0;
}

static int set_ctx_params(void *ctx, const OSSL_PARAM params[])
{
        struct exchange *x = ctx;
        const OSSL_PARAM *p;
        int cofactor;

        if (!params)
                return 1;
        /* The curves have the cofactor 1: with it and without are the same. */
        p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE);
        if (p && (!OSSL_PARAM_get_int(p, &cofactor) || cofactor < -1 || cofactor > 1))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_TYPE);
        if (p && !set_kdf(x, p))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_DIGEST);
        if (p && !param_digest(p, &x->digest))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_OUTLEN);
        if (p && (!OSSL_PARAM_get_size_t(p, &x->out_len) || x->out_len > DERIVED_MAX))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_EXCHANGE_PARAM_KDF_UKM);
        if (p) {
                bytes_done(&x->ukm);
                if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data_size > UKM_MAX ||
                    bytes_copy(&x->ukm, p->data, p->data_size, NULL))
                        return 0;
        }
        return 1;
}

static const OSSL_PARAM *settable_ctx_params(void *ctx, void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_int(OSSL_EXCHANGE_PARAM_EC_ECDH_COFACTOR_MODE, NULL),
                OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_TYPE, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_EXCHANGE_PARAM_KDF_DIGEST, NULL, 0),
                OSSL_PARAM_size_t(OSSL_EXCHANGE_PARAM_KDF_OUTLEN, NULL),
                OSSL_PARAM_octet_string(OSSL_EXCHANGE_PARAM_KDF_UKM, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)ctx;
        (void)provctx;
        return params;
}

static int init(void *ctx, void *key, const OSSL_PARAM params[])
{
        struct exchange *x = ctx;
        struct object *object = key;

        if (!object || !object->backend || !object->backend->derive)
                return 0;
        object_ref(object);
        object_unref(x->object);
        x->object = object;
        return set_ctx_params(ctx, params);
}

static int set_peer(void *ctx, void *key)
{
        struct exchange *x = ctx;
        struct object *peer = key;

        if (!x->object || !peer || !peer->public ||
            EVP_PKEY_parameters_eq(x->object->public, peer->public) != 1)
                return 0;
        object_ref(peer);
        object_unref(x->peer);
        x->peer = peer;
        return 1;
}

static bool stretch(const struct exchange *x, struct view shared, uint8_t *out, size_t len)
{
        EVP_KDF *kdf = EVP_KDF_fetch(x->object->provider->libctx, OSSL_KDF_NAME_X963KDF, NULL);
        EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        /* Only read. */
        union {
                const char *in;
                char *out;
        } digest = {.in = key_digest_name(x->digest)};
        union {
                const uint8_t *in;
                uint8_t *out;
        } secret = {.in = shared.data};
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.out, 0),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.out, shared.len),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, x->ukm.data, x->ukm.len),
                OSSL_PARAM_construct_end(),
        };
        bool ok = ctx && digest.in && EVP_KDF_derive(ctx, out, len, params) == 1;

        EVP_KDF_CTX_free(ctx);
        EVP_KDF_free(kdf);
        return ok;
}

static int derive(void *ctx, unsigned char *out, size_t *out_len, size_t size)
{
        const struct exchange *x = ctx;
        CLEANUP(ossl_free_p) unsigned char *point = NULL;
        CLEANUP(secret_done) struct secret shared = {0};
        struct error e = {0};
        size_t len;

        if (!x->object || !x->peer)
                return 0;
        len = x->kdf ? x->out_len : ((size_t)EVP_PKEY_get_bits(x->object->public) + 7) / 8;
        *out_len = len;
        if (!out)
                return 1;
        if (len == 0 || size < len)
                return 0;
        len = EVP_PKEY_get1_encoded_public_key(x->peer->public, &point);
        if (len == 0)
                return 0;
        if (x->object->backend->derive(x->object->key, (struct view){point, len}, &shared, &e)) {
                queue_error(&e);
                return 0;
        }
        if (x->kdf)
                return stretch(x, secret_view(&shared), out, *out_len);
        if (shared.len != *out_len)
                return 0;
        memcpy(out, shared.data, shared.len);
        return 1;
}

#define ENTRY(id, function)                                                                                  \
        {                                                                                                    \
                id, (void (*)(void))(function)                                                               \
        }

const OSSL_DISPATCH ksp_ec_keyexch[] = {
        ENTRY(OSSL_FUNC_KEYEXCH_NEWCTX, exchange_new),
        ENTRY(OSSL_FUNC_KEYEXCH_FREECTX, exchange_free),
        ENTRY(OSSL_FUNC_KEYEXCH_INIT, init),
        ENTRY(OSSL_FUNC_KEYEXCH_SET_PEER, set_peer),
        ENTRY(OSSL_FUNC_KEYEXCH_DERIVE, derive),
        ENTRY(OSSL_FUNC_KEYEXCH_SET_CTX_PARAMS, set_ctx_params),
        ENTRY(OSSL_FUNC_KEYEXCH_SETTABLE_CTX_PARAMS, settable_ctx_params),
        {0, NULL},
};
