/*
 * Key management. The decisive rule: nothing that includes the private half is ever exported, not even "the
 * public part of it". libcrypto then fetches the private operation from this provider, with any property
 * query.
 */
#include "internal.h"

#include <openssl/params.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/ossl.h"

static void *rsa_new(void *provctx)
{
        return object_new(provctx, true);
}

static void *ec_new(void *provctx)
{
        return object_new(provctx, false);
}

static void key_free(void *key)
{
        object_unref(key);
}

/* From the store: the reference is the pointer itself, whose count passes to libcrypto. */
static void *load(const void *reference, size_t size)
{
        struct object *object;

        if (size != sizeof object)
                return NULL;
        memcpy(&object, reference, sizeof object);
        return object_ref(object);
}

static int has(const void *key, int selection)
{
        const struct object *object = key;

        /* EVP_PKEY_copy_parameters() asks a key that is none yet whether it has its curve. */
        if (!object || ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && !object->backend))
                return 0;
        return !(selection & (OSSL_KEYMGMT_SELECT_KEYPAIR | OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS)) ||
               object->public;
}

static int match(const void *a, const void *b, int selection)
{
        const struct object *x = a, *y = b;

        if (!x->public || !y->public)
                return 0;
        if (selection & OSSL_KEYMGMT_SELECT_KEYPAIR)
                return EVP_PKEY_eq(x->public, y->public) == 1;
        return EVP_PKEY_parameters_eq(x->public, y->public) == 1;
}

static bool take_public(struct object *object, EVP_PKEY *public)
{
        if (!public || EVP_PKEY_is_a(public, object->rsa ? "RSA" : "EC") != 1) {
                EVP_PKEY_free(public);
                return false;
        }
        EVP_PKEY_free(object->public);
        object->public = public;
        return true;
}

static int import_handover(struct object *object, const OSSL_PARAM *p)
{
        struct handover *handover;
        EVP_PKEY *public = NULL;

        if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data_size != sizeof handover)
                return 0;
        memcpy(&handover, p->data, sizeof handover);
        if (public_copy(object->provider->libctx, handover->public, &public, NULL) ||
            !take_public(object, public))
                return 0;
        object->backend = handover->backend;
        object->key = handover->key;
        handover->taken = true;
        return 1;
}

/* Public keys of others come here to be compared with ours (certificate against key); private ones are
 * refused. */
static int import(void *key, int selection, const OSSL_PARAM params[])
{
        struct object *object = key;
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = NULL;
        EVP_PKEY *public = NULL;
        const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, KSP_PARAM_HANDOVER);
        const bool with_private =
                OSSL_PARAM_locate_const(params, object->rsa ? OSSL_PKEY_PARAM_RSA_D
                                                            : OSSL_PKEY_PARAM_PRIV_KEY) != NULL;
        int wanted = selection & OSSL_KEYMGMT_SELECT_KEYPAIR ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEY_PARAMETERS;
        /* EVP_PKEY_fromdata() only reads them. */
        union {
                const OSSL_PARAM *in;
                OSSL_PARAM *out;
        } values = {.in = params};

        if (p)
                return import_handover(object, p);
        if (with_private)
                return 0;
        ctx = EVP_PKEY_CTX_new_from_name(object->provider->libctx, object->rsa ? "RSA" : "EC", NULL);
        if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
            EVP_PKEY_fromdata(ctx, &public, wanted, values.out) != 1)
                return 0;
        return take_public(object, public);
}

static int export(void *key, int selection, OSSL_CALLBACK *callback, void *arg)
{
        const struct object *object = key;
        OSSL_PARAM *params = NULL;
        int ok;

        if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || !object->public)
                return 0;
        if (EVP_PKEY_todata(object->public, selection, &params) != 1)
                return 0;
        ok = callback(params, arg);
        OSSL_PARAM_free(params);
        return ok;
}

