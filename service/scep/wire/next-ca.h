/*
 * Rollover (RFC 8894 §4.7): what GetNextCACert brings, judged; and the choice among the certificates of
 * GetCACert where a next CA was taken over. Runs in the daemon, which relies on it; blocks for a few
 * signature checks. Nothing is kept here.
 */
#pragma once

#include "scep-wire/ca-choice.h"

struct next_ca_spec {
        X509 *ca;                      /* the CA in force, chained by ca_choose(): it alone may sign */
        const STACK_OF(X509) * others; /* of GetCACert, to say who signed instead; may be NULL */
        X509 *anchor;                  /* what that CA leads to */
        bool allow_sha1;
        time_t now;
};

/*
 * @body: SignedData by that CA over a degenerate SignedData with the next CA, and CAs above it. *ret: what
 * they lead to, the caller's: the self-signed certificate, or where none is there the next CA itself; it may
 * begin later. NULL: they lead to @anchor, and nothing changes.
 * ERR_REPLY: not that, not signed so, or no CA. ERR_TOO_LARGE, ERR_SERVER_ALGORITHM. ERR_CA_EXPIRED: the next
 * one has ended already. *ret untouched on failure.
 */
MUST_CHECK enum err next_ca_open(struct view body, const struct next_ca_spec *spec, X509 **ret,
                                 struct error *e);

/*
 * ca_choose(), and where the pin fails, with each of @followed (may be NULL) as the only anchor, in order;
 * one that does not hold now leads nowhere. The pin's failure is told, or that what is followed is not valid.
 */
MUST_CHECK enum err ca_choose_followed(const STACK_OF(X509) * certs, const struct ca_trust *trust,
                                       const STACK_OF(X509) * followed, struct ca_choice *ret,
                                       struct error *e);
