/*
 * Jobs for workers: one process per job, on one stream, with a deadline. How many run at once is bounded; the
 * rest waits in line. A job ends with exactly one call of its done function: an explicit result, or an error
 * (the worker ended without one, the deadline passed, it broke the protocol). Loop's thread only.
 *
 * Started as systemd has them (a connection to a socket under /run/scepter), or, for tests and the lab,
 * exec'd on a socketpair; never one as the fallback of the other.
 */
#pragma once

#include "base/secret.h"
#include "ksp.h"
#include "work/pool.h"
#include "worker/protocol.h"

struct workers;
struct worker_job;
struct sd_event;

struct workers_config {
        struct sd_event *event;
        struct pool *pool;
        struct ksp *ksp;
        /* Paths of the programs to start; NULL: connect to the sockets. */
        const char *network, *parse;
        bool weak;           /* pass --weak-workers */
        const char *runtime; /* directory of the sockets */
};
MUST_CHECK enum err workers_new(const struct workers_config *config, struct workers **ret, struct error *e);
/* Ends what runs; nobody is told any more. Takes NULL. */
void workers_free(struct workers *workers);

/* The private operations a network job may ask for; references are taken. */
struct worker_grant {
        struct ksp_key *key;  /* one decrypt, of an EC key one derive; NULL: none */
        struct view pin;      /* of that key, known to be right; copied; empty: it wants none */
        struct view password; /* or, instead, one unwrap; copied; empty: none */
        uid_t uid;
        struct ksp_key *tls; /* GRANT_TLS_SIGNATURES signatures for TLS 1.3; NULL: none */
        bool more;           /* another job of the kind follows: workers_warm() once this one runs */
};

/* @failure NULL: *result, borrowed until this returns. */
typedef void worker_done(void *ctx, const struct result *result, const struct error *failure);

/*
 * @job is encoded before this returns. @owner: on whose behalf (uid 0 and the device share one class).
 * ERR_LIMIT: too much is waiting already. On an error @done is not called.
 */
MUST_CHECK enum err workers_start(struct workers *workers, const struct job *job,
                                  const struct worker_grant *grant, uid_t owner, worker_done *done, void *ctx,
                                  struct worker_job **ret, struct error *e);
/* Starts a process ahead of a job of this kind that is about to come, while other work is done; unused, it
 * ends after some seconds. It reads one job like any other. */
void workers_warm(struct workers *workers, enum job_kind kind);
/* Ends the job without calling its done function. */
void worker_job_cancel(struct worker_job *job);
