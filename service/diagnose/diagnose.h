/*
 * A diagnosis: the steps from the profile to the certificate in the order of their communication, one after
 * the other, each told as soon as it is known. No challenge is spent and nothing is changed. Loop's thread.
 */
#pragma once

#include "codes.h"
#include "daemon/daemon.h"

struct diagnose_target {
        const char *profile;     /* id, or NULL */
        const char *certificate; /* id, or NULL */
        const char *url;         /* alone; NULL otherwise */
        unsigned n_profiles;     /* of none of the three: how many the caller sees */
        uid_t owner;             /* for whom a profile is resolved; NO_OWNER: the device */
};

struct diagnose_ops {
        void (*found)(void *ctx, const struct diagnose_row *row, const char *observed, const char *remedy);
        /* Once, last; @failure: it could not go on. */
        void (*done)(void *ctx, const struct error *failure);
        void *ctx;
};

struct diagnosis;

/* Calls come in later turns. *ret is valid until done() was called. */
MUST_CHECK enum err diagnosis_start(struct daemon *d, const struct diagnose_target *target,
                                    const struct diagnose_ops *ops, struct diagnosis **ret, struct error *e);
/* Nobody listens any more: done() is not called. */
void diagnosis_cancel(struct diagnosis *x);
