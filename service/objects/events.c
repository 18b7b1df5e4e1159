/*
 * Manager.GetEvents and FollowEvents: lines of events of the certificates the caller may see, from the files
 * in which they stand; and a pipe for those that come. A thread reads the files, for one caller after the
 * other.
 */
#include <string.h>

#include "events/events.h"
#include "events/past.h"
#include "internal.h"

enum {
        EVENTS_DEFAULT = 1000,
        EVENTS_MAX = 10000,
        READINGS_MAX = 64,
        READINGS_PER_USER = 8, /* waiting ones included */
};

/* A call that waits for the files to be read. */
struct reading {
        struct later later;
        struct reading *next; /* in the order they came; the first is being read for */
        store_id *certificates;
        struct past_wanted wanted;
        bool one;                  /* of one certificate, even if there were more */
        struct follower *follower; /* NULL: GetEvents */
        int coming;                /* the reader's end of his pipe */
        int past;                  /* a memfd */
        struct follower_mark *marks;
        enum err result;
        struct error error;
};

static void reading_free(struct reading *reading)
{
        bus_call_unref(reading->later.call);
        close_p(&reading->coming);
        close_p(&reading->past);
        free(reading->certificates);
        free(reading->marks);
        free(reading);
}

void readings_stop(struct daemon *d)
{
        while (d->readings) {
                struct reading *reading = d->readings;

                d->readings = reading->next;
                reading_free(reading);
        }
}

/* A thread of the pool. */
static void run_read(void *ctx)
{
        struct reading *reading = ctx;
        CLEANUP(bytes_done) struct bytes lines = {0};
        enum err r = past_read(reading->later.d->events, &reading->wanted, &lines, &reading->marks,
                               &reading->error);

        if (!r)
                r = memfd_make("scepter-events", bytes_view(&lines), &reading->past, &reading->error);
        reading->result = r;
}

static enum err answer(struct reading *reading, struct error *e)
{
        struct bus_writer *w = bus_call_begin(reading->later.call);

        bus_write_fd(w, reading->past);
        if (reading->follower) {
                event_log_join(reading->later.d->events, reading->follower, reading->marks,
                               reading->wanted.n);
                bus_write_fd(w, reading->coming);
        }
        return bus_call_reply(reading->later.call, w, e); /* what was not sent closes its end of the pipe */
}

static void begin(struct daemon *d);

static void read_done(void *ctx)
{
        struct reading *reading = ctx;
        struct daemon *d = reading->later.d;

        d->readings = reading->next;
        if (!reading->result)
                reading->result = answer(reading, &reading->error);
        if (reading->result)
                bus_call_fail(reading->later.call, &reading->error);
        reading_free(reading);
        begin(d);
}

/* For the first that waits; none who cannot be served keeps the others waiting. */
static void begin(struct daemon *d)
{
        while (d->readings) {
                struct reading *reading = d->readings;

                if (pool_submit(d->pool, run_read, read_done, reading, &reading->error) == ERR_OK)
                        return;
                d->readings = reading->next;
                bus_call_fail(reading->later.call, &reading->error);
                reading_free(reading);
        }
}

/* What the caller wants of what he may see. */
static enum err read_wanted(struct reading *reading, struct bus_call *call, struct error *e)
{
        const char *path = NULL;
        uint32_t limit = EVENTS_DEFAULT;
        const struct bus_option options[] = {
                BUS_OPTION_AS_PATH(BUS_OPTION_CERTIFICATE, path),
                BUS_OPTION_AS_U64(BUS_OPTION_SINCE, reading->wanted.since),
                BUS_OPTION_AS_U32(BUS_OPTION_LIMIT, limit),
        };
        const struct daemon *d = reading->later.d;
        struct certificate *c;
        size_t room = 0;
        enum err r = bus_options_read(bus_call_reader(call), options, N_ELEMENTS(options), e);

        if (!r && limit > EVENTS_MAX)
                r = error_set(e, ERR_INVALID, "At most %d events can be asked for, not %u", EVENTS_MAX,
                              limit);
        if (r)
                return r;
        reading->wanted.limit = limit;
        reading->one = path != NULL;
        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order) {
                char own[OBJECT_PATH_MAX];

                certificate_path(c->id, own);
                if (!certificate_visible(call, c) || (path && strcmp(path, own) != 0))
                        continue;
                if (reading->wanted.n == room) {
                        const size_t more = room ? 2 * room : 64;
                        store_id *ids = realloc(reading->certificates, more * sizeof *ids);

                        if (!ids)
                                return error_no_memory(e);
                        reading->certificates = ids;
                        room = more;
                }
                memcpy(reading->certificates[reading->wanted.n++], c->id, sizeof c->id);
        }
        reading->wanted.certificates = reading->certificates;
        return path && reading->wanted.n == 0 ? error_set(e, ERR_NOT_FOUND, "There is no such certificate")
                                              : ERR_OK;
}

static enum err follow(struct reading *reading, const struct bus_call *call, struct error *e)
{
        const struct follower_viewer viewer = {.uid = bus_call_uid(call),
                                               .root = bus_call_is_root(call),
                                               .certificate = reading->one ? reading->certificates[0] : NULL};

        return event_log_follow(reading->later.d->events, &viewer, &reading->coming, &reading->follower, e);
}

static enum err within_limit(const struct daemon *d, const struct bus_call *call, struct error *e)
{
        unsigned all = 0, own = 0;

        for (const struct reading *other = d->readings; other; other = other->next) {
                all++;
                own += bus_call_uid(other->later.call) == bus_call_uid(call);
        }
        if (all < READINGS_MAX && (bus_call_is_root(call) || own < READINGS_PER_USER))
                return ERR_OK;
        (void)error_set(e, ERR_LIMIT, "Too many others wait for events");
        return error_remedy(e, ERR_LIMIT, "Wait for them to be answered, then try again.");
}

static enum err start(struct daemon *d, struct bus_call *call, bool follows, struct error *e)
{
        struct reading *reading, **end = &d->readings;
        enum err r = within_limit(d, call, e);

        if (r)
                return r;
        reading = calloc(1, sizeof *reading);
        if (!reading)
                return error_no_memory(e);
        *reading = (struct reading){.later = {d, bus_call_ref(call)}, .coming = -1, .past = -1};
        r = read_wanted(reading, call, e);
        if (!r && follows)
                r = follow(reading, call, e);
        if (r) {
                reading_free(reading);
                return r;
        }
        while (*end)
                end = &(*end)->next;
        *end = reading;
        if (d->readings == reading)
                begin(d);
        return ERR_OK;
}

enum err manager_get_events(void *object, struct bus_call *call, struct error *e)
{
        return start(((struct manager *)object)->d, call, false, e);
}

enum err manager_follow_events(void *object, struct bus_call *call, struct error *e)
{
        return start(((struct manager *)object)->d, call, true, e);
}
