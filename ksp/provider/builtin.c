/* The provider inside one of our own processes: registered by function, keys handed over by pointer. */
#include "internal.h"

#include <openssl/params.h>

#include "base/ossl.h"

static int builtin_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                        void **provctx)
{
        (void)handle;
        (void)in;
        return provider_start(out, provctx, NULL, NULL, NULL);
}

enum err ksp_provider_load(OSSL_LIB_CTX *libctx, struct ksp_provider *ret, struct error *e)
{
        struct ksp_provider provider = {0};

        provider.standard = OSSL_PROVIDER_load(libctx, "default");
        if (provider.standard && OSSL_PROVIDER_add_builtin(libctx, "ksp", builtin_init) == 1)
                provider.ksp = OSSL_PROVIDER_load(libctx, "ksp");
        if (!provider.ksp) {
                ksp_provider_unload(&provider);
                return ossl_error(e, ERR_FAILED, "The provider for keys could not be loaded into OpenSSL");
        }
        *ret = provider;
        return ERR_OK;
}

void ksp_provider_unload(struct ksp_provider *provider)
{
        if (provider->ksp)
                (void)OSSL_PROVIDER_unload(provider->ksp);
        if (provider->standard)
                (void)OSSL_PROVIDER_unload(provider->standard);
        *provider = (struct ksp_provider){0};
}

enum err ksp_provider_key(OSSL_LIB_CTX *libctx, const struct ksp_backend *backend, void *key,
                          EVP_PKEY *public, EVP_PKEY **ret, struct error *e)
{
        struct handover handover = {backend, key, public, false};
        struct handover *pointer = &handover;
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_octet_string(KSP_PARAM_HANDOVER, &pointer, sizeof pointer),
                OSSL_PARAM_construct_end(),
        };
        CLEANUP(evp_pkey_ctx_free_p)
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, EVP_PKEY_is_a(public, "RSA") ? "RSA" : "EC",
                                                       "provider=ksp");
        EVP_PKEY *made = NULL;

        if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
            EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_KEYPAIR, params) != 1) {
                if (!handover.taken)
                        backend->close(key);
                return ossl_error(e, ERR_FAILED, "A key could not be handed to OpenSSL");
        }
        *ret = made;
        return ERR_OK;
}
