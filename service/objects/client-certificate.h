/* ClientCertificate=: a PEM file becomes certificates and a key of ours. Inside service/objects only. */
#pragma once

#include "ksp.h"

struct client_certificate {
        struct bytes chain; /* PEM: the certificate, then its issuers; empty: there is none */
        struct ksp_key *key;
};
void client_certificate_done(struct client_certificate *client);

/* @file: a certificate, perhaps issuers, and the private key of the first (ksp_import()); the caller wipes
 * it. ERR_INVALID: something is missing or does not belong together. Does not talk to the TPM. */
MUST_CHECK enum err client_certificate_read(struct ksp *ksp, struct view file, struct client_certificate *ret,
                                            struct error *e);
