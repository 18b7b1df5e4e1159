/*
 * Who may do what: root everything, others what polkit grants them. It is asked once per call before the
 * handler runs. The tables of methods name the action for what is the device's; for what is a user's, and by
 * what the arguments mean, it is another one, which is found again once the answer is there.
 */
#include <string.h>

#include "internal.h"
#include "objects/polkit.h"

struct authorising {
        struct daemon *d;
        struct bus_call *call;
        const char *method_action, *action;
        bus_authorised *done;
};

/* Of one's own objects; others' are not seen. */
static const char *own_action(const char *method_action)
{
        return strcmp(method_action, BUS_ACTION_MANAGE_PROFILES) == 0 ? BUS_ACTION_MANAGE_OWN_PROFILES
                                                                      : BUS_ACTION_ENROLL_SELF;
}

static struct profile_entry *profile_at(struct daemon *d, const char *path)
{
        const char *slash = strrchr(path, '/');

        return strncmp(path, BUS_PATH_PROFILES "/", sizeof BUS_PATH_PROFILES) == 0
                       ? model_find_profile(d->model, slash + 1)
                       : NULL;
}

/* To make a certificate from it, or to see what would be asked for. A missing one is the handler's to tell.
 */
static const char *enroll_action(const struct profile_entry *profile)
{
        return !profile || profile->for_users ? BUS_ACTION_ENROLL_SELF : BUS_ACTION_ENROLL_DEVICE;
}

static enum err diagnose_action(struct daemon *d, struct bus_call *call, const char **ret, struct error *e)
{
        static const char certificates[] = BUS_PATH_CERTIFICATES "/";
        const struct certificate *c;
        const char *target;
        enum err r = bus_read_string(bus_call_reader(call), "target", &target, e);

        if (r)
                return r;
        if (strncmp(target, certificates, sizeof certificates - 1) == 0) {
                c = model_find(d->model, target + sizeof certificates - 1);
                *ret = c && c->owner == NO_OWNER ? BUS_ACTION_ENROLL_DEVICE : BUS_ACTION_ENROLL_SELF;
        } else if (strncmp(target, BUS_PATH_PROFILES "/", sizeof BUS_PATH_PROFILES) == 0) {
                *ret = enroll_action(profile_at(d, target));
        } else {
                *ret = *target ? BUS_ACTION_MANAGE_PROFILES : BUS_ACTION_ENROLL_SELF;
        }
        return ERR_OK;
}

static enum err add_action(struct bus_call *call, const char **ret, struct error *e)
{
        bool own = false;
        enum err r = add_profile_is_own(call, &own, e);

        *ret = own ? BUS_ACTION_MANAGE_OWN_PROFILES : BUS_ACTION_MANAGE_PROFILES;
        return r;
}

static enum err manager_action(struct daemon *d, struct bus_call *call, const char *method_action,
                               const char **ret, struct error *e)
{
        const char *member = bus_call_member(call), *profile;
        enum err r;

        if (strcmp(member, "AddProfile") == 0)
                return add_action(call, ret, e);
        if (strcmp(member, "Diagnose") == 0)
                return diagnose_action(d, call, ret, e);
        *ret = method_action;
        if (strcmp(member, "Enroll") != 0)
                return ERR_OK;
        r = bus_read_path(bus_call_reader(call), "profile", &profile, e);
        if (!r)
                *ret = enroll_action(profile_at(d, profile));
        return r;
}

static enum err action_of(const struct authorising *authorising, const struct bus_object *object,
                          const char **ret, struct error *e)
{
        struct daemon *d = authorising->d;

        if (!object->is_public)
                *ret = own_action(authorising->method_action);
        else if (strcmp(object->path, BUS_PATH) == 0)
                return manager_action(d, authorising->call, authorising->method_action, ret, e);
        else if (strcmp(bus_call_member(authorising->call), "Resolve") == 0)
                *ret = enroll_action(profile_at(d, object->path));
        else
                *ret = authorising->method_action;
        return ERR_OK;
}

static const char *name_of(struct daemon *d, const char *path)
{
        static const char certificates[] = BUS_PATH_CERTIFICATES "/";
        const struct profile_entry *profile = profile_at(d, path);
        const struct certificate *c = NULL;

        if (strncmp(path, certificates, sizeof certificates - 1) == 0)
                c = model_find(d->model, path + sizeof certificates - 1);
        return profile ? profile->name : c ? c->name : NULL;
}

static void end(struct authorising *authorising, const struct error *refusal)
{
        authorising->done(authorising->call, refusal);
        free(authorising);
}

/* Minutes later: what was granted has to be what would be asked for now. */
static void answered(void *ctx, const struct error *refusal)
{
        struct authorising *authorising = ctx;
        struct bus_object object;
        const char *action = NULL;
        struct error e = {0};

        if (!refusal && authorising->d->bus &&
            tree_find(authorising->d, bus_call_path(authorising->call), &object) &&
            (action_of(authorising, &object, &action, &e) || strcmp(action, authorising->action) != 0)) {
                (void)error_set(&e, ERR_DENIED, "What this is about has changed since polkit was asked");
                (void)error_remedy(&e, ERR_DENIED, "Try again.");
                refusal = &e;
        }
        end(authorising, refusal);
}

/* Without polkit: an owner what is his. */
static void decide_alone(struct authorising *authorising)
{
        const char *action = authorising->action;
        struct error e = {0};

        if (strcmp(action, BUS_ACTION_ENROLL_SELF) == 0 ||
            strcmp(action, BUS_ACTION_MANAGE_OWN_PROFILES) == 0) {
                end(authorising, NULL);
                return;
        }
        (void)error_set(&e, ERR_DENIED, "You may not do this (%s)", action);
        end(authorising, &e);
}

void authorise(void *ctx, struct bus_call *call, const char *action, const struct bus_object *object,
               bus_authorised *done)
{
        struct daemon *d = ctx;
        struct authorising *authorising;
        struct error e = {0};
        enum err r;

        if (bus_call_is_root(call)) {
                done(call, NULL);
                return;
        }
        authorising = calloc(1, sizeof *authorising);
        if (!authorising) {
                (void)error_no_memory(&e);
                done(call, &e);
                return;
        }
        *authorising = (struct authorising){.d = d, .call = call, .method_action = action, .done = done};
        r = action_of(authorising, object, &authorising->action, &e);
        if (!r && !d->config.polkit) {
                decide_alone(authorising);
                return;
        }
        if (!r)
                r = polkit_ask(d, call, authorising->action, name_of(d, object->path), answered, authorising,
                               &e);
        if (r)
                end(authorising, &e);
}
