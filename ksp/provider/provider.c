/* The provider itself: what it offers, and the objects its parts share. */
#include "internal.h"

#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>
#include <strings.h>

#include "base/ossl.h"

struct object *object_new(struct provider *provider, bool rsa)
{
        struct object *object = calloc(1, sizeof *object);

        if (!object)
                return NULL;
        atomic_init(&object->references, 1);
        object->provider = provider;
        object->rsa = rsa;
        return object;
}

struct object *object_ref(struct object *object)
{
        atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
        return object;
}

void object_unref(struct object *object)
{
        if (!object || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
                return;
        if (object->backend)
                object->backend->close(object->key);
        EVP_PKEY_free(object->public);
        free(object);
}

size_t object_size(const struct object *object)
{
        int size = object->public ? EVP_PKEY_get_size(object->public) : 0;

        return size > 0 ? (size_t)size : 0;
}

void queue_error(const struct error *e)
{
        ERR_raise_data(ERR_LIB_PROV, ERR_R_OPERATION_FAIL, "%s. %s", e->message, e->remedy);
}

bool param_digest(const OSSL_PARAM *p, enum key_digest *ret)
{
        return p->data_type == OSSL_PARAM_UTF8_STRING && p->data && key_digest_from_name(p->data, ret);
}

static const struct {
        int mode;
        const char *name;
} paddings[] = {
        {RSA_PKCS1_PADDING, OSSL_PKEY_RSA_PAD_MODE_PKCSV15},
        {RSA_PKCS1_OAEP_PADDING, OSSL_PKEY_RSA_PAD_MODE_OAEP},
        {RSA_PKCS1_PSS_PADDING, OSSL_PKEY_RSA_PAD_MODE_PSS},
};

bool param_padding(const OSSL_PARAM *p, int *ret)
{
        int mode = 0;

        if (p->data_type != OSSL_PARAM_UTF8_STRING && !OSSL_PARAM_get_int(p, &mode))
                return false;
        for (size_t i = 0; i < N_ELEMENTS(paddings); i++) {
                if (p->data_type == OSSL_PARAM_UTF8_STRING
                            ? p->data && strcasecmp(p->data, paddings[i].name) == 0
                            : mode == paddings[i].mode) {
                        *ret = paddings[i].mode;
                        return true;
                }
        }
        return false;
}

bool param_answer_padding(OSSL_PARAM *p, int mode)
{
        if (p->data_type != OSSL_PARAM_UTF8_STRING)
                return OSSL_PARAM_set_int(p, mode);
        for (size_t i = 0; i < N_ELEMENTS(paddings); i++)
                if (paddings[i].mode == mode)
                        return OSSL_PARAM_set_utf8_string(p, paddings[i].name);
        return false;
}

#define RSA_NAMES "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define EC_NAMES  "EC:id-ecPublicKey:1.2.840.10045.2.1"

static const OSSL_ALGORITHM keymgmt_algorithms[] = {
        {RSA_NAMES, "provider=ksp", ksp_rsa_keymgmt, "RSA keys of scepter"},
        {EC_NAMES, "provider=ksp", ksp_ec_keymgmt, "EC keys of scepter"},
        {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM signature_algorithms[] = {
        {RSA_NAMES, "provider=ksp", ksp_rsa_signature, "RSA signatures by scepter"},
        {"ECDSA", "provider=ksp", ksp_ec_signature, "ECDSA signatures by scepter"},
        {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM asymcipher_algorithms[] = {
        {RSA_NAMES, "provider=ksp", ksp_rsa_asymcipher, "RSA decryption by scepter"},
        {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM keyexch_algorithms[] = {
        {"ECDH", "provider=ksp", ksp_ec_keyexch, "ECDH by scepter"},
        {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM store_algorithms[] = {
        {"ksp", "provider=ksp", ksp_store, "ksp: URIs"},
        {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
        const struct provider *provider = provctx;

        *no_cache = 0;
        switch (operation) {
        case OSSL_OP_KEYMGMT:
                return keymgmt_algorithms;
        case OSSL_OP_SIGNATURE:
                return signature_algorithms;
        case OSSL_OP_ASYM_CIPHER:
                return asymcipher_algorithms;
        case OSSL_OP_KEYEXCH:
                return keyexch_algorithms;
        case OSSL_OP_STORE:
                return provider->backend ? store_algorithms : NULL;
        default:
                return NULL;
        }
}

static const OSSL_PARAM *gettable_params(void *provctx)
{
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_DEFN(OSSL_PROV_PARAM_NAME, OSSL_PARAM_UTF8_PTR, NULL, 0),
                OSSL_PARAM_DEFN(OSSL_PROV_PARAM_VERSION, OSSL_PARAM_UTF8_PTR, NULL, 0),
                OSSL_PARAM_DEFN(OSSL_PROV_PARAM_STATUS, OSSL_PARAM_INTEGER, NULL, 0),
                OSSL_PARAM_END,
        };

        (void)provctx;
        return params;
}

static int get_params(void *provctx, OSSL_PARAM params[])
{
        OSSL_PARAM *p;

        (void)provctx;
        p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);
        if (p && !OSSL_PARAM_set_utf8_ptr(p, "Scepter key storage provider"))
                return 0;
        p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_VERSION);
        if (p && !OSSL_PARAM_set_utf8_ptr(p, SCEPTER_VERSION))
                return 0;
        p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
        return !p || OSSL_PARAM_set_int(p, 1);
}

static void teardown(void *provctx)
{
        struct provider *provider = provctx;

        if (provider->backend_free)
                provider->backend_free(provider->backend_ctx);
        if (provider->standard)
                OSSL_PROVIDER_unload(provider->standard);
        OSSL_LIB_CTX_free(provider->libctx);
        free(provider);
}

#define ENTRY(id, function)                                                                                  \
        {                                                                                                    \
                id, (void (*)(void))(function)                                                               \
        }

static const OSSL_DISPATCH provider_functions[] = {
        ENTRY(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
        ENTRY(OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, gettable_params),
        ENTRY(OSSL_FUNC_PROVIDER_GET_PARAMS, get_params),
        ENTRY(OSSL_FUNC_PROVIDER_TEARDOWN, teardown),
        {0, NULL},
};

int provider_start(const OSSL_DISPATCH **out, void **provctx, const struct ksp_backend *backend, void *ctx,
                   void (*free_ctx)(void *))
{
        struct provider *provider = calloc(1, sizeof *provider);

        if (!provider)
                return 0;
        provider->backend = backend;
        provider->libctx = OSSL_LIB_CTX_new();
        provider->standard = provider->libctx ? OSSL_PROVIDER_load(provider->libctx, "default") : NULL;
        if (!provider->standard) {
                teardown(provider);
                return 0;
        }
        provider->backend_ctx = ctx;
        provider->backend_free = free_ctx;
        *out = provider_functions;
        *provctx = provider;
        return 1;
}
