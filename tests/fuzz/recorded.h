/* A CA and a device, made for the fuzz targets: what they signed and encrypted can be opened. */
#pragma once

#include "base/ossl.h"

enum { RECORDED_NOW = 1800000000 };
#define RECORDED_TRANSACTION "0123456789abcdef0123456789abcdef01234567"
#define RECORDED_NONCE       "0123456789abcdef"

/* Borrowed, and the same until the program ends. The device's key is short: parsers are looked at here, not
 * RSA. */
struct recorded {
        X509 *ca, *own;
        EVP_PKEY *ca_key, *own_key;
        STACK_OF(X509) * signers; /* the CA */
};
const struct recorded *recorded(void);
