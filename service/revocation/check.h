/*
 * One look at the CRLs of an installed certificate and of the CAs above it, as far as they are named by http;
 * for that of the certificate itself, where it names none, its server is asked. Workers fetch them, threads
 * read them; loop's thread only.
 */
#pragma once

#include "crl.h"
#include "daemon/daemon.h"

struct revocation_found {
        bool revoked; /* it, or (by_ca) a CA above it */
        bool by_ca;
        uint64_t generation; /* of the certificate that was looked at */
        int64_t at;          /* seconds since the epoch */
        char reason[CRL_REASON_MAX];
        /* Why there is no CRL of the certificate itself: it names none, and this server gives none. */
        struct error refused;
        char *url; /* of that server */
};
void revocation_found_done(struct revocation_found *found);

struct revocation_check;

/* @done once, in a later turn; what could not be fetched or read tells nothing. *ret is valid until then.
 * What
 * @done takes out of @found is its own. */
MUST_CHECK enum err revocation_check_start(struct daemon *d, const struct certificate *certificate,
                                           void (*done)(struct daemon *d, void *ctx,
                                                        struct revocation_found *found),
                                           void *ctx, struct revocation_check **ret, struct error *e);
/* done() is not called. */
void revocation_check_cancel(struct revocation_check *check);
/* At the end of the daemon, before the workers go: it stands still; and, once the pool is gone, its memory.
 */
void revocation_check_stop(struct revocation_check *check);
void revocation_check_free(struct revocation_check *check);
