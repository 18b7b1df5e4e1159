/* From a call whose caller is known to the handler of its method; the steps stand in server.h. */
#include "bus-server/internal.h"

#include <assert.h>
#include <string.h>

const struct bus_method *interface_method(const struct bus_interface *interface, const char *name)
{
        for (size_t i = 0; i < interface->n_methods; i++)
                if (strcmp(interface->methods[i].name, name) == 0)
                        return &interface->methods[i];
        return NULL;
}

/* One text for what is missing and for what is hidden: the caller must not be able to tell them apart. */
static void fail_unknown_object(struct bus_call *call)
{
        call_fail_name(call, DBUS_ERROR_UNKNOWN_OBJECT, "There is no object %s", bus_call_path(call));
}

static bool find_visible(struct bus_call *call, struct bus_object *ret)
{
        const struct bus_tree *tree = &call->server->setup.tree;

        return tree->find(tree->ctx, bus_call_path(call), ret) &&
               server_may_see(call->server, ret, call->uid);
}

static void run(struct bus_call *call, const struct bus_object *object)
{
        struct error e = {0};
        enum err r = call->method->call(object->object, call, &e);

        if (r && !call->answered) {
                assert(e.code == r);
                bus_call_fail(call, &e);
        }
}

static bool has_interface(const struct bus_object *object, const struct bus_interface *interface)
{
        for (const struct bus_interface *const *i = object->interfaces; *i; i++)
                if (*i == interface)
                        return true;
        return false;
}

static void on_authorised(struct bus_call *call, const struct error *refusal)
{
        /* The reference that dispatch_call() gave away. */
        CLEANUP(bus_call_unref_p) struct bus_call *owned = call;
        struct bus_object object;

        if (call->answered || !call->server)
                return;
        if (refusal) {
                bus_call_fail(call, refusal);
                return;
        }
        if (!find_visible(call, &object) || !has_interface(&object, call->interface)) {
                fail_unknown_object(call);
                return;
        }
        run(call, &object);
}

/* Without an interface in the message any of the object's will do (D-Bus Specification, "Message Types"). */
static bool find_method(struct bus_call *call, const struct bus_object *object)
{
        const char *wanted = dbus_message_get_interface(call->message);
        bool interface_known = !wanted;

        for (const struct bus_interface *const *i = object->interfaces; *i; i++) {
                if (wanted && strcmp((*i)->name, wanted) != 0)
                        continue;
                interface_known = true;
                call->interface = *i;
                call->method = interface_method(*i, bus_call_member(call));
                if (call->method)
                        return true;
        }
        if (interface_known)
                call_fail_name(call, DBUS_ERROR_UNKNOWN_METHOD, "There is no method %s on this object",
                               bus_call_member(call));
        else
                call_fail_name(call, DBUS_ERROR_UNKNOWN_INTERFACE, "There is no interface %s on this object",
                               wanted);
        return false;
}

static void dispatch_to(struct bus_call *call, const struct bus_object *object)
{
        const struct bus_server_setup *setup = &call->server->setup;
        const char *given = dbus_message_get_signature(call->message);

        if (!find_method(call, object))
                return;
        if (strcmp(given, call->method->in) != 0) {
                struct error e;

                error_set(&e, ERR_INVALID, "Method %s takes arguments of type '%s', not '%s'",
                          call->method->name, call->method->in, given);
                bus_call_fail(call, &e);
                return;
        }
        if (call->method->action)
                setup->authorise(setup->ctx, bus_call_ref(call), call->method->action, object, on_authorised);
        else
                run(call, object);
}

void dispatch_call(struct bus_call *call)
{
        struct bus_object object;
        struct error e;

        call->reader = bus_reader_new(call->message);
        if (!call->reader) {
                error_no_memory(&e);
                bus_call_fail(call, &e);
                return;
        }
        if (find_visible(call, &object)) {
                if (!standard_call(call, &object))
                        dispatch_to(call, &object);
                return;
        }
        if (!standard_node_exists(call->server, bus_call_path(call), call->uid)) {
                fail_unknown_object(call);
                return;
        }
        if (!standard_call(call, /* object= */ NULL))
                call_fail_name(call, DBUS_ERROR_UNKNOWN_METHOD, "There is no method %s on this object",
                               bus_call_member(call));
}
