/*
 * One look at what the CA of a certificate announces to come after it (RFC 8894 §4.7): a worker fetches
 * GetCACaps, GetCACert and, where it is listed, GetNextCACert; a thread judges it. Nothing is written here.
 * Loop's thread only.
 */
#pragma once

#include "daemon/daemon.h"

struct rollover_found {
        X509 *anchor;         /* what the CA leads to; NULL: nothing is known of the next one */
        X509 *next;           /* and the next one, which was not known before; NULL: there is none, or: */
        struct error refused; /* why what is announced was not taken */
        char *url;            /* of the server that answered */
};
void rollover_found_done(struct rollover_found *found);

struct rollover_look;

/* @done once, in a later turn; what could not be looked at tells nothing. What @done takes out of @found is
 * its own. */
MUST_CHECK enum err rollover_look_start(struct daemon *d, const struct certificate *certificate,
                                        void (*done)(struct daemon *d, void *ctx,
                                                     struct rollover_found *found),
                                        void *ctx, struct rollover_look **ret, struct error *e);
/* done() is not called. */
void rollover_look_cancel(struct rollover_look *look);
/* At the end of the daemon, before the workers go: it stands still; and, once the pool is gone, its memory.
 */
void rollover_look_stop(struct rollover_look *look);
void rollover_look_free(struct rollover_look *look);
