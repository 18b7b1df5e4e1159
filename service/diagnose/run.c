/* The order of a diagnosis: what reads disks or keys in a thread, what asks servers in workers, telling in
 * the loop. */
#include "diagnose.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "enroll/anchors.h"
#include "enroll/link.h"
#include "facts/facts.h"
#include "findings.h"
#include "policy/command.h"
#include "policy/profile.h"

enum { KEPT_MAX = 64, PROBE_URLS_MAX = JOB_URLS_MAX };

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
        uid_t owner;

        struct record record;
        bool have_record;
        struct profile stored;
        bool have_profile, own_profile;
        struct plan plan;
        bool have_plan;
        STACK_OF(X509) * anchors;
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
};

static void drop_kept(struct diagnosis *x)
{
        for (size_t i = 0; i < x->n_kept; i++) {
                free(x->kept[i].observed);
                free(x->kept[i].remedy);
        }
        x->n_kept = 0;
}

static void diagnosis_free(struct diagnosis *x)
{
        drop_kept(x);
        facts_gather_cancel(x->gather);
        fact_values_free(x->values);
        if (x->job)
                worker_job_cancel(x->job);
        record_done_p(&x->record);
        profile_done(&x->stored);
        if (x->have_plan)
                plan_done(&x->plan);
        sk_X509_pop_free(x->anchors, X509_free);
        server_link_done(&x->link);
        free(x->url);
        free(x);
}

static void keep(void *ctx, const struct diagnose_row *row, const char *observed, const char *remedy)
{
        struct diagnosis *x = ctx;
        struct kept *kept = &x->kept[x->n_kept];

        if (x->n_kept == KEPT_MAX)
                return;
        *kept = (struct kept){row, strdup(observed), strdup(remedy)};
        x->n_kept++;
}

/* In the loop: what was found since the last time. */
static void flush(struct diagnosis *x)
{
        for (size_t i = 0; i < x->n_kept; i++)
                if (x->kept[i].observed && x->kept[i].remedy)
                        x->ops.found(x->ops.ctx, x->kept[i].row, x->kept[i].observed, x->kept[i].remedy);
        drop_kept(x);
}

static void end(struct diagnosis *x, const struct error *failure)
{
        const struct diagnose_ops ops = x->ops;

        flush(x);
        diagnosis_free(x);
        ops.done(ops.ctx, failure);
}

/* A step in a thread, then @next in the loop. */
struct step {
        struct diagnosis *x;
        void (*run)(struct diagnosis *x);
        void (*next)(struct diagnosis *x);
};

static void run_step(void *ctx)
{
        struct step *step = ctx;

        step->run(step->x);
}

static void step_done(void *ctx)
{
        struct step *step = ctx;
        struct diagnosis *x = step->x;
        void (*next)(struct diagnosis *) = step->next;

        free(step);
        x->busy = false;
        if (x->cancelled) {
                diagnosis_free(x);
                return;
        }
        flush(x);
        next(x);
}

static void in_thread(struct diagnosis *x, void (*run)(struct diagnosis *x),
                      void (*next)(struct diagnosis *x))
{
        struct step *step = malloc(sizeof *step);
        struct error e = {0};
        enum err r = step ? ERR_OK : error_no_memory(&e);

        if (!r) {
                *step = (struct step){x, run, next};
                r = pool_submit(x->d->pool, run_step, step_done, step, &e);
        }
        if (r) {
                free(step);
                end(x, &e);
                return;
        }
        x->busy = true;
}

/* Last: what this machine has of it. */

static void run_local(struct diagnosis *x)
{
        const uint64_t now = clock_now(&x->d->clock);
        CLEANUP(secret_done) struct secret challenge = {0};
        CLEANUP(close_p) int fd = -1;
        uint64_t since = 0;

        if (!x->have_plan)
                return;
        if (*x->profile && store_file_read(x->d->store, STORE_PROFILES, x->profile, "challenge", &challenge,
                                           NULL) == ERR_OK) {
                since = store_file_time(x->d->store, STORE_PROFILES, x->profile, "challenge");
        } else if (x->have_record && x->record.requested &&
                   store_generation(x->d->store, x->certificate, x->record.requested, false, &fd, NULL) ==
                           ERR_OK &&
                   file_read_secret(fd, "challenge", COMMAND_CHALLENGE_MAX, &challenge, NULL) == ERR_OK) {
                since = x->record.activity_since;
        }
        if (challenge.len || !x->have_record || !x->record.current) /* renewals need none */
                findings_challenge(&x->findings, &x->plan, secret_view(&challenge), since, now);
        /* nothing was requested: an empty one says so */
        if (!x->have_record && record_new(&x->record, NULL))
                return;
        findings_request(&x->findings, &x->record);
        findings_certificate(&x->findings, x->d->store, x->d->ksp, x->certificate, &x->record, now);
        findings_renewal(&x->findings, &x->record, now);
}

