#include "cli/object.h"

#include <string.h>

#include "cli/value.h"

const char *object_id(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

enum err object_properties(struct cli *cli, const char *path, const char *interface, json_t **ret,
                           struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *r = NULL;
        struct bus_writer *w = bus_client_begin(path, BUS_INTERFACE_PROPERTIES, "GetAll");
        enum err err;

        bus_write_string(w, interface);
        err = cli_call(cli, w, &r, e);
        if (err)
                return err;
        return value_read(r, ret, e);
}

/* Puts an object with @names in the place of the struct under @key. */
static enum err name_members(json_t *object, const char *key, const char *const *names, size_t n,
                             struct error *e)
{
        const json_t *values = json_object_get(object, key);
        CLEANUP(json_decref_p) json_t *named = json_object();

        if (!json_is_array(values) || json_array_size(values) != n)
                return ERR_OK;
        for (size_t i = 0; i < n; i++)
                if (json_object_set(named, names[i], json_array_get(values, i)) < 0)
                        return error_no_memory(e);
        return json_object_set(object, key, named) < 0 ? error_no_memory(e) : ERR_OK;
}

static enum err add_identity(json_t *object, const char *path, struct error *e)
{
        if (json_object_set_new(object, "id", json_string(object_id(path))) < 0 ||
            json_object_set_new(object, "path", json_string(path)) < 0)
                return error_no_memory(e);
        return ERR_OK;
}

enum err object_certificate(struct cli *cli, const char *path, json_t **ret, struct error *e)
{
        static const char *const owner[] = {"uid", "name"}, *const last_error[] = {"name", "message",
                                                                                   "remedy"};
        CLEANUP(json_decref_p) json_t *object = NULL;
        enum err r = object_properties(cli, path, BUS_INTERFACE_CERTIFICATE, &object, e);

        if (!r)
                r = add_identity(object, path, e);
        if (!r)
                r = name_members(object, "owner", owner, N_ELEMENTS(owner), e);
        if (!r)
                r = name_members(object, "lastError", last_error, N_ELEMENTS(last_error), e);
        if (!r)
                *ret = STEAL(object);
        return r;
}

enum err object_profile(struct cli *cli, const char *path, json_t **ret, struct error *e)
{
        CLEANUP(json_decref_p) json_t *object = NULL;
        enum err r = object_properties(cli, path, BUS_INTERFACE_PROFILE, &object, e);

        if (!r)
                r = add_identity(object, path, e);
        if (!r)
                *ret = STEAL(object);
        return r;
}

/* Interfaces of one object in GetManagedObjects: appended to @list if one is a profile. */
static enum err read_profile(struct bus_reader *r, const char *path, json_t *list, struct error *e)
{
        enum err err = bus_read_enter(r, "interfaces", e);

        while (!err && bus_read_more(r)) {
                CLEANUP(json_decref_p) json_t *object = NULL;
                const char *interface;

                err = bus_read_enter(r, "interface", e);
                if (!err)
                        err = bus_read_string(r, "interface", &interface, e);
                if (err)
                        return err;
                if (strcmp(interface, BUS_INTERFACE_PROFILE) == 0) {
                        err = value_read(r, &object, e);
                        if (!err)
                                err = add_identity(object, path, e);
                        if (!err && json_array_append(list, object) < 0)
                                err = error_no_memory(e);
                } else {
                        bus_read_skip(r);
                }
                bus_read_leave(r);
        }
        if (!err)
                bus_read_leave(r);
        return err;
}

static int compare_names(const void *a, const void *b)
{
        const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
        int order = strcmp(value_string(x, "name"), value_string(y, "name"));

        return order ? order : strcmp(value_string(x, "id"), value_string(y, "id"));
}

/* *list becomes a sorted copy. */
static enum err sort(json_t **list, struct error *e)
{
        size_t n = json_array_size(*list);
        CLEANUP(free_p) json_t **items = calloc(n + 1, sizeof(json_t *));
        CLEANUP(json_decref_p) json_t *sorted = json_array();
        json_t *old = *list;

        if (!items || !sorted)
                return error_no_memory(e);
        for (size_t i = 0; i < n; i++)
                items[i] = json_array_get(old, i);
        qsort(items, n, sizeof *items, compare_names);
        for (size_t i = 0; i < n; i++)
                if (json_array_append(sorted, items[i]) < 0)
                        return error_no_memory(e);
        *list = STEAL(sorted);
        json_decref(old);
        return ERR_OK;
}

enum err object_profiles(struct cli *cli, json_t **ret, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *r = NULL;
        CLEANUP(json_decref_p) json_t *list = json_array();
        enum err err;

        if (!list)
                return error_no_memory(e);
        err = cli_call(cli, bus_client_begin(BUS_PATH, BUS_INTERFACE_OBJECTS, "GetManagedObjects"), &r, e);
        if (!err)
                err = bus_read_enter(r, "objects", e);
        while (!err && bus_read_more(r)) {
                const char *path;

                err = bus_read_enter(r, "object", e);
                if (!err)
                        err = bus_read_path(r, "path", &path, e);
                if (!err)
                        err = read_profile(r, path, list, e);
                if (!err)
                        bus_read_leave(r);
        }
        if (!err)
                err = sort(&list, e);
        if (!err)
                *ret = STEAL(list);
        return err;
}

/* One (osssttt). */
static enum err read_listed(struct bus_reader *r, json_t *list, struct error *e)
{
        const char *path, *name, *health, *activity;
        uint64_t not_before, not_after, renew_at;
        json_t *object;
        enum err err = bus_read_enter(r, "certificate", e);

        if (err || (err = bus_read_path(r, "path", &path, e)) ||
            (err = bus_read_string(r, "name", &name, e)) ||
            (err = bus_read_string(r, "health", &health, e)) ||
            (err = bus_read_string(r, "activity", &activity, e)) ||
            (err = bus_read_u64(r, "NotBefore", &not_before, e)) ||
            (err = bus_read_u64(r, "NotAfter", &not_after, e)) ||
            (err = bus_read_u64(r, "RenewAt", &renew_at, e)))
                return err;
        bus_read_leave(r);
        object = json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "id", object_id(path), "path", path, "name",
                           name, "health", health, "activity", activity, "notBefore", (json_int_t)not_before,
                           "notAfter", (json_int_t)not_after, "renewAt", (json_int_t)renew_at);
        return !object || json_array_append_new(list, object) < 0 ? error_no_memory(e) : ERR_OK;
}

