/* org.scepter1.Manager: properties, pages of certificates, events. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

enum { EVENTS_DEFAULT = 1000, EVENTS_MAX = 10000, EVENTS_TEXT_MAX = 8 * 1024 * 1024 };

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
        const struct ksp_tpm tpm =
                tpm_status_get(((struct manager *)object)->d, viewer != BUS_VIEWER_EVERYBODY);

        bus_write_string(w, tpm.state == KSP_TPM_FAILING ? err_name(tpm.why.code)
                                                         : ksp_tpm_state_name(tpm.state));
}

static void pair_number(struct bus_writer *w, const char *key, unsigned v)
{
        char text[16];

        (void)snprintf(text, sizeof text, "%u", v);
        bus_entry_pair(w, key, text);
}

static void get_tpm_info(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct ksp_tpm tpm =
                tpm_status_get(((struct manager *)object)->d, viewer != BUS_VIEWER_EVERYBODY);
        struct text algs = TEXT(256);
        CLEANUP(free_p) char *list = NULL;
        char checked[24];

        (void)snprintf(checked, sizeof checked, "%llu",
                       (unsigned long long)tpm_status_checked(((struct manager *)object)->d));
        bus_open_array(w, "{ss}");
        bus_entry_pair(w, "checked", checked);
        bus_entry_pair(w, "state", ksp_tpm_state_name(tpm.state));
        if (tpm.state == KSP_TPM_READY) {
                for (int alg = 0; alg < _KEY_ALG_MAX; alg++)
                        if (tpm.algs[alg])
                                text_addf(&algs, "%s%s", algs.len ? " " : "",
                                          key_alg_name((enum key_alg)alg));
                bus_entry_pair(w, "manufacturer", tpm.manufacturer);
                bus_entry_pair(w, "vendor", tpm.vendor);
                bus_entry_pair(w, "firmware", tpm.firmware);
                bus_entry_pair(w, "parent", tpm.parent);
                pair_number(w, "slots", tpm.slots);
                bus_entry_pair(w, "in-lockout", tpm.in_lockout ? "yes" : "no");
                pair_number(w, "lockout-counter", tpm.lockout_counter);
                pair_number(w, "lockout-max", tpm.lockout_max);
                pair_number(w, "lockout-interval", tpm.lockout_interval);
                if (text_finish(&algs, &list, NULL) == ERR_OK)
                        bus_entry_pair(w, "algorithms", list);
        } else {
                bus_entry_pair(w, "error", err_name(tpm.why.code));
                bus_entry_pair(w, "reason", tpm.why.message);
                bus_entry_pair(w, "remedy", tpm.why.remedy);
        }
        bus_close(w);
}

static bool visible(const struct bus_call *call, const struct certificate *certificate)
{
        return certificate->owner == NO_OWNER || certificate->owner == bus_call_uid(call) ||
               bus_call_is_root(call);
}

static enum health health_now(const struct daemon *d, const struct certificate *c)
{
        return health_of(c->not_before, c->not_after, c->renew_at, clock_now(&d->clock));
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
                if (visible(call, c) && matches(d, &filter, c)) {
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

/* Lines of events with the time they begin with: {"time":1234,… */
struct event_line {
        uint64_t time;
        struct view text;
        size_t order;
};

struct event_lines {
        struct event_line *items;
        size_t n, size;
        struct bytes *files;
        size_t n_files;
};

static void event_lines_done(struct event_lines *lines)
{
        for (size_t i = 0; i < lines->n_files; i++)
                bytes_done(&lines->files[i]);
        free(lines->files);
        free(lines->items);
}

static enum err add_lines(struct event_lines *lines, const struct bytes *file, uint64_t since,
                          struct error *e)
{
        static const char prefix[] = "{\"time\":";
        const char *p = (const char *)file->data, *end = p + file->len;

