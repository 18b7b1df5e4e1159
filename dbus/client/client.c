/* See client.h. */
#include "bus-client/client.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <dbus/dbus.h>

#include "bus/fault.h"

enum { CALL_TIMEOUT_MS = 300 * 1000 };

struct bus_client {
        DBusConnection *connection;
};

enum err bus_client_open(const char *address, struct bus_client **ret, struct error *e)
{
        CLEANUP(bus_client_close_p) struct bus_client *client = calloc(1, sizeof *client);
        DBusError failure = DBUS_ERROR_INIT;
        bool ready;
        enum err r;

        if (!client)
                return error_no_memory(e);
        client->connection = address ? dbus_connection_open_private(address, &failure)
                                     : dbus_bus_get_private(DBUS_BUS_SYSTEM, &failure);
        ready = client->connection && (!address || dbus_bus_register(client->connection, &failure));
        if (ready) {
                dbus_connection_set_exit_on_disconnect(client->connection, FALSE);
                *ret = STEAL(client);
                return ERR_OK;
        }
        r = bus_fault_set(e, failure.name, failure.message);
        dbus_error_free(&failure);
        return error_context(e, r, "No connection to the system bus");
}

void bus_client_close(struct bus_client *client)
{
        if (!client)
                return;
        if (client->connection) {
                dbus_connection_close(client->connection);
                dbus_connection_unref(client->connection);
        }
        free(client);
}

static struct bus_writer *begin(const char *destination, const char *path, const char *interface,
                                const char *member, bool ask)
{
        bool valid = dbus_validate_path(path, /* error= */ NULL);
        DBusMessage *message;
        struct bus_writer *w;

        /* libdbus ends the process at a path that is none. */
        message = dbus_message_new_method_call(destination, valid ? path : "/", interface, member);
        if (message && ask)
                dbus_message_set_allow_interactive_authorization(message, TRUE);
        w = bus_writer_new(message);
        if (!valid)
                bus_write_path(w, path); /* fails the writer */
        return w;
}

struct bus_writer *bus_client_begin(const char *path, const char *interface, const char *member)
{
        return begin(BUS_NAME, path, interface, member, /* ask= */ true);
}

struct bus_writer *bus_client_begin_at(const char *destination, const char *path, const char *interface,
                                       const char *member)
{
        return begin(destination, path, interface, member, /* ask= */ false);
}

void bus_file_needed_done(struct bus_file_needed *needed)
{
        free(needed->key);
        free(needed->value);
        *needed = (struct bus_file_needed){0};
}

static void read_file_needed(DBusMessage *answer, struct bus_file_needed *needed)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *r = bus_reader_new(answer);
        const char *key, *value;

        if (!r || !bus_read_more(r))
                return;
        bus_read_skip(r);
        bus_read_skip(r);
        if (bus_read_string(r, "key", &key, NULL) || bus_read_string(r, "value", &value, NULL))
                return;
        needed->key = strdup(key);
        needed->value = strdup(value);
        if (!needed->key || !needed->value)
                bus_file_needed_done(needed);
}

static enum err exchange(struct bus_client *client, DBusMessage *message, DBusMessage **ret, struct error *e)
{
        DBusPendingCall *pending;

        if (!dbus_connection_send_with_reply(client->connection, message, &pending, CALL_TIMEOUT_MS))
                return error_no_memory(e);
        if (!pending)
                return error_set(e, ERR_NO_SERVICE, "The connection to the system bus is lost");
        dbus_pending_call_block(pending);
        *ret = dbus_pending_call_steal_reply(pending);
        dbus_pending_call_unref(pending);
        return ERR_OK;
}

enum err bus_client_call(struct bus_client *client, struct bus_writer *w, struct bus_reader **ret,
                         struct bus_file_needed *needed, struct error *e)
{
        DBusMessage *message = NULL, *answer = NULL;
        enum err r = bus_writer_finish(w, &message, e);

        if (needed)
                bus_file_needed_done(needed);
        if (r)
                return r;
        r = exchange(client, message, &answer, e);
        dbus_message_unref(message);
        if (r)
                return r;
        if (dbus_message_get_type(answer) == DBUS_MESSAGE_TYPE_ERROR) {
                r = bus_fault_read(answer, e);
                if (r == ERR_FILE_NEEDED && needed)
                        read_file_needed(answer, needed);
        } else if (ret) {
                struct bus_reader *reader = bus_reader_new(answer);

                if (reader)
                        *ret = reader;
                else
                        r = error_no_memory(e);
        }
        dbus_message_unref(answer);
        return r;
}

static enum err add_match(struct bus_client *client, const char *rule, struct error *e)
{
        DBusError failure = DBUS_ERROR_INIT;
        enum err r;

        dbus_bus_add_match(client->connection, rule, &failure);
        if (!dbus_error_is_set(&failure))
                return ERR_OK;
        r = bus_fault_set(e, failure.name, failure.message);
        dbus_error_free(&failure);
        return error_context(e, r, "Signals of the service cannot be received");
}

enum err bus_client_match(struct bus_client *client, const char *rule, struct error *e)
{
        return add_match(client, rule, e);
}

