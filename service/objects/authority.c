/*
 * Who may do what. It is asked once per call, asynchronously, before the handler runs; in this version the
 * answer is at hand: root may do everything, an owner what concerns his own objects.
 */
#include <string.h>

#include "internal.h"

static bool owns(const struct bus_call *call, const struct bus_object *object)
{
        return !object->is_public && object->owner == bus_call_uid(call);
}

/* AddProfile with the option "own", Enroll and Resolve of a profile for users, and one's own objects. */
static bool may_self(struct bus_call *call, const struct bus_object *object)
{
        const char *member = bus_call_member(call);

        if (owns(call, object))
                return true;
        /* The handlers look closer: they know the profile that is meant, and whose it is. */
        if (strcmp(object->path, BUS_PATH) == 0)
                return strcmp(member, "Enroll") == 0 || strcmp(member, "AddProfile") == 0 ||
                       strcmp(member, "Diagnose") == 0;
        return strcmp(member, "Resolve") == 0;
}

void authorise(void *ctx, struct bus_call *call, const char *action, const struct bus_object *object,
               bus_authorised *done)
{
        struct error e = {0};

        (void)ctx;
        if (bus_call_is_root(call) || may_self(call, object)) {
                done(call, NULL);
                return;
        }
        (void)error_set(&e, ERR_DENIED, "You may not do this (%s)", action);
        done(call, &e);
}