static void after_local(struct diagnosis *x)
{
        end(x, NULL);
}

/* The servers, one after the other. */

static void next_url(struct diagnosis *x);

static const char *url_at(const struct diagnosis *x)
{
        if (x->url)
                return x->at_url == 0 ? x->url : NULL;
        return x->have_plan && x->at_url < x->plan.urls.count && x->at_url < PROBE_URLS_MAX
                       ? x->plan.urls.items[x->at_url]
                       : NULL;
}

static bool is_missing(const struct probe_answer *a)
{
        return a->asked && a->http.status == 404;
}

static void on_probed(void *ctx, const struct result *result, const struct error *failure)
{
        struct diagnosis *x = ctx;
        const struct result_probed *p;
        struct server_view view = {.plan = x->have_plan ? &x->plan : NULL,
                                   .anchors = x->anchors,
                                   .now = (int64_t)clock_now(&x->d->clock)};

        x->job = NULL;
        if (failure) {
                findings_say(&x->findings, DIAGNOSE_URL_STATUS, failure->remedy, "%s", failure->message);
        } else {
                p = &result->of.probed;
                if (!x->with_suffix && (!x->have_plan || x->plan.suffix == SUFFIX_AUTO) &&
                    is_missing(&p->caps) && is_missing(&p->certs)) {
                        x->with_suffix = true; /* NDES may be known by its historic path alone */
                        next_url(x);
                        return;
                }
                if (findings_network(&x->findings, p)) {
                        findings_caps(&x->findings, &p->caps, &view);
                        findings_ca(&x->findings, &p->certs, &view);
                }
        }
        flush(x);
        x->at_url++;
        x->with_suffix = x->have_plan && x->plan.suffix == SUFFIX_YES;
        next_url(x);
}

static void next_url(struct diagnosis *x)
{
        const struct worker_grant grant = {.uid = x->owner == NO_OWNER ? 0 : x->owner,
                                           .tls = x->link.client_key};
        struct job job = {.kind = JOB_PROBE};
        struct error e = {0};

        job.of.probe.url = url_at(x);
        if (!job.of.probe.url) {
                in_thread(x, run_local, after_local);
                return;
        }
        job.of.probe.identifier = x->have_plan ? x->plan.ca_identifier : NULL;
        job.of.probe.with_suffix = x->with_suffix;
        server_link_fill(&x->link, x->have_plan ? &x->plan : NULL, &job.of.probe.link);
        if (workers_start(x->d->workers, &job, &grant, x->owner, on_probed, x, &x->job, &e))
                end(x, &e);
}

/* Second: the keys, and what the network steps need. */

/* Of a certificate whose profile is gone. */
static bool load_own_anchor(struct diagnosis *x)
{
        X509 *anchor = NULL;

        x->anchors = sk_X509_new_null();
        if (!x->anchors ||
            store_pem_read(x->d->store, STORE_CERTIFICATES, x->certificate, "anchor.pem", &anchor, NULL))
                return false;
        if (sk_X509_push(x->anchors, anchor))
                return true;
        X509_free(anchor);
        return false;
}

static void run_keys(struct diagnosis *x)
{
        struct error e = {0};

        ksp_tpm(x->d->ksp, &x->tpm);
        findings_keys(&x->findings, x->have_plan ? &x->plan : NULL, &x->tpm, x->d->has_host_secret);
        if (!x->have_plan)
                return;
        if (x->plan.key_usage == KEY_USAGE_KEY_ENCIPHERMENT)
                findings_say(&x->findings, DIAGNOSE_PROFILE_ENCIPHERMENT, NULL,
                             "KeyUsage is keyEncipherment alone");
        if (x->have_profile ? anchors_load(x->d->store, x->profile, x->owner, &x->anchors, &e) == ERR_OK
                            : load_own_anchor(x))
                anchors_add_system(x->anchors, &x->plan.thumbprint);
        if (x->have_profile && server_link_load(x->d, x->profile, x->stored.ca_bundle,
                                                x->stored.client_certificate, &x->link, &e))
                findings_say(&x->findings, DIAGNOSE_PROFILE_UNREADABLE, e.remedy, "%s", e.message);
}

static void after_keys(struct diagnosis *x)
{
        x->with_suffix = x->have_plan && x->plan.suffix == SUFFIX_YES;
        next_url(x);
}

/* First: the profile, and what it asks for on this machine. */

