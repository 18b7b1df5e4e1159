/* See loop.h. */
#include "bus-server/loop.h"

#include <assert.h>
#include <sys/epoll.h>

#include <dbus/dbus.h>
#include <systemd/sd-event.h>

/* A connection has one descriptor and two watches on it, one to read and one to write. epoll takes a
 * descriptor once, so the watches of one descriptor share an event source. */
enum { WATCHES_MAX = 4 };

struct bus_loop {
        DBusConnection *connection;
        sd_event *event;
        sd_event_source *io;
        sd_event_source *dispatch;
        DBusWatch *watch[WATCHES_MAX];
};

static uint32_t wanted_events(const struct bus_loop *loop)
{
        uint32_t events = 0;

        for (int i = 0; i < WATCHES_MAX; i++) {
                unsigned flags;

                if (!loop->watch[i] || !dbus_watch_get_enabled(loop->watch[i]))
                        continue;
                flags = dbus_watch_get_flags(loop->watch[i]);
                if (flags & DBUS_WATCH_READABLE)
                        events |= EPOLLIN;
                if (flags & DBUS_WATCH_WRITABLE)
                        events |= EPOLLOUT;
        }
        return events;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct bus_loop *loop = userdata;
        unsigned ready = 0;

        (void)source;
        (void)fd;
        if (revents & EPOLLIN)
                ready |= DBUS_WATCH_READABLE;
        if (revents & EPOLLOUT)
                ready |= DBUS_WATCH_WRITABLE;
        if (revents & EPOLLERR)
                ready |= DBUS_WATCH_ERROR;
        if (revents & EPOLLHUP)
                ready |= DBUS_WATCH_HANGUP;
        /* A watch may go, or another come, while one is handled: each slot is looked at when its turn comes.
         */
        for (int i = 0; i < WATCHES_MAX; i++) {
                unsigned flags;

                if (!loop->watch[i] || !dbus_watch_get_enabled(loop->watch[i]))
                        continue;
                flags = dbus_watch_get_flags(loop->watch[i]) | DBUS_WATCH_ERROR | DBUS_WATCH_HANGUP;
                if (flags & ready)
                        (void)dbus_watch_handle(loop->watch[i], flags & ready);
        }
        return 0;
}

/* Makes the event source agree with the watches. */
static bool update_io(struct bus_loop *loop)
{
        uint32_t events = wanted_events(loop);
        int fd = -1;

        for (int i = 0; i < WATCHES_MAX; i++)
                if (loop->watch[i])
                        fd = dbus_watch_get_unix_fd(loop->watch[i]);
        if (fd < 0) {
                loop->io = sd_event_source_unref(loop->io);
                return true;
        }
        if (!loop->io)
                return sd_event_add_io(loop->event, &loop->io, fd, events, on_io, loop) >= 0;
        return sd_event_source_set_io_events(loop->io, events) >= 0;
}

static dbus_bool_t add_watch(DBusWatch *watch, void *data)
{
        struct bus_loop *loop = data;

        for (int i = 0; i < WATCHES_MAX; i++) {
                if (loop->watch[i])
                        continue;
                loop->watch[i] = watch;
                if (update_io(loop))
                        return TRUE;
                loop->watch[i] = NULL;
                return FALSE;
        }
        return FALSE;
}

static void remove_watch(DBusWatch *watch, void *data)
{
        struct bus_loop *loop = data;

        for (int i = 0; i < WATCHES_MAX; i++)
                if (loop->watch[i] == watch)
                        loop->watch[i] = NULL;
        (void)update_io(loop);
}

