#include "instances.h"

#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "enroll/enrollment.h"
#include "objects/objects.h"
#include "policy/command.h"
#include "policy/hresult.h"

struct instances {
        struct instance *first;
};

static enum err add(struct instances *instances, struct stored_instance *stored, struct instance **ret,
                    struct error *e)
{
        struct instance *instance = calloc(1, sizeof *instance);
        struct instance **last = &instances->first;

        if (!instance)
                return error_no_memory(e);
        instance->stored = *stored;
        *stored = (struct stored_instance){0};
        while (*last)
                last = &(*last)->next;
        *last = instance;
        if (ret)
                *ret = instance;
        return ERR_OK;
}

static enum err load_one(void *ctx, struct stored_instance *stored, struct error *e)
{
        enum err r = add(ctx, stored, NULL, e);

        if (r)
                stored_instance_done(stored);
        return r;
}

enum err instances_load(struct store *store, struct instances **ret, struct error *e)
{
        struct instances *instances = calloc(1, sizeof *instances);
        enum err r = instances ? store_instances_each(store, load_one, instances, e) : error_no_memory(e);

        if (r)
                instances_free(instances);
        else
                *ret = instances;
        return r;
}

void instances_free(struct instances *instances)
{
        if (!instances)
                return;
        while (instances->first) {
                struct instance *instance = instances->first;

                instances->first = instance->next;
                stored_instance_done(&instance->stored);
                free(instance);
        }
        free(instances);
}

struct instance *instances_first(struct instances *instances)
{
        return instances->first;
}

struct instance *instance_find(struct instances *instances, uid_t owner, const char *key)
{
        for (struct instance *i = instances->first; i; i = i->next)
                if (i->stored.owner == owner && strcmp(i->stored.key, key) == 0)
                        return i;
        return NULL;
}

enum err instance_put(struct daemon *d, struct instance *existing, struct stored_instance *stored,
                      struct instance **ret, struct error *e)
{
        enum err r = store_instance_write(d->store, stored, e);

        if (r)
                return r;
        if (!existing)
                return add(d->instances, stored, ret, e);
        stored_instance_done(&existing->stored);
        existing->stored = *stored;
        *stored = (struct stored_instance){0};
        if (ret)
                *ret = existing;
        return ERR_OK;
}

enum err instance_drop(struct daemon *d, struct instance *instance, struct error *e)
{
        enum err r = store_instance_remove(d->store, &instance->stored, e);

        if (r)
                return r;
        for (struct instance **p = &d->instances->first; *p; p = &(*p)->next) {
                if (*p == instance) {
                        *p = instance->next;
                        break;
                }
        }
        stored_instance_done(&instance->stored);
        free(instance);
        return ERR_OK;
}

struct profile_entry *instance_profile(struct daemon *d, const struct stored_instance *stored)
{
        return *stored->profile ? model_find_profile(d->model, stored->profile) : NULL;
}

struct certificate *instance_certificate(struct daemon *d, const struct stored_instance *stored)
{
        return *stored->profile ? model_find_origin(d->model, stored->profile, (uid_t)stored->owner) : NULL;
}

bool instance_root_shared(struct daemon *d, const struct stored_instance *stored)
{
        for (struct instance *i = d->instances->first; i; i = i->next)
                if (i->stored.owner == stored->owner && strcmp(i->stored.key, stored->key) != 0 &&
                    strcmp(i->stored.anchor, stored->anchor) == 0)
                        return true;
        return false;
}

struct removing {
        struct daemon *d;
        store_id profile;
        uid_t owner;
        void (*done)(void *ctx, const struct error *failure);
        void *ctx;
};

static void end_removing(struct removing *removing, const struct error *failure)
{
        removing->done(removing->ctx, failure);
        free(removing);
}

/* Another user's instance may have come from the same profile. */
static bool profile_in_use(struct daemon *d, const char *profile)
{
        struct certificate *c;
        uint64_t order = 0;

        while ((c = model_next(d->model, order))) {
                order = c->order;
                if (strcmp(c->profile, profile) == 0)
                        return true;
        }
        return enrollment_begins(d, profile);
}

static void remove_profile(struct removing *removing)
{
        struct profile_entry *profile = model_find_profile(removing->d->model, removing->profile);
        struct error e = {0};

        if (profile && !profile_in_use(removing->d, removing->profile) &&
            profile_forget(removing->d, profile, &e))
                end_removing(removing, &e);
        else
                end_removing(removing, NULL);
}

static void certificate_gone(void *ctx, const struct error *failure)
{
        struct removing *removing = ctx;

        if (failure)
                end_removing(removing, failure);
        else
                remove_profile(removing);
}

static void remove_certificate(void *ctx)
{
        struct removing *removing = ctx;
        struct certificate *c = model_find_origin(removing->d->model, removing->profile, removing->owner);
        struct error e = {0};

        if (!c)
                remove_profile(removing);
        else if (certificate_remove(removing->d, c, certificate_gone, removing, &e))
                end_removing(removing, &e);
}

