/*
 * Software keys through OpenSSL's default provider. At rest: PKCS#8 PEM encrypted with the host secret as the
 * passphrase (PBES2, AES-256), which `openssl pkey -passin file:` opens too. Thread rule: any thread; blocks
 * for the computation alone.
 */
#pragma once

#include <openssl/evp.h>

#include "base/secret.h"
#include "key/key.h"

MUST_CHECK enum err soft_create(enum key_alg alg, EVP_PKEY **ret, struct error *e);
/* @secret empty: ERR_HOST_SECRET. */
MUST_CHECK enum err soft_need_secret(struct view secret, struct error *e);
MUST_CHECK enum err soft_pem_write(EVP_PKEY *key, struct view secret, struct bytes *ret, struct error *e);
/* ERR_KEY_DAMAGED also where the host secret is another one. */
MUST_CHECK enum err soft_pem_read(struct view pem, struct view secret, EVP_PKEY **ret, struct error *e);
/* ERR_KEY_NOT_SUPPORTED: a type or size this project does not use. */
MUST_CHECK enum err soft_alg(EVP_PKEY *key, enum key_alg *ret, struct error *e);

MUST_CHECK enum err soft_sign(EVP_PKEY *key, const struct key_sign *how, struct view data, struct bytes *ret,
                              struct error *e);
MUST_CHECK enum err soft_decrypt(EVP_PKEY *key, const struct key_decrypt *how, struct view data,
                                 struct secret *ret, struct error *e);
/* Of the curve of @own, the point @octets (X9.62, uncompressed), EVP_PKEY_free(). ERR_INVALID: @own is no EC
 * key, or the point does not lie on the curve. */
MUST_CHECK enum err soft_point(EVP_PKEY *own, struct view octets, EVP_PKEY **ret, struct error *e);
/* ECDH with @peer, of the same curve; *ret: the x coordinate, as long as the field. */
MUST_CHECK enum err soft_derive(EVP_PKEY *key, EVP_PKEY *peer, struct secret *ret, struct error *e);
