/* Single DES lives in OpenSSL's legacy provider: a library context of its own, for one message alone, where a
 * profile allows it by name. */
#pragma once

#include <openssl/provider.h>

#include "base/error.h"

struct legacy {
        OSSL_LIB_CTX *libctx; /* NULL: the default one, which knows no single DES */
        OSSL_PROVIDER *standard, *legacy;
};

/* @ret zeroed. ERR_UNSUPPORTED: the provider is not installed. *ret: legacy_done() in every case. */
MUST_CHECK enum err legacy_load(struct legacy *ret, struct error *e);
void legacy_done(struct legacy *legacy);
