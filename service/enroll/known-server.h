/*
 * The server of a certificate that is here, asked beside its requests: what its profile says of it, and whom
 * it has to be. It is reached and believed as a request would be; a certificate whose profile is gone has
 * none.
 */
#pragma once

#include "daemon/daemon.h"
#include "link.h"
#include "scep-wire/ca-choice.h"
#include "scep-wire/exchange.h"
#include "work/workers.h"

struct known_server {
        struct record record; /* of the certificate */
        struct plan plan;
        bool have_plan;
        uid_t owner;
        struct server_link link;
        STACK_OF(X509) * anchors, *followed;
};
void known_server_done(struct known_server *server);

/* Threads of the pool: reads the disk. @ret is done in every case. ERR_NOT_FOUND: it has no profile any more.
 */
MUST_CHECK enum err known_server_load(struct daemon *d, const char *id, uid_t owner, struct known_server *ret,
                                      struct error *e);
/* GetCACaps, GetCACert and what else @want (DISCOVER_…) says, of the first of its URLs that answers. Loop's
 * thread. */
MUST_CHECK enum err known_server_discover(struct daemon *d, const struct known_server *server, uint64_t want,
                                          worker_done *done, void *ctx, struct worker_job **ret,
                                          struct error *e);
/* @url is one of the plan's servers, whatever a worker makes of it. */
bool known_server_is(const struct known_server *server, const char *url);
/* Who the certificates of GetCACert are. Threads of the pool. As ca_choose(). */
MUST_CHECK enum err known_server_choose(const struct known_server *server, const STACK_OF(X509) * certs,
                                        time_t now, struct ca_choice *ret, struct error *e);

/* What of an exchange @plan decides; not its method. */
struct exchange_plan exchange_plan_of(const struct plan *plan);
/* A reply can come to the key of the installed certificate: by key agreement where that is an EC key, which
 * one in a TPM that somebody else made may be unable to. */
bool record_key_receives(const struct record *record);
