#include "apply.h"

#include <stdio.h>
#include <string.h>

#include "apply/consumers.h"
#include "apply/outcome.h"
#include "base/ossl.h"
#include "daemon/log.h"
#include "due.h"
#include "internal.h"
#include "policy/renewal.h"
#include "tell.h"
#include "work/applier.h"

/* Certificates that are applied at once; the others wait a moment. BASE: the first wait is at most this, and
 * doubles. */
enum { APPLYING_MAX = 4, MOMENT = 5, BASE = 120, AFTER_ERROR = 300 };

/* One run of scepter-apply. */
struct apply {
        struct daemon *d;
        struct certificate *certificate; /* NULL: it is gone, and nobody keeps a record */
        store_id id;
        uint64_t generation;
        bool undo; /* it went meanwhile: another run takes away what this one may still write */
        struct applier_job *job;
        struct apply *next; /* of the daemon's "undoing" */
};

enum err record_installed(struct enrollment *en, struct error *e)
{
        CLEANUP(consumers_done) struct consumers consumers = {0};
        struct record *record = &en->record;
        struct error why = {0};
        enum err r;
        bool follow;

        record->apply_at = record->apply_attempts = 0;
        r = record_set_text(&record->apply_error, "", e);
        if (!r)
                r = record_set_text(&record->apply_message, "", e);
        if (!r)
                r = record_set_text(&record->apply_remedy, "", e);
        if (r)
                return r;
        /* Keys of users are theirs: what root configures for the machine does not follow them. */
        if (en->owner != NO_OWNER)
                return record_move(en, LIFE_INSTALLED, e);
        /* A directory that cannot be used may hold one: the applier says what is wrong with it. */
        r = consumers_read(en->d->config.consumers, en->d->own_uid, &consumers, &why);
        follow = r != ERR_OK || consumers_follow(&consumers, record->name);
        if (follow)
                record->apply_at = clock_now(&en->d->clock);
        return record_move(en, follow ? LIFE_APPLY : LIFE_INSTALLED, e);
}

static void apply_free(struct apply *apply)
{
        for (struct apply **p = &apply->d->undoing; *p; p = &(*p)->next) {
                if (*p == apply) {
                        *p = apply->next;
                        break;
                }
        }
        apply->d->applying--;
        free(apply);
}

void apply_cancel(struct certificate *certificate)
{
        struct apply *apply = STEAL(certificate->apply);

        if (!apply)
                return;
        applier_cancel(apply->job);
        apply_free(apply);
}

/* Its consumers have it. */
static enum err step_applied(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        const bool waited = *record->apply_error != 0;
        enum activity activity = ACTIVITY_IDLE;
        enum err r = record_set_text(&record->apply_error, "", e);

        (void)activity_from_name(record->activity, &activity);
        if (!r)
                r = record_set_text(&record->apply_message, "", e);
        if (!r)
                r = record_set_text(&record->apply_remedy, "", e);
        if (r)
                return r;
        record->apply_at = record->apply_attempts = 0;
        if (activity == ACTIVITY_APPLY_PENDING)
                r = record_move(en, LIFE_APPLIED, e);
        else
                r = store_record_write(en->d->store, en->id, record, e);
        if (!r && (waited || activity == ACTIVITY_APPLY_PENDING))
                tell_applied(en);
        return r;
}

/* What scepter-apply says of it, where it came so far; else @why stays what the daemon saw of it. */
static void find_reason(const struct enrollment *en, char **ret_consumer, struct error *why)
{
        CLEANUP(outcome_done) struct outcome outcome = {0};
        const struct applied *failed;

        if (outcome_read(en->d->config.applied, en->id, &outcome, NULL) ||
            outcome.generation != en->record.current)
                return;
        failed = outcome_failed(&outcome);
        if (!failed)
                return;
        (void)error_set(why, ERR_CONSUMER, "Consumer '%s': %s", failed->consumer, failed->message);
        (void)error_remedy(why, ERR_CONSUMER, "%s", failed->remedy);
        *ret_consumer = strdup(failed->consumer);
}

static enum err step_not_applied(struct enrollment *en, struct error *e)
{
        CLEANUP(free_p) char *consumer = NULL;
        struct record *record = &en->record;
        const uint64_t now = clock_now(&en->d->clock);
        enum activity activity = ACTIVITY_FAILED;
        struct error why = en->why;
        enum err r;

