#include "events.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "store/store.h"

/* On its way from the thread that recorded it to the loop. Each belongs to a step of an enrollment that the
 * loop has still to see the end of: that bounds them. */
struct passage {
        struct passage *next;
        uint64_t serial;
        store_id certificate;
        uid_t owner;
        char *line;
};

struct event_log {
        struct store *store;
        const struct wall_clock *clock;
        struct followers *followers; /* loop alone */
        pthread_mutex_t lock;        /* of what follows, and of the files */
        uint64_t serial;             /* of the last line that was recorded */
        struct passage *first, **end;
        bool followed;
        int wake; /* eventfd: there is a passage */
        sd_event_source *source;
};

static void free_passage(struct passage *passage)
{
        free(passage->line);
        free(passage);
}

/* All that is on its way, to those who follow; the lock is held. */
static void deliver(struct event_log *log)
{
        while (log->first) {
                struct passage *passage = log->first;

                log->first = passage->next;
                followers_tell(log->followers, passage->certificate, passage->owner, passage->serial,
                               str_view(passage->line));
                free_passage(passage);
        }
        log->end = &log->first;
        log->followed = followers_count(log->followers) > 0;
}

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct event_log *log = ctx;
        uint64_t n;

        (void)source;
        (void)events;
        if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN && errno != EINTR)
                return -errno;
        (void)pthread_mutex_lock(&log->lock);
        deliver(log);
        (void)pthread_mutex_unlock(&log->lock);
        return 0;
}

enum err event_log_follow(struct event_log *log, const struct follower_viewer *viewer, int *ret_fd,
                          struct follower **ret, struct error *e)
{
        enum err r;

        (void)pthread_mutex_lock(&log->lock);
        deliver(log);
        r = followers_add(log->followers, viewer, ret_fd, ret, e);
        log->followed = followers_count(log->followers) > 0;
        (void)pthread_mutex_unlock(&log->lock);
        return r;
}

void event_log_join(struct event_log *log, struct follower *follower, const struct follower_mark *marks,
                    size_t n)
{
        /* What is on its way would otherwise be told without a look at the marks. */
        (void)pthread_mutex_lock(&log->lock);
        deliver(log);
        (void)pthread_mutex_unlock(&log->lock);
        followers_join(follower, marks, n);
}

enum err event_log_read(struct event_log *log, const char *certificate, struct bytes *ret,
                        uint64_t *ret_serial, struct error *e)
{
        enum err r;

        (void)pthread_mutex_lock(&log->lock);
        *ret_serial = log->serial;
        r = store_events_read(log->store, certificate, ret, e);
        (void)pthread_mutex_unlock(&log->lock);
        return r;
}

enum err event_log_new(struct sd_event *event, struct store *store, const struct wall_clock *clock,
                       struct event_log **ret, struct error *e)
{
        struct event_log *log = calloc(1, sizeof *log);
        int failed;
        enum err r;

        if (!log)
                return error_no_memory(e);
        *log = (struct event_log){.store = store, .clock = clock, .end = &log->first, .wake = -1};
        (void)pthread_mutex_init(&log->lock, NULL);
        r = followers_new(event, &log->followers, e);
        if (!r) {
                log->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                failed = log->wake < 0
                                 ? -errno
                                 : sd_event_add_io(event, &log->source, log->wake, EPOLLIN, on_wake, log);
                if (failed < 0)
                        r = errno_error(e, -failed, "The event loop took no source");
        }
        if (r) {
                event_log_free(log);
                return r;
        }
        *ret = log;
        return ERR_OK;
}

void event_log_free(struct event_log *log)
{
        if (!log)
                return;
        if (log->followers)
                deliver(log);
        (void)sd_event_source_disable_unref(log->source);
        close_p(&log->wake);
        followers_free(log->followers);
        (void)pthread_mutex_destroy(&log->lock);
        free(log);
}

/* The table says what each event tells: anything else is a defect, and tests look for this line. */
static void check(const struct event *event)
{
        const uint64_t told = event_told(event);
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
                entry.n = 0; /* then without fields */
        log_entry(event_priority(event->kind), text, (const char *const *)entry.text, entry.n);
}

/* For the loop to pass on. Without memory nobody hears of it but the disk and the journal. */
static void to_followers(struct event_log *log, const struct event *event, const char *line)
{
        struct passage *passage = calloc(1, sizeof *passage);
        const uint64_t one = 1;

        if (!passage || asprintf(&passage->line, "%s\n", line) < 0) {
                free(passage);
                return;
        }
        (void)snprintf(passage->certificate, sizeof passage->certificate, "%s", event->certificate);
        passage->owner = event->owner;
        passage->serial = log->serial;
        *log->end = passage;
        log->end = &passage->next;
        (void)!write(log->wake, &one, sizeof one); /* full: it is awake already */
}

static enum err to_disk(struct event_log *log, const struct event *event, const char *line, struct error *e)
{
        /* What is removed has no directory any more. */
        const bool kept = event->kind != EVENT_CERT_REMOVED;
        enum err r = kept ? store_events_trim(log->store, event->certificate, e) : ERR_OK;

        (void)pthread_mutex_lock(&log->lock);
        log->serial++;
        if (!r && kept)
                r = store_event_add(log->store, event->certificate, line, e);
        if (log->followed)
                to_followers(log, event, line);
        (void)pthread_mutex_unlock(&log->lock);
        return r;
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
