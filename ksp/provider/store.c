/* OSSL_STORE for ksp: URIs: a private key, then its certificate. */
#include "internal.h"

#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/store.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"

struct store {
        struct provider *provider;
        char *name;
        int expect; /* OSSL_STORE_INFO_*, 0: anything */
        bool opened, key_given, certificate_given, failed;
        struct object *object;
        struct bytes certificate;
};

/* For the queue: programs print it. */
static bool no_memory(void)
{
        struct error e = {0};

        (void)error_no_memory(&e);
        queue_error(&e);
        return false;
}

static void *store_open(void *provctx, const char *uri)
{
        static const char scheme[] = "ksp:";
        struct store *store;

        if (strncmp(uri, scheme, sizeof scheme - 1) != 0 || !uri[sizeof scheme - 1])
                return NULL;
        store = calloc(1, sizeof *store);
        if (store)
                store->name = strdup(uri + sizeof scheme - 1);
        if (!store || !store->name) {
                (void)no_memory();
                free(store);
                return NULL;
        }
        store->provider = provctx;
        return store;
}

static int store_close(void *ctx)
{
        struct store *store = ctx;

        object_unref(store->object);
        bytes_done(&store->certificate);
        free(store->name);
        free(store);
        return 1;
}

static const OSSL_PARAM *settable_ctx_params(void *provctx)
{
        static const OSSL_PARAM params[] = {OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL), OSSL_PARAM_END};

        (void)provctx;
        return params;
}

static int set_ctx_params(void *ctx, const OSSL_PARAM params[])
{
        struct store *store = ctx;
        const OSSL_PARAM *p = params ? OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT) : NULL;

        return !p || OSSL_PARAM_get_int(p, &store->expect);
}

static bool open_key(struct store *store)
{
        const struct provider *provider = store->provider;
        CLEANUP(bytes_done) struct bytes spki = {0};
        EVP_PKEY *public;
        struct object *object;
        const uint8_t *p;
        void *key = NULL;
        struct error e = {0};

        store->opened = true;
        if (provider->backend->open(provider->backend_ctx, store->name, &key, &spki, &store->certificate,
                                    &e)) {
                queue_error(&e);
                return false;
        }
        p = spki.data;
        public = d2i_PUBKEY_ex(NULL, &p, (long)spki.len, provider->libctx, NULL);
        object = public ? object_new(store->provider, EVP_PKEY_is_a(public, "RSA")) : NULL;
        if (!object) {
                provider->backend->close(key);
                if (!public)
                        return false;
                EVP_PKEY_free(public);
                return no_memory();
        }
        object->public = public;
        object->backend = provider->backend;
        object->key = key;
        store->object = object;
        return true;
}

static bool wants(const struct store *store, int type)
{
        return store->expect == 0 || store->expect == type;
}

/* libcrypto takes what fails at the end for the end. */
static int store_eof(void *ctx)
{
        const struct store *store = ctx;

        if (!store->opened || store->failed)
                return 0;
        if (!store->object)
                return 1;
        return (store->key_given || !wants(store, OSSL_STORE_INFO_PKEY)) &&
               (store->certificate_given || !store->certificate.len || !wants(store, OSSL_STORE_INFO_CERT));
}

/* The program's pass phrase is the PIN. One octet more than a PIN has: what OpenSSL cuts off is then seen. */
static enum err unlock(const struct store *store, OSSL_PASSPHRASE_CALLBACK *passphrase, void *arg,
                       struct error *e)
{
        CLEANUP(free_p) char *info = NULL;
        CLEANUP(secret_done) struct secret pin = {0};
        OSSL_PARAM params[] = {OSSL_PARAM_END, OSSL_PARAM_END};
        size_t len = 0;
        enum err r = secret_new(&pin, KEY_PIN_MAX + 1, e);

        if (r)
                return r;
        if (asprintf(&info, "ksp:%s (PIN)", store->name) < 0)
                return error_no_memory(e);
        params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PASSPHRASE_PARAM_INFO, info, 0);
        if (!passphrase || !passphrase((char *)pin.data, pin.len, &len, params, arg)) {
                (void)error_set(e, ERR_PIN_NEEDED, "The key ksp:%s wants its PIN, and the program gave none",
                                store->name);
                return error_remedy(e, ERR_PIN_NEEDED,
                                    "Give it as the key's pass phrase (openssl: -passin), or use PKCS#11.");
        }
        return store->object->backend->unlock(store->object->key, (struct view){pin.data, len}, e);
}

static bool wants_pin(const struct store *store)
{
        const struct object *object = store->object;

        return object->backend->wants_pin && object->backend->wants_pin(object->key);
}

static int give_key(struct store *store, OSSL_CALLBACK *callback, void *arg)
{
        char rsa[] = "RSA", ec[] = "EC";
        int type = OSSL_OBJECT_PKEY;
        const OSSL_PARAM params[] = {
                OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
                OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, store->object->rsa ? rsa : ec,
                                                 0),
                OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &store->object,
                                                  sizeof store->object),
                OSSL_PARAM_construct_end(),
        };

        return callback(params, arg);
}

static int give_certificate(struct store *store, OSSL_CALLBACK *callback, void *arg)
{
        int type = OSSL_OBJECT_CERT;
        const OSSL_PARAM params[] = {
                OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
                OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, store->certificate.data,
                                                  store->certificate.len),
                OSSL_PARAM_construct_end(),
        };

        store->certificate_given = true;
        return callback(params, arg);
}

static int give_next(struct store *store, OSSL_CALLBACK *callback, void *arg,
                     OSSL_PASSPHRASE_CALLBACK *passphrase, void *passphrase_arg)
{
        struct error e = {0};

        if (store->key_given || !wants(store, OSSL_STORE_INFO_PKEY))
                return give_certificate(store, callback, arg);
        store->key_given = true; /* in any case: programs ask until the end */
        if (!wants_pin(store) || unlock(store, passphrase, passphrase_arg, &e) == ERR_OK)
                return give_key(store, callback, arg);
        queue_error(&e);
        return 0;
}

static int store_load(void *ctx, OSSL_CALLBACK *callback, void *arg, OSSL_PASSPHRASE_CALLBACK *passphrase,
                      void *passphrase_arg)
{
        struct store *store = ctx;

        store->failed = !store->opened && !open_key(store);
        if (store->failed || store_eof(store))
                return 0;
        store->failed = !give_next(store, callback, arg, passphrase, passphrase_arg);
        return !store->failed;
}

#define ENTRY(id, function)                                                                                  \
        {                                                                                                    \
                id, (void (*)(void))(function)                                                               \
        }

const OSSL_DISPATCH ksp_store[] = {
        ENTRY(OSSL_FUNC_STORE_OPEN, store_open),
        ENTRY(OSSL_FUNC_STORE_LOAD, store_load),
        ENTRY(OSSL_FUNC_STORE_EOF, store_eof),
        ENTRY(OSSL_FUNC_STORE_CLOSE, store_close),
        ENTRY(OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, settable_ctx_params),
        ENTRY(OSSL_FUNC_STORE_SET_CTX_PARAMS, set_ctx_params),
        {0, NULL},
};
