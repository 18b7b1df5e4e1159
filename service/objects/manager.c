/* org.scepter1.Manager: its tables, its properties, pages of certificates. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static void get_version(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)object;
        (void)viewer;
        bus_write_string(w, SCEPTER_VERSION);
}

static void get_default_protection(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct manager *manager = object;

        (void)viewer;
        bus_write_string(w, key_protection_name(manager->d->config.protection));
}

static void get_tpm_state(void *object, uid_t viewer, struct bus_writer *w)
{
        bus_write_string(w, tpm_view_state(tpm_status_get(((struct manager *)object)->d,
                                                          viewer != BUS_VIEWER_EVERYBODY)));
}

static void pair_number(struct bus_writer *w, const char *key, unsigned v)
{
        char text[16];

        (void)snprintf(text, sizeof text, "%u", v);
        bus_entry_pair(w, key, text);
}

/* What is told of a TPM that answers. */
static void put_tpm(const struct tpm_view *view, struct bus_writer *w)
{
        const struct ksp_tpm *tpm = &view->tpm;
        struct text algs = TEXT(256);
        CLEANUP(free_p) char *list = NULL;

        for (int alg = 0; alg < _KEY_ALG_MAX; alg++)
                if (tpm->algs[alg])
                        text_addf(&algs, "%s%s", algs.len ? " " : "", key_alg_name((enum key_alg)alg));
        bus_entry_pair(w, "manufacturer", tpm->manufacturer);
        bus_entry_pair(w, "vendor", tpm->vendor);
        bus_entry_pair(w, "firmware", tpm->firmware);
        if (*tpm->parent)
                bus_entry_pair(w, "parent", tpm->parent);
        pair_number(w, "slots", tpm->slots);
        bus_entry_pair(w, "in-lockout", tpm->in_lockout ? "yes" : "no");
        pair_number(w, "lockout-counter", tpm->lockout_counter);
        pair_number(w, "lockout-max", tpm->lockout_max);
        pair_number(w, "lockout-interval", tpm->lockout_interval);
        if (tpm->in_lockout)
                pair_number(w, "lockout-seconds", tpm->lockout_seconds);
        if (algs.len && text_finish(&algs, &list, NULL) == ERR_OK)
                bus_entry_pair(w, "algorithms", list);
        if (view->keys) {
                pair_number(w, "keys-tried", view->keys);
                pair_number(w, "keys-lost", view->keys_lost);
        }
}

static void get_tpm_info(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct tpm_view *view =
                tpm_status_get(((struct manager *)object)->d, viewer != BUS_VIEWER_EVERYBODY);
        const struct error *why = tpm_view_trouble(view);
        char checked[24];

        (void)snprintf(checked, sizeof checked, "%llu",
                       (unsigned long long)tpm_status_checked(((struct manager *)object)->d));
        bus_open_array(w, "{ss}");
        bus_entry_pair(w, "checked", checked);
        bus_entry_pair(w, "state", ksp_tpm_state_name(view->tpm.state));
        if (why) {
                bus_entry_pair(w, "error", err_name(why->code));
                bus_entry_pair(w, "reason", why->message);
                bus_entry_pair(w, "remedy", why->remedy);
        }
        if (*view->tpm.manufacturer)
                put_tpm(view, w);
        bus_close(w);
}

bool certificate_visible(const struct bus_call *call, const struct certificate *certificate)
{
        return certificate->owner == NO_OWNER || certificate->owner == bus_call_uid(call) ||
               bus_call_is_root(call);
}

static enum health health_now(const struct daemon *d, const struct certificate *c)
{
        return certificate_health(c, clock_now(&d->clock));
}

struct filter {
        const char *name, *profile, *health, *activity;
};

static bool matches(const struct daemon *d, const struct filter *filter, const struct certificate *c)
{
        const char *slash = filter->profile ? strrchr(filter->profile, '/') : NULL;

        return (!filter->name || strcmp(filter->name, c->name) == 0) &&
               (!filter->profile || (slash && strcmp(slash + 1, c->profile) == 0)) &&
               (!filter->health || strcmp(filter->health, health_name(health_now(d, c))) == 0) &&
               (!filter->activity || strcmp(filter->activity, activity_name(c->activity)) == 0);
}

