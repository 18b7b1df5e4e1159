/* Signals: to everybody about public objects, and about others to those alone who may see them and have
 * asked. */
#include "bus-server/internal.h"

#include <assert.h>
#include <string.h>

/* Writes the arguments of one signal as @viewer may see them. */
typedef void signal_arguments(struct bus_writer *w, const struct bus_object *object, uid_t viewer,
                              const void *ctx);

struct signal {
        const char *path, *interface, *member;
        signal_arguments *write;
        const void *ctx;
};

static void send_one(struct bus_server *server, const struct bus_object *object, const struct signal *signal,
                     uid_t viewer, const char *destination)
{
        struct bus_writer *w =
                bus_writer_new(dbus_message_new_signal(signal->path, signal->interface, signal->member));

        signal->write(w, object, viewer, signal->ctx);
        server_send_signal(server, w, destination);
}

static void send_to_viewers(struct bus_server *server, const struct bus_object *object,
                            const struct signal *signal)
{
        if (object->is_public) {
                send_one(server, object, signal, BUS_VIEWER_EVERYBODY, /* destination= */ NULL);
                return;
        }
        for (size_t i = 0; i < server->n_callers; i++) {
                const struct bus_caller *c = server->callers[i];

                if (c->subscribed && c->known && server_may_see(server, object, c->uid))
                        send_one(server, object, signal, server_viewer(server, c->uid), c->name);
        }
}

static void write_added(struct bus_writer *w, const struct bus_object *object, uid_t viewer, const void *ctx)
{
        (void)ctx;
        bus_write_path(w, object->path);
        standard_write_interfaces(w, object, viewer);
}

void bus_server_added(struct bus_server *server, const struct bus_object *object)
{
        const struct signal signal = {BUS_PATH, BUS_INTERFACE_OBJECTS, "InterfacesAdded", write_added, NULL};

        send_to_viewers(server, object, &signal);
}

static void write_removed(struct bus_writer *w, const struct bus_object *object, uid_t viewer,
                          const void *ctx)
{
        (void)viewer;
        (void)ctx;
        bus_write_path(w, object->path);
        bus_open_array(w, DBUS_TYPE_STRING_AS_STRING);
        for (const struct bus_interface *const *i = object->interfaces; *i; i++)
                bus_write_string(w, (*i)->name);
        bus_close(w);
}

void bus_server_removed(struct bus_server *server, const struct bus_object *object)
{
        const struct signal signal = {BUS_PATH, BUS_INTERFACE_OBJECTS, "InterfacesRemoved", write_removed,
                                      NULL};

        for (struct bus_change **link = &server->changes; *link;) {
                struct bus_change *change = *link;

                if (strcmp(change->path, object->path) == 0) {
                        *link = change->next;
                        free(change);
                } else {
                        link = &change->next;
                }
        }
        send_to_viewers(server, object, &signal);
}

static uint64_t property_bits(const struct bus_interface *interface, const char *const *properties)
{
        uint64_t bits = 0;

        assert(interface->n_properties <= 64);
        for (; *properties; properties++) {
                size_t i = 0;

                while (i < interface->n_properties && strcmp(interface->properties[i].name, *properties) != 0)
                        i++;
                assert(i < interface->n_properties);
                bits |= UINT64_C(1) << i;
        }
        return bits;
}

void bus_server_changed(struct bus_server *server, const char *path, const struct bus_interface *interface,
                        const char *const *properties)
{
        uint64_t bits = property_bits(interface, properties);
        struct bus_change **link = &server->changes, *change;

        for (; *link; link = &(*link)->next) {
                if ((*link)->interface == interface && strcmp((*link)->path, path) == 0) {
                        (*link)->properties |= bits;
                        return;
                }
        }
        change = malloc(sizeof *change + strlen(path) + 1);
        if (!change)
                return;
        change->next = NULL;
        change->interface = interface;
        change->properties = bits;
        strcpy(change->path, path);
        *link = change;
        (void)sd_event_source_set_enabled(server->flush_changes, SD_EVENT_ONESHOT);
}

static void write_changed(struct bus_writer *w, const struct bus_object *object, uid_t viewer,
                          const void *ctx)
{
        const struct bus_change *change = ctx;

        bus_write_string(w, change->interface->name);
        bus_open_array(w, "{sv}");
        for (size_t i = 0; i < change->interface->n_properties; i++) {
                const struct bus_property *p = &change->interface->properties[i];

                if (!(change->properties & UINT64_C(1) << i))
                        continue;
                bus_entry_open(w, p->name, p->signature);
                p->get(object->object, viewer, w);
                bus_entry_close(w);
        }
        bus_close(w);
        bus_write_strings(w, NULL, 0);
}

int signals_flush(sd_event_source *source, void *userdata)
{
        struct bus_server *server = userdata;
        const struct bus_tree *tree = &server->setup.tree;

        (void)source;
        while (server->changes) {
                CLEANUP(free_p) struct bus_change *change = server->changes;
                const struct signal signal = {change->path, BUS_INTERFACE_PROPERTIES, "PropertiesChanged",
                                              write_changed, change};
                struct bus_object object;

                server->changes = change->next;
                if (tree->find(tree->ctx, change->path, &object))
                        send_to_viewers(server, &object, &signal);
        }
        return 0;
}

void signals_done(struct bus_server *server)
{
        while (server->changes) {
                struct bus_change *change = server->changes;

                server->changes = change->next;
                free(change);
        }
        sd_event_source_disable_unref(server->flush_changes);
}
