/* The end of an enrollment that somebody does not want any more. */
#include "agent.h"
#include "daemon/log.h"
#include "due.h"
#include "internal.h"
#include "tell.h"

static enum err step_cancel(struct enrollment *en, struct error *e)
{
        enum err r = request_forget(en, e);

        if (!r)
                r = record_move(en, LIFE_CANCEL, e);
        if (!r)
                r = request_files_remove(en, e);
        if (!r)
                tell_cancelled(en);
        return r;
}

static void after_cancel(struct enrollment *en)
{
        if (en->result)
                log_error(LOG_ERR, &en->error);
        if (en->record.renewing) /* it is still due, and whoever ended it does not want it at once */
                en->certificate->put_off = clock_now(&en->d->clock) + CANCELLED_FOR;
        enrollment_publish(en, "");
        enrollment_free(en);
}

void enrollment_end_cancelled(struct enrollment *en)
{
        enum activity activity = ACTIVITY_REQUESTING;

        (void)activity_from_name(en->record.activity, &activity);
        en->cancelled = false;
        if (activity_is_at_rest(activity) || activity == ACTIVITY_FAILED)
                after_cancel(en); /* it ended by itself meanwhile */
        else
                enrollment_step(en, step_cancel, after_cancel);
}

bool enrollment_give_way(struct certificate *certificate)
{
        struct enrollment *en = certificate->enrollment;

        if (!en || !en->gather)
                return false;
        enrollment_free(en);
        return true;
}

enum err enrollment_cancel(struct certificate *certificate, struct error *e)
{
        struct enrollment *en = certificate->enrollment;
        enum activity next;
        enum err r;

        if (en && en->gather)
                certificate->put_off = clock_now(&en->d->clock) + CANCELLED_FOR;
        if (enrollment_give_way(certificate))
                return ERR_OK;
        r = lifecycle_next(certificate->activity, LIFE_CANCEL, &next, e);
        if (r)
                return r;
        if (!en)
                return error_set(e, ERR_NOT_FOUND, "Nothing is under way that could be cancelled");
        if (en->job)
                worker_job_cancel(STEAL(en->job));
        (void)sd_event_source_disable_unref(STEAL(en->timer));
        facts_gather_cancel(STEAL(en->gather));
        agent_question_free(STEAL(en->question));
        en->cancelled = true;
        if (!en->busy)
                enrollment_end_cancelled(en);
        return ERR_OK;
}

enum err enrollment_end(struct certificate *certificate, void (*ended)(void *ctx), void *ctx, struct error *e)
{
        struct enrollment *en = certificate->enrollment;
        enum err r;

        if (en && (en->ended || en->cancelled))
                return error_set(e, ERR_BUSY, "The request for '%s' is being ended already",
                                 certificate->name);
        r = enrollment_cancel(certificate, e);
        if (r)
                return r;
        if (certificate->enrollment == en) {
                en->ended = ended;
                en->ended_ctx = ctx;
        } else {
                ended(ctx);
        }
        return ERR_OK;
}
