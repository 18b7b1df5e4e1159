#include "events.h"

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "store/store.h"

struct event_log {
        struct sd_event *event;
        struct store *store;
        const struct wall_clock *clock;
};

enum err event_log_new(struct sd_event *event, struct store *store, const struct wall_clock *clock,
                       struct event_log **ret, struct error *e)
{
        struct event_log *log = calloc(1, sizeof *log);

        if (!log)
                return error_no_memory(e);
        *log = (struct event_log){event, store, clock};
        *ret = log;
        return ERR_OK;
}

void event_log_free(struct event_log *log)
{
        free(log);
}

/* The table says what each event tells: anything else is a defect, and tests look for this line. */
static void check(const struct event *event)
{
        const uint32_t told = event_told(event);
        const enum event_field lacks = event_lacks(event->kind, told),
                               more = event_exceeds(event->kind, told);

        if (lacks != _EVENT_FIELD_MAX)
                log_line(LOG_WARNING, "The event %s lacks its field %s, ignoring", event_name(event->kind),
                         event_field_name(lacks));
        if (more != _EVENT_FIELD_MAX)
                log_line(LOG_WARNING, "The event %s has no field %s, ignoring", event_name(event->kind),
                         event_field_name(more));
}

static void to_journal(const struct event *event)
{
        CLEANUP(event_entry_done) struct event_entry entry = {.n = 0};
        char text[ERROR_MESSAGE_MAX + 256];

        (void)snprintf(text, sizeof text, "Certificate '%s': %s", event->name, event->message);
        if (event_to_entry(event, &entry, NULL))
                event_entry_done(&entry); /* then without fields */
        log_entry(event_priority(event->kind), text, (const char *const *)entry.text, entry.n);
}

static enum err to_disk(struct event_log *log, const struct event *event, const char *line, struct error *e)
{
        enum err r;

        if (event->kind == EVENT_CERT_REMOVED) /* it has no directory any more */
                return ERR_OK;
        r = store_events_trim(log->store, event->certificate, e);
        return r ? r : store_event_add(log->store, event->certificate, line, e);
}

void event_record(struct event_log *log, const struct event *event)
{
        struct event now = *event;
        CLEANUP(free_p) char *line = NULL;
        struct error e = {0};
        enum err r;

        now.time = clock_now(log->clock);
        check(&now);
        r = event_to_json(&now, &line, &e);
        if (!r)
                r = to_disk(log, &now, line, &e);
        if (r)
                log_line(LOG_WARNING, "An event of certificate '%s' could not be written, ignoring: %s",
                         event->name, e.message);
        to_journal(&now);
}
