/* The course of an enrollment, in the loop: which step follows which, and what the bus is told in between. */
#include "enrollment.h"

#include <stdio.h>
#include <string.h>

#include "afterwards.h"
#include "agent.h"
#include "base/ossl.h"
#include "base/parse.h"
#include "daemon/intact.h"
#include "daemon/log.h"
#include "due.h"
#include "internal.h"
#include "policy/command.h"
#include "objects/ask.h"
#include "keys/groups.h"
#include "objects/objects.h"
#include "tell.h"

enum { TAKE_UP_AFTER = 60 }; /* seconds */

void enrollment_forget_exchange(struct enrollment *en)
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

void enrollment_forget_sources(struct enrollment *en)
{
        profile_done(&en->stored);
        fact_values_free(STEAL(en->facts));
}

static void forget_beginning(struct enrollment *en)
{
        for (struct enrollment **p = &en->d->beginning; *p; p = &(*p)->next)
                if (*p == en) {
                        *p = en->next;
                        return;
                }
}

void enrollment_free(struct enrollment *en)
{
        void (*ended)(void *) = en->abandoned ? NULL : en->ended;
        void *ended_ctx = en->ended_ctx;
        struct daemon *d = en->d;
        const uid_t owner = en->owner;
        struct afterwards *afterwards = NULL;
        struct waiter *waiters = STEAL(en->waiters);
        struct error e = {0};

        if (en->job)
                worker_job_cancel(STEAL(en->job));
        (void)sd_event_source_disable_unref(STEAL(en->timer));
        facts_gather_cancel(STEAL(en->gather));
        agent_question_free(STEAL(en->question));
        enrollment_forget_sources(en);
        enrollment_forget_exchange(en);
        record_done_p(&en->record);
        if (en->have_plan)
                plan_done(&en->plan);
        server_link_done(&en->link);
        revocation_found_done(&en->revoked);
        rollover_found_done(&en->found);
        secret_done(&en->challenge);
        secret_done(&en->pin);
        free(en->agent);
        sk_X509_pop_free(en->anchors, X509_free);
        ksp_key_unref(en->key);
        ksp_key_unref(en->transport);
        ksp_key_unref(en->old_key);
        X509_free(en->old_cert);
        X509_free(en->signer);
        bytes_done(&en->message);
        if (en->certificate && en->certificate->enrollment == en) {
                en->certificate->enrollment = NULL;
                en->certificate->noting = false;
                afterwards = STEAL(en->certificate->afterwards);
                due_asked(en->d, en->certificate, en->caps_flags);
        }
        forget_beginning(en);
        en->d->enrolling--;
        free(en->step);
        free(en);
        (void)error_set(&e, ERR_CANCELLED, "The request was cancelled before it had begun");
        tell_waiters(waiters, NULL, &e);
        if (ended)
                ended(ended_ctx);
        afterwards_begin(afterwards, NULL);
        ask_look(d, owner);
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

static void step_done(void *ctx)
{
        struct step *step = ctx;
        struct enrollment *en = step->en;
        void (*next)(struct enrollment *) = step->next;

        free(step);
        en->step = NULL;
        en->busy = false;
        if (en->cancelled)
                enrollment_end_cancelled(en);
        else
                next(en);
}

static void step_in(struct pool *pool, struct enrollment *en,
                    enum err (*run)(struct enrollment *en, struct error *e),
                    void (*next)(struct enrollment *en))
{
        struct step *step = malloc(sizeof *step);
        struct error e = {0};
        enum err r = step ? ERR_OK : error_no_memory(&e);

        if (!r) {
                *step = (struct step){en, run, next};
                r = pool_submit(pool, run_step, step_done, step, &e);
        }
        if (r) {
                free(step);
                en->result = r;
                en->error = e;
                next(en);
                return;
        }
        en->step = step;
        en->busy = true;
}

void enrollment_step(struct enrollment *en, enum err (*run)(struct enrollment *en, struct error *e),
                     void (*next)(struct enrollment *en))
{
        step_in(en->d->pool, en, run, next);
}

/* What is on the disk is what the bus shows. */
void enrollment_publish(struct enrollment *en, const char *progress)
{
        struct error e = {0};

        if (model_update(en->certificate, &en->record, &e))
                log_error(LOG_ERR, &e);
        en->certificate->progress = progress;
        en->certificate->told = certificate_health(en->certificate, clock_now(&en->d->clock));
        objects_certificate_changed(en->d, en->certificate);
}

/* The disk could not be told how it ended, so it says that this runs: it is taken up from there in a while,
 * as after a crash. */
static void take_up_later(struct enrollment *en, const struct error *why)
{
        log_error(LOG_ERR, why);
        en->certificate->put_off = clock_now(&en->d->clock) + TAKE_UP_AFTER;
        enrollment_free(en);
}

static void after_failure(struct enrollment *en)
{
        const struct error e = en->error;

        if (err_exit_status(en->why.code) == EXIT_TPM)
                tpm_status_refresh(en->d);
        if (en->result) {
                take_up_later(en, &e);
                return;
        }
        enrollment_publish(en, "");
        ask_anew(en->certificate, &en->why, en->pin_tries);
        enrollment_free(en);
}

/* Refusals that another attempt with the same request cannot change. */
static bool is_final(enum err code)
{
        return code == ERR_SERVER_REFUSED || code == ERR_CERTIFICATE_REFUSED;
}

/* The failure of an earlier step, into the record. */
static enum err step_tell_failure(struct enrollment *en, struct error *e)
{
        const struct error why = en->why;

        return step_fail(en, &why, is_final(why.code), e);
}

void enrollment_fail(struct enrollment *en, const struct error *why)
{
        intact_look(en->d, why);
        if (en->committed) { /* the certificate is there: nothing of it has failed */
                take_up_later(en, why);
                return;
        }
        if (enrollment_still_pending(en, why))
                return;
        en->why = *why;
        enrollment_step(en, step_tell_failure, after_failure);
}

bool enrollment_failed(struct enrollment *en)
{
        if (!en->result)
                return false;
        if (en->error.code == ERR_OK)
                (void)error_set(&en->error, en->result, "The enrollment failed");
        enrollment_fail(en, &en->error);
        return true;
}

void enrollment_next_discover(struct enrollment *en)
{
        if (enrollment_failed(en))
                return;
        enrollment_publish(en, "discover");
        enrollment_discover(en);
}

static void next_key(struct enrollment *en)
{
        en->stage = "key";
        enrollment_publish(en, "key");
        enrollment_step(en, step_key, enrollment_next_discover);
}

enum err wait_for_begin(struct enrollment *en, const struct enrollment_ops *ops, struct error *e)
{
        struct waiter *waiter = malloc(sizeof *waiter);

        if (!waiter)
                return error_no_memory(e);
        *waiter = (struct waiter){*ops, en->waiters};
        en->waiters = waiter;
        return ERR_OK;
}

enum err enrollment_join(struct certificate *certificate, const struct enrollment_ops *ops, struct error *e)
{
        if (!activity_is_running(certificate->activity))
                return wait_for_begin(certificate->enrollment, ops, e);
        ops->begun(ops->ctx, certificate, NULL);
        return ERR_OK;
}

void tell_waiters(struct waiter *waiters, struct certificate *certificate, const struct error *failure)
{
        while (waiters) {
                struct waiter *waiter = waiters;

                waiters = waiter->next;
                waiter->ops.begun(waiter->ops.ctx, certificate, failure);
                free(waiter);
        }
}

bool enrollment_begins(const struct daemon *d, const char *profile)
{
        for (const struct enrollment *en = d->beginning; en; en = en->next)
                if (strcmp(en->profile, profile) == 0)
                        return true;
        return false;
}

static struct enrollment *find_beginning(const struct daemon *d, const char *profile, uid_t owner)
{
        for (struct enrollment *en = d->beginning; en; en = en->next)
                if (en->owner == owner && strcmp(en->profile, profile) == 0)
                        return en;
        return NULL;
}

static void after_begin(struct enrollment *en);

/* Nobody knows of a certificate that could not be begun: what is on the disk of it would go on after a
 * restart, beside the one that was begun instead. */
static void drop_new(struct enrollment *en)
{
        struct error e = {0};

        if (store_remove(en->d->store, STORE_CERTIFICATES, en->id, &e))
                log_error(LOG_WARNING, &e);
}

static enum err step_begin_whole(struct enrollment *en, struct error *e)
{
        enum err r = step_begin(en, e);

        if (r && !en->certificate)
                drop_new(en);
        return r;
}

/* What adopt.c is for looks among what is here first. A user's name is asked for. */
static void begin(struct enrollment *en)
{
        if ((en->stored.issuers || en->if_needed) && (!en->certificate || en->adopting))
                en->result = adopt_next(en, &en->error);
        if (en->result)
                after_begin(en);
        else
                step_in(en->owner == NO_OWNER ? en->d->pool : en->d->names, en, step_begin_whole,
                        after_begin);
}

static void after_begin(struct enrollment *en)
{
        struct certificate *certificate;
        struct waiter *waiters;
        struct error e = en->error;

        if (!en->result && en->adopting && !en->unneeded) { /* not that one */
                begin(en);
                return;
        }
        waiters = STEAL(en->waiters);
        forget_beginning(en);
        enrollment_forget_sources(en);

        if (!en->result && !en->certificate) {
                en->result = model_add(en->d->model, en->id, &en->record, &en->certificate, &e);
                if (en->result)
                        drop_new(en);
                else
                        objects_certificate_added(en->d, en->certificate);
                if (!en->result && en->owner != NO_OWNER)
                        key_groups_look(en->d->key_groups);
        }
        if (en->result) {
                if (e.code == ERR_OK)
                        (void)error_set(&e, en->result, "The enrollment could not begin");
                enrollment_free(en);
                tell_waiters(waiters, NULL, &e);
                return;
        }
        certificate = en->certificate;
        if (en->unneeded) {
                enrollment_publish(en, "");
                enrollment_free(en);
                tell_waiters(waiters, certificate, NULL);
                return;
        }
        certificate->enrollment = en;
        next_key(en); /* where no step can be begun @en has ended by now */
        tell_waiters(waiters, certificate, NULL);
}

static void gathered(void *ctx, struct fact_values *values)
{
        struct enrollment *en = ctx;

        en->gather = NULL;
        en->facts = values;
        begin(en);
}

/* The values of the profile's variables, before the plan is made of them. */
static void after_read(struct enrollment *en)
{
        if (!en->result && !en->needed) {
                gathered(en, NULL);
                return;
        }
        if (!en->result)
                en->result =
                        facts_gather(en->d, en->owner, en->needed, gathered, en, &en->gather, &en->error);
        if (en->result)
                after_begin(en);
}

struct enrollment *enrollment_new(struct daemon *d)
{
        struct enrollment *en = calloc(1, sizeof *en);

        if (!en)
                return NULL;
        *en = (struct enrollment){.d = d, .stage = "begin"};
        d->enrolling++;
        return en;
}

enum err enrollment_new_record(struct enrollment *en, struct error *e)
{
        enum err r = store_new_id(en->id, e);

        if (!r)
                r = record_new(&en->record, e);
        if (!r)
                r = record_set_text(&en->record.activity, activity_name(ACTIVITY_IDLE), e);
        return r ? r : record_set_text(&en->record.profile, en->profile, e);
}

/* An order that waits until nothing is noted any more. */
struct postponed {
        struct daemon *d;
        struct enrollment_order order;
        struct enrollment_ops ops;
        store_id profile;
};

static void start_postponed(void *ctx, const struct error *failure)
{
        struct postponed *postponed = ctx;
        struct error e = {0};

        if (failure)
                e = *failure;
        if (failure || enrollment_start(postponed->d, &postponed->order, &postponed->ops, &e))
                postponed->ops.begun(postponed->ops.ctx, NULL, &e);
        secret_done(&postponed->order.challenge);
        secret_done(&postponed->order.pin);
        free(postponed);
}

static enum err start_afterwards(struct daemon *d, struct certificate *existing,
                                 struct enrollment_order *order, const struct enrollment_ops *ops,
                                 struct error *e)
{
        struct postponed *postponed = calloc(1, sizeof *postponed);
        enum err r;

        if (!postponed)
                return error_no_memory(e);
        *postponed = (struct postponed){.d = d, .order = *order, .ops = *ops};
        memcpy(postponed->profile, existing->profile, sizeof postponed->profile);
        postponed->order.profile = postponed->profile;
        r = afterwards_run(existing, start_postponed, postponed, e);
        if (r)
                free(postponed);
        else
                order->challenge = order->pin = (struct secret){0};
        return r;
}

enum err enrollment_start(struct daemon *d, struct enrollment_order *order, const struct enrollment_ops *ops,
                          struct error *e)
{
        struct certificate *existing = model_find_origin(d->model, order->profile, order->owner);
        struct enrollment *en = find_beginning(d, order->profile, order->owner);
        enum err r;

        if (en)
                return wait_for_begin(en, ops, e);
        if (existing && existing->owner == LOST_OWNER)
                return refuse_other_account(existing->id, existing->name, existing->owner_name, e);
        if (existing && existing->activity == ACTIVITY_REMOVING)
                return error_set(e, ERR_BUSY, "'%s' is being removed", existing->name);
        if (existing && existing->noting)
                return start_afterwards(d, existing, order, ops, e);
        if (existing && existing->enrollment && !enrollment_give_way(existing))
                return error_set(e, ERR_BUSY, "An enrollment of '%s' is under way already", existing->name);
        if (existing)
                (void)ask_end(d, existing, ASK_SUPERSEDED);
        en = enrollment_new(d);
        if (!en)
                return error_no_memory(e);
        (void)snprintf(en->profile, sizeof en->profile, "%s", order->profile);
        en->owner = order->owner;
        en->if_needed = order->if_needed;
        en->challenge = order->challenge;
        order->challenge = (struct secret){0};
        en->pin = order->pin;
        order->pin = (struct secret){0};
        en->pin_later = order->pin_later;
        en->certificate = existing;
        if (existing) {
                memcpy(en->id, existing->id, sizeof en->id);
                r = store_record_read(d->store, en->id, &en->record, e);
        } else {
                r = enrollment_new_record(en, e);
        }
        if (!r)
                r = wait_for_begin(en, ops, e);
        if (r) {
                enrollment_free(en);
                return r;
        }
        if (existing)
                existing->enrollment = en;
        en->next = d->beginning;
        d->beginning = en; /* a second request finds it */
        enrollment_step(en, step_read, after_read);
        workers_warm(d->workers, JOB_DISCOVER); /* while plan and key are made */
        return ERR_OK;
}

void enrollment_abandon(struct enrollment *en)
{
        if (en->busy)
                en->abandoned = true;
        else
                enrollment_free(en);
}

void enrollments_stop_beginning(struct daemon *d)
{
        struct certificate *c;
        struct error e = {0};

        (void)error_set(&e, ERR_CANCELLED, "The service ends");
        for (struct enrollment *en = d->beginning, *after; en; en = after) {
                after = en->next;
                tell_waiters(STEAL(en->waiters), NULL, &e);
                enrollment_abandon(en);
        }
        for (uint64_t order = 0; d->model && (c = model_next(d->model, order)); order = c->order)
                afterwards_begin(STEAL(c->afterwards), &e);
}

void enrollments_end(struct daemon *d)
{
        struct certificate *c;

        while (d->beginning)
                enrollment_free(d->beginning);
        for (uint64_t order = 0; d->model && (c = model_next(d->model, order)); order = c->order)
                if (c->enrollment)
                        enrollment_free(c->enrollment);
}
