/* Sources on the bus: what each is asked, and where in its answer the value stands. Main loop's thread. */
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "bus-server/server.h"
#include "bus/read.h"
#include "bus/write.h"
#include "internal.h"

static enum err copy(const char *value, char **ret, struct error *e)
{
        *ret = strdup(value);
        return *ret ? ERR_OK : error_no_memory(e);
}

/* org.freedesktop.hostname1 */

#define HOSTNAME      "org.freedesktop.hostname1"
#define HOSTNAME_PATH "/org/freedesktop/hostname1"

struct bus_writer *ask_static_name(const struct place *place, const char *key)
{
        struct bus_writer *w = bus_question(HOSTNAME, HOSTNAME_PATH, BUS_INTERFACE_PROPERTIES, "Get");

        (void)place;
        bus_write_string(w, HOSTNAME);
        bus_write_string(w, key);
        return w;
}

enum err read_static_name(const struct place *place, const char *key, struct bus_reader *reader, char **ret,
                          struct error *e)
{
        const char *value;
        enum err r = bus_read_enter(reader, key, e);

        (void)place;
        if (!r)
                r = bus_read_string(reader, key, &value, e);
        if (!r && !*value)
                return error_set(e, ERR_NOT_FOUND, "this machine has no static name");
        return r ? r : copy(value, ret, e);
}

struct bus_writer *ask_serial(const struct place *place, const char *key)
{
        (void)place;
        return bus_question(HOSTNAME, HOSTNAME_PATH, HOSTNAME, key);
}

enum err read_serial(const struct place *place, const char *key, struct bus_reader *reader, char **ret,
                     struct error *e)
{
        const char *value;
        enum err r = bus_read_string(reader, key, &value, e);

        (void)place;
        return r ? r : copy(value, ret, e);
}

/*
 * Managed objects: a{oa{sa{sv}}}. One call gives the whole state of a service; of the objects that have the
 * value, the one with the smallest order is taken, so that it is the same one next time.
 */

struct wanted {
        const char *prefix;   /* of interfaces: "org.freedesktop.ModemManager1." */
        const char *value;    /* "Modem.Modem3gpp.Imei": interface without prefix, and property */
        const char *order;    /* the same for what sorts the objects; NULL: the value itself does */
        enum fact fact;       /* only values that can be one count */
        char *found, *sorted; /* of the best so far */
        char *here, *here_order;
};

static bool names(const struct wanted *wanted, const char *what, const char *interface, const char *property)
{
        const size_t prefix = strlen(wanted->prefix);
        const char *dot = what ? strrchr(what, '.') : NULL;

        return dot && strncmp(interface, wanted->prefix, prefix) == 0 &&
               strlen(interface + prefix) == (size_t)(dot - what) &&
               strncmp(interface + prefix, what, (size_t)(dot - what)) == 0 && strcmp(property, dot + 1) == 0;
}

/* Of a variant with a string; any other type is as good as nothing. */
static enum err take_string(struct bus_reader *r, const char *what, char **ret, struct error *e)
{
        const char *value;
        enum err err = bus_read_enter(r, what, e);

        if (err)
                return err;
        if (bus_read_is(r, "s")) {
                err = bus_read_string(r, what, &value, e);
                if (!err && *value && !*ret)
                        err = copy(value, ret, e);
        }
        bus_read_leave(r);
        return err;
}

static enum err read_interface(struct bus_reader *r, struct wanted *wanted, struct error *e)
{
        const char *interface, *property;
        enum err err = bus_read_string(r, "interface", &interface, e);

        if (!err)
                err = bus_read_enter(r, interface, e);
        if (err)
                return err;
        while (!err && bus_read_more(r)) {
                err = bus_read_enter(r, interface, e);
                if (!err)
                        err = bus_read_string(r, "property", &property, e);
                if (!err && names(wanted, wanted->value, interface, property))
                        err = take_string(r, property, &wanted->here, e);
                else if (!err && names(wanted, wanted->order, interface, property))
                        err = take_string(r, property, &wanted->here_order, e);
                if (!err)
                        bus_read_leave(r);
        }
        if (!err)
                bus_read_leave(r);
        return err;
}

static void keep_best(struct wanted *wanted)
{
        CLEANUP(free_p) char *value = STEAL(wanted->here);
        CLEANUP(free_p) char *order = STEAL(wanted->here_order);

        if (!value || fact_settle(wanted->fact, value))
                return;
        if (!order && !(order = strdup(value)))
                return;
        if (wanted->found && strcmp(order, wanted->sorted) >= 0)
                return;
        free(wanted->found);
        free(wanted->sorted);
        wanted->found = STEAL(value);
        wanted->sorted = STEAL(order);
}

static void wanted_done(struct wanted *wanted)
{
        free(wanted->found);
        free(wanted->sorted);
        free(wanted->here);
        free(wanted->here_order);
}

static enum err read_objects(struct bus_reader *r, struct wanted *wanted, struct error *e)
{
        enum err err = bus_read_enter(r, "objects", e);

        while (!err && bus_read_more(r)) {
                const char *path;

                err = bus_read_enter(r, "objects", e);
                if (!err)
                        err = bus_read_path(r, "object", &path, e);
                if (!err)
                        err = bus_read_enter(r, path, e);
                while (!err && bus_read_more(r)) {
                        err = bus_read_enter(r, path, e);
                        if (!err)
                                err = read_interface(r, wanted, e);
                        if (!err)
                                bus_read_leave(r);
                }
                if (err)
                        break;
                bus_read_leave(r);
                bus_read_leave(r);
                keep_best(wanted);
        }
        return err;
}

