#include "due.h"

#include "apply.h"
#include "base/ossl.h"
#include "daemon/log.h"
#include "enrollment.h"
#include "objects/ask.h"
#include "objects/objects.h"
#include "policy/renewal.h"
#include "revocation/check.h"
#include "rollover/look.h"
#include "scep-wire/caps.h"
#include "work/schedule.h"

/* Renewals that run at once; the others wait a moment. */
enum { RENEWING_MAX = 64, MOMENT = 5, AFTER_ERROR = 300 };
/* An orphan's renewal: until it gets another profile. */
#define NEVER UINT64_MAX
/* CRLs, and what the CA announces to come after it, are looked at once a day, by few certificates at a time;
 * first within an hour, so that machines that start together do not come together. */
enum { CHECKING_MAX = 4, FIRST_CHECK = 3600, CHECK_EVERY = 24 * 3600, CHECK_SPREAD = 2 * 3600 };

static bool at_rest(const struct certificate *c)
{
        return !c->enrollment && !c->leaving && c->activity != ACTIVITY_REMOVING;
}

/* Its request waits for the CA, for days perhaps: what is installed is looked after meanwhile. */
static bool waits(const struct certificate *c)
{
        return c->enrollment && !c->leaving && enrollment_waits(c->enrollment);
}

/* When something is to be done for it; 0: nothing. Whether its profile is still there is looked at then. */
static uint64_t action_at(const struct certificate *c, uint64_t now)
{
        if (c->owner == LOST_OWNER || (c->stops && c->current && now > c->not_after))
                return 0;
        if (c->put_off || activity_is_running(c->activity)) /* put off: enrollment_resume() */
                return c->put_off;
        if (c->activity == ACTIVITY_FAILED || c->activity == ACTIVITY_NEEDS_CHALLENGE ||
            c->activity == ACTIVITY_WAITING_FOR_USER)
                return c->retry_at;
        return activity_is_at_rest(c->activity) && c->current ? c->renew_at : 0;
}

