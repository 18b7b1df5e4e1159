/* Manager.RegisterAgent and UnregisterAgent: who is asked for PINs. */
#include "agents/agents.h"

#include "ask.h"
#include "internal.h"

static void left(void *ctx, const char *name)
{
        struct daemon *d = ctx;

        (void)agents_remove(&d->agents, name, NULL);
        ask_without(d, name);
}

enum err manager_register_agent(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        struct bus_reader *reader = bus_call_reader(call);
        const uid_t uid = bus_call_uid(call);
        const char *path;
        enum err r = bus_read_path(reader, "agent", &path, e);

        if (!r)
                r = bus_options_read(reader, NULL, 0, e);
        if (!r)
                r = agents_add(&d->agents, bus_call_sender(call), path, uid, e);
        if (r)
                return r;
        r = bus_call_watch(call, left, d, e);
        if (!r)
                r = bus_call_reply_empty(call, e);
        if (r) {
                bus_server_unwatch(d->bus, bus_call_sender(call));
                (void)agents_remove(&d->agents, bus_call_sender(call), NULL);
                return r;
        }
        ask_look(d, uid);
        return ERR_OK;
}

enum err manager_unregister_agent(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        struct bus_reader *reader = bus_call_reader(call);
        const char *path;
        enum err r = bus_read_path(reader, "agent", &path, e);

        if (!r)
                r = bus_options_read(reader, NULL, 0, e);
        if (!r && !agents_remove(&d->agents, bus_call_sender(call), path))
                r = error_set(e, ERR_NOT_FOUND, "This connection has no agent %s", path);
        if (r)
                return r;
        bus_server_unwatch(d->bus, bus_call_sender(call));
        ask_without(d, bus_call_sender(call));
        return bus_call_reply_empty(call, e);
}