        (void)activity_from_name(record->activity, &activity);
        find_reason(en, &consumer, &why);
        record->apply_attempts++;
        record->apply_at = now + retry_wait(record->apply_attempts, BASE, 0, now, random_number());
        r = record_set_text(&record->apply_error, err_name(why.code), e);
        if (!r)
                r = record_set_text(&record->apply_message, why.message, e);
        if (!r)
                r = record_set_text(&record->apply_remedy, why.remedy, e);
        if (r)
                return r;
        if (activity_is_at_rest(activity))
                r = record_move(en, LIFE_APPLY, e);
        else
                r = store_record_write(en->d->store, en->id, record, e);
        if (!r)
                tell_not_applied(en, consumer, &why);
        return r;
}

static void recorded(struct enrollment *en)
{
        struct certificate *certificate = en->certificate;

        if (en->result) {
                log_error(LOG_ERR, &en->error);
                certificate->apply_at = clock_now(&en->d->clock) + AFTER_ERROR;
        } else {
                enrollment_publish(en, "");
        }
        enrollment_free(en);
}

static void undo(struct daemon *d, const char *id);

static void on_ended(void *ctx, const struct error *failure)
{
        struct apply *apply = ctx;
        const struct apply was = *apply;
        struct certificate *certificate = was.certificate;
        struct daemon *d = was.d;
        struct enrollment *en = NULL;
        struct error e = {0};

        apply_free(apply);
        if (!certificate) {
                if (was.undo)
                        undo(d, was.id);
                else if (failure)
                        log_error(LOG_WARNING, failure);
                return;
        }
        certificate->apply = NULL;
        /* A renewal that came between begins with the consumers again when it is through; what one that has
         * failed since finds is what it left. */
        if (certificate->enrollment || certificate->leaving || certificate->current != was.generation) {
                due_set(d, certificate);
                return;
        }
        if (enrollment_take(d, certificate, &en, &e)) {
                log_error(LOG_ERR, &e);
                certificate->apply_at = clock_now(&d->clock) + AFTER_ERROR;
                due_set(d, certificate);
                return;
        }
        if (failure)
                en->why = *failure;
        certificate->noting = true;
        enrollment_step(en, failure ? step_not_applied : step_applied, recorded);
}

static enum err begin(struct daemon *d, struct certificate *certificate, const char *id, struct error *e)
{
        struct apply *apply = calloc(1, sizeof *apply);
        enum err r;

        if (!apply)
                return error_no_memory(e);
        *apply = (struct apply){
                .d = d, .certificate = certificate, .generation = certificate ? certificate->current : 0};
        (void)snprintf(apply->id, sizeof apply->id, "%s", id);
        d->applying++;
        r = applier_start(d, id, on_ended, apply, &apply->job, e);
        if (r) {
                apply_free(apply);
        } else if (certificate) {
                certificate->apply = apply;
        } else {
                apply->next = d->undoing;
                d->undoing = apply;
        }
        return r;
}

void apply_stop(struct daemon *d)
{
        while (d->undoing) {
                struct apply *apply = d->undoing;

                applier_cancel(apply->job);
                apply_free(apply);
        }
}

void apply_start(struct daemon *d, struct certificate *certificate)
{
        const uint64_t now = clock_now(&d->clock);
        struct error e = {0};

        if (d->applying >= APPLYING_MAX) {
                certificate->apply_at = now + MOMENT + random_number() % MOMENT;
                return;
        }
        if (begin(d, certificate, certificate->id, &e)) {
                log_error(LOG_ERR, &e);
                certificate->apply_at = now + AFTER_ERROR;
        }
}

void apply_again(struct daemon *d, struct certificate *certificate)
{
        certificate->apply_again = true;
        due_set(d, certificate);
}

static void undo(struct daemon *d, const char *id)
{
        struct error e = {0};

        if (outcome_exists(d->config.applied, id) && begin(d, NULL, id, &e))
                log_error(LOG_WARNING, &e);
}

void apply_removed(struct daemon *d, const char *id)
{
        struct certificate *certificate = model_find(d->model, id);
        struct apply *apply = certificate ? STEAL(certificate->apply) : NULL;

        if (!apply) {
                undo(d, id);
                return;
        }
        /* Systemd would take a start of a unit that runs for that run, which has read the state before. */
        apply->certificate = NULL;
        apply->undo = true;
        apply->next = d->undoing;
        d->undoing = apply;
}
