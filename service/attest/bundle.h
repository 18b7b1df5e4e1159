/*
 * The bundle that 'scepter attest' writes and anybody can check, scepter-attest(7): JSON, with octets in
 * base64. Written by the service, read by scepter-verify, from strangers. Pure.
 */
#pragma once

#include "evidence.h"

enum {
        BUNDLE_VERSION = 1,
        BUNDLE_MAX = 512 * 1024, /* octets of the text; BUS_BUNDLE_MAX */
        BUNDLE_NONCE_MAX = 1024, /* BUS_NONCE_MAX */
};

struct bundle {
        struct bytes certificate; /* DER */
        struct cert_list chain;   /* its issuers, in order */
        struct bytes nonce;       /* may be empty */
        struct evidence evidence;
};
void bundle_done(struct bundle *bundle);

/* Appends the certificates of a PEM text. ERR_CONFIG: one cannot be read; ERR_TOO_LARGE. */
MUST_CHECK enum err bundle_add_pem(struct cert_list *list, struct view pem, struct error *e);

/* *ret: free(); ends in a newline. */
MUST_CHECK enum err bundle_write(const struct bundle *bundle, char **ret, struct error *e);
/* Every member of the format once, and no other, base64 as RFC 4648 §4 has it, in their bounds; what they
 * hold is not looked at. @ret zeroed; bundle_done() in any case. ERR_EVIDENCE. */
MUST_CHECK enum err bundle_read(struct view text, struct bundle *ret, struct error *e);
