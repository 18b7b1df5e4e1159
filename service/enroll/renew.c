/* A renewal, or another attempt at what failed: from the stored plan. The profile is only looked at for names
 * that would be others now (names.c), unless these were accepted. */
#include <stdio.h>
#include <string.h>

#include "afterwards.h"
#include "base/ossl.h"
#include "daemon/log.h"
#include "internal.h"
#include "objects/ask.h"
#include "objects/objects.h"
#include "tell.h"

/* Seconds until the next look after one that could not begin. */
enum { AFTER_ERROR = 300 };

/* A first attempt: a generation of its own, and nothing of an earlier request. */
static enum err begin(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        enum err r = plan_from_pairs(&record->plan, &en->plan, e);

        if (r)
                return r;
        en->have_plan = true;
        if (en->plan.after_expiry == AFTER_EXPIRY_STOP && record->not_after <= clock_now(&en->d->clock)) {
                (void)error_set(e, ERR_UNSUPPORTED, "The certificate has expired, and AfterExpiry=stop");
                return error_remedy(e, ERR_UNSUPPORTED, "Enroll with a challenge: scepter enroll.");
        }
        record->renewing = record->current > 0;
        record->refused = 0;
        record->attempts = 0;
        record->requested = record->current + 1;
        en->generation = record->requested;
        r = record_set_text(&record->method, "", e);
        if (!r)
                r = request_forget(en, e);
        if (!r)
                r = request_identify(en, e);
        if (!r)
                r = record_clear_outcome(record, e);
        if (!r)
                r = record_move(en, LIFE_RENEW, e);
        if (!r)
                tell_renewal_due(en);
        plan_done(&en->plan); /* step_resume() reads it again, with what belongs to it */
        en->have_plan = false;
        return r;
}

/* From the stored plan. */
static enum err renew(struct enrollment *en, struct error *e)
{
        enum activity activity;

        if (!activity_from_name(en->record.activity, &activity))
                return error_set(e, ERR_CONFIG, "The activity '%s' is unknown", en->record.activity);
        if (en->waiters && !en->pin.len && !en->pin_later && pin_is_asked(en))
                return pin_needed(en, e);
        if ((activity != ACTIVITY_FAILED && activity != ACTIVITY_NEEDS_CHALLENGE &&
             activity != ACTIVITY_WAITING_FOR_USER) ||
            en->record.requested == 0)
                return begin(en, e);
        en->record.retry_at = 0;
        return record_move(en, LIFE_RENEW, e);
}

/* What was asked for with "accept". *ret_done false: nothing differs. */
static enum err accept_what_differs(struct enrollment *en, bool *ret_done, struct error *e)
{
        CLEANUP(strings_done) struct strings before = {0};
        enum err r = accept_refused(en, ret_done, e);

        if (r || *ret_done)
                return r;
        r = names_look(en, &before, ret_done, e);
        /* As in a first enrollment: few CAs take the old certificate's word for another name. */
        return r || !*ret_done ? r : step_begin(en, e);
}

static enum err step_renew(struct enrollment *en, struct error *e)
{
        CLEANUP(strings_done) struct strings before = {0};
        bool differ = false, done = false;
        enum err r = en->accept ? accept_what_differs(en, &done, e) : ERR_OK;

        if (r || done)
                return r;
        /* Without an answer it is as if the names were the same. */
        if (en->looked && names_look(en, &before, &differ, NULL))
                differ = false;
        r = renew(en, e);
        if (!r && differ && before.count)
                tell_names_differ(en, &before);
        return r;
}

/* The certificate that was accepted could not be put there: the record says how far it came. */
static void stopped_halfway(struct enrollment *en, struct waiter *waiters)
{
        const struct error e = en->error;

        enrollment_publish(en, "install");
        enrollment_fail(en, &e);
        tell_waiters(waiters, NULL, &e);
}

/* It is on the disk that it runs: now the bus, and whoever asked. */
static void begun(struct enrollment *en)
{
        struct waiter *waiters = STEAL(en->waiters);
        struct certificate *certificate = en->certificate;
        struct workers *workers = en->d->workers; /* a step may end with en gone */
        const struct error e = en->error;
        enum activity activity = ACTIVITY_FAILED;

        (void)activity_from_name(en->record.activity, &activity);
        enrollment_forget_sources(en);
        if (en->result && activity_is_running(activity)) {
                stopped_halfway(en, waiters);
                return;
        }
        if (!en->result && !activity_is_running(activity)) { /* it is installed */
                enrollment_publish(en, "");
                enrollment_free(en);
                tell_waiters(waiters, certificate, NULL);
                return;
        }
        if (en->result) {
                if (!en->accept) { /* or else somebody reads it, and nothing else is different from before */
                        log_error(LOG_ERR, &e);
                        certificate->put_off = clock_now(&en->d->clock) + AFTER_ERROR;
                }
                enrollment_free(en);
                tell_waiters(waiters, NULL, &e);
                return;
        }
        enrollment_publish(en, "key");
        enrollment_step(en, step_resume, enrollment_resumed);
        workers_warm(workers, JOB_DISCOVER);
        tell_waiters(waiters, certificate, NULL);
}

