/* The backend that is ksp.h itself: for the daemon, which builds every message that is signed. */
#pragma once

#include "ksp.h"
#include "provider/ksp-provider.h"

/* An EVP_PKEY of @libctx (with the provider loaded) on @key, of which it holds a reference. @uid: on whose
 * behalf the TPM works. Its operations block as ksp_sign() does. */
MUST_CHECK enum err local_key(OSSL_LIB_CTX *libctx, struct ksp_key *key, uid_t uid, EVP_PKEY **ret,
                              struct error *e);
