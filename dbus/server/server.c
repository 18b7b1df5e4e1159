/* The connection: its start and end, what comes in, and questions to other services. */
#include "bus-server/internal.h"

#include <assert.h>
#include <string.h>

#include "bus/fault.h"

enum { FDS_NEVER = 1024 };

bool server_is_root(const struct bus_server *server, uid_t uid)
{
        return uid == 0 || uid == server->own_uid;
}

uid_t server_viewer(const struct bus_server *server, uid_t uid)
{
        return server_is_root(server, uid) ? 0 : uid;
}

bool server_may_see(const struct bus_server *server, const struct bus_object *object, uid_t uid)
{
        return object->is_public || object->owner == uid || server_is_root(server, uid);
}

void server_send_signal(struct bus_server *server, struct bus_writer *w, const char *destination)
{
        DBusMessage *message;

        if (bus_writer_finish(w, &message, /* e= */ NULL))
                return;
        if (!destination || dbus_message_set_destination(message, destination))
                (void)dbus_connection_send(server->connection, message, /* serial= */ NULL);
        dbus_message_unref(message);
}

static void name_owner_changed(struct bus_server *server, DBusMessage *message)
{
        const char *name, *old_owner, *new_owner;

        if (dbus_message_get_args(message, /* error= */ NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING,
                                  &old_owner, DBUS_TYPE_STRING, &new_owner, DBUS_TYPE_INVALID) &&
            !*new_owner)
                callers_forget(server, name);
}

static DBusHandlerResult on_message(DBusConnection *connection, DBusMessage *message, void *data)
{
        struct bus_server *server = data;

        (void)connection;
        switch (dbus_message_get_type(message)) {
        case DBUS_MESSAGE_TYPE_METHOD_CALL: {
                CLEANUP(bus_call_unref_p) struct bus_call *call = NULL;

                /* Only the bus itself can leave these out, and it calls nobody. */
                if (!dbus_message_get_sender(message) || !dbus_message_get_path(message))
                        return DBUS_HANDLER_RESULT_HANDLED;
                call = call_new(server, message);
                if (!call)
                        return DBUS_HANDLER_RESULT_NEED_MEMORY;
                callers_take(server, call);
                return DBUS_HANDLER_RESULT_HANDLED;
        }
        case DBUS_MESSAGE_TYPE_SIGNAL:
                if (dbus_message_is_signal(message, DBUS_INTERFACE_LOCAL, "Disconnected"))
                        server->setup.lost(server->setup.ctx);
                else if (dbus_message_is_signal(message, DBUS_INTERFACE_DBUS, "NameOwnerChanged") &&
                         dbus_message_has_sender(message, DBUS_SERVICE_DBUS))
                        name_owner_changed(server, message);
                listeners_hear(server, message);
                return DBUS_HANDLER_RESULT_HANDLED;
        default:
                /* Among them ServiceUnknown, when a unicast signal met a caller that had just left: its
                 * NameOwnerChanged is on the way. */
                return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
        }
}

static enum err open_connection(const char *address, DBusConnection **ret, struct error *e)
{
        DBusError failure = DBUS_ERROR_INIT;
        DBusConnection *connection;
        enum err r;

        connection = address ? dbus_connection_open_private(address, &failure)
                             : dbus_bus_get_private(DBUS_BUS_SYSTEM, &failure);
        if (connection && address && !dbus_bus_register(connection, &failure)) {
                dbus_connection_close(connection);
                dbus_connection_unref(connection);
                connection = NULL;
        }
        if (connection) {
                *ret = connection;
                return ERR_OK;
        }
        r = bus_fault_set(e, failure.name, failure.message);
        dbus_error_free(&failure);
        return error_context(e, r, "No connection to the bus");
}

void bus_server_free(struct bus_server *server)
{
        if (!server)
                return;
        if (server->connection && dbus_connection_get_is_connected(server->connection))
                dbus_connection_flush(server->connection);
        while (server->questions) {
                struct bus_question *q = server->questions;
                struct error e;

                server->questions = q->next;
                if (q->next)
                        q->next->link = &server->questions;
                dbus_pending_call_cancel(q->pending);
                dbus_pending_call_unref(q->pending);
                error_set(&e, ERR_CANCELLED, "The service ends");
                q->done(q->ctx, NULL, &e);
                free(q);
        }
        signals_done(server);
        if (server->connection)
                callers_done(server);
        for (struct bus_call *call = server->calls; call; call = call->next)
                call->server = NULL;
        bus_loop_free(server->loop);
        if (server->connection) {
                dbus_connection_remove_filter(server->connection, on_message, server);
                dbus_connection_close(server->connection);
                dbus_connection_unref(server->connection);
        }
        free(server);
}

enum err bus_server_new(const struct bus_server_setup *setup, struct bus_server **ret, struct error *e)
{
        CLEANUP(bus_server_free_p) struct bus_server *server = calloc(1, sizeof *server);
        enum err r;
        int n;