static void write_row(const struct daemon *d, struct bus_writer *w, const struct certificate *c)
{
        char path[OBJECT_PATH_MAX];

        certificate_path(c->id, path);
        bus_open_struct(w);
        bus_write_path(w, path);
        bus_write_string(w, c->name);
        bus_write_string(w, health_name(health_now(d, c)));
        bus_write_string(w, activity_name(c->activity));
        bus_write_u64(w, c->not_before);
        bus_write_u64(w, c->not_after);
        bus_write_u64(w, c->renew_at);
        bus_close(w);
}

static enum err list_certificates(void *object, struct bus_call *call, struct error *e)
{
        const struct daemon *d = ((struct manager *)object)->d;
        struct bus_reader *reader = bus_call_reader(call);
        struct filter filter = {0};
        const struct bus_option options[] = {
                BUS_OPTION_AS_STRING(BUS_OPTION_NAME, filter.name),
                BUS_OPTION_AS_PATH(BUS_OPTION_PROFILE, filter.profile),
                BUS_OPTION_AS_STRING(BUS_OPTION_HEALTH, filter.health),
                BUS_OPTION_AS_STRING(BUS_OPTION_ACTIVITY, filter.activity),
        };
        struct certificate *c;
        struct bus_writer *w;
        uint64_t cursor, next = 0;
        uint32_t limit, given = 0;
        enum err r = bus_read_u64(reader, "cursor", &cursor, e);

        if (!r)
                r = bus_read_u32(reader, "limit", &limit, e);
        if (!r)
                r = bus_options_read(reader, options, N_ELEMENTS(options), e);
        if (!r && limit > BUS_PAGE_MAX)
                r = error_set(e, ERR_INVALID, "A page holds at most %d certificates, not %u", BUS_PAGE_MAX,
                              limit);
        if (!r)
                r = bus_call_subscribe(call, e);
        if (r)
                return r;
        limit = limit ? limit : BUS_PAGE_MAX;
        w = bus_call_begin(call);
        bus_open_array(w, "(osssttt)");
        while ((c = model_next(d->model, cursor))) {
                if (certificate_visible(call, c) && matches(d, &filter, c)) {
                        if (given == limit) {
                                next = cursor;
                                break;
                        }
                        write_row(d, w, c);
                        given++;
                }
                cursor = c->order;
        }
        bus_close(w);
        bus_write_u64(w, next);
        return bus_call_reply(call, w, e);
}

static enum err subscribe(void *object, struct bus_call *call, struct error *e)
{
        enum err r = bus_options_read(bus_call_reader(call), NULL, 0, e);

        (void)object;
        if (!r)
                r = bus_call_subscribe(call, e);
        return r ? r : bus_call_reply_empty(call, e);
}

static const struct bus_method methods[] = {
        {"AddProfile", "sha{sv}", "o", BUS_ACTION_MANAGE_PROFILES, manager_add_profile},
        {"ApplySyncML", "ha{sv}", "h", BUS_ACTION_MANAGE_PROFILES, manager_apply_syncml},
        {"Diagnose", "sa{sv}", "h", BUS_ACTION_MANAGE_PROFILES, manager_diagnose},
        {"Enroll", "oa{sv}", "o", BUS_ACTION_ENROLL_DEVICE, manager_enroll},
        {"ListCertificates", "tua{sv}", "a(osssttt)t", NULL, list_certificates},
        {"GetEvents", "a{sv}", "h", NULL, manager_get_events},
        {"FollowEvents", "a{sv}", "hh", NULL, manager_follow_events},
        {"Subscribe", "a{sv}", "", NULL, subscribe},
        {"RegisterAgent", "oa{sv}", "", NULL, manager_register_agent},
        {"UnregisterAgent", "oa{sv}", "", NULL, manager_unregister_agent},
};

static const struct bus_property properties[] = {
        {"Version", "s", get_version},
        {"TpmState", "s", get_tpm_state},
        {"TpmInfo", "a{ss}", get_tpm_info},
        {"DefaultKeyProtection", "s", get_default_protection},
};

const struct bus_interface manager_interface = {
        .name = BUS_INTERFACE_MANAGER,
        .introspection = bus_introspection_manager,
        .methods = methods,
        .n_methods = N_ELEMENTS(methods),
        .properties = properties,
        .n_properties = N_ELEMENTS(properties),
};