static const OSSL_PARAM rsa_types[] = {
        OSSL_PARAM_octet_string(KSP_PARAM_HANDOVER, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
};
static const OSSL_PARAM ec_types[] = {
        OSSL_PARAM_octet_string(KSP_PARAM_HANDOVER, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_END,
};

static const OSSL_PARAM *rsa_import_types(int selection)
{
        return selection & OSSL_KEYMGMT_SELECT_KEYPAIR ? rsa_types : NULL;
}

static const OSSL_PARAM *rsa_export_types(int selection)
{
        return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : rsa_types + 1;
}

static const OSSL_PARAM *ec_import_types(int selection)
{
        return selection & (OSSL_KEYMGMT_SELECT_KEYPAIR | OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS) ? ec_types
                                                                                                 : NULL;
}

static const OSSL_PARAM *ec_export_types(int selection)
{
        return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : ec_types + 1;
}

static int get_params(void *key, OSSL_PARAM params[])
{
        const struct object *object = key;

        return object->public && EVP_PKEY_get_params(object->public, params);
}

/* A key made from the curve of ours alone gets the point of another: CMS does so for an originator whose key
 * comes without its curve. Nothing of a key with a private half ever changes. */
static int ec_set_params(void *key, const OSSL_PARAM params[])
{
        const struct object *object = key;
        const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);

        if (!p)
                return 1;
        return !object->backend && object->public && p->data_type == OSSL_PARAM_OCTET_STRING && p->data &&
               EVP_PKEY_set1_encoded_public_key(object->public, p->data, p->data_size) == 1;
}

static const OSSL_PARAM *ec_settable_params(void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)provctx;
        return params;
}

static const OSSL_PARAM *rsa_gettable_params(void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)provctx;
        return params;
}

static const OSSL_PARAM *ec_gettable_params(void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
                OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_X, NULL, 0),
                OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_Y, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)provctx;
        return params;
}

static int validate(const void *key, int selection, int type)
{
        const struct object *object = key;
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = NULL;

        (void)type;
        if (!has(key, selection & OSSL_KEYMGMT_SELECT_ALL))
                return 0;
        if (!(selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY))
                return 1;
        ctx = EVP_PKEY_CTX_new_from_pkey(object->provider->libctx, object->public, NULL);
        return ctx && EVP_PKEY_public_check(ctx) == 1;
}

static const char *ec_operation_name(int operation)
{
        if (operation == OSSL_OP_KEYEXCH)
                return "ECDH";
        return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

#define ENTRY(id, function)                                                                                  \
        {                                                                                                    \
                id, (void (*)(void))(function)                                                               \
        }
#define COMMON                                                                                               \
        ENTRY(OSSL_FUNC_KEYMGMT_FREE, key_free), ENTRY(OSSL_FUNC_KEYMGMT_LOAD, load),                        \
                ENTRY(OSSL_FUNC_KEYMGMT_HAS, has), ENTRY(OSSL_FUNC_KEYMGMT_MATCH, match),                    \
                ENTRY(OSSL_FUNC_KEYMGMT_IMPORT, import), ENTRY(OSSL_FUNC_KEYMGMT_EXPORT, export),            \
                ENTRY(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_params), ENTRY(OSSL_FUNC_KEYMGMT_VALIDATE, validate)

const OSSL_DISPATCH ksp_rsa_keymgmt[] = {
        ENTRY(OSSL_FUNC_KEYMGMT_NEW, rsa_new),
        COMMON,
        ENTRY(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, rsa_import_types),
        ENTRY(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, rsa_export_types),
        ENTRY(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, rsa_gettable_params),
        {0, NULL},
};
const OSSL_DISPATCH ksp_ec_keymgmt[] = {
        ENTRY(OSSL_FUNC_KEYMGMT_NEW, ec_new),
        COMMON,
        ENTRY(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, ec_import_types),
        ENTRY(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, ec_export_types),
        ENTRY(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, ec_gettable_params),
        ENTRY(OSSL_FUNC_KEYMGMT_SET_PARAMS, ec_set_params),
        ENTRY(OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, ec_settable_params),
        ENTRY(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation_name),
        {0, NULL},
};
