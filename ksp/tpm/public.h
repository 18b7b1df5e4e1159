/* Public areas as OpenSSL's keys, for ksp/tpm alone: the types are those of tss2. Pure. */
#pragma once

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "key/key.h"

/* The public key in @area; EVP_PKEY_free(). ERR_KEY_NOT_SUPPORTED: it is none this project uses. */
MUST_CHECK enum err tpm_area_key(const TPMT_PUBLIC *area, enum key_alg *ret_alg, EVP_PKEY **ret,
                                 struct error *e);