enum err bus_client_watch(struct bus_client *client, const char *path, struct error *e)
{
        char rule[512];
        int n = snprintf(rule, sizeof rule,
                         "type='signal',sender='" BUS_NAME "',path='%s',interface='" BUS_INTERFACE_PROPERTIES
                         "'",
                         path);
        enum err r;

        if (n < 0 || (size_t)n >= sizeof rule || !dbus_validate_path(path, /* error= */ NULL))
                return error_set(e, ERR_INVALID, "This is no object path: %s", path);
        r = add_match(client, rule, e);
        if (!r)
                r = add_match(client,
                              "type='signal',sender='" BUS_NAME "',path='" BUS_PATH
                              "',member='InterfacesRemoved'",
                              e);
        if (!r)
                r = add_match(client,
                              "type='signal',sender='" DBUS_SERVICE_DBUS
                              "',member='NameOwnerChanged',arg0='" BUS_NAME "'",
                              e);
        return r;
}

void bus_signal_done(struct bus_signal *signal)
{
        bus_reader_free(signal->args);
        *signal = (struct bus_signal){0};
}

static uint64_t now_ms(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The next signal that is already here; false: there is none. */
static bool pop_signal(struct bus_client *client, struct bus_signal *ret)
{
        DBusMessage *message;

        while ((message = dbus_connection_pop_message(client->connection))) {
                struct bus_reader *args = NULL;

                if (dbus_message_get_type(message) == DBUS_MESSAGE_TYPE_SIGNAL &&
                    dbus_message_get_path(message) &&
                    !dbus_message_has_interface(message, DBUS_INTERFACE_LOCAL))
                        args = bus_reader_new(message);
                if (args)
                        *ret = (struct bus_signal){dbus_message_get_path(message),
                                                   dbus_message_get_interface(message),
                                                   dbus_message_get_member(message), args};
                /* The reader holds its own reference, so the strings stay. */
                dbus_message_unref(message);
                if (args)
                        return true;
        }
        return false;
}

enum err bus_client_next(struct bus_client *client, int timeout_ms, struct bus_signal *ret, struct error *e)
{
        uint64_t now = now_ms(), end = now + (uint64_t)timeout_ms;

        for (;;) {
                if (pop_signal(client, ret))
                        return ERR_OK;
                if (!dbus_connection_get_is_connected(client->connection))
                        return error_set(e, ERR_NO_SERVICE, "The connection to the system bus is lost");
                if (now >= end) {
                        *ret = (struct bus_signal){0};
                        return ERR_OK;
                }
                (void)dbus_connection_read_write(client->connection, (int)(end - now));
                now = now_ms();
        }
}

void bus_incoming_done(struct bus_incoming *incoming)
{
        bus_reader_free(incoming->args);
        if (incoming->call)
                dbus_message_unref(incoming->call);
        *incoming = (struct bus_incoming){0};
}

int bus_client_fd(const struct bus_client *client)
{
        int fd = -1;

        (void)dbus_connection_get_unix_fd(client->connection, &fd);
        return fd;
}

static const char *or_empty(const char *s)
{
        return s ? s : "";
}

enum err bus_client_take(struct bus_client *client, struct bus_incoming *ret, struct error *e)
{
        DBusMessage *message;

        *ret = (struct bus_incoming){0};
        (void)dbus_connection_read_write(client->connection, /* timeout_milliseconds= */ 0);
        while ((message = dbus_connection_pop_message(client->connection))) {
                const int type = dbus_message_get_type(message);
                const bool call = type == DBUS_MESSAGE_TYPE_METHOD_CALL;
                struct bus_reader *args = NULL;

                if (call || (type == DBUS_MESSAGE_TYPE_SIGNAL &&
                             !dbus_message_has_interface(message, DBUS_INTERFACE_LOCAL)))
                        args = bus_reader_new(message);
                if (args)
                        *ret = (struct bus_incoming){or_empty(dbus_message_get_sender(message)),
                                                     or_empty(dbus_message_get_interface(message)),
                                                     or_empty(dbus_message_get_member(message)), args,
                                                     call ? dbus_message_ref(message) : NULL};
                dbus_message_unref(message);
                if (args)
                        return ERR_OK;
        }
        return dbus_connection_get_is_connected(client->connection)
                       ? ERR_OK
                       : error_set(e, ERR_NO_SERVICE, "The connection to the system bus is lost");
}

void bus_client_answer(struct bus_client *client, const struct bus_incoming *call, int fd,
                       const struct error *fault)
{
        DBusMessage *message = NULL;

        if (dbus_message_get_no_reply(call->call))
                return;
        if (fault) {
                message = bus_fault_message(call->call, fault, NULL, 0);
        } else {
                struct bus_writer *w = bus_writer_new(dbus_message_new_method_return(call->call));

                if (fd >= 0)
                        bus_write_fd(w, fd);
                if (bus_writer_finish(w, &message, NULL))
                        return;
        }
        if (!message)
                return;
        (void)dbus_connection_send(client->connection, message, /* serial= */ NULL);
        dbus_connection_flush(client->connection);
        dbus_message_unref(message);
}
