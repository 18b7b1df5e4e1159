/*
 * The OpenSSL 3 provider "ksp" as a library: private operations go to a backend, everything public is done by
 * OpenSSL's default provider. No digest, cipher or generator is registered, and no private half is ever
 * exported, so libcrypto comes to this provider for the private operation with any property query
 * (OpenSSL 3.0's second pass).
 *
 * In the daemon the backend is ksp.h itself, in a worker its job stream; ksp.so, which adds the ksp: store,
 * has the key socket.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/provider.h>

#include "base/secret.h"
#include "key/key.h"

enum { KSP_MESSAGE_MAX = 256 };

/* What a key can do. @key is the backend's own object; calls come from any thread and may block. */
struct ksp_backend {
        /* NULL where keys are only handed over (ksp_provider_key()). @name: what stands behind "ksp:"; the
         * SPKI is DER, the certificate DER or empty. */
        enum err (*open)(void *ctx, const char *name, void **ret_key, struct bytes *ret_spki,
                         struct bytes *ret_certificate, struct error *e);
        enum err (*sign)(void *key, const struct key_sign *how, struct view data, struct bytes *ret,
                         struct error *e);
        enum err (*decrypt)(void *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                            struct error *e);
        /* ECDH with the point of the other side (X9.62, uncompressed): the x coordinate. NULL: the key agrees
         * on nothing. */
        enum err (*derive)(void *key, struct view point, struct secret *ret, struct error *e);
        void (*close)(void *key);
        /* NULL: no key wants a PIN. Whether this one does, and the PIN for all its uses: kept by the backend
         * where it is the right one, tried once. */
        bool (*wants_pin)(const void *key);
        enum err (*unlock)(void *key, struct view pin, struct error *e);
        /* NULL: what is to be signed is hashed here, and sign() gets the hash. Else it comes as it is, at
         * most KSP_MESSAGE_MAX octets of it, so that the backend can tell what it signs; @how is the same. */
        enum err (*sign_message)(void *key, const struct key_sign *how, struct view message,
                                 struct bytes *ret, struct error *e);
};

/* Registers and loads the provider into @libctx (NULL: the default one), and the default provider beside it,
 * which would otherwise be lost. Unload both with ksp_provider_unload() before the library context goes. */
struct ksp_provider {
        OSSL_PROVIDER *ksp, *standard;
};
MUST_CHECK enum err ksp_provider_load(OSSL_LIB_CTX *libctx, struct ksp_provider *ret, struct error *e);
void ksp_provider_unload(struct ksp_provider *provider);

/*
 * An EVP_PKEY of @libctx whose private operations are @backend's on @key. @key is the EVP_PKEY's from here
 * on, also on failure (backend->close()). @public: the public half, RSA or EC P-256/P-384, of any library
 * context; only read.
 */
MUST_CHECK enum err ksp_provider_key(OSSL_LIB_CTX *libctx, const struct ksp_backend *backend, void *key,
                                     EVP_PKEY *public, EVP_PKEY **ret, struct error *e);
