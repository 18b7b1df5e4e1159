/*
 * One enrollment, from the plan to the installed certificate. Each step is: work in a thread (keys, messages,
 * disk) or in a worker (network), then a turn of the loop that tells the bus and starts the next step. Order
 * on every edge: disk, then bus, then next action.
 *
 *      read      the profile: which facts it needs; they are gathered
 *      begin     plan and activity "requesting" on disk                        (PROFILE_ACCEPTED)
 *      key       key and transaction id on disk
 *      discover  worker: GetCACaps, GetCACert
 *      choose    chain to the pin, choose by key usage, fix the exchange       (CA_CAPS, CA_CERTS)
 *      build     PKCS#10, signer, pkiMessage; request.der on disk              (REQUEST_GENERATED)
 *      exchange  worker: send, open the reply with one granted decrypt
 *      pending   PENDING: wait, poll, exchange again                           (PENDING, RETRY)
 *      check     the certificate against the plan                              (CERT_ISSUED, CERT_REFUSED)
 *      install   files, then "current"                                         (CERT_INSTALLED)
 *
 * Loop's thread only.
 */
#pragma once

#include "daemon/daemon.h"
#include "policy/plan.h"

/* What an enrollment tells. Calls come from the loop; the certificate's record is on disk by then. */
struct enrollment_ops {
        /* It exists now: @failure NULL; or it could not begin, and @certificate is NULL. Called once, first.
         */
        void (*begun)(void *ctx, struct certificate *certificate, const struct error *failure);
        void *ctx;
};

/* What is needed beside the profile. */
struct enrollment_order {
        const char *profile;     /* id */
        uid_t owner;             /* NO_OWNER: the device */
        struct secret challenge; /* taken over (emptied); empty: what the profile left, or none */
        struct secret pin;       /* the same: of the new key, where it is user-verified */
        bool pin_later;          /* where there is none, its owner's agent is asked */
        /* The profile was edited: nothing is requested where the installed certificate still is what it asks
         * for; the plan is replaced, and begun() gets a certificate at which no enrollment is under way. */
        bool if_needed;
};

/*
 * Begins an enrollment for a new certificate or, where this profile and owner have one that is at rest, for a
 * new generation of it. An order that finds one beginning for the same two joins that, and its challenge
 * is not used. ERR_BUSY where one runs already: the caller looks for that first.
 */
MUST_CHECK enum err enrollment_start(struct daemon *d, struct enrollment_order *order,
                                     const struct enrollment_ops *ops, struct error *e);
/* One of this profile begins: its certificate may not be in the model yet. */
bool enrollment_begins(const struct daemon *d, const char *profile);
/* At the start: secrets of a request that was over when the daemon was killed. */
MUST_CHECK enum err enrollment_sweep(struct daemon *d, const char *id, const struct record *record,
                                     struct error *e);
/* Takes up what was under way when the daemon stopped. */
MUST_CHECK enum err enrollment_resume(struct daemon *d, struct certificate *certificate, struct error *e);
/* What a renewal by hand brings; empty for one whose date has come. */
struct renewal_order {
        bool accept;       /* what differs: enrollment_renew() */
        struct secret pin; /* of its key, taken over (emptied); empty: none */
        bool pin_later;    /* enrollment_order.pin_later */
};

/*
 * Renews it, or tries again what failed; its course is told as that of any enrollment. Names that the profile
 * would give otherwise now are told, and those of the plan are asked for. @order: NULL: an empty one. With
 * its accept, what was kept in refused.pem is installed; or else other names are asked for, as in a first
 * enrollment; without either it is a renewal like any other, and a source of names that does not answer is a
 * failure to begin. @ops: NULL: nobody waits; it may hear ERR_PIN_NEEDED. ERR_BUSY.
 */
MUST_CHECK enum err enrollment_renew(struct daemon *d, struct certificate *certificate,
                                     struct renewal_order *order, const struct enrollment_ops *ops,
                                     struct error *e);
/* Asks to hear of the one that is there: ops->begun() is called as for whoever started it, at once where it
 * runs already. */
MUST_CHECK enum err enrollment_join(struct certificate *certificate, const struct enrollment_ops *ops,
                                    struct error *e);
/* Its CA revoked it: that is put on record and told, and another one is asked for, with a challenge, where
 * its profile is there. A request that waits for its CA puts it on record and goes on waiting. ERR_BUSY. */
struct revocation_found;
MUST_CHECK enum err enrollment_revoked(struct daemon *d, struct certificate *certificate,
                                       const struct revocation_found *found, struct error *e);
/* There is no CRL of it to be had: that is put on record and told, once for a generation. @found is taken
 * over (emptied) unless ERR_BUSY. */
MUST_CHECK enum err enrollment_crl_refused(struct daemon *d, struct certificate *certificate,
                                           struct revocation_found *found, struct error *e);
/* What the CA announced to come after it, or why that was not taken, is put on record and told, by a request
 * that waits for its CA, too; @found is taken over (emptied) unless ERR_BUSY. */
struct rollover_found;
MUST_CHECK enum err enrollment_next_ca(struct daemon *d, struct certificate *certificate,
                                       struct rollover_found *found, struct error *e);
/* The CA has answered PENDING, and nothing is being done until the next poll. */
bool enrollment_waits(const struct enrollment *enrollment);
/* Where it waits to poll: not later than in @seconds. */
void enrollment_poll_soon(struct enrollment *enrollment, uint64_t seconds);
/* The clock was set: what it waits for is thought over. */
void enrollment_clock_stepped(struct enrollment *enrollment);
/* It waits for the values of names, and nothing of it is on the disk: it ends, and who waits for it is told
 * so. false: there is none, or it has begun. */
bool enrollment_give_way(struct certificate *certificate);
/* Ends it: the record says idle again (or what @why says), the request's files are removed. ERR_BUSY while
 * installing. */
MUST_CHECK enum err enrollment_cancel(struct certificate *certificate, struct error *e);
/* Cancels it and tells when it is gone: one at a time, ERR_BUSY otherwise. Not told at the end of the daemon.
 */
MUST_CHECK enum err enrollment_end(struct certificate *certificate, void (*ended)(void *ctx), void *ctx,
                                   struct error *e);
/* At the end of the daemon: lets everything go, without a trace on disk. */
void enrollment_abandon(struct enrollment *enrollment);
/* The same for those that have not begun yet, whose callers are told; before the bus goes. */
void enrollments_stop_beginning(struct daemon *d);
/* Once the pool is gone: the memory of those whose step was in a thread. */
void enrollments_end(struct daemon *d);
