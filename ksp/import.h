/* A key that somebody else made, out of the PEM file it came in. Inside ksp/ only; pure. */
#pragma once

#include <openssl/evp.h>

#include "base/error.h"
#include "base/bytes.h"
#include "tpm/tpm.h"

/*
 * The one private key in @pem, which may stand among certificates: PKCS#8 without a passphrase gives
 * *ret_soft, TSS2 PRIVATE KEY gives *ret_object (and *ret_soft NULL). ERR_INVALID: none, two, one with a
 * passphrase, or one of an older form; ERR_KEY_NOT_SUPPORTED: a curve or kind this project does not use, or
 * attributes of a TPM key that the KSP cannot work with.
 */
MUST_CHECK enum err import_read(struct view pem, EVP_PKEY **ret_soft, struct tpm_object *ret_object,
                                struct error *e);
