/* The course of an enrollment, in the loop: which step follows which, and what the bus is told in between. */
#include "enrollment.h"

#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "daemon/log.h"
#include "events.h"
#include "internal.h"
#include "policy/command.h"
#include "objects/objects.h"

enum {
        CONNECT_MS = 15 * 1000,
        TOTAL_MS = 60 * 1000, /* a first answer of NDES can take seconds */
        POLL_SLOW = 3600,     /* seconds, once RetryCount is used up */
};

static void next_discover(struct enrollment *en);
static void next_build(struct enrollment *en);
static void next_exchange(struct enrollment *en);
static void fail(struct enrollment *en, const struct error *why);

static void forget_exchange(struct enrollment *en)
{
        bytes_done(&en->caps_body);
        bytes_done(&en->certs_body);
        free(STEAL(en->answered_url));
        if (en->have_choice)
                ca_choice_done(&en->choice);
        en->have_choice = false;
        for (size_t i = 0; i < en->n_issued; i++)
                bytes_done(&en->issued[i]);
        en->n_issued = 0;
}

static void enrollment_free(struct enrollment *en)
{
        if (en->job)
                worker_job_cancel(STEAL(en->job));
        (void)sd_event_source_disable_unref(STEAL(en->timer));
        forget_exchange(en);
        record_done_p(&en->record);
        if (en->have_plan)
                plan_done(&en->plan);
        bytes_done(&en->ca_bundle);
        secret_done(&en->challenge);
        sk_X509_pop_free(en->anchors, X509_free);
        ksp_key_unref(en->key);
        ksp_key_unref(en->transport);
        X509_free(en->signer);
        bytes_done(&en->message);
        if (en->certificate && en->certificate->enrollment == en)
                en->certificate->enrollment = NULL;
        free(en);
}

/* A step in a thread, then @next in the loop. */
struct step {
        struct enrollment *en;
        enum err (*run)(struct enrollment *en, struct error *e);
        void (*next)(struct enrollment *en);
};

static void run_step(void *ctx)
{
        struct step *step = ctx;

        step->en->error = (struct error){0};
        step->en->result = step->run(step->en, &step->en->error);
}

static void end_cancelled(struct enrollment *en);

static void step_done(void *ctx)
{
        struct step *step = ctx;
        struct enrollment *en = step->en;
        void (*next)(struct enrollment *) = step->next;

        free(step);
        en->busy = false;
        if (en->abandoned)
                enrollment_free(en);
        else if (en->cancelled)
                end_cancelled(en);
        else
                next(en);
}

static void begin_step(struct enrollment *en, enum err (*run)(struct enrollment *en, struct error *e),
                       void (*next)(struct enrollment *en))
{
        struct step *step = malloc(sizeof *step);
        struct error e = {0};
        enum err r = step ? ERR_OK : error_no_memory(&e);

        if (!r) {
                *step = (struct step){en, run, next};
                r = pool_submit(en->d->pool, run_step, step_done, step, &e);
        }
        if (r) {
                free(step);
                en->result = r;
                en->error = e;
                next(en);
                return;
        }
        en->busy = true;
}

/* What is on the disk is what the bus shows. */
static void publish(struct enrollment *en, const char *progress)
{
        struct error e = {0};

        if (model_update(en->certificate, &en->record, &e))
                log_error(LOG_ERR, &e);
        en->certificate->progress = progress;
        objects_certificate_changed(en->d, en->certificate);
}

static void after_failure(struct enrollment *en)
{
        if (en->result)
                log_error(LOG_ERR, &en->error);
        publish(en, "");
        enrollment_free(en);
}

/* Refusals that another attempt with the same request cannot change. */
static bool is_final(enum err code)
{
        return code == ERR_SERVER_REFUSED || code == ERR_CERTIFICATE_REFUSED;
}

struct failure {
        struct enrollment *en;
        struct error why;
};

static void run_failure(void *ctx)
{
        struct failure *failure = ctx;

        failure->en->error = (struct error){0};
        failure->en->result =
                step_fail(failure->en, &failure->why, is_final(failure->why.code), &failure->en->error);
}