static void gathered(void *ctx, struct fact_values *values)
{
        struct enrollment *en = ctx;

        en->gather = NULL;
        en->facts = values;
        enrollment_step(en, step_renew, begun);
}

static void have_looked(struct enrollment *en)
{
        if (!en->result && en->needed)
                en->result =
                        facts_gather(en->d, en->owner, en->needed, gathered, en, &en->gather, &en->error);
        if (en->gather)
                return;
        if (en->result && en->accept) {
                begun(en);
                return;
        }
        if (en->result)
                en->looked = false;
        enrollment_step(en, step_renew, begun);
}

struct postponed {
        struct daemon *d;
        store_id id;
        struct enrollment_ops ops;
        struct renewal_order order;
};

static void renew_postponed(void *ctx, const struct error *failure)
{
        struct postponed *postponed = ctx;
        struct certificate *certificate = model_find(postponed->d->model, postponed->id);
        struct error e = {0};

        if (failure)
                e = *failure;
        else if (!certificate)
                (void)error_set(&e, ERR_NOT_FOUND, "The certificate was removed meanwhile");
        if (e.code || enrollment_renew(postponed->d, certificate, &postponed->order, &postponed->ops, &e))
                postponed->ops.begun(postponed->ops.ctx, NULL, &e);
        secret_done(&postponed->order.pin);
        free(postponed);
}

static enum err renew_afterwards(struct daemon *d, struct certificate *certificate,
                                 struct renewal_order *order, const struct enrollment_ops *ops,
                                 struct error *e)
{
        struct postponed *postponed = calloc(1, sizeof *postponed);
        enum err r;

        if (!postponed)
                return error_no_memory(e);
        *postponed = (struct postponed){.d = d, .ops = *ops};
        memcpy(postponed->id, certificate->id, sizeof postponed->id);
        if (order)
                postponed->order = *order;
        r = afterwards_run(certificate, renew_postponed, postponed, e);
        if (r)
                free(postponed);
        else if (order)
                order->pin = (struct secret){0};
        return r;
}

enum err enrollment_renew(struct daemon *d, struct certificate *certificate, struct renewal_order *order,
                          const struct enrollment_ops *ops, struct error *e)
{
        struct enrollment *en = NULL;
        enum activity next;
        enum err r =
                certificate->owner == LOST_OWNER
                        ? refuse_other_account(certificate->id, certificate->name, certificate->owner_name, e)
                        : lifecycle_next(certificate->activity, LIFE_RENEW, &next, e);

        if (!r && ops && certificate->noting)
                return renew_afterwards(d, certificate, order, ops, e);
        if (!r)
                r = enrollment_take(d, certificate, &en, e);
        if (r)
                return r;
        if (ops)
                r = wait_for_begin(en, ops, e);
        if (r) {
                enrollment_free(en);
                return r;
        }
        (void)ask_end(d, certificate, ASK_SUPERSEDED);
        if (order) {
                en->accept = order->accept;
                en->pin_later = order->pin_later;
                en->pin = order->pin;
                order->pin = (struct secret){0};
        }
        en->stage = "key";
        enrollment_step(en, step_look, have_looked);
        return ERR_OK;
}

static enum err step_revoked(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        enum err r;

        record->revoked_at = en->revoked.at > 0 ? (uint64_t)en->revoked.at : clock_now(&en->d->clock);
        r = en->replaces ? begin(en, e) : store_record_write(en->d->store, en->id, record, e);
        if (!r)
                tell_revoked(en);
        else if (!en->replaces) /* where a request goes on with this record, the next look finds it again */
                record->revoked_at = 0;
        return r;
}

static void noted(struct enrollment *en)
{
        if (en->replaces || en->result) {
                begun(en);
                return;
        }
        enrollment_publish(en, "");
        enrollment_free(en);
}

enum err enrollment_revoked(struct daemon *d, struct certificate *certificate,
                            const struct revocation_found *found, struct error *e)
{
        struct enrollment *en = certificate->enrollment;
        const bool waits = en && enrollment_waits(en);
        enum err r = waits ? ERR_OK : enrollment_take(d, certificate, &en, e);

        if (r)
                return r;
        revocation_found_done(&en->revoked);
        en->revoked = *found;
        en->revoked.url = NULL; /* of a refusal, which is nothing beside that */
        if (waits) {            /* another certificate has been asked for already */
                en->replaces = false;
                return enrollment_note(en, step_revoked, e);
        }
        en->replaces = activity_is_at_rest(certificate->activity) &&
                       model_find_profile(d->model, certificate->profile);
        certificate->noting = !en->replaces;
        en->stage = "key";
        enrollment_step(en, step_revoked, noted);
        return ERR_OK;
}
