#include "scep-wire/legacy.h"

#include "base/ossl.h"

void legacy_done(struct legacy *legacy)
{
        if (legacy->legacy)
                OSSL_PROVIDER_unload(legacy->legacy);
        if (legacy->standard)
                OSSL_PROVIDER_unload(legacy->standard);
        OSSL_LIB_CTX_free(legacy->libctx);
}

enum err legacy_load(struct legacy *ret, struct error *e)
{
        ret->libctx = OSSL_LIB_CTX_new();
        ret->standard = ret->libctx ? OSSL_PROVIDER_load(ret->libctx, "default") : NULL;
        ret->legacy = ret->standard ? OSSL_PROVIDER_load(ret->libctx, "legacy") : NULL;
        if (!ret->legacy)
                return ossl_error(e, ERR_UNSUPPORTED,
                                  "Single DES is not available: OpenSSL's legacy provider is missing");
        return ERR_OK;
}