static void failure_done(void *ctx)
{
        struct failure *failure = ctx;
        struct enrollment *en = failure->en;

        free(failure);
        en->busy = false;
        if (en->abandoned)
                enrollment_free(en);
        else if (en->cancelled)
                end_cancelled(en);
        else
                after_failure(en);
}

static void fail(struct enrollment *en, const struct error *why)
{
        struct failure *failure = malloc(sizeof *failure);

        if (failure) {
                *failure = (struct failure){en, *why};
                if (pool_submit(en->d->pool, run_failure, failure_done, failure, NULL) == ERR_OK) {
                        en->busy = true;
                        return;
                }
        }
        free(failure);
        log_error(LOG_ERR, why);
        enrollment_free(
                en); /* out of memory: the record still says "requesting", and a restart takes it up */
}

static bool failed(struct enrollment *en)
{
        if (!en->result)
                return false;
        if (en->error.code == ERR_OK)
                (void)error_set(&en->error, en->result, "The enrollment failed");
        fail(en, &en->error);
        return true;
}

static void link_options(const struct enrollment *en, struct job_link *ret)
{
        *ret = (struct job_link){.proxy = en->plan.proxy,
                                 .ca_bundle = bytes_view(&en->ca_bundle),
                                 .connect_ms = CONNECT_MS,
                                 .total_ms = TOTAL_MS,
                                 .deny_local = en->deny_local};
}

static void after_install(struct enrollment *en)
{
        if (failed(en))
                return;
        publish(en, "");
        enrollment_free(en);
}

static void after_poll(struct enrollment *en)
{
        if (!failed(en))
                next_exchange(en);
}

static void after_repeated_choice(struct enrollment *en)
{
        if (!failed(en))
                begin_step(en, step_poll, after_poll);
}

static void on_discovered(void *ctx, const struct result *result, const struct error *failure);

static void discover(struct enrollment *en)
{
        static const uint64_t suffixes[] = {
                [SUFFIX_AUTO] = 0, [SUFFIX_NO] = 1, [SUFFIX_YES] = 2}; /* enum scep_suffix */
        struct job job = {.kind = JOB_DISCOVER,
                          .of.discover = {.identifier = en->plan.ca_identifier, .want = DISCOVER_BOTH}};
        struct error e = {0};

        forget_exchange(en);
        for (size_t i = 0; i < en->plan.urls.count && i < JOB_URLS_MAX; i++)
                job.of.discover.urls.at[job.of.discover.urls.n++] = en->plan.urls.items[i];
        job.of.discover.suffix = suffixes[en->plan.suffix];
        link_options(en, &job.of.discover.link);
        if (workers_start(en->d->workers, &job, NULL, en->owner, on_discovered, en, &en->job, &e))
                fail(en, &e);
}

static int on_poll_time(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct enrollment *en = ctx;

        (void)source;
        (void)usec;
        (void)sd_event_source_disable_unref(STEAL(en->timer));
        discover(en); /* RA certificates are read anew before each request */
        return 0;
}

static void wait_for_poll(struct enrollment *en)
{
        uint64_t now = clock_now(&en->d->clock);
        uint64_t seconds = en->record.next_poll > now ? en->record.next_poll - now : 0;
        int r = sd_event_add_time_relative(en->d->event, &en->timer, CLOCK_BOOTTIME,
                                           clock_wait_usec(&en->d->clock, seconds), 0, on_poll_time, en);

        if (r < 0) {
                struct error e = {0};

                (void)errno_error(&e, -r, "The event loop took no timer");
                fail(en, &e);
        }
}