/* When its consumers are tried; 0: they have it, or it is being tried. */
static uint64_t apply_at(const struct certificate *c)
{
        return c->current && !c->apply ? c->apply_at : 0;
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

/* When its CRLs are looked at; 0: not any more. */
static uint64_t check_at(struct certificate *c, uint64_t now)
{
        if (!c->current || c->revoked_at || now > c->not_after || c->check || c->owner == LOST_OWNER)
                return 0;
        if (!c->check_at)
                c->check_at = now + 1 + random_number() % FIRST_CHECK;
        return c->check_at;
}

/* When what its CA announces is looked at; 0: not any more. */
static uint64_t follow_at(struct certificate *c, uint64_t now)
{
        if (!c->follows || !c->current || c->revoked_at || now > c->not_after || c->following)
                return 0;
        if (!c->follow_at)
                c->follow_at = now + 1 + random_number() % FIRST_CHECK;
        return c->follow_at;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
        return !a || (b && b < a) ? b : a;
}

void due_set(struct daemon *d, struct certificate *c)
{
        uint64_t now, at;
        struct error e = {0};

        if (!d->schedule)
                return;
        if (!at_rest(c) && !waits(c)) {
                schedule_drop(d->schedule, &c->look);
                return;
        }
        now = clock_now(&d->clock);
        at = earlier(earlier(check_at(c, now), follow_at(c, now)), change_at(c, now));
        if (at_rest(c)) {
                if (c->apply_again && !c->apply) {
                        c->apply_at = now;
                        c->apply_again = false;
                }
                at = earlier(at, earlier(action_at(c, now), apply_at(c)));
        }
        c->look.of = c;
        if (schedule_set(d->schedule, &c->look, at, &e))
                log_error(LOG_ERR, &e);
}

void due_asked(struct daemon *d, struct certificate *c, uint32_t caps)
{
        if (c->follows && caps & SCEP_CAP_GET_NEXT_CA)
                c->follow_at = clock_now(&d->clock);
        due_set(d, c);
}

void due_drop(struct daemon *d, struct certificate *c)
{
        if (d->schedule)
                schedule_drop(d->schedule, &c->look);
        if (c->check) {
                revocation_check_cancel(STEAL(c->check));
                d->checking--;
        }
        apply_cancel(c);
        if (c->following) {
                rollover_look_cancel(STEAL(c->following));
                d->checking--;
        }
}

/* How long a renewal that was slept through waits. Another try comes when its turn is, and for a revoked
 * certificate nothing is waited for. */
static uint64_t late_by(const struct certificate *c, uint64_t now)
{
        if (!c->current || c->revoked_at || !activity_is_at_rest(c->activity))
                return 0;
        return late_wait(c->renew_at, c->put_off > c->renew_at ? c->put_off : c->renew_at, c->not_after, now,
                         random_number());
}

static void act(struct daemon *d, struct certificate *c, uint64_t now)
{
        const uint64_t wait = late_by(c, now);
        struct error e = {0};

        if (wait) {
                c->put_off = now + wait;
                return;
        }
        if (c->question) { /* the reminder comes after it */
                c->put_off = now + ASK_SECONDS;
                return;
        }
        if (d->enrolling >= RENEWING_MAX) {
                c->put_off = now + MOMENT + random_number() % MOMENT;
                return;
        }
        if (activity_is_running(c->activity)) {
                c->put_off = 0;
                if (enrollment_resume(d, c, &e)) {
                        log_error(LOG_ERR, &e);
                        c->put_off = now + AFTER_ERROR;
                }
                return;
        }
        if (!model_find_profile(d->model, c->profile)) {
                c->put_off = NEVER;
                return;
        }
        c->put_off = 0;
        if (enrollment_renew(d, c, NULL, NULL, &e)) {
                log_error(LOG_ERR, &e);
                c->put_off = now + AFTER_ERROR;
        }
}

/* What a look at the CRLs found, onto its record. */
static void take_found(struct daemon *d, struct certificate *c, struct revocation_found *found)
{
        const bool can = at_rest(c) || waits(c);
        struct error e = {0};
        enum err r = ERR_OK;

        if (found->revoked && !can) /* something came between */
                c->check_at = clock_now(&d->clock) + MOMENT;
        else if (found->revoked)
                r = enrollment_revoked(d, c, found, &e);
        else if (found->refused.code && can && c->crl_refused != c->current)
                r = enrollment_crl_refused(d, c, found, &e);
        if (r)
                log_error(LOG_ERR, &e);
}

static void on_checked(struct daemon *d, void *ctx, struct revocation_found *found)
{
        struct certificate *c = ctx;

        c->check = NULL;
        d->checking--;
        if (found->generation == c->current) /* another one may have been installed meanwhile */
                take_found(d, c, found);
        due_set(d, c);
}

static void check(struct daemon *d, struct certificate *c, uint64_t now)
{
        struct error e = {0};

        if (d->checking >= CHECKING_MAX) {
                c->check_at = now + MOMENT + random_number() % MOMENT;
                return;
        }
        c->check_at = now + CHECK_EVERY - CHECK_SPREAD / 2 + random_number() % CHECK_SPREAD;
        if (revocation_check_start(d, c, on_checked, c, &c->check, &e))
                log_error(LOG_ERR, &e);
        else
                d->checking++;
}

/* false: it is what was told last. The text is enough to tell refusals apart (FNV-1a). */
static bool is_news(struct certificate *c, const struct rollover_found *found)
{
        uint32_t hash = 2166136261u;

        if (!found->anchor || (!found->next && !found->refused.code)) {
                if (found->anchor)
                        c->refusal_told = 0;
                return false;
        }
        if (found->next)
                return true;
        for (const char *p = found->refused.message; *p; p++)
                hash = (hash ^ (unsigned char)*p) * 16777619u;
        return hash != c->refusal_told && (c->refusal_told = hash) != 0;
}

static void on_looked(struct daemon *d, void *ctx, struct rollover_found *found)
{
        struct certificate *c = ctx;
        struct error e = {0};

        c->following = NULL;
        d->checking--;
        if (!c->leaving && !at_rest(c) && !waits(c) && found->next)
                c->follow_at = clock_now(&d->clock) + MOMENT; /* something came between */
        else if ((at_rest(c) || waits(c)) && is_news(c, found) && enrollment_next_ca(d, c, found, &e))
                log_error(LOG_ERR, &e);
        due_set(d, c);
}

static void follow(struct daemon *d, struct certificate *c, uint64_t now)
{
        struct error e = {0};

        if (d->checking >= CHECKING_MAX) {
                c->follow_at = now + MOMENT + random_number() % MOMENT;
                return;
        }
        c->follow_at = now + CHECK_EVERY - CHECK_SPREAD / 2 + random_number() % CHECK_SPREAD;
        if (rollover_look_start(d, c, on_looked, c, &c->following, &e))
                log_error(LOG_ERR, &e);
        else
                d->checking++;
}

/* Dates alone have changed it. */
static void tell_health(struct daemon *d, struct certificate *c, uint64_t now)
{
        const enum health health = certificate_health(c, now);

        if (health == c->told)
                return;
        c->told = health;
        objects_certificate_changed(d, c);
}

static void on_due(void *ctx, void *of)
{
        struct daemon *d = ctx;
        struct certificate *c = of;
        const uint64_t now = clock_now(&d->clock);
        uint64_t action;

        if (!at_rest(c) && !waits(c))
                return;
        tell_health(d, c, now);
        action = at_rest(c) ? action_at(c, now) : 0;
        if (action && action <= now)
                act(d, c, now);
        else if (at_rest(c) && apply_at(c) && c->apply_at <= now)
                apply_start(d, c);
        else if (check_at(c, now) && c->check_at <= now)
                check(d, c, now);
        else if (follow_at(c, now) && c->follow_at <= now)
                follow(d, c, now);
        due_set(d, c);
}

/* Dates that no wait of ours leads to are of a clock that went back since. */
static void look_anew(struct daemon *d, struct certificate *c)
{
        const uint64_t now = clock_now(&d->clock);

        if (c->put_off > now + CANCELLED_FOR) /* what is to be taken up again has no other date */
                c->put_off = activity_is_running(c->activity) ? now + MOMENT : 0;
        if (c->check_at > now + CHECK_EVERY + CHECK_SPREAD)
                c->check_at = 0;
        if (c->apply_at > now + RETRY_MAX)
                c->apply_at = now + RETRY_MIN;
        if (c->follow_at > now + CHECK_EVERY + CHECK_SPREAD)
                c->follow_at = 0;
        if (c->retry_at > now + RENEWAL_RETRY_MAX)
                c->retry_at = now + RETRY_MIN;
        tell_health(d, c, now);
        due_set(d, c);
}

enum err due_start(struct daemon *d, struct error *e)
{
        enum err r = schedule_new(d->event, &d->clock, on_due, d, &d->schedule, e);
        struct certificate *c;

        for (uint64_t order = 0; !r && (c = model_next(d->model, order)); order = c->order) {
                c->told = certificate_health(c, clock_now(&d->clock));
                look_anew(d, c);
        }
        return r;
}

void due_stop(struct daemon *d)
{
        struct certificate *c;

        schedule_free(STEAL(d->schedule));
        apply_stop(d);
        for (uint64_t order = 0; d->model && (c = model_next(d->model, order)); order = c->order) {
                apply_cancel(c);
                if (c->check)
                        revocation_check_stop(c->check);
                if (c->following)
                        rollover_look_stop(c->following);
        }
}

void due_end(struct daemon *d)
{
        struct certificate *c;

        for (uint64_t order = 0; d->model && (c = model_next(d->model, order)); order = c->order) {
                if (c->check)
                        revocation_check_free(STEAL(c->check));
                if (c->following)
                        rollover_look_free(STEAL(c->following));
        }
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

void due_network_up(struct daemon *d)
{
        const uint64_t now = clock_now(&d->clock);
        struct certificate *c;

        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order) {
                uint64_t at;

                if (!c->unanswered)
                        continue;
                /* One that comes and goes makes no storm: not within the shortest wait after a failure. */
                at = now + network_wait(c->not_after, now, random_number());
                if (at < c->activity_since + RETRY_MIN && c->activity_since <= now)
                        at = c->activity_since + RETRY_MIN;
                if (c->enrollment)
                        enrollment_poll_soon(c->enrollment, at - now);
                else if (c->activity == ACTIVITY_FAILED && c->retry_at > at)
                        c->put_off = at;
                due_set(d, c);
        }
}
