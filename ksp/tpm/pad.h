/*
 * RSA paddings around a raw private operation (RFC 8017): a TPM that lacks a digest, or picks its own PSS
 * salt, then does not matter. Pure. Removing a padding is constant-time in its content.
 */
#pragma once

#include "base/secret.h"
#include "key/key.h"

/* EMSA-PKCS1-v1_5 (§9.2) or EMSA-PSS (§9.1) of @data into @out of @size octets (the modulus'). ERR_INVALID:
 * the data has not the digest's length or does not fit. */
MUST_CHECK enum err pad_sign(const struct key_sign *how, struct view data, uint8_t *out, size_t size,
                             struct error *e);
/* RSAES-PKCS1-v1_5 (§7.2.2) or RSAES-OAEP (§7.1.2). ERR_INVALID: a padding is wrong, without saying where. */
MUST_CHECK enum err unpad_decrypt(const struct key_decrypt *how, uint8_t *padded, size_t size,
                                  struct secret *ret, struct error *e);