static enum err read_best(struct bus_reader *reader, struct wanted *wanted, const char *nothing, char **ret,
                          struct error *e)
{
        enum err r = bus_read_is(reader, "a{oa{sa{sv}}}")
                             ? read_objects(reader, wanted, e)
                             : error_set(e, ERR_INVALID, "its answer is of another type than it documents");

        if (!r && !wanted->found)
                r = error_set(e, ERR_NOT_FOUND, "%s", nothing);
        if (!r)
                *ret = STEAL(wanted->found);
        return r;
}

struct bus_writer *ask_network_manager(const struct place *place, const char *key)
{
        (void)place;
        (void)key;
        return bus_question("org.freedesktop.NetworkManager", "/org/freedesktop", BUS_INTERFACE_OBJECTS,
                            "GetManagedObjects");
}

enum err read_adapter(const struct place *place, const char *key, struct bus_reader *reader, char **ret,
                      struct error *e)
{
        /* Wi-Fi devices alone have the interface Wireless. */
        CLEANUP(wanted_done)
        struct wanted wanted = {.prefix = "org.freedesktop.NetworkManager.",
                                .value = "Device.Wireless.PermHwAddress",
                                .order = "Device.Interface",
                                .fact = FACT_WIFI_MAC_ADDRESS};

        (void)place;
        (void)key;
        return read_best(reader, &wanted, "it has no Wi-Fi adapter with a permanent address", ret, e);
}

struct bus_writer *ask_modem_manager(const struct place *place, const char *key)
{
        (void)place;
        (void)key;
        return bus_question("org.freedesktop.ModemManager1", "/org/freedesktop/ModemManager1",
                            BUS_INTERFACE_OBJECTS, "GetManagedObjects");
}

enum err read_modem(const struct place *place, const char *key, struct bus_reader *reader, char **ret,
                    struct error *e)
{
        CLEANUP(wanted_done)
        struct wanted wanted = {.prefix = "org.freedesktop.ModemManager1.",
                                .value = key,
                                .fact = strstr(key, "Meid") ? FACT_MEID : FACT_IMEI};

        (void)place;
        return read_best(reader, &wanted, "it has no modem that tells one", ret, e);
}

/* SSSD's InfoPipe */

struct bus_writer *ask_directory(const struct place *place, const char *key)
{
        const char *const attributes[] = {key, "uidNumber"};
        struct bus_writer *w = bus_question("org.freedesktop.sssd.infopipe", "/org/freedesktop/sssd/infopipe",
                                            "org.freedesktop.sssd.infopipe", "GetUserAttr");

        bus_write_string(w, place->login);
        bus_write_strings(w, attributes, N_ELEMENTS(attributes));
        return w;
}

/* A variant with the values of an attribute, as strings; the smallest of several, so that it stays the same.
 */
static enum err take_values(struct bus_reader *r, const char *key, char **ret, struct error *e)
{
        enum err err = bus_read_enter(r, key, e);
        const char *value;

        if (!err && !bus_read_is(r, "as"))
                return error_set(e, ERR_INVALID, "%s is of another type than it documents", key);
        if (!err)
                err = bus_read_enter(r, key, e);
        while (!err && bus_read_more(r)) {
                err = bus_read_string(r, key, &value, e);
                if (err || !*value || (*ret && strcmp(value, *ret) >= 0))
                        continue;
                free(STEAL(*ret));
                err = copy(value, ret, e);
        }
        if (err)
                return err;
        bus_read_leave(r);
        bus_read_leave(r);
        return ERR_OK;
}

static enum err read_attributes(struct bus_reader *r, const char *key, char **ret_value, char **ret_uid,
                                struct error *e)
{
        enum err err = bus_read_is(r, "a{sv}")
                               ? bus_read_enter(r, key, e)
                               : error_set(e, ERR_INVALID, "its answer is of another type than it documents");

        while (!err && bus_read_more(r)) {
                const char *name;

                err = bus_read_enter(r, key, e);
                if (!err)
                        err = bus_read_string(r, key, &name, e);
                if (err)
                        return err;
                if (strcasecmp(name, key) == 0)
                        err = take_values(r, key, ret_value, e);
                else if (strcasecmp(name, "uidNumber") == 0)
                        err = take_values(r, name, ret_uid, e);
                if (!err)
                        bus_read_leave(r);
        }
        return err;
}

enum err read_directory(const struct place *place, const char *key, struct bus_reader *reader, char **ret,
                        struct error *e)
{
        CLEANUP(free_p) char *value = NULL;
        CLEANUP(free_p) char *uid_text = NULL;
        uint64_t uid;
        enum err r = read_attributes(reader, key, &value, &uid_text, e);

        if (r)
                return r;
        /* A local account can have the name of one in the directory, and its owner made it: the name alone
         * does not tell whose attributes these are. */
        if (!uid_text || !parse_u64(uid_text, UINT32_MAX, &uid)) {
                r = error_set(e, ERR_DENIED, "it does not say which uid '%s' has", place->login);
                return error_remedy(e, r,
                                    "Name uidNumber in user_attributes of the section [ifp] of sssd.conf.");
        }
        if (uid != place->uid) {
                r = error_set(e, ERR_DENIED, "its '%s' has the uid %s and is somebody else", place->login,
                              uid_text);
                return error_remedy(e, r,
                                    "Give the local account another name, or use a variable that does not "
                                    "need a directory.");
        }
        if (!value)
                return error_set(e, ERR_NOT_FOUND, "it tells none for '%s'", place->login);
        *ret = STEAL(value);
        return ERR_OK;
}
