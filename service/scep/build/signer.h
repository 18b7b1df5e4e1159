/* The self-signed certificate that signs a first request and that the reply is encrypted to (RFC 8894 §2.3).
 */
#pragma once

#include <time.h>

#include "base/ossl.h"

enum {
        SIGNER_BACKDATE = 24 * 3600, /* clocks differ */
        SIGNER_LIFE_MIN = 3600,
        SIGNER_LIFE_MAX = 90 * 24 * 3600, /* must outlive the polling (PendingLimit=), not by much */
};

/*
 * Subject and issuer are @subject (DER Name, as in the request), key usage digitalSignature and
 * keyEncipherment, for an EC key keyAgreement, serial random. Valid from SIGNER_BACKDATE before @now to @life
 * seconds after it. Signed with @key, which may live in a provider; blocks. *ret was re-parsed from its DER,
 * so its public key belongs to OpenSSL's default provider. ERR_INVALID: @subject or @life.
 */
MUST_CHECK enum err signer_build(struct view subject, EVP_PKEY *key, const char *digest, time_t now,
                                 unsigned life, X509 **ret, struct error *e);
