/* How a profile wants its server reached: addresses, whose TLS certificates, and who we are there. */
#pragma once

#include "daemon/daemon.h"
#include "ksp.h"
#include "policy/plan.h"
#include "worker/protocol.h"

struct server_link {
        struct bytes ca_bundle;             /* PEM; empty: the system's */
        struct bytes client[JOB_CERTS_MAX]; /* DER; ClientCertificate=, its issuers behind it */
        size_t n_client;
        struct ksp_key *client_key; /* NULL: no client certificate */
};
void server_link_done(struct server_link *link);

/* From the files of the profile @id, those its settings CaBundle and ClientCertificate name (NULL: none); a
 * thread of the pool. ERR_CONFIG: one is not there, which is no reason to do without. */
MUST_CHECK enum err server_link_load(struct daemon *d, const char *id, const char *bundle, const char *client,
                                     struct server_link *link, struct error *e);
/* @plan NULL: no proxy, any address. Borrows from both. */
void server_link_fill(const struct server_link *link, const struct plan *plan, struct job_link *ret);
