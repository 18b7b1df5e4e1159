/* Signals of other services that parts of the daemon wait for. */
#include "bus-server/internal.h"

#include <stdio.h>

struct bus_listener {
        struct bus_server *server;
        struct bus_signal_name signal;
        bus_heard *heard;
        void *ctx;
        struct bus_listener *next;
};

static void match(const struct bus_listener *listener, bool add)
{
        const struct bus_signal_name *signal = &listener->signal;
        DBusConnection *connection = listener->server->connection;
        char rule[512];
        int n = snprintf(rule, sizeof rule, "type='signal',sender='%s',path='%s',interface='%s',member='%s'",
                         signal->sender, signal->path, signal->interface, signal->member);

        if (n < 0 || (size_t)n >= sizeof rule)
                return;
        /* Without an error argument these do not wait for the bus. */
        if (add)
                dbus_bus_add_match(connection, rule, /* error= */ NULL);
        else
                dbus_bus_remove_match(connection, rule, /* error= */ NULL);
}

enum err bus_server_listen(struct bus_server *server, const struct bus_signal_name *signal, bus_heard *heard,
                           void *ctx, struct bus_listener **ret, struct error *e)
{
        struct bus_listener *listener = malloc(sizeof *listener);

        if (!listener)
                return error_no_memory(e);
        *listener = (struct bus_listener){server, *signal, heard, ctx, server->listeners};
        server->listeners = listener;
        match(listener, /* add= */ true);
        *ret = listener;
        return ERR_OK;
}

void bus_listener_free(struct bus_listener *listener)
{
        if (!listener)
                return;
        match(listener, /* add= */ false);
        for (struct bus_listener **p = &listener->server->listeners; *p; p = &(*p)->next) {
                if (*p == listener) {
                        *p = listener->next;
                        break;
                }
        }
        free(listener);
}

void listeners_hear(struct bus_server *server, DBusMessage *message)
{
        for (struct bus_listener *listener = server->listeners, *next; listener; listener = next) {
                const struct bus_signal_name *signal = &listener->signal;
                CLEANUP(bus_reader_free_p) struct bus_reader *args = NULL;

                next = listener->next; /* heard() may end this one, and no other */
                if (!dbus_message_is_signal(message, signal->interface, signal->member) ||
                    !dbus_message_has_path(message, signal->path))
                        continue;
                args = bus_reader_new(message);
                if (args)
                        listener->heard(listener->ctx, args);
        }
}