static enum err read_page(struct cli *cli, const char *name, uint64_t *cursor, json_t *list, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *r = NULL;
        struct bus_writer *w = bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, "ListCertificates");
        uint64_t next;
        enum err err;

        bus_write_u64(w, *cursor);
        bus_write_u32(w, BUS_PAGE_MAX);
        bus_open_array(w, "{sv}");
        if (name)
                bus_entry_string(w, BUS_OPTION_NAME, name);
        bus_close(w);
        err = cli_call(cli, w, &r, e);
        if (!err)
                err = bus_read_enter(r, "certificates", e);
        while (!err && bus_read_more(r))
                err = read_listed(r, list, e);
        if (err)
                return err;
        bus_read_leave(r);
        err = bus_read_u64(r, "next", &next, e);
        if (err)
                return err;
        /* A cursor that does not move would keep us here for ever. */
        if (next == *cursor && next)
                return error_set(e, ERR_PROTOCOL, "The service's list of certificates does not end");
        *cursor = next;
        return ERR_OK;
}

enum err object_certificates(struct cli *cli, const char *name, json_t **ret, struct error *e)
{
        CLEANUP(json_decref_p) json_t *list = json_array();
        uint64_t cursor = 0;

        if (!list)
                return error_no_memory(e);
        do {
                enum err r = read_page(cli, name, &cursor, list, e);

                if (r)
                        return r;
        } while (cursor);
        *ret = STEAL(list);
        return ERR_OK;
}