        if (!server)
                return error_no_memory(e);
        server->setup = *setup;
        server->own_uid = geteuid();
        n = sd_event_add_defer(setup->event, &server->flush_changes, signals_flush, server);
        if (n >= 0)
                n = sd_event_source_set_enabled(server->flush_changes, SD_EVENT_OFF);
        if (n < 0)
                return errno_error(e, -n, "The bus could not be put on the event loop");
        r = open_connection(setup->address, &server->connection, e);
        if (r)
                return r;
        dbus_connection_set_exit_on_disconnect(server->connection, FALSE);
        /* libdbus drops the connection at a message beyond its limits, and so anybody could end the service
         * with one. The limits are therefore the bus's own (system.conf: 32 MiB, 16 descriptors) and what
         * readers take; ours stay above them. */
        dbus_connection_set_max_message_unix_fds(server->connection, FDS_NEVER);
        if (!dbus_connection_add_filter(server->connection, on_message, server, /* free= */ NULL))
                return error_no_memory(e);
        r = bus_loop_new(server->connection, setup->event, &server->loop, e);
        if (r)
                return r;
        *ret = STEAL(server);
        return ERR_OK;
}

enum err bus_server_own(struct bus_server *server, const char *name, struct error *e)
{
        DBusError failure = DBUS_ERROR_INIT;
        int answer = dbus_bus_request_name(server->connection, name, DBUS_NAME_FLAG_DO_NOT_QUEUE, &failure);
        enum err r;

        if (answer == DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER)
                return ERR_OK;
        if (answer >= 0) {
                r = error_set(e, ERR_EXISTS, "The name %s is taken on the bus: another scepterd runs", name);
                return error_remedy(e, r, "Stop the other service first: systemctl stop scepterd.");
        }
        r = bus_fault_set(e, failure.name, failure.message);
        dbus_error_free(&failure);
        if (r == ERR_DENIED)
                (void)error_remedy(
                        e, r,
                        "Check that the bus policy org.scepter1.conf is installed and names this user.");
        return error_context(e, r, "The name %s could not be taken on the bus", name);
}

struct bus_writer *bus_question(const char *destination, const char *path, const char *interface,
                                const char *member)
{
        return bus_writer_new(dbus_message_new_method_call(destination, path, interface, member));
}

static void question_unlink(struct bus_question *q)
{
        *q->link = q->next;
        if (q->next)
                q->next->link = q->link;
}

static void on_answer(DBusPendingCall *pending, void *data)
{
        CLEANUP(free_p) struct bus_question *q = data;
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        DBusMessage *answer = dbus_pending_call_steal_reply(pending);
        struct error e;

        question_unlink(q);
        dbus_pending_call_unref(q->pending);
        if (dbus_message_get_type(answer) == DBUS_MESSAGE_TYPE_ERROR)
                (void)bus_fault_read(answer, &e);
        else if (!(reader = bus_reader_new(answer)))
                (void)error_no_memory(&e);
        q->done(q->ctx, reader, reader ? NULL : &e);
        dbus_message_unref(answer);
}

enum err bus_server_ask(struct bus_server *server, struct bus_writer *w, int timeout_ms, bus_answered *done,
                        void *ctx, struct error *e)
{
        CLEANUP(free_p) struct bus_question *q = calloc(1, sizeof *q);
        DBusMessage *message;
        enum err r = bus_writer_finish(w, &message, e);

        if (r)
                return r;
        if (!q || !dbus_connection_send_with_reply(server->connection, message, &q->pending, timeout_ms)) {
                dbus_message_unref(message);
                return error_no_memory(e);
        }
        dbus_message_unref(message);
        if (!q->pending)
                return error_set(e, ERR_NO_SERVICE, "The connection to the bus is lost");
        q->done = done;
        q->ctx = ctx;
        if (!dbus_pending_call_set_notify(q->pending, on_answer, q, /* free= */ NULL)) {
                dbus_pending_call_cancel(q->pending);
                dbus_pending_call_unref(q->pending);
                return error_no_memory(e);
        }
        q->next = server->questions;
        if (q->next)
                q->next->link = &q->next;
        q->link = &server->questions;
        server->questions = STEAL(q);
        return ERR_OK;
}

void bus_server_drop(struct bus_server *server, bus_answered *done, void *ctx)
{
        for (struct bus_question *q = server->questions; q; q = q->next) {
                if (q->done != done || q->ctx != ctx)
                        continue;
                question_unlink(q);
                dbus_pending_call_cancel(q->pending);
                dbus_pending_call_unref(q->pending);
                free(q);
                return;
        }
}

void bus_server_tell(struct bus_server *server, struct bus_writer *w)
{
        DBusMessage *message;

        if (bus_writer_finish(w, &message, /* e= */ NULL))
                return;
        dbus_message_set_no_reply(message, TRUE);
        (void)dbus_connection_send(server->connection, message, /* serial= */ NULL);
        dbus_message_unref(message);
}