void instance_remove(struct daemon *d, const struct stored_instance *stored,
                     void (*done)(void *ctx, const struct error *failure), void *ctx)
{
        struct certificate *c = instance_certificate(d, stored);
        struct removing *removing = calloc(1, sizeof *removing);
        struct error e = {0};
        enum err r = removing ? ERR_OK : error_no_memory(&e);

        if (!r && *stored->anchor && !instance_root_shared(d, stored))
                r = store_anchor_remove(d->store, (uid_t)stored->owner, stored->anchor, &e);
        if (!r && *stored->profile && !c && enrollment_begins(d, stored->profile))
                r = error_set(&e, ERR_BUSY, "A request from this profile begins just now");
        if (r) {
                free(removing);
                done(ctx, &e);
                return;
        }
        *removing = (struct removing){.d = d, .owner = (uid_t)stored->owner, .done = done, .ctx = ctx};
        if (strlen(stored->profile) == ID_LEN)
                memcpy(removing->profile, stored->profile, sizeof removing->profile);
        if (!c || !c->enrollment || c->noting)
                remove_certificate(removing);
        else if (enrollment_end(c, remove_certificate, removing, &e))
                end_removing(removing, &e);
}

/* After a restart */

static void begun(void *ctx, struct certificate *certificate, const struct error *failure)
{
        (void)ctx;
        (void)certificate;
        if (failure)
                log_error(LOG_WARNING, failure);
}

struct rest {
        struct daemon *d;
        uid_t owner;
        char *key;
};

/* The entry goes last: until then a restart finds what is left to do. */
static void rest_removed(void *ctx, const struct error *failure)
{
        struct rest *rest = ctx;
        struct instance *instance = instance_find(rest->d->instances, rest->owner, rest->key);
        struct error e = {0};

        if (failure)
                log_error(LOG_WARNING, failure);
        else if (instance && instance_drop(rest->d, instance, &e))
                log_error(LOG_WARNING, &e);
        free(rest->key);
        free(rest);
}

static void resume_removal(struct daemon *d, const struct instance *instance)
{
        struct rest *rest = calloc(1, sizeof *rest);
        char *key = strdup(instance->stored.key);

        if (!rest || !key) {
                free(rest);
                free(key);
                return;
        }
        *rest = (struct rest){d, (uid_t)instance->stored.owner, key};
        instance_remove(d, &instance->stored, rest_removed, rest);
}

static void resume_enrollment(struct daemon *d, struct instance *instance)
{
        const struct enrollment_ops ops = {begun, NULL};
        struct enrollment_order order = {.profile = instance->stored.profile,
                                         .owner = (uid_t)instance->stored.owner,
                                         .if_needed = true};
        const struct certificate *c = instance_certificate(d, &instance->stored);
        struct error e = {0};

        if (!c || !c->enrollment)
                if (instance_profile(d, &instance->stored) && enrollment_start(d, &order, &ops, &e))
                        log_error(LOG_WARNING, &e);
        instance->stored.due = false;
        if (store_instance_write(d->store, &instance->stored, &e))
                log_error(LOG_WARNING, &e);
}

void instances_resume(struct daemon *d)
{
        struct instance *next;

        for (struct instance *i = d->instances->first; i; i = next) {
                next = i->next;
                if (i->stored.leaving)
                        resume_removal(d, i);
                else if (i->stored.due)
                        resume_enrollment(d, i);
        }
}

static bool has_alert(const struct instance *i, uid_t user)
{
        static const char branch[] = "/ClientCertificateInstall/";

        return i->stored.awaited && strstr(i->stored.key, branch) &&
               (i->stored.owner == NO_OWNER || i->stored.owner == user);
}

static enum err add_alert(struct daemon *d, struct instance *i, struct answer_alerts *ret, struct error *e)
{
        struct certificate *c = instance_certificate(d, &i->stored);
        const struct record *record;
        char location[COMMAND_LOCATION_MAX];

        if (!c || activity_is_running(c->activity) || c->enrollment)
                return ERR_OK;
        record = model_details(d->model, c);
        (void)snprintf(location, sizeof location, "./%s/Vendor/MSFT/ClientCertificateInstall/SCEP/%s",
                       i->stored.owner == NO_OWNER ? "Device" : "User", i->stored.name);
        i->stored.awaited = false;
        if (store_instance_write(d->store, &i->stored, e))
                log_error(LOG_WARNING, e);
        return answer_alerts_add(ret, location, (int32_t)hresult_of_error(record ? record->error_name : ""),
                                 e);
}

enum err instances_take_alerts(struct daemon *d, uid_t user, struct answer_alerts *ret, struct error *e)
{
        struct answer_alerts alerts = {0};
        enum err r = ERR_OK;

        for (struct instance *i = d->instances->first; !r && i; i = i->next)
                if (has_alert(i, user) && alerts.count < ANSWER_ALERTS_MAX)
                        r = add_alert(d, i, &alerts, e);
        if (r)
                answer_alerts_done(&alerts);
        else
                *ret = alerts;
        return r;
}
