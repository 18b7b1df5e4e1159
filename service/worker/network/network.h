/*
 * What a network worker does: one job of the protocol in, one encoded result out. No stream and no sandbox
 * here: main.c has those. Blocks until the job's timeouts. @client: the key of the job's client certificate;
 * NULL: none.
 */
#pragma once

#include <openssl/evp.h>

#include "base/secret.h"
#include "key/key.h"
#include "worker/protocol.h"

/* @failure: scep-http/http.h */
struct network_client {
        EVP_PKEY *key;
        struct error *failure;
};

/* GetCACaps and GetCACert at the first URL that answers. *ret: an encoded result, also for a refusal of the
 * server; an error of its own is for the caller to encode, with *ret_http. */
MUST_CHECK enum err network_discover(const struct job_discover *job, const struct network_client *client,
                                     struct bytes *ret, struct result_http *ret_http, struct error *e);
/* What a look at the server shows. A failure of the server is part of the result; an error of its own: the
 * job cannot be done. */
MUST_CHECK enum err network_probe(const struct job_probe *job, const struct network_client *client,
                                  struct bytes *ret, struct result_http *ret_http, struct error *e);
/* A file at the first URL that has it. */
MUST_CHECK enum err network_fetch(const struct job_fetch *job, const struct network_client *client,
                                  struct bytes *ret, struct result_http *ret_http, struct error *e);
/* What opens the reply, asked for one operation at most: the recipient's private key, and who unwraps what
 * the challenge wrapped (scep-open/reply.h; NULL: nobody). */
struct network_opener {
        EVP_PKEY *key;
        enum err (*unwrap)(void *ctx, const struct key_unwrap *how, struct view wrapped, struct secret *ret,
                           struct error *e);
        void *ctx;
};
MUST_CHECK enum err network_exchange(const struct job_exchange *job, const struct network_opener *opener,
                                     const struct network_client *client, struct bytes *ret,
                                     struct result_http *ret_http, struct error *e);
