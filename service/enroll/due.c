#include "due.h"

#include "base/ossl.h"
#include "daemon/log.h"
#include "enrollment.h"
#include "objects/objects.h"
#include "policy/renewal.h"
#include "work/schedule.h"

/* Renewals that run at once; the others wait a moment. What comes later than LATE seconds was slept through.
 */
enum { RENEWING_MAX = 64, LATE = 600, MOMENT = 5, AFTER_ERROR = 300 };

static bool at_rest(const struct certificate *c)
{
        return !c->enrollment && !c->leaving && c->activity != ACTIVITY_REMOVING;
}

/* When something is to be done for it; 0: nothing. */
static uint64_t action_at(const struct daemon *d, const struct certificate *c)
{
        if (!model_find_profile(d->model, c->profile) ||
            (c->stops && c->current && clock_now(&d->clock) > c->not_after))
                return 0;
        if (c->put_off)
                return c->put_off;
        if (c->activity == ACTIVITY_FAILED || c->activity == ACTIVITY_NEEDS_CHALLENGE)
                return c->retry_at;
        return c->activity == ACTIVITY_IDLE && c->current ? c->renew_at : 0;
}

/* When its health changes next; 0: not any more. */
static uint64_t change_at(const struct certificate *c, uint64_t now)
{
        if (!c->current)
                return 0;
        if (now < c->renew_at)
                return c->renew_at;
        return now <= c->not_after ? c->not_after + 1 : 0;
}

void due_set(struct daemon *d, struct certificate *c)
{
        uint64_t action, change;
        struct error e = {0};

        if (!d->schedule)
                return;
        if (!at_rest(c)) {
                schedule_drop(d->schedule, &c->look);
                return;
        }
        action = action_at(d, c);
        change = change_at(c, clock_now(&d->clock));
        c->look.of = c;
        if (schedule_set(d->schedule, &c->look, !action || (change && change < action) ? change : action, &e))
                log_error(LOG_ERR, &e);
}

void due_drop(struct daemon *d, struct certificate *c)
{
        if (d->schedule)
                schedule_drop(d->schedule, &c->look);
}

static void act(struct daemon *d, struct certificate *c, uint64_t now)
{
        const bool late = c->activity == ACTIVITY_IDLE && now > c->renew_at + LATE && !c->put_off;
        struct error e = {0};

        if (late) {
                c->put_off = now + late_wait(c->not_after, now, random_number());
                if (c->put_off > now)
                        return;
        }
        if (d->enrolling >= RENEWING_MAX) {
                c->put_off = now + MOMENT + random_number() % MOMENT;
                return;
        }
        c->put_off = 0;
        if (enrollment_renew(d, c, NULL, &e)) {
                log_error(LOG_ERR, &e);
                c->put_off = now + AFTER_ERROR;
        }
}

static void on_due(void *ctx, void *of)
{
        struct daemon *d = ctx;
        struct certificate *c = of;
        const uint64_t now = clock_now(&d->clock);
        uint64_t action;

        if (!at_rest(c))
                return;
        objects_certificate_changed(d, c); /* its health, perhaps */
        action = action_at(d, c);
        if (action && action <= now)
                act(d, c, now);
        due_set(d, c);
}

/* Dates that no wait of ours leads to are of a clock that went back since. */
static void look_anew(struct daemon *d, struct certificate *c)
{
        const uint64_t now = clock_now(&d->clock);

        if (c->put_off > now + CANCELLED_FOR)
                c->put_off = 0;
        if (c->retry_at > now + RENEWAL_RETRY_MAX)
                c->retry_at = now + RETRY_MIN;
        due_set(d, c);
}

enum err due_start(struct daemon *d, struct error *e)
{
        enum err r = schedule_new(d->event, &d->clock, on_due, d, &d->schedule, e);
        struct certificate *c;

        for (uint64_t order = 0; !r && (c = model_next(d->model, order)); order = c->order)
                look_anew(d, c);
        return r;
}

void due_stop(struct daemon *d)
{
        schedule_free(STEAL(d->schedule));
}

void due_recheck(struct daemon *d)
{
        struct certificate *c;

        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order) {
                if (c->enrollment)
                        enrollment_clock_stepped(c->enrollment);
                look_anew(d, c);
        }
        schedule_recheck(d->schedule);
}
