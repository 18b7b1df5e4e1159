/*
 * Manager.GetEvents and FollowEvents: lines of events of the certificates the caller may see, from the files
 * in which they stand; and a pipe for those that come.
 */
#include <string.h>

#include "events/events.h"
#include "internal.h"

enum { EVENTS_DEFAULT = 1000, EVENTS_MAX = 10000, EVENTS_TEXT_MAX = 8 * 1024 * 1024 };

/* Lines of events with the time they begin with: {"time":1234,… */
struct event_line {
        uint64_t time;
        struct view text;
        size_t order;
};

struct event_lines {
        struct event_line *items;
        size_t n, size;
        struct bytes *files;
        size_t n_files;
};

static void event_lines_done(struct event_lines *lines)
{
        for (size_t i = 0; i < lines->n_files; i++)
                bytes_done(&lines->files[i]);
        free(lines->files);
        free(lines->items);
}

static enum err add_lines(struct event_lines *lines, const struct bytes *file, uint64_t since,
                          struct error *e)
{
        static const char prefix[] = "{\"time\":";
        const char *p = (const char *)file->data, *end = p + file->len;

        while (p < end) {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                uint64_t time = 0;

                if (!newline) /* half a line: the daemon was killed while it wrote */
                        break;
                if (strncmp(p, prefix, sizeof prefix - 1) == 0)
                        time = strtoull(p + sizeof prefix - 1, NULL, 10);
                if (time >= since) {
                        if (lines->n == lines->size) {
                                size_t size = lines->size ? 2 * lines->size : 256;
                                struct event_line *items = realloc(lines->items, size * sizeof *items);

                                if (!items)
                                        return error_no_memory(e);
                                lines->items = items;
                                lines->size = size;
                        }
                        lines->items[lines->n] = (struct event_line){
                                time, {(const uint8_t *)p, (size_t)(newline - p) + 1}, lines->n};
                        lines->n++;
                }
                p = newline + 1;
        }
        return ERR_OK;
}

static int by_time(const void *a, const void *b)
{
        const struct event_line *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

static enum err read_events(struct daemon *d, struct event_lines *lines, const struct certificate *c,
                            uint64_t since, struct error *e)
{
        struct bytes *files = realloc(lines->files, (lines->n_files + 1) * sizeof *files), file = {0};
        enum err r;

        if (!files)
                return error_no_memory(e);
        lines->files = files;
        r = store_events_read(d->store, c->id, &file, e);
        if (r)
                return r == ERR_NOT_FOUND ? ERR_OK : r;
        lines->files[lines->n_files++] = file;
        return add_lines(lines, &file, since, e);
}

struct events_wanted {
        const char *path; /* of one certificate; NULL: of all */
        uint64_t since;
        uint32_t limit;
};

static enum err read_wanted(struct bus_call *call, struct events_wanted *ret, struct error *e)
{
        struct events_wanted wanted = {.limit = EVENTS_DEFAULT};
        const struct bus_option options[] = {
                BUS_OPTION_AS_PATH(BUS_OPTION_CERTIFICATE, wanted.path),
                BUS_OPTION_AS_U64(BUS_OPTION_SINCE, wanted.since),
                BUS_OPTION_AS_U32(BUS_OPTION_LIMIT, wanted.limit),
        };
        enum err r = bus_options_read(bus_call_reader(call), options, N_ELEMENTS(options), e);

        if (!r && wanted.limit > EVENTS_MAX)
                r = error_set(e, ERR_INVALID, "At most %d events can be asked for, not %u", EVENTS_MAX,
                              wanted.limit);
        if (!r)
                *ret = wanted;
        return r;
}

/* *ret_fd: a memfd, the caller's. */
static enum err past_events(struct daemon *d, const struct bus_call *call, const struct events_wanted *wanted,
                            int *ret_fd, struct error *e)
{
        CLEANUP(event_lines_done) struct event_lines lines = {0};
        CLEANUP(free_p) char *all = NULL;
        struct text text = TEXT(EVENTS_TEXT_MAX);
        struct certificate *c;
        uint64_t order = 0;
        bool found = false;
        enum err r = ERR_OK;

        while (!r && (c = model_next(d->model, order))) {
                char path[OBJECT_PATH_MAX];

                order = c->order;
                certificate_path(c->id, path);
                if (!certificate_visible(call, c) || (wanted->path && strcmp(wanted->path, path) != 0))
                        continue;
                found = true;
                r = read_events(d, &lines, c, wanted->since, e);
        }
        if (!r && wanted->path && !found)
                r = error_set(e, ERR_NOT_FOUND, "There is no such certificate");
        if (r)
                return r;
        if (lines.n)
                qsort(lines.items, lines.n, sizeof *lines.items, by_time);
        for (size_t i = lines.n > wanted->limit ? lines.n - wanted->limit : 0; i < lines.n; i++)
                text_add_n(&text, (const char *)lines.items[i].text.data, lines.items[i].text.len);
        r = text_finish(&text, &all, e);
        return r ? r : memfd_make("scepter-events", str_view(all), ret_fd, e);
}

enum err manager_get_events(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        CLEANUP(close_p) int past = -1;
        struct events_wanted wanted;
        struct bus_writer *w;
        enum err r = read_wanted(call, &wanted, e);

        if (!r)
                r = past_events(d, call, &wanted, &past, e);
        if (r)
                return r;
        w = bus_call_begin(call);
        bus_write_fd(w, past);
        return bus_call_reply(call, w, e);
}

enum err manager_follow_events(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        CLEANUP(close_p) int past = -1, coming = -1;
        struct follower_viewer viewer = {.uid = bus_call_uid(call), .root = bus_call_is_root(call)};
        struct events_wanted wanted;
        struct bus_writer *w;
        enum err r = read_wanted(call, &wanted, e);

        if (r)
                return r;
        viewer.certificate = wanted.path ? strrchr(wanted.path, '/') + 1 : NULL;
        event_log_hold(d->events);
        r = past_events(d, call, &wanted, &past, e);
        if (!r)
                r = event_log_follow(d->events, &viewer, &coming, e);
        event_log_release(d->events);
        if (r)
                return r;
        w = bus_call_begin(call);
        bus_write_fd(w, past);
        bus_write_fd(w, coming);
        return bus_call_reply(call, w, e); /* what was not sent closes its end of the pipe */
}
