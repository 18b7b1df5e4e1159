#include "work/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <systemd/sd-event.h>

#include "base/file.h"
#include "daemon/log.h"

struct watch {
        sd_event *event; /* borrowed */
        sd_event_source *directory, *quiet;
        const char *path;
        void (*changed)(void *ctx);
        void *ctx;
};

static int on_change(sd_event_source *source, const struct inotify_event *event, void *ctx);

/* The directory, or, while it is not there, the one it would be in. */
static void begin(struct watch *watch)
{
        const uint32_t mask = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |
                              IN_CREATE | IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
        const char *slash = strrchr(watch->path, '/');
        char parent[PATH_MAX];
        int r;

        (void)sd_event_source_disable_unref(STEAL(watch->directory));
        r = sd_event_add_inotify(watch->event, &watch->directory, watch->path, mask, on_change, watch);
        (void)snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - watch->path) : 0, watch->path);
        if (r == -ENOENT && *parent)
                r = sd_event_add_inotify(watch->event, &watch->directory, parent, mask, on_change, watch);
        if (r < 0 && r != -ENOENT)
                log_line(LOG_WARNING, "%s cannot be watched, ignoring: %s", watch->path, strerror(-r));
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *ctx)
{
        struct watch *watch = ctx;
        const char *last = strrchr(watch->path, '/');

        (void)source;
        if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) ||
            (event->len && last && strcmp(event->name, last + 1) == 0))
                begin(watch); /* it came, or went */
        (void)sd_event_source_set_time_relative(watch->quiet, WATCH_QUIET_USEC);
        (void)sd_event_source_set_enabled(watch->quiet, SD_EVENT_ONESHOT);
        return 0;
}

static int on_quiet(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct watch *watch = ctx;

        (void)source;
        (void)usec;
        watch->changed(watch->ctx);
        return 0;
}

enum err watch_new(struct sd_event *event, const char *path, void (*changed)(void *ctx), void *ctx,
                   struct watch **ret, struct error *e)
{
        struct watch *watch = calloc(1, sizeof *watch);
        int r;

        if (!watch)
                return error_no_memory(e);
        *watch = (struct watch){.event = event, .path = path, .changed = changed, .ctx = ctx};
        r = sd_event_add_time_relative(event, &watch->quiet, CLOCK_MONOTONIC, WATCH_QUIET_USEC, 0, on_quiet,
                                       watch);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->quiet, SD_EVENT_OFF);
        if (r < 0) {
                watch_free(watch);
                return errno_error(e, -r, "The event loop took no timer");
        }
        begin(watch);
        *ret = watch;
        return ERR_OK;
}

void watch_free(struct watch *watch)
{
        if (!watch)
                return;
        (void)sd_event_source_disable_unref(watch->directory);
        (void)sd_event_source_disable_unref(watch->quiet);
        free(watch);
}
