/*
 * The last way to a CRL (RFC 8894 §2.7, §4.6): the server of a certificate that names none by http is asked
 * for it by GetCRL, with a message that the certificate's own key signs. Steps: the disk (a thread);
 * GetCACaps and GetCACert (a worker); the message to the recipient that leads to the profile's anchor (a
 * thread, which waits for the key); the exchange (a worker, with one operation of that key). What comes is
 * judged by who asked. Loop's thread only.
 */
#pragma once

#include "daemon/daemon.h"
#include "worker/protocol.h"

struct crl_ask;

/* Borrowed until done() returns. */
struct crl_asked {
        const char *url;              /* of the server that was asked; NULL: it did not come to that */
        const struct job_blobs *crls; /* DER, nothing checked; NULL with a failure */
        bool refused;                 /* with a failure: this server gives no CRL, today or tomorrow */
};
/* @failure NULL: there is at least one CRL. The ask is gone when this returns. */
typedef void crl_ask_done(void *ctx, const struct crl_asked *asked, const struct error *failure);

/* Of the installed certificate @id. @done once, in a later turn. @failure ERR_NOT_FOUND: nobody can be asked,
 * since its profile is gone. */
MUST_CHECK enum err crl_ask_start(struct daemon *d, const char *id, uid_t owner, crl_ask_done *done,
                                  void *ctx, struct crl_ask **ret, struct error *e);
/* done() is not called. Takes NULL. */
void crl_ask_cancel(struct crl_ask *ask);
/* At the end of the daemon, before the workers go: it stands still; and, once the pool is gone, its memory.
 * Take NULL. */
void crl_ask_stop(struct crl_ask *ask);
void crl_ask_free(struct crl_ask *ask);