static void toggle_watch(DBusWatch *watch, void *data)
{
        (void)watch;
        (void)update_io(data);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        DBusTimeout *timeout = userdata;
        uint64_t interval = (uint64_t)dbus_timeout_get_interval(timeout) * 1000;

        (void)usec;
        /* D-Bus time-outs repeat until they are removed; handling may remove this one, and the source with
         * it. */
        (void)sd_event_source_set_time_relative(source, interval);
        (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        (void)dbus_timeout_handle(timeout);
        return 0;
}

static void toggle_timeout(DBusTimeout *timeout, void *data)
{
        sd_event_source *source = dbus_timeout_get_data(timeout);
        uint64_t interval = (uint64_t)dbus_timeout_get_interval(timeout) * 1000;

        (void)data;
        if (!dbus_timeout_get_enabled(timeout)) {
                (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
                return;
        }
        (void)sd_event_source_set_time_relative(source, interval);
        (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static dbus_bool_t add_timeout(DBusTimeout *timeout, void *data)
{
        struct bus_loop *loop = data;
        sd_event_source *source;

        if (sd_event_add_time_relative(loop->event, &source, CLOCK_MONOTONIC, 0, 0, on_timeout, timeout) < 0)
                return FALSE;
        dbus_timeout_set_data(timeout, source, NULL);
        toggle_timeout(timeout, data);
        return TRUE;
}

static void remove_timeout(DBusTimeout *timeout, void *data)
{
        (void)data;
        sd_event_source_disable_unref(dbus_timeout_get_data(timeout));
        dbus_timeout_set_data(timeout, NULL, NULL);
}

static int on_dispatch(sd_event_source *source, void *userdata)
{
        struct bus_loop *loop = userdata;

        if (dbus_connection_dispatch(loop->connection) != DBUS_DISPATCH_DATA_REMAINS)
                (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

/* libdbus forbids dispatching from here. */
static void dispatch_status(DBusConnection *connection, DBusDispatchStatus status, void *data)
{
        struct bus_loop *loop = data;

        (void)connection;
        if (status == DBUS_DISPATCH_DATA_REMAINS)
                (void)sd_event_source_set_enabled(loop->dispatch, SD_EVENT_ON);
}

void bus_loop_free(struct bus_loop *loop)
{
        if (!loop)
                return;
        (void)dbus_connection_set_watch_functions(loop->connection, NULL, NULL, NULL, NULL, NULL);
        (void)dbus_connection_set_timeout_functions(loop->connection, NULL, NULL, NULL, NULL, NULL);
        dbus_connection_set_dispatch_status_function(loop->connection, NULL, NULL, NULL);
        sd_event_source_disable_unref(loop->io);
        sd_event_source_disable_unref(loop->dispatch);
        sd_event_unref(loop->event);
        dbus_connection_unref(loop->connection);
        free(loop);
}

static void loop_free_p(struct bus_loop **loop)
{
        bus_loop_free(*loop);
}

enum err bus_loop_new(struct DBusConnection *connection, struct sd_event *event, struct bus_loop **ret,
                      struct error *e)
{
        CLEANUP(loop_free_p) struct bus_loop *loop = calloc(1, sizeof *loop);
        int n;

        if (!loop)
                return error_no_memory(e);
        loop->connection = dbus_connection_ref(connection);
        loop->event = sd_event_ref(event);
        n = sd_event_add_defer(event, &loop->dispatch, on_dispatch, loop);
        if (n < 0)
                return errno_error(e, -n, "The bus could not be put on the event loop");
        /* Messages may have come in while the connection was set up: the source is on from the start. */
        n = sd_event_source_set_enabled(loop->dispatch, SD_EVENT_ON);
        if (n < 0)
                return errno_error(e, -n, "The bus could not be put on the event loop");
        dbus_connection_set_dispatch_status_function(connection, dispatch_status, loop, NULL);
        if (!dbus_connection_set_watch_functions(connection, add_watch, remove_watch, toggle_watch, loop,
                                                 NULL) ||
            !dbus_connection_set_timeout_functions(connection, add_timeout, remove_timeout, toggle_timeout,
                                                   loop, NULL))
                return error_no_memory(e);
        *ret = STEAL(loop);
        return ERR_OK;
}
