/* Which objects there are, and what changes on them. */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "daemon/intact.h"
#include "daemon/log.h"
#include "internal.h"

static const struct bus_interface *const manager_interfaces[] = {&manager_interface, NULL};
static const struct bus_interface *const profile_interfaces[] = {&profile_interface, NULL};
static const struct bus_interface *const certificate_interfaces[] = {&certificate_interface, NULL};

struct tree {
        struct daemon *d;
        struct manager manager;
        struct handle handle;
};

static struct tree *tree_of(struct daemon *d)
{
        return d->tree;
}

struct handle *tree_handle(struct daemon *d, struct certificate *certificate, struct profile_entry *profile)
{
        struct handle *handle = &tree_of(d)->handle;

        *handle = (struct handle){d, certificate, profile};
        return handle;
}

void certificate_path(const char *id, char ret[OBJECT_PATH_MAX])
{
        (void)snprintf(ret, OBJECT_PATH_MAX, "%s/%s", BUS_PATH_CERTIFICATES, id);
}

void profile_path(const char *id, char ret[OBJECT_PATH_MAX])
{
        (void)snprintf(ret, OBJECT_PATH_MAX, "%s/%s", BUS_PATH_PROFILES, id);
}

void describe_certificate_object(struct daemon *d, struct certificate *certificate,
                                 char path[OBJECT_PATH_MAX], struct bus_object *ret)
{
        certificate_path(certificate->id, path);
        *ret = (struct bus_object){.path = path,
                                   .object = tree_handle(d, certificate, NULL),
                                   .interfaces = certificate_interfaces,
                                   .is_public = certificate->owner == NO_OWNER,
                                   .owner = certificate->owner};
}

void describe_profile_object(struct daemon *d, struct profile_entry *profile, char path[OBJECT_PATH_MAX],
                             struct bus_object *ret)
{
        profile_path(profile->id, path);
        *ret = (struct bus_object){.path = path,
                                   .object = tree_handle(d, NULL, profile),
                                   .interfaces = profile_interfaces,
                                   .is_public = profile->owner == NO_OWNER,
                                   .owner = profile->owner};
}

static void describe_manager(struct tree *tree, struct bus_object *ret)
{
        *ret = (struct bus_object){.path = BUS_PATH,
                                   .object = &tree->manager,
                                   .interfaces = manager_interfaces,
                                   .is_public = true};
}

bool tree_find(struct daemon *d, const char *path, struct bus_object *ret)
{
        static const char certificates[] = BUS_PATH_CERTIFICATES "/", profiles[] = BUS_PATH_PROFILES "/";
        struct tree *tree = tree_of(d);

        if (strcmp(path, BUS_PATH) == 0) {
                describe_manager(tree, ret);
                return true;
        }
        if (strncmp(path, certificates, sizeof certificates - 1) == 0) {
                struct certificate *certificate = model_find(tree->d->model, path + sizeof certificates - 1);

                if (certificate)
                        describe_certificate_object(tree->d, certificate, tree->d->path, ret);
                return certificate != NULL;
        }
        if (strncmp(path, profiles, sizeof profiles - 1) == 0) {
                struct profile_entry *profile =
                        model_find_profile(tree->d->model, path + sizeof profiles - 1);

                if (profile)
                        describe_profile_object(tree->d, profile, tree->d->path, ret);
                return profile != NULL;
        }
        return false;
}

static bool find(void *ctx, const char *path, struct bus_object *ret)
{
        return tree_find(((struct tree *)ctx)->d, path, ret);
}

static void each(void *ctx, void (*visit)(void *visit_ctx, const struct bus_object *object), void *visit_ctx)
{
        struct tree *tree = ctx;
        struct certificate *certificate;
        struct bus_object object;
        uint64_t order = 0;

        describe_manager(tree, &object);
        visit(visit_ctx, &object);
        for (struct profile_entry *p = model_profiles(tree->d->model); p; p = p->next) {
                describe_profile_object(tree->d, p, tree->d->path, &object);
                visit(visit_ctx, &object);
        }
        while ((certificate = model_next(tree->d->model, order))) {
                order = certificate->order;
                describe_certificate_object(tree->d, certificate, tree->d->path, &object);
                visit(visit_ctx, &object);
        }
        model_forget_details(tree->d->model);
}

static void on_failed(void *ctx, const struct error *fault)
{
        intact_look(ctx, fault);
}

enum err objects_start(struct daemon *d, void (*lost)(void *ctx), void *ctx, struct error *e)
{
        struct tree *tree = calloc(1, sizeof *tree);
        struct bus_server_setup setup = {
                .event = d->event, .ctx = ctx, .authorise = authorise, .lost = lost, .failed = on_failed};
        enum err r;

        if (!tree)
                return error_no_memory(e);
        tree->d = d;
        tree->manager.d = d;
        d->tree = tree;
        setup.tree.ctx = tree;
        setup.tree.find = find;
        setup.tree.each = each;
        r = bus_server_new(&setup, &d->bus, e);
        return r ? r : bus_server_own(d->bus, BUS_NAME, e);
}

void objects_stop(struct daemon *d)
{
        diagnosing_stop(d);
        ask_stop(d);
        bus_server_free(STEAL(d->bus));
        shown_profile_free(STEAL(d->shown_profile));
        free(STEAL(d->tree));
        agents_done(&d->agents);
}

void objects_certificate_added(struct daemon *d, struct certificate *certificate)
{
        char path[OBJECT_PATH_MAX];
        struct bus_object object;

        if (!d->bus)
                return;
        describe_certificate_object(d, certificate, path, &object);
        bus_server_added(d->bus, &object);
}

void objects_certificate_changed(struct daemon *d, struct certificate *certificate)
{
        /* All that can change; values that did not are cheap beside an enrollment. */
        static const char *const properties[] = {"Health",
                                                 "Activity",
                                                 "ActivitySince",
                                                 "Progress",
                                                 "Profile",
                                                 "Subject",
                                                 "SerialNumber",
                                                 "Thumbprint",
                                                 "NotBefore",
                                                 "NotAfter",
                                                 "RenewAt",
                                                 "KeyProtection",
                                                 "KeyProtectionReason",
                                                 "KeyAlgorithm",
                                                 "KeyAttributes",
                                                 "RespondentServerUrl",
                                                 "Deviations",
                                                 "LastError",
                                                 "Status",
                                                 "Attempts",
                                                 "Uris",
                                                 "Groups",
                                                 NULL};
        char path[OBJECT_PATH_MAX];

        if (!d->bus)
                return;
        certificate_path(certificate->id, path);
        bus_server_changed(d->bus, path, &certificate_interface, properties);
}

void objects_certificate_removed(struct daemon *d, struct certificate *certificate)
{
        char path[OBJECT_PATH_MAX];
        struct bus_object object;

        if (!d->bus)
                return;
        describe_certificate_object(d, certificate, path, &object);
        bus_server_removed(d->bus, &object);
}

void later_fail(struct later *later, const struct error *e)
{
        bus_call_fail(later->call, e);
        bus_call_unref(STEAL(later->call));
}
