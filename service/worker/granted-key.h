/*
 * The granted keys: EVP_PKEYs whose private operations are asked of the daemon over the job stream, with
 * handle 0: the grant names the keys, not the worker. The recipient's decrypts (FRAME_DECRYPT) or, an EC
 * key, derives (FRAME_DERIVE); the client's
 * signs the CertificateVerify of TLS 1.3 and nothing else: what crosses is the transcript hash
 * (FRAME_TLS_SIGN). And the password that wraps a content key, which is asked for nothing but to unwrap it
 * (FRAME_UNWRAP).
 */
#pragma once

#include "provider/ksp-provider.h"

struct granted_keys {
        struct ksp_provider provider;
        EVP_PKEY *recipient, *client; /* NULL: not asked for */
        struct error client_failure;  /* why the client's key failed last; ERR_OK: it did not */
};

/* @recipient, @client: the public halves, only read; NULL: none. @fd stays the caller's and must stay open as
 * long as the keys; *ret must not move. Loads the provider into the default library context. ERR_PROTOCOL
 * from an operation: the daemon went away. */
MUST_CHECK enum err granted_keys_open(int fd, EVP_PKEY *recipient, EVP_PKEY *client, struct granted_keys *ret,
                                      struct error *e);
/* As password_unwrap() of the daemon's service/keys/unwrap.h, over the stream @fd. */
MUST_CHECK enum err granted_unwrap(int fd, const struct key_unwrap *how, struct view wrapped,
                                   struct secret *ret, struct error *e);
/* The provider itself needs no sandbox of its own: it is linked in. Takes an empty one. */
void granted_keys_done(struct granted_keys *keys);