static void run_plan(struct diagnosis *x)
{
        const struct facts facts = facts_of(x->values);
        const struct plan_input input = {&x->stored, &facts, (enum policy_protection)x->d->config.protection,
                                         x->d->device_id};
        struct error e = {0};
        enum err r = plan_make(&input, &x->plan, &e);

        x->have_plan = r == ERR_OK;
        if (r == ERR_OK) {
                x->plan.deny_local = x->own_profile;
                findings_say(&x->findings, DIAGNOSE_PROFILE_OK, NULL, "Profile '%s' can be resolved",
                             x->stored.name);
                return;
        }
        findings_say(&x->findings,
                     r == ERR_VARIABLE                                        ? DIAGNOSE_PROFILE_VARIABLE
                     : r == ERR_TIMEOUT || r == ERR_NO_SERVICE || r == ERR_IO ? DIAGNOSE_PROFILE_SOURCE
                                                                              : DIAGNOSE_PROFILE_INVALID,
                     e.remedy, "%s", e.message);
        /* the certificate's own plan shows what the rest is about */
        if (x->have_record && plan_from_pairs(&x->record.plan, &x->plan, NULL) == ERR_OK)
                x->have_plan = true;
}

static void after_plan(struct diagnosis *x)
{
        in_thread(x, run_keys, after_keys);
}

static void gathered(void *ctx, struct fact_values *values)
{
        struct diagnosis *x = ctx;

        x->gather = NULL;
        x->values = values;
        in_thread(x, run_plan, after_plan);
}

static void run_read(struct diagnosis *x)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        struct error e = {0};
        enum err r;

        if (*x->certificate) {
                x->have_record = store_record_read(x->d->store, x->certificate, &x->record, &e) == ERR_OK;
                if (!x->have_record) {
                        findings_say(&x->findings, DIAGNOSE_CERTIFICATE_UNREADABLE, e.remedy, "%s",
                                     e.message);
                        return;
                }
                (void)snprintf(x->profile, sizeof x->profile, "%s", x->record.profile);
        }
        if (x->url)
                return;
        r = store_profile_read(x->d->store, x->profile, &stored, &e);
        if (r == ERR_NOT_FOUND && x->have_record) {
                findings_say(&x->findings, DIAGNOSE_PROFILE_REMOVED, NULL, "The profile of '%s' is gone",
                             x->record.name);
                x->have_plan = plan_from_pairs(&x->record.plan, &x->plan, NULL) == ERR_OK;
                return;
        }
        if (!r)
                r = profile_from_settings(&stored.settings, /* have_anchor= */ true, &x->stored, &e);
        x->have_profile = r == ERR_OK;
        x->own_profile = stored.owner != NO_OWNER && !stored.managed;
        if (r)
                findings_say(&x->findings, DIAGNOSE_PROFILE_UNREADABLE, e.remedy, "%s", e.message);
}

static void after_read(struct diagnosis *x)
{
        uint32_t needed = x->have_profile ? variables_needed(&x->stored) : 0;
        struct error e = {0};

        if (!x->have_profile)
                in_thread(x, run_keys, after_keys);
        else if (!needed)
                in_thread(x, run_plan, after_plan);
        else if (facts_gather(x->d, x->owner, needed, gathered, x, &x->gather, &e))
                end(x, &e);
}

enum err diagnosis_start(struct daemon *d, const struct diagnose_target *target,
                         const struct diagnose_ops *ops, struct diagnosis **ret, struct error *e)
{
        struct diagnosis *x = calloc(1, sizeof *x);
        struct step *step = malloc(sizeof *step);
        enum err r = x && step ? ERR_OK : error_no_memory(e);

        if (!r) {
                x->d = d;
                x->ops = *ops;
                x->owner = target->owner;
                x->findings = (struct findings){keep, x, 0};
                (void)snprintf(x->profile, sizeof x->profile, "%s", target->profile ? target->profile : "");
                (void)snprintf(x->certificate, sizeof x->certificate, "%s",
                               target->certificate ? target->certificate : "");
                x->url = target->url ? strdup(target->url) : NULL;
                if (target->url && !x->url)
                        r = error_no_memory(e);
        }
        if (!r) {
                *step = (struct step){x, run_read, after_read};
                r = pool_submit(d->pool, run_step, step_done, step, e);
        }
        if (r) {
                free(step);
                if (x)
                        diagnosis_free(x);
                return r;
        }
        x->busy = true;
        *ret = x;
        return ERR_OK;
}

void diagnosis_cancel(struct diagnosis *x)
{
        x->cancelled = true;
        if (!x->busy)
                diagnosis_free(x);
}
