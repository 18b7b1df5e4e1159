/*
 * The CA wants a person to approve the request: the polls, their dates and their end (design §5). A poll that
 * fails changes nothing: the request still waits, until PendingLimit= has passed or the CA answers.
 */
#include "base/ossl.h"
#include "daemon/log.h"
#include "due.h"
#include "internal.h"
#include "policy/renewal.h"
#include "tell.h"

enum {
        POLL_SLOW = 3600,        /* seconds, once RetryCount is used up */
        POLL_LATEST = 24 * 3600, /* RetryDelay and Retry-After are at most a day */
        CLOCK_DOUBT = 24 * 3600, /* seconds between our clock and the server's: ours is not believed */
};

static int on_poll_time(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct enrollment *en = ctx;

        (void)source;
        (void)usec;
        (void)sd_event_source_disable_unref(STEAL(en->timer));
        if (!en->key) /* it could not be taken up at the start of the service */
                enrollment_step(en, step_resume, enrollment_resumed);
        else
                enrollment_discover(en); /* RA certificates are read anew before each request */
        return 0;
}

void enrollment_wait(struct enrollment *en)
{
        uint64_t now = clock_now(&en->d->clock);
        uint64_t seconds = en->record.next_poll > now ? en->record.next_poll - now : 0;
        int r;

        if (seconds > POLL_LATEST) /* the clock went back */
                seconds = POLL_SLOW;

        en->stage = "pending";
        r = sd_event_add_time_relative(en->d->event, &en->timer, CLOCK_BOOTTIME,
                                       clock_wait_usec(&en->d->clock, seconds), 0, on_poll_time, en);

        if (r < 0) {
                struct error e = {0};

                (void)errno_error(&e, -r, "The event loop took no timer");
                log_error(LOG_ERR, &e); /* a restart takes it up again */
        }
        due_set(en->d, en->certificate);
}

bool enrollment_waits(const struct enrollment *en)
{
        return en->timer && !en->cancelled && en->certificate->activity == ACTIVITY_PENDING;
}

static void after_note(struct enrollment *en)
{
        if (en->result)
                log_error(LOG_ERR, &en->error);
        enrollment_publish(en, "pending");
        enrollment_wait(en);
}

enum err enrollment_note(struct enrollment *en, enum err (*run)(struct enrollment *en, struct error *e),
                         struct error *e)
{
        if (!enrollment_waits(en))
                return error_set(e, ERR_BUSY, "An enrollment of '%s' is under way already",
                                 en->certificate->name);
        /* no poll while that is in a thread */
        (void)sd_event_source_disable_unref(STEAL(en->timer));
        enrollment_step(en, run, after_note);
        return ERR_OK;
}

void enrollment_clock_stepped(struct enrollment *en)
{
        if (!en->timer)
                return;
        (void)sd_event_source_disable_unref(STEAL(en->timer));
        enrollment_wait(en);
}

void enrollment_poll_soon(struct enrollment *en, uint64_t seconds)
{
        const uint64_t now = clock_now(&en->d->clock), last = en->record.last_time;
        uint64_t at = now + seconds;

        if (last <= now && at < last + RETRY_MIN) /* a network that comes and goes makes no storm */
                at = last + RETRY_MIN;
        if (!en->timer || at >= en->record.next_poll)
                return;
        en->record.next_poll = at;
        enrollment_clock_stepped(en);
}

/* The limit of PendingLimit=. Where the server's clock says that ours is off by days, ours proves nothing. */
static bool has_waited_enough(const struct enrollment *en, uint64_t now)
{
        const int64_t off = en->clock_offset;

        return now - en->record.pending_since >= en->plan.pending_limit && off < CLOCK_DOUBT &&
               off > -CLOCK_DOUBT;
}

/* The last failure was not about the request: it is gone with the answer. */
static enum err clear_trouble(struct record *record, struct error *e)
{
        enum err r = record_set_text(&record->error_name, "", e);

        if (!r)
                r = record_set_text(&record->error_message, "", e);
        if (!r)
                r = record_set_text(&record->error_remedy, "", e);
        record->attempts = 0;
        return r;
}

static enum err step_pending(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        uint64_t now = clock_now(&en->d->clock);
        uint64_t delay = (uint64_t)en->plan.retry_delay * 60;
        enum err r;

        if (record->pending_since)
                record->polls++;
        if (!record->pending_since || record->pending_since > now) /* the clock went back */
                record->pending_since = now;
        if (has_waited_enough(en, now))
                return error_set(e, ERR_SERVER_REFUSED, "The request was not approved within %llu hours",
                                 (unsigned long long)en->plan.pending_limit / 3600);
        if (record->polls >= en->plan.retry_count)
                delay = POLL_SLOW;
        record->next_poll = now + longer_wait(delay, en->retry_after, usable_until(record), now);
        r = clear_trouble(record, e);
        if (!r)
                r = record_move(en, LIFE_PENDING, e);
        if (!r)
                tell_pending(en);
        return r;
}

static void after_pending(struct enrollment *en)
{
        if (enrollment_failed(en))
                return;
        enrollment_publish(en, "pending");
        enrollment_wait(en);
}

void enrollment_pending(struct enrollment *en, const struct result_http *http)
{
        en->stage = "pending";
        en->retry_after = http->retry_after;
        en->clock_offset = http->has_date ? http->date_offset : 0;
        enrollment_step(en, step_pending, after_pending);
}

/* The poll failed, and why is told; the next one comes later each time. */
static enum err step_poll_failed(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        const uint64_t now = clock_now(&en->d->clock);
        uint64_t wait;
        enum err r = record_set_text(&record->error_name, err_name(en->why.code), e);

        if (!r)
                r = record_set_text(&record->error_message, en->why.message, e);
        if (!r)
                r = record_set_text(&record->error_remedy, en->why.remedy, e);
        record->attempts++;
        wait = retry_wait(record->attempts, (uint64_t)en->plan.retry_delay * 60, usable_until(record), now,
                          random_number());
        record->next_poll = now + longer_wait(wait, en->retry_after, usable_until(record), now);
        if (!r)
                r = record_move(en, LIFE_PENDING, e);
        if (!r)
                tell_poll_failed(en, &en->why);
        return r;
}

/* What could not be written is told; the request waits all the same, and the timer is in memory. */
static void after_poll_failed(struct enrollment *en)
{
        if (en->result)
                log_error(LOG_ERR, &en->error);
        enrollment_publish(en, "pending");
        enrollment_wait(en);
}

bool enrollment_still_pending(struct enrollment *en, const struct error *why)
{
        /* The answer to the request itself, and what no later poll can change. */
        static const enum err ends[] = {ERR_SERVER_REFUSED, ERR_CERTIFICATE_REFUSED, ERR_CANCELLED,
                                        ERR_CONFIG,         ERR_UNSUPPORTED,         ERR_INVALID,
                                        ERR_DENIED};

        if (en->certificate->activity != ACTIVITY_PENDING || en->key_lost || pin_is_why(en, why))
                return false;
        for (size_t i = 0; i < N_ELEMENTS(ends); i++)
                if (why->code == ends[i])
                        return false;
        en->why = *why;
        enrollment_step(en, step_poll_failed, after_poll_failed);
        return true;
}
