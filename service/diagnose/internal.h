/*
 * A diagnosis that runs, and the parts it goes through: each ends by calling the next, and only one is at
 * work. What reads disks or keys runs in a thread, what asks servers in workers, telling in the loop. Inside
 * service/diagnose only.
 */
#pragma once

#include "diagnose.h"
#include "enroll/link.h"
#include "facts/facts.h"
#include "findings.h"
#include "keys/server.h"
#include "policy/profile.h"
#include "revocation/ask.h"

enum { KEPT_MAX = 64 };

/* What a step in a thread found, until the loop tells it. */
struct kept {
        const struct diagnose_row *row;
        char *observed, *remedy;
};

struct diagnosis {
        struct daemon *d;
        struct diagnose_ops ops;
        bool cancelled, busy; /* busy: a step is in a thread */

        store_id profile, certificate; /* "" for none */
        char *url;
        unsigned n_profiles;
        uid_t owner;

        struct record record;
        bool have_record;
        struct profile stored;
        bool have_profile, own_profile;
        struct plan plan;
        bool have_plan;
        STACK_OF(X509) * anchors, *followed; /* followed: rollover/trust.h */
        struct server_link link;
        struct facts_gather *gather;
        struct fact_values *values;
        struct ksp_tpm tpm;

        struct findings findings;
        struct kept kept[KEPT_MAX];
        size_t n_kept;

        size_t at_url;
        bool with_suffix;
        struct worker_job *job;

        STACK_OF(X509) * path; /* the certificate, its issuers, the anchor; NULL: it leads to none */
        int at_cert;
        struct crl_ask *ask;
        struct crl_set crls; /* as they came */
        bool crl_elsewhere;  /* the one that is looked at names places that HTTP does not reach */
        char *crl_from;      /* "http://…", "GetCRL at http://…" */
};

/* Runs @run in a thread of the pool, then tells what it found, then calls @next. */
MUST_CHECK enum err diagnosis_submit(struct diagnosis *x, void (*run)(struct diagnosis *x),
                                     void (*next)(struct diagnosis *x), struct error *e);
/* The same for all steps but the first: where it cannot, the diagnosis ends and @x is gone. */
void diagnosis_in_thread(struct diagnosis *x, void (*run)(struct diagnosis *x),
                         void (*next)(struct diagnosis *x));
/* In the loop: tells what was found since the last time. */
void diagnosis_flush(struct diagnosis *x);
/* Frees @x. @failure: it could not go on; NULL: it is through. */
void diagnosis_end(struct diagnosis *x, const struct error *failure);

/* prepare.c: the profile, what it asks for on this machine, the keys. */
MUST_CHECK enum err diagnosis_prepare(struct diagnosis *x, struct error *e);
/* servers.c: each URL in turn. */
void diagnosis_servers(struct diagnosis *x);
/* certificate.c: the challenge, the last request, the certificate, its revocation and renewal. */
void diagnosis_certificate(struct diagnosis *x);