static enum err step_pending(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        uint64_t now = clock_now(&en->d->clock), delay = (uint64_t)en->plan.retry_delay * 60;

        if (!record->pending_since) {
                const struct event_field fields[] = {{"transaction", record->transaction}, {NULL, NULL}};

                record->pending_since = now;
                event_record(en->d->store, &en->d->clock, en->id, record->name, 2, "pending",
                             "The CA wants a person to approve the request", fields);
        } else {
                record->polls++;
        }
        if (now - record->pending_since >= en->plan.pending_limit)
                return error_set(e, ERR_SERVER_REFUSED, "The request was not approved within %llu hours",
                                 (unsigned long long)en->plan.pending_limit / 3600);
        record->next_poll = now + (record->polls < en->plan.retry_count ? delay : POLL_SLOW);
        return record_move(en, LIFE_PENDING, e);
}

static void after_pending(struct enrollment *en)
{
        if (failed(en))
                return;
        publish(en, "pending");
        wait_for_poll(en);
}

static enum err keep_issued(struct enrollment *en, const struct result_exchanged *reply, struct error *e)
{
        en->reply_notes = (unsigned)reply->notes;
        for (size_t i = 0; i < reply->certs.n && i < JOB_CERTS_MAX; i++) {
                enum err r = bytes_copy(&en->issued[i], reply->certs.at[i].data, reply->certs.at[i].len, e);

                if (r)
                        return r;
                en->n_issued = i + 1;
        }
        return ERR_OK;
}

static void refused(struct enrollment *en, const struct result_exchanged *reply)
{
        const enum scep_fail info = (enum scep_fail)reply->fail;
        const char *name = reply->has_hresult ? scep_hresult_name((uint32_t)reply->hresult) : NULL;
        char hresult[64] = "";
        struct error e = {0};

        if (reply->has_hresult)
                (void)snprintf(hresult, sizeof hresult, "; HRESULT 0x%08x%s%s", (unsigned)reply->hresult,
                               name ? " " : "", name ? name : "");
        (void)error_set(&e, ERR_SERVER_REFUSED, "The server refused the request: %s (%s)%s%s%s",
                        scep_fail_name(info), scep_fail_meaning(info), hresult,
                        reply->text ? "; it says: " : "", reply->text ? reply->text : "");
        /* CERTSRV_E_UNSUPPORTED_CERT_TYPE: the CA does not know the template (NDES: event 31). */
        if (reply->has_hresult && reply->hresult == 0x80094800)
                (void)error_remedy(&e, ERR_SERVER_REFUSED,
                                   "On the server: publish the template at the CA, and see that NDES's registry holds its "
                                   "name, not its display name.");
        else
                (void)error_remedy(&e, ERR_SERVER_REFUSED, "%s", scep_fail_remedy(info));
        fail(en, &e);
}

static void on_exchanged(void *ctx, const struct result *result, const struct error *failure)
{
        struct enrollment *en = ctx;
        struct error e = {0};

        en->job = NULL;
        if (failure) {
                fail(en, failure);
                return;
        }
        switch ((enum scep_status)result->of.exchanged.status) {
        case SCEP_SUCCESS:
                if (keep_issued(en, &result->of.exchanged, &e)) {
                        fail(en, &e);
                        return;
                }
                publish(en, "check");
                begin_step(en, step_install, after_install);
                return;
        case SCEP_PENDING:
                begin_step(en, step_pending, after_pending);
                return;
        case SCEP_FAILURE:
                refused(en, &result->of.exchanged);
                return;
        }
        (void)error_set(&e, ERR_PROTOCOL, "The worker told a status that does not exist");
        fail(en, &e);
}

