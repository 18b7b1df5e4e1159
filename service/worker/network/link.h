/* How a job reaches its server: the record's words as options of scep-http. Inside this folder only. */
#pragma once

#include "base/ossl.h"
#include "network/network.h"
#include "scep-http/http.h"

struct link {
        struct http_options options; /* borrows from the job and from what follows */
        struct http_client client;
        STACK_OF(X509) * chain;
        struct http_session *session;
};

/* *ret must be empty and must not move. ERR_PROTOCOL: the job has a client certificate and @client is NULL.
 */
MUST_CHECK enum err link_open(const struct job_link *job, const struct network_client *client,
                              struct link *ret, struct error *e);
void link_done(struct link *link);