        while (p < end) {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                uint64_t time = 0;

                if (!newline) /* half a line: the daemon was killed while it wrote */
                        break;
                if (strncmp(p, prefix, sizeof prefix - 1) == 0)
                        time = strtoull(p + sizeof prefix - 1, NULL, 10);
                if (time >= since) {
                        if (lines->n == lines->size) {
                                size_t size = lines->size ? 2 * lines->size : 256;
                                struct event_line *items = realloc(lines->items, size * sizeof *items);

                                if (!items)
                                        return error_no_memory(e);
                                lines->items = items;
                                lines->size = size;
                        }
                        lines->items[lines->n] = (struct event_line){
                                time, {(const uint8_t *)p, (size_t)(newline - p) + 1}, lines->n};
                        lines->n++;
                }
                p = newline + 1;
        }
        return ERR_OK;
}

static int by_time(const void *a, const void *b)
{
        const struct event_line *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

static enum err read_events(struct daemon *d, struct event_lines *lines, const struct certificate *c,
                            uint64_t since, struct error *e)
{
        struct bytes *files = realloc(lines->files, (lines->n_files + 1) * sizeof *files), file = {0};
        enum err r;

        if (!files)
                return error_no_memory(e);
        lines->files = files;
        r = store_events_read(d->store, c->id, &file, e);
        if (r)
                return r == ERR_NOT_FOUND ? ERR_OK : r;
        lines->files[lines->n_files++] = file;
        return add_lines(lines, &file, since, e);
}

static enum err reply_memfd(struct bus_call *call, const char *name, struct view v, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        struct bus_writer *w;
        enum err r = memfd_make(name, v, &fd, e);

        if (r)
                return r;
        w = bus_call_begin(call);
        bus_write_fd(w, fd);
        return bus_call_reply(call, w, e);
}

static enum err get_events(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        CLEANUP(event_lines_done) struct event_lines lines = {0};
        CLEANUP(free_p) char *all = NULL;
        struct text text = TEXT(EVENTS_TEXT_MAX);
        const char *wanted = NULL;
        uint64_t since = 0, order = 0;
        uint32_t limit = EVENTS_DEFAULT;
        const struct bus_option options[] = {
                BUS_OPTION_AS_PATH(BUS_OPTION_CERTIFICATE, wanted),
                BUS_OPTION_AS_U64(BUS_OPTION_SINCE, since),
                BUS_OPTION_AS_U32(BUS_OPTION_LIMIT, limit),
        };
        struct certificate *c;
        bool found = false;
        enum err r = bus_options_read(bus_call_reader(call), options, N_ELEMENTS(options), e);

        if (!r && limit > EVENTS_MAX)
                r = error_set(e, ERR_INVALID, "At most %d events can be asked for, not %u", EVENTS_MAX,
                              limit);
        while (!r && (c = model_next(d->model, order))) {
                char path[OBJECT_PATH_MAX];

                order = c->order;
                certificate_path(c->id, path);
                if (!visible(call, c) || (wanted && strcmp(wanted, path) != 0))
                        continue;
                found = true;
                r = read_events(d, &lines, c, since, e);
        }
        if (!r && wanted && !found)
                r = error_set(e, ERR_NOT_FOUND, "There is no such certificate");
        if (r)
                return r;
        if (lines.n)
                qsort(lines.items, lines.n, sizeof *lines.items, by_time);
        for (size_t i = lines.n > limit ? lines.n - limit : 0; i < lines.n; i++)
                text_add_n(&text, (const char *)lines.items[i].text.data, lines.items[i].text.len);
        r = text_finish(&text, &all, e);
        return r ? r : reply_memfd(call, "scepter-events", str_view(all), e);
}

static const struct bus_method methods[] = {
        {"AddProfile", "sha{sv}", "o", BUS_ACTION_MANAGE_PROFILES, manager_add_profile},
        {"ApplySyncML", "ha{sv}", "h", BUS_ACTION_MANAGE_PROFILES, manager_apply_syncml},
        {"Diagnose", "sa{sv}", "h", BUS_ACTION_MANAGE_PROFILES, manager_diagnose},
        {"Enroll", "oa{sv}", "o", BUS_ACTION_ENROLL_DEVICE, manager_enroll},
        {"ListCertificates", "tua{sv}", "a(osssttt)t", NULL, list_certificates},
        {"GetEvents", "a{sv}", "h", NULL, get_events},
        {"Subscribe", "a{sv}", "", NULL, subscribe},
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
