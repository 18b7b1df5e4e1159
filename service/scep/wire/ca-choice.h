/*
 * Which of the certificates of GetCACert are trusted, and for what: chained to the pinned anchor, then chosen
 * by key usage, never by order (RFC 8894 §2.2; facts.md §1.9). Runs in the daemon; blocks for a few signature
 * checks.
 */
#pragma once

#include <time.h>

#include "base/ossl.h"
#include "scep-wire/names.h"

/* The thumbprint from the profile: over the whole DER of the root. len 0: none, then every anchor below
 * counts. */
struct ca_pin {
        uint8_t digest[32];
        size_t len; /* 0, 20 (SHA-1) or 32 (SHA-256) */
};
/* ERR_INVALID: not 20 or 32 octets of hexadecimal (blanks and colons between octets are taken). */
MUST_CHECK enum err ca_pin_parse(const char *hex, struct ca_pin *ret, struct error *e);
bool ca_pin_matches(const struct ca_pin *pin, const X509 *cert);

struct ca_trust {
        struct ca_pin pin;
        const STACK_OF(X509) *
                anchors; /* what the daemon holds: document, profile, system store; NULL: nothing */
        time_t now;
};

struct ca_choice {
        X509 *anchor;    /* whose digest is the pin; the root itself need not be in the reply */
        X509 *recipient; /* the one certificate requests are encrypted to; RSA */
        X509 *signer;    /* the one replies should be signed by */
        X509 *issuer;    /* the CA that issues: names itself in polls */
        STACK_OF(X509) *
                signers;  /* every chained certificate of the reply, signer first: who may sign a reply */
        unsigned dropped; /* strangers in the reply that lead to another root */
};
void ca_choice_done(struct ca_choice *choice);

/*
 * @certs: 1 to SCEP_CERTS_MAX, any order. A bare thumbprint may also be that of a certificate in the reply.
 * ERR_CA_MISMATCH: no anchor, or what is needed does not chain to it; the message has the expected pin and
 * both digests of what was found at the top. ERR_CA_EXPIRED: what is needed has expired or is not valid yet
 * (server's certificate, CA between, or anchor), named. ERR_UNSUPPORTED: the recipient's key is not RSA. *ret
 * untouched on failure; ca_choice_done() otherwise.
 */
MUST_CHECK enum err ca_choose(const STACK_OF(X509) * certs, const struct ca_trust *trust,
                              struct ca_choice *ret, struct error *e);
