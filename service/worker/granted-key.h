/*
 * The granted key: an EVP_PKEY whose one private operation, a decrypt, is asked of the daemon over the job
 * stream (FRAME_DECRYPT with handle 0: the grant names the key, not the worker).
 */
#pragma once

#include "provider/ksp-provider.h"

struct granted_key {
        struct ksp_provider provider;
        EVP_PKEY *pkey;
};

/* @public: the public half, only read. @fd stays the caller's and must stay open as long as the key. Loads
 * the provider into the default library context. ERR_PROTOCOL from an operation: the daemon went away. */
MUST_CHECK enum err granted_key_open(int fd, EVP_PKEY *public, struct granted_key *ret, struct error *e);
/* The provider itself needs no sandbox of its own: it is linked in. Takes an empty one. */
void granted_key_done(struct granted_key *key);
