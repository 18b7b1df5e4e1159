/* RSA decryption: the backend answers the unpadded octets. */
#include "internal.h"

#include <openssl/params.h>
#include <openssl/rsa.h>
#include <string.h>

struct cipher {
        struct object *object;
        int padding;
        enum key_digest digest, mgf1; /* OAEP; mgf1 NONE: as digest */
        struct bytes label;
};

static void *cipher_new(void *provctx)
{
        struct cipher *c = calloc(1, sizeof *c);

        (void)provctx;
        if (c) {
                c->padding = RSA_PKCS1_PADDING;
                c->digest = KEY_DIGEST_SHA1; /* OAEP's default (RFC 8017 §A.2.1) */
        }
        return c;
}

static void cipher_free(void *ctx)
{
        struct cipher *c = ctx;

        object_unref(c->object);
        bytes_done(&c->label);
        free(c);
}

static int set_ctx_params(void *ctx, const OSSL_PARAM params[])
{
        struct cipher *c = ctx;
        const OSSL_PARAM *p;

        if (!params)
                return 1;
        p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);
        if (p && (!param_padding(p, &c->padding) || c->padding == RSA_PKCS1_PSS_PADDING))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST);
        if (p && !param_digest(p, &c->digest))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST);
        if (p && !param_digest(p, &c->mgf1))
                return 0;
        p = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL);
        if (p) {
                bytes_done(&c->label);
                if (p->data_type != OSSL_PARAM_OCTET_STRING ||
                    bytes_copy(&c->label, p->data, p->data_size, NULL))
                        return 0;
        }
        return 1;
}

static const OSSL_PARAM *settable_ctx_params(void *ctx, void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
                OSSL_PARAM_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)ctx;
        (void)provctx;
        return params;
}

static int get_ctx_params(void *ctx, OSSL_PARAM params[])
{
        const struct cipher *c = ctx;
        enum key_digest mgf1 = c->mgf1 != KEY_DIGEST_NONE ? c->mgf1 : c->digest;
        OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);

        if (p && !param_answer_padding(p, c->padding))
                return 0;
        p = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST);
        if (p && !OSSL_PARAM_set_utf8_string(p, key_digest_name(c->digest)))
                return 0;
        p = OSSL_PARAM_locate(params, OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST);
        return !p || OSSL_PARAM_set_utf8_string(p, key_digest_name(mgf1));
}

static const OSSL_PARAM *gettable_ctx_params(void *ctx, void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)ctx;
        (void)provctx;
        return params;
}

static int decrypt_init(void *ctx, void *key, const OSSL_PARAM params[])
{
        struct cipher *c = ctx;
        struct object *object = key;

        if (!object || !object->backend)
                return 0;
        object_ref(object);
        object_unref(c->object);
        c->object = object;
        return set_ctx_params(ctx, params);
}

static int decrypt(void *ctx, unsigned char *out, size_t *out_len, size_t size, const unsigned char *in,
                   size_t in_len)
{
        const struct cipher *c = ctx;
        struct key_decrypt how = {.padding = KEY_PADDING_RSA_PKCS1};
        CLEANUP(secret_done) struct secret plain = {0};
        struct error e = {0};

        if (!out) {
                *out_len = object_size(c->object);
                return 1;
        }
        if (c->padding == RSA_PKCS1_OAEP_PADDING)
                how = (struct key_decrypt){KEY_PADDING_RSA_OAEP, c->digest,
                                           c->mgf1 != KEY_DIGEST_NONE ? c->mgf1 : c->digest,
                                           bytes_view(&c->label)};
        if (c->object->backend->decrypt(c->object->key, &how, (struct view){in, in_len}, &plain, &e)) {
                queue_error(&e);
                return 0;
        }
        if (plain.len > size)
                return 0;
        if (plain.len)
                memcpy(out, plain.data, plain.len);
        *out_len = plain.len;
        return 1;
}

#define ENTRY(id, function)                                                                                  \
        {                                                                                                    \
                id, (void (*)(void))(function)                                                               \
        }

const OSSL_DISPATCH ksp_rsa_asymcipher[] = {
        ENTRY(OSSL_FUNC_ASYM_CIPHER_NEWCTX, cipher_new),
        ENTRY(OSSL_FUNC_ASYM_CIPHER_FREECTX, cipher_free),
        ENTRY(OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, decrypt_init),
        ENTRY(OSSL_FUNC_ASYM_CIPHER_DECRYPT, decrypt),
        ENTRY(OSSL_FUNC_ASYM_CIPHER_GET_CTX_PARAMS, get_ctx_params),
        ENTRY(OSSL_FUNC_ASYM_CIPHER_GETTABLE_CTX_PARAMS, gettable_ctx_params),
        ENTRY(OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, set_ctx_params),
        ENTRY(OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, settable_ctx_params),
        {0, NULL},
};
