/* Shared by the files of ksp/provider alone. */
#pragma once

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdatomic.h>

#include "ksp-provider.h"

/* One per loaded provider. The private library context has the default provider alone: public operations done
 * in it cannot come back here, whatever the application loads and prefers. */
struct provider {
        OSSL_LIB_CTX *libctx;
        OSSL_PROVIDER *standard;
        const struct ksp_backend *backend; /* for the ksp: store; NULL: there is none */
        void *backend_ctx;
        void (*backend_free)(void *ctx);
};

/* A key: the public half, and the backend's object for the private one. Immutable, counted. */
struct object {
        atomic_uint references;
        struct provider *provider;
        EVP_PKEY *public; /* in the private library context; NULL until it is loaded or imported */
        const struct ksp_backend *backend; /* NULL: a public key alone */
        void *key;
        bool rsa;
};

struct object *object_new(struct provider *provider, bool rsa);
struct object *object_ref(struct object *object);
void object_unref(struct object *object); /* takes NULL */
/* Octets a signature of this key takes at most. */
size_t object_size(const struct object *object);

/* What an EVP_PKEY of this provider is imported from (ksp_provider_key()): a parameter of this name, an octet
 * string that holds the pointer to a struct handover. */
#define KSP_PARAM_HANDOVER "ksp-handover"
struct handover {
        const struct ksp_backend *backend;
        void *key;
        EVP_PKEY *public;
        bool taken; /* the key is an object's now, which closes it */
};

/* Puts the error on OpenSSL's queue, sentence and remedy. */
void queue_error(const struct error *e);
/* "digest" and the like, as OpenSSL passes a choice: a UTF-8 string. false: unknown, or of another type. */
bool param_digest(const OSSL_PARAM *p, enum key_digest *ret);
/* A padding mode as an integer or as "pkcs1", "oaep", "pss". */
bool param_padding(const OSSL_PARAM *p, int *ret);
bool param_answer_padding(OSSL_PARAM *p, int mode);

/* backend NULL: keys come by ksp_provider_key() alone. */
int provider_start(const OSSL_DISPATCH **out, void **provctx, const struct ksp_backend *backend, void *ctx,
                   void (*free_ctx)(void *));

extern const OSSL_DISPATCH ksp_rsa_keymgmt[], ksp_ec_keymgmt[], ksp_rsa_signature[], ksp_ec_signature[],
        ksp_rsa_asymcipher[], ksp_ec_keyexch[], ksp_store[];
