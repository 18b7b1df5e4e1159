/* Incoming calls: their life, their arguments, their one answer. */
#include "bus-server/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "bus/fault.h"

struct bus_call *call_new(struct bus_server *server, DBusMessage *message)
{
        struct bus_call *call = calloc(1, sizeof *call);

        if (!call)
                return NULL;
        call->refs = 1;
        call->server = server;
        call->connection = dbus_connection_ref(server->connection);
        call->message = dbus_message_ref(message);
        call->uid = (uid_t)-1;
        call->next = server->calls;
        if (call->next)
                call->next->prev = call;
        server->calls = call;
        return call;
}

struct bus_call *bus_call_ref(struct bus_call *call)
{
        call->refs++;
        return call;
}

void bus_call_unref(struct bus_call *call)
{
        if (!call || --call->refs)
                return;
        if (!call->answered) {
                struct error fault;

                error_set(&fault, ERR_FAILED, "The service gave no answer");
                bus_call_fail(call, &fault);
        }
        if (call->next)
                call->next->prev = call->prev;
        if (call->prev)
                call->prev->next = call->next;
        else if (call->server)
                call->server->calls = call->next;
        bus_reader_free(call->reader);
        dbus_message_unref(call->message);
        dbus_connection_unref(call->connection);
        free(call);
}

struct bus_reader *bus_call_reader(struct bus_call *call)
{
        /* Made by the dispatcher before any handler runs. */
        assert(call->reader);
        bus_reader_rewind(call->reader);
        return call->reader;
}

const char *bus_call_sender(const struct bus_call *call)
{
        return dbus_message_get_sender(call->message);
}

uid_t bus_call_uid(const struct bus_call *call)
{
        return call->uid;
}

bool bus_call_is_root(const struct bus_call *call)
{
        return call->uid == 0 || (call->server && server_is_root(call->server, call->uid));
}

const char *bus_call_path(const struct bus_call *call)
{
        return dbus_message_get_path(call->message);
}

const char *bus_call_member(const struct bus_call *call)
{
        return dbus_message_get_member(call->message);
}

bool bus_call_interactive(const struct bus_call *call)
{
        return dbus_message_get_allow_interactive_authorization(call->message);
}

bool bus_call_answered(const struct bus_call *call)
{
        return call->answered;
}

enum err bus_call_subscribe(struct bus_call *call, struct error *e)
{
        struct bus_caller *caller = call->server ? callers_find(call->server, bus_call_sender(call)) : NULL;

        /* A caller that has left the bus meanwhile misses nothing. */
        if (caller && !caller->subscribed) {
                size_t same = 0;

                for (size_t i = 0; i < call->server->n_callers; i++)
                        same += call->server->callers[i]->subscribed &&
                                call->server->callers[i]->uid == call->uid;
                if (same >= CALLERS_PER_USER / 2 && !bus_call_is_root(call))
                        return error_set(e, ERR_LIMIT,
                                         "This user has %zu connections that get signals already", same);
                if (same >= CALLERS_MAX / 2)
                        return error_set(e, ERR_LIMIT, "%zu connections get signals already", same);
                caller->subscribed = true;
        }
        return ERR_OK;
}

static void send_answer(struct bus_call *call, DBusMessage *message)
{
        assert(!call->answered);
        call->answered = true;
        /* No memory to queue it: the caller's own time-out ends his waiting. */
        if (!dbus_message_get_no_reply(call->message))
                (void)dbus_connection_send(call->connection, message, /* serial= */ NULL);
}

enum err bus_call_watch(struct bus_call *call, bus_left *left, void *ctx, struct error *e)
{
        struct bus_caller *caller = call->server ? callers_find(call->server, bus_call_sender(call)) : NULL;

        if (!caller)
                return error_set(e, ERR_CANCELLED, "The caller has left the bus");
        caller->left = left;
        caller->left_ctx = ctx;
        return ERR_OK;
}

struct bus_writer *bus_call_begin(struct bus_call *call)
{
        return bus_writer_new(dbus_message_new_method_return(call->message));
}

enum err bus_call_reply(struct bus_call *call, struct bus_writer *w, struct error *e)
{
        DBusMessage *message;
        enum err r = bus_writer_finish(w, &message, e);

        if (r)
                return r;
        assert(!call->method || strcmp(dbus_message_get_signature(message), call->method->out) == 0);
        send_answer(call, message);
        dbus_message_unref(message);
        return ERR_OK;
}

enum err bus_call_reply_empty(struct bus_call *call, struct error *e)
{
        return bus_call_reply(call, bus_call_begin(call), e);
}

void bus_call_fail_with(struct bus_call *call, const struct error *fault, const char *const *details,
                        size_t n)
{
        DBusMessage *message = bus_fault_message(call->message, fault, details, n);

        if (call->server && call->server->setup.failed)
                call->server->setup.failed(call->server->setup.ctx, fault);
        if (!message) { /* as in send_answer() */
                call->answered = true;
                return;
        }
        send_answer(call, message);
        dbus_message_unref(message);
}

void bus_call_fail(struct bus_call *call, const struct error *fault)
{
        bus_call_fail_with(call, fault, NULL, 0);
}

void call_fail_name(struct bus_call *call, const char *name, const char *fmt, ...)
{
        char text[ERROR_MESSAGE_MAX];
        DBusMessage *message = dbus_message_new_error(call->message, name, /* error_message= */ NULL);
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        utf8_scrub(text, sizeof text);
        if (message && bus_append_strings(message, &(const char *){text}, 1))
                send_answer(call, message);
        else
                call->answered = true; /* libdbus has no memory: the caller's own time-out ends his waiting */
        if (message)
                dbus_message_unref(message);
}