static void next_exchange(struct enrollment *en)
{
        struct job job = {.kind = JOB_EXCHANGE};
        struct job_exchange *exchange = &job.of.exchange;
        const struct worker_grant grant = {request_key(en), en->owner == NO_OWNER ? 0 : en->owner};
        struct bytes signers[JOB_CERTS_MAX] = {{0}}, recipient = {0};
        struct error e = {0};
        enum err r = x509_der(en->signer, &recipient, &e);

        *exchange =
                (struct job_exchange){.url = en->record.request_url,
                                      .post = en->exchange.post,
                                      .type = (uint64_t)en->type,
                                      .request = bytes_view(&en->message),
                                      .transaction = en->record.transaction,
                                      .nonce = {en->nonce, sizeof en->nonce},
                                      .recipient = bytes_view(&recipient),
                                      .allow = en->plan.allow_legacy & LEGACY_DES ? EXCHANGE_ALLOW_DES : 0};
        link_options(en, &exchange->link);
        for (int i = 0; !r && i < sk_X509_num(en->choice.signers) && i < JOB_CERTS_MAX; i++) {
                r = x509_der(sk_X509_value(en->choice.signers, i), &signers[i], &e);
                exchange->signers.at[exchange->signers.n++] = bytes_view(&signers[i]);
        }
        if (!r)
                r = workers_start(en->d->workers, &job, &grant, en->owner, on_exchanged, en, &en->job, &e);
        for (size_t i = 0; i < JOB_CERTS_MAX; i++)
                bytes_done(&signers[i]);
        bytes_done(&recipient);
        if (r)
                fail(en, &e);
}

static void after_build(struct enrollment *en)
{
        if (failed(en))
                return;
        publish(en, "request");
        next_exchange(en);
}

static void next_build(struct enrollment *en)
{
        if (!failed(en))
                begin_step(en, step_build, after_build);
}

static void on_discovered(void *ctx, const struct result *result, const struct error *failure)
{
        struct enrollment *en = ctx;
        const struct result_discovered *found;
        struct error e = {0};
        enum err r;

        en->job = NULL;
        if (failure) {
                fail(en, failure);
                return;
        }
        found = &result->of.discovered;
        r = bytes_copy(&en->certs_body, found->certs.data, found->certs.len, &e);
        if (!r && found->caps_status == 200)
                r = bytes_copy(&en->caps_body, found->caps.data, found->caps.len, &e);
        if (!r)
                r = record_set_text(&en->answered_url, found->url, &e);
        if (r) {
                fail(en, &e);
                return;
        }
        begin_step(en, step_choose,
                   en->certificate->activity == ACTIVITY_PENDING ? after_repeated_choice : next_build);
}

static void next_discover(struct enrollment *en)
{
        if (failed(en))
                return;
        publish(en, "discover");
        discover(en);
}

static void next_key(struct enrollment *en)
{
        publish(en, "key");
        begin_step(en, step_key, next_discover);
}

static void after_begin(struct enrollment *en)
{
        struct error e = en->error;

        if (!en->result && !en->certificate) {
                en->result = model_add(en->d->model, en->id, &en->record, &en->certificate, &e);
                if (!en->result)
                        objects_certificate_added(en->d, en->certificate);
        }
        if (en->result) {
                if (e.code == ERR_OK)
                        (void)error_set(&e, en->result, "The enrollment could not begin");
                en->ops.begun(en->ops.ctx, NULL, &e);
                enrollment_free(en);
                return;
        }
        en->certificate->enrollment = en;
        next_key(en);
        en->ops.begun(en->ops.ctx, en->certificate, NULL);
}

/* NULL: no memory. */
static struct enrollment *enrollment_new(struct daemon *d)
{
        struct enrollment *en = calloc(1, sizeof *en);

        if (en)
                en->d = d;
        return en;
}

enum err enrollment_start(struct daemon *d, struct enrollment_order *order, const struct enrollment_ops *ops,
                          struct error *e)
{
        struct certificate *existing = model_find_origin(d->model, order->profile, order->owner);
        struct enrollment *en;
        enum err r;

        if (existing && existing->enrollment)
                return error_set(e, ERR_BUSY, "An enrollment of '%s' is under way already", existing->name);
        en = enrollment_new(d);
        if (!en)
                return error_no_memory(e);
        en->ops = *ops;
        en->owner = order->owner;
        en->challenge = order->challenge;
        order->challenge = (struct secret){0};
        en->certificate = existing;
        if (existing) {
                memcpy(en->id, existing->id, sizeof en->id);
                r = store_record_read(d->store, en->id, &en->record, e);
        } else {
                r = store_new_id(en->id, e);
                if (!r)
                        r = record_new(&en->record, e);
                if (!r)
                        r = record_set_text(&en->record.activity, activity_name(ACTIVITY_IDLE), e);
                if (!r)
                        r = record_set_text(&en->record.profile, order->profile, e);
        }
        if (r) {
                enrollment_free(en);
                return r;
        }
        if (existing)
                existing->enrollment = en; /* a second request finds it */
        begin_step(en, step_begin, after_begin);
        return ERR_OK;
}

