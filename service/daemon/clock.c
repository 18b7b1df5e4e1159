#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

struct clock_watch {
        int fd; /* a timer that is cancelled when the clock is set */
        sd_event_source *io, *file;
        void (*stepped)(void *ctx);
        void *ctx;
};

enum err clock_open(struct wall_clock *clock, const char *path, struct error *e)
{
        CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
        void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *clock->offset, PROT_READ, MAP_SHARED, fd, 0);

        if (at == MAP_FAILED)
                return errno_error(e, errno, "The clock's file %s could not be opened", path);
        clock->offset = at;
        return ERR_OK;
}

uint64_t clock_now(const struct wall_clock *clock)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t)t.tv_sec + (clock->offset ? (uint64_t)*clock->offset : 0);
}

uint64_t clock_wait_usec(const struct wall_clock *clock, uint64_t seconds)
{
        return seconds * 1000000 / clock->scale;
}

/* Never rings: it is cancelled (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET). */
static int arm(int fd)
{
        const struct itimerspec never = {.it_value = {.tv_sec = INT32_MAX}};

        return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static int on_cancelled(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct clock_watch *watch = ctx;
        uint64_t n;

        (void)source;
        (void)events;
        if (read(fd, &n, sizeof n) < 0 && errno == EAGAIN)
                return 0;
        (void)arm(fd);
        watch->stepped(watch->ctx);
        return 0;
}

static int on_file(sd_event_source *source, const struct inotify_event *event, void *ctx)
{
        struct clock_watch *watch = ctx;

        (void)source;
        (void)event;
        watch->stepped(watch->ctx);
        return 0;
}

enum err clock_watch_new(struct sd_event *event, const char *path, void (*stepped)(void *ctx), void *ctx,
                         struct clock_watch **ret, struct error *e)
{
        struct clock_watch *watch = calloc(1, sizeof *watch);
        int failed;

        if (!watch)
                return error_no_memory(e);
        *watch = (struct clock_watch){.stepped = stepped, .ctx = ctx};
        watch->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        failed = watch->fd < 0 || arm(watch->fd) < 0
                         ? -errno
                         : sd_event_add_io(event, &watch->io, watch->fd, EPOLLIN, on_cancelled, watch);
        if (failed >= 0 && path)
                failed = sd_event_add_inotify(event, &watch->file, path, IN_CLOSE_WRITE, on_file, watch);
        if (failed < 0) {
                clock_watch_free(watch);
                return errno_error(e, -failed, "The clock could not be watched");
        }
        *ret = watch;
        return ERR_OK;
}

void clock_watch_free(struct clock_watch *watch)
{
        if (!watch)
                return;
        (void)sd_event_source_disable_unref(watch->io);
        (void)sd_event_source_disable_unref(watch->file);
        close_p(&watch->fd);
        free(watch);
}
