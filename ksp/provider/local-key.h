/* The backend that is ksp.h itself: for the daemon, which builds every message that is signed. */
#pragma once

#include "ksp.h"
#include "provider/ksp-provider.h"

/* An EVP_PKEY of @libctx (with the provider loaded) on @key, of which it holds a reference. @uid: on whose
 * behalf the TPM works. @pin: of a key that wants one, and known to be right, since it is not counted here;
 * outlives the EVP_PKEY. Its operations block as ksp_sign() does. @failure: why the last one that failed did,
 * since libcrypto tells only that it failed; outlives the EVP_PKEY; may be NULL. */
MUST_CHECK enum err local_key(OSSL_LIB_CTX *libctx, struct ksp_key *key, uid_t uid, struct view pin,
                              struct error *failure, EVP_PKEY **ret, struct error *e);
