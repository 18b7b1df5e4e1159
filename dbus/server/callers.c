/*
 * Who calls. The bus knows the uid behind a unique name; it is asked once, with GetConnectionCredentials, and
 * calls wait for the answer. The match on NameOwnerChanged is set before the question, so that a caller who
 * leaves between the two is noticed: either by the signal, or because the question fails.
 */
#include "bus-server/internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { CREDENTIALS_TIMEOUT_MS = 20000 };

/* The caller may be forgotten before the answer comes, so the question remembers the name. */
struct credentials_question {
        struct bus_server *server;
        char name[];
};

static void match(struct bus_server *server, const char *name, bool add)
{
        char rule[512];
        int n = snprintf(rule, sizeof rule,
                         "type='signal',sender='" DBUS_SERVICE_DBUS "',path='" DBUS_PATH_DBUS
                         "',interface='" DBUS_INTERFACE_DBUS "',member='NameOwnerChanged',arg0='%s'",
                         name);

        if (n < 0 || (size_t)n >= sizeof rule)
                return;
        /* Without an error argument these do not wait for the bus. */
        if (add)
                dbus_bus_add_match(server->connection, rule, /* error= */ NULL);
        else
                dbus_bus_remove_match(server->connection, rule, /* error= */ NULL);
}

struct bus_caller *callers_find(struct bus_server *server, const char *name)
{
        for (size_t i = 0; i < server->n_callers; i++)
                if (strcmp(server->callers[i]->name, name) == 0)
                        return server->callers[i];
        return NULL;
}

static struct bus_call *next_waiting(struct bus_caller *caller)
{
        struct bus_call *call = caller->waiting;

        if (!call)
                return NULL;
        caller->waiting = call->next_waiting;
        if (!caller->waiting)
                caller->waiting_end = &caller->waiting;
        call->next_waiting = NULL;
        caller->n_waiting--;
        return call;
}

static void forget_at(struct bus_server *server, size_t i)
{
        struct bus_caller *caller = server->callers[i];
        struct bus_call *call;

        server->callers[i] = server->callers[--server->n_callers];
        match(server, caller->name, /* add= */ false);
        while ((call = next_waiting(caller)))
                bus_call_unref(call);
        free(caller->name);
        free(caller);
}

void callers_forget(struct bus_server *server, const char *name)
{
        for (size_t i = 0; i < server->n_callers; i++) {
                struct bus_caller *caller = server->callers[i];
                bus_left *left = caller->left;
                void *ctx = caller->left_ctx;

                if (strcmp(caller->name, name) != 0)
                        continue;
                forget_at(server, i);
                if (left)
                        left(ctx, name);
                return;
        }
}

void bus_server_unwatch(struct bus_server *server, const char *name)
{
        struct bus_caller *caller = callers_find(server, name);

        if (caller)
                caller->left = NULL;
}

void callers_done(struct bus_server *server)
{
        while (server->n_callers)
                forget_at(server, 0);
}

/* Forgets the caller that was quiet longest and needs nothing from us. @uid -1: of any user. */
static bool evict(struct bus_server *server, uid_t uid)
{
        size_t oldest = SIZE_MAX;

        for (size_t i = 0; i < server->n_callers; i++) {
                const struct bus_caller *c = server->callers[i];

                if (c->subscribed || c->left || c->waiting || !c->known ||
                    (uid != (uid_t)-1 && c->uid != uid))
                        continue;
                if (oldest == SIZE_MAX || c->used < server->callers[oldest]->used)
                        oldest = i;
        }
        if (oldest == SIZE_MAX)
                return false;
        forget_at(server, oldest);
        return true;
}

static void fail_waiting(struct bus_caller *caller, const struct error *fault)
{
        struct bus_call *call;

        while ((call = next_waiting(caller))) {
                bus_call_fail(call, fault);
                bus_call_unref(call);
        }
}

/* The user has his share of what we remember, or something of his can go. */
static enum err within_share(struct bus_server *server, const struct bus_caller *caller, struct error *e)
{
        size_t same = 0;

