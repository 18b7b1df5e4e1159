/* A worker fetches the CRL of one certificate. Loop's thread. */
#pragma once

#include "daemon/daemon.h"
#include "enroll/link.h"

struct crl_fetch {
        X509 *cert;
        const struct server_link
                *link; /* its client certificate is for the profile's own server, and not used */
        const struct plan *plan;
        uid_t owner;
};

/* ERR_NOT_FOUND: the certificate names none by http; *ret_other: but by other ways. @done: as workers have
 * it. */
MUST_CHECK enum err crl_fetch_start(struct daemon *d, const struct crl_fetch *what, worker_done *done,
                                    void *ctx, struct worker_job **ret, bool *ret_other, struct error *e);
