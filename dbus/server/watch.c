/* Signals of other services that the daemon listens to. */
#include "bus-server/internal.h"

#include <stdio.h>
#include <string.h>

enum { RULE_MAX = 512 };

enum err bus_server_watch(struct bus_server *server, const char *sender, const char *path,
                          const char *interface, const char *member, bus_heard *heard, void *ctx,
                          struct error *e)
{
        struct bus_watch *watch = calloc(1, sizeof *watch);
        char rule[RULE_MAX];
        int n;

        if (!watch)
                return error_no_memory(e);
        n = snprintf(rule, sizeof rule, "type='signal',sender='%s',path='%s',interface='%s',member='%s'",
                     sender, path, interface, member);
        if (n < 0 || (size_t)n >= sizeof rule) {
                free(watch);
                return error_set(e, ERR_INVALID, "The signal %s has names that are too long", member);
        }
        *watch = (struct bus_watch){server->watches, path, interface, member, heard, ctx};
        server->watches = watch;
        dbus_bus_add_match(server->connection, rule, /* error= */ NULL); /* NULL: does not wait */
        return ERR_OK;
}

void watches_tell(struct bus_server *server, DBusMessage *message)
{
        for (const struct bus_watch *watch = server->watches, *next; watch; watch = next) {
                next = watch->next;
                if (dbus_message_is_signal(message, watch->interface, watch->member) &&
                    dbus_message_has_path(message, watch->path))
                        watch->heard(watch->ctx);
        }
}

void watches_done(struct bus_server *server)
{
        while (server->watches) {
                struct bus_watch *watch = server->watches;

                server->watches = watch->next;
                free(watch);
        }
}