/* What a restart finds: the plan in the record, the challenge in its file, the key where it was put. */
static enum err step_resume(struct enrollment *en, struct error *e)
{
        CLEANUP(secret_done) struct secret bundle = {0};
        CLEANUP(close_p) int fd = -1;
        uint64_t current;
        enum err r = plan_from_pairs(&en->record.plan, &en->plan, e);

        if (r)
                return r;
        en->have_plan = true;
        en->generation = en->record.requested;
        r = store_current(en->d->store, en->id, &current, e);
        if (!r)
                r = resume_anchors(en, e);
        if (r)
                return r;
        if (store_file_read(en->d->store, STORE_PROFILES, en->record.profile, "ca-bundle.pem", &bundle,
                            NULL) == ERR_OK)
                r = bytes_copy(&en->ca_bundle, bundle.data, bundle.len, e);
        if (!r && store_generation(en->d->store, en->id, en->generation, false, &fd, NULL) == ERR_OK &&
            file_read_secret(fd, "challenge", COMMAND_CHALLENGE_MAX, &en->challenge, NULL))
                secret_done(&en->challenge);
        if (!r && current && current == en->generation)
                return step_finish_install(en, e);
        return r ? r : step_key(en, e);
}

static void after_resume(struct enrollment *en)
{
        if (failed(en))
                return;
        if (en->record.requested == 0) { /* it was installed but for the record */
                publish(en, "");
                enrollment_free(en);
                return;
        }
        if (en->certificate->activity == ACTIVITY_PENDING) {
                publish(en, "pending");
                wait_for_poll(en);
        } else {
                next_discover(en);
        }
}

enum err enrollment_resume(struct daemon *d, struct certificate *certificate, struct error *e)
{
        struct enrollment *en = enrollment_new(d);
        enum err r;

        if (!en)
                return error_no_memory(e);
        memcpy(en->id, certificate->id, sizeof en->id);
        en->owner = certificate->owner;
        r = store_record_read(d->store, en->id, &en->record, e);
        if (r) {
                enrollment_free(en);
                return r;
        }
        en->certificate = certificate;
        certificate->enrollment = en;
        begin_step(en, step_resume, after_resume);
        return ERR_OK;
}

static enum err step_cancel(struct enrollment *en, struct error *e)
{
        enum err r = record_move(en, LIFE_CANCEL, e);

        return r ? r : request_files_remove(en, e);
}

static void after_cancel(struct enrollment *en)
{
        if (en->result)
                log_error(LOG_ERR, &en->error);
        publish(en, "");
        enrollment_free(en);
}

static void end_cancelled(struct enrollment *en)
{
        en->cancelled = false;
        if (strcmp(en->record.activity, activity_name(ACTIVITY_IDLE)) == 0 ||
            strcmp(en->record.activity, activity_name(ACTIVITY_FAILED)) == 0)
                after_cancel(en); /* it ended by itself meanwhile */
        else
                begin_step(en, step_cancel, after_cancel);
}

enum err enrollment_cancel(struct certificate *certificate, struct error *e)
{
        struct enrollment *en = certificate->enrollment;
        enum activity next;
        enum err r = lifecycle_next(certificate->activity, LIFE_CANCEL, &next, e);

        if (r)
                return r;
        if (!en)
                return error_set(e, ERR_NOT_FOUND, "Nothing is under way that could be cancelled");
        if (en->job)
                worker_job_cancel(STEAL(en->job));
        (void)sd_event_source_disable_unref(STEAL(en->timer));
        en->cancelled = true;
        if (!en->busy)
                end_cancelled(en);
        return ERR_OK;
}

void enrollment_abandon(struct enrollment *en)
{
        if (en->busy)
                en->abandoned = true;
        else
                enrollment_free(en);
}