        if (server_is_root(server, caller->uid))
                return ERR_OK;
        for (size_t i = 0; i < server->n_callers; i++)
                same += server->callers[i]->known && server->callers[i]->uid == caller->uid;
        if (same <= CALLERS_PER_USER || evict(server, caller->uid))
                return ERR_OK;
        return error_set(e, ERR_LIMIT, "User %u has too many connections to the service",
                         (unsigned)caller->uid);
}

/* Looks for UnixUserID in the answer's a{sv}. */
static enum err read_uid(struct bus_reader *r, uid_t *ret, struct error *e)
{
        enum err err = bus_read_enter(r, "credentials", e);

        while (!err && bus_read_more(r)) {
                const char *key;
                uint32_t uid;

                err = bus_read_enter(r, "credentials", e);
                if (err || (err = bus_read_string(r, "credentials", &key, e)))
                        return err;
                if (strcmp(key, "UnixUserID") == 0) {
                        err = bus_read_enter(r, key, e);
                        if (err || (err = bus_read_u32(r, key, &uid, e)))
                                return err;
                        *ret = uid;
                        return ERR_OK;
                }
                bus_read_leave(r);
        }
        return err ? err : error_set(e, ERR_DENIED, "The bus does not say which user calls");
}

static void on_credentials(void *ctx, struct bus_reader *answer, const struct error *failure)
{
        CLEANUP(free_p) struct credentials_question *question = ctx;
        struct bus_caller *caller = callers_find(question->server, question->name);
        struct error e;
        enum err r;

        if (!caller || caller->known)
                return;
        r = failure ? error_copy(&e, failure) : read_uid(answer, &caller->uid, &e);
        if (!r) {
                caller->known = true;
                r = within_share(question->server, caller, &e);
        }
        if (r) {
                fail_waiting(caller, &e);
                callers_forget(question->server, question->name);
                return;
        }
        /* A handler may run anything, so the caller is looked up anew for each. */
        while ((caller = callers_find(question->server, question->name))) {
                struct bus_call *call = next_waiting(caller);

                if (!call)
                        break;
                call->uid = caller->uid;
                dispatch_call(call);
                bus_call_unref(call);
        }
}

static enum err ask_credentials(struct bus_server *server, const char *name, struct error *e)
{
        CLEANUP(free_p) struct credentials_question *question = malloc(sizeof *question + strlen(name) + 1);
        struct bus_writer *w;
        enum err r;

        if (!question)
                return error_no_memory(e);
        question->server = server;
        strcpy(question->name, name);
        w = bus_question(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "GetConnectionCredentials");
        bus_write_string(w, name);
        r = bus_server_ask(server, w, CREDENTIALS_TIMEOUT_MS, on_credentials, question, e);
        if (r)
                return r;
        (void)STEAL(question);
        return ERR_OK;
}

static enum err remember(struct bus_server *server, const char *name, struct bus_caller **ret,
                         struct error *e)
{
        struct bus_caller *caller;
        enum err r;

        if (server->n_callers == CALLERS_MAX && !evict(server, (uid_t)-1))
                return error_set(e, ERR_LIMIT, "The service has too many callers");
        caller = calloc(1, sizeof *caller);
        if (!caller || !(caller->name = strdup(name))) {
                free(caller);
                return error_no_memory(e);
        }
        caller->waiting_end = &caller->waiting;
        server->callers[server->n_callers++] = caller;
        match(server, name, /* add= */ true);
        r = ask_credentials(server, name, e);
        if (r) {
                callers_forget(server, name);
                return r;
        }
        *ret = caller;
        return ERR_OK;
}

void callers_take(struct bus_server *server, struct bus_call *call)
{
        struct bus_caller *caller = callers_find(server, bus_call_sender(call));
        struct error e;

        if (!caller && remember(server, bus_call_sender(call), &caller, &e)) {
                bus_call_fail(call, &e);
                return;
        }
        caller->used = ++server->clock;
        if (caller->known) {
                call->uid = caller->uid;
                dispatch_call(call);
                return;
        }
        if (caller->n_waiting == WAITING_PER_CALLER) {
                error_set(&e, ERR_LIMIT, "Too many calls at once from %s", caller->name);
                bus_call_fail(call, &e);
                return;
        }
        *caller->waiting_end = bus_call_ref(call);
        caller->waiting_end = &call->next_waiting;
        caller->n_waiting++;
}
