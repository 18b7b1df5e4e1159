#include "apply/network.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bus-client/client.h"

#define NM            "org.freedesktop.NetworkManager"
#define NM_PATH       "/org/freedesktop/NetworkManager"
#define NM_SETTINGS   NM_PATH "/Settings"
#define NM_CONNECTION NM ".Settings.Connection"
#define NM_ACTIVE     NM ".Connection.Active"
#define DOT1X         "802-1x"

enum { STATE_ACTIVATED = 2, STATE_DEACTIVATED = 4, SETTINGS_MAX_PATHS = 1024 };

struct network {
        struct bus_client *bus;
        const struct consumer *consumer;
        char *connection;      /* path of its settings */
        char *active, *device; /* NULL: it is not active */
};

static void network_done(struct network *n)
{
        free(n->connection);
        free(n->active);
        free(n->device);
}

static enum err copy(char **ret, const char *text, struct error *e)
{
        free(*ret);
        *ret = strdup(text);
        return *ret ? ERR_OK : error_no_memory(e);
}

static enum err get_property(struct network *n, const char *path, const char *interface, const char *name,
                             struct bus_reader **ret, struct error *e)
{
        struct bus_writer *w = bus_client_begin_at(NM, path, BUS_INTERFACE_PROPERTIES, "Get");
        enum err r;

        bus_write_string(w, interface);
        bus_write_string(w, name);
        r = bus_client_call(n->bus, w, ret, NULL, e);
        return r ? r : bus_read_enter(*ret, name, e);
}

/* The text of connection.id and connection.uuid in a{sa{sv}}. */
static bool is_named(struct bus_reader *r, const char *wanted)
{
        const char *setting, *key, *value;

        if (bus_read_enter(r, "settings", NULL))
                return false;
        for (; bus_read_more(r); bus_read_leave(r)) {
                if (bus_read_enter(r, "setting", NULL) || bus_read_string(r, "setting", &setting, NULL) ||
                    bus_read_enter(r, "keys", NULL))
                        return false;
                for (; strcmp(setting, "connection") == 0 && bus_read_more(r); bus_read_leave(r)) {
                        if (bus_read_enter(r, "key", NULL) || bus_read_string(r, "key", &key, NULL))
                                return false;
                        if (strcmp(key, "id") != 0 && strcmp(key, "uuid") != 0)
                                continue;
                        if (bus_read_enter(r, "value", NULL) || bus_read_string(r, "value", &value, NULL))
                                return false;
                        if (strcmp(value, wanted) == 0)
                                return true;
                        bus_read_leave(r);
                }
                bus_read_leave(r);
        }
        return false;
}

static enum err get_settings(struct network *n, const char *path, struct bus_reader **ret, struct error *e)
{
        return bus_client_call(n->bus, bus_client_begin_at(NM, path, NM_CONNECTION, "GetSettings"), ret, NULL,
                               e);
}

/* By id or UUID; an id that two have is none. */
static enum err find_connection(struct network *n, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *list = NULL;
        const char *wanted = n->consumer->connection, *path;
        enum err r = bus_client_call(n->bus,
                                     bus_client_begin_at(NM, NM_SETTINGS, NM ".Settings", "ListConnections"),
                                     &list, NULL, e);

        if (!r)
                r = bus_read_enter(list, "connections", e);
        while (!r && bus_read_more(list)) {
                CLEANUP(bus_reader_free_p) struct bus_reader *settings = NULL;

                r = bus_read_path(list, "connection", &path, e);
                /* One that just went is not the one. */
                if (r || get_settings(n, path, &settings, NULL) || !is_named(settings, wanted))
                        continue;
                if (n->connection)
                        return error_set(e, ERR_CONSUMER,
                                         "NetworkManager has two connections '%s': name its UUID", wanted);
                r = copy(&n->connection, path, e);
        }
        if (!r && !n->connection) {
                (void)error_set(e, ERR_CONSUMER, "NetworkManager has no connection '%s'", wanted);
                return error_remedy(e, ERR_CONSUMER,
                                    "Correct Connection= in the consumer; 'nmcli connection' "
                                    "lists what there is.");
        }
        return r;
}

static enum err find_device(struct network *n, const char *active, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *devices = NULL;
        const char *path;
        enum err r = get_property(n, active, NM_ACTIVE, "Devices", &devices, e);

        if (!r)
                r = bus_read_enter(devices, "Devices", e);
        if (!r && bus_read_more(devices))
                r = bus_read_path(devices, "device", &path, e);
        else if (!r)
                path = "/"; /* not yet on one: NetworkManager chooses */
        if (!r)
                r = copy(&n->device, path, e);
        return r ? r : copy(&n->active, active, e);
}

static enum err find_active(struct network *n, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *list = NULL;
        enum err r = get_property(n, NM_PATH, NM, "ActiveConnections", &list, e);

        if (!r)
                r = bus_read_enter(list, "ActiveConnections", e);
        while (!r && !n->active && bus_read_more(list)) {
                CLEANUP(bus_reader_free_p) struct bus_reader *of = NULL;
                const char *active, *connection;

                r = bus_read_path(list, "active connection", &active, e);
                if (!r && get_property(n, active, NM_ACTIVE, "Connection", &of, NULL) == ERR_OK &&
                    bus_read_path(of, "Connection", &connection, NULL) == ERR_OK &&
                    strcmp(connection, n->connection) == 0)
                        r = find_device(n, active, e);
        }
        return r;
}

/* What 802-1x gets: its key there, and a file, a URI, or a number. */
struct change {
        const char *key, *path, *uri;
        uint32_t number;
};

enum { CHANGES_MAX = 4, URI_MAX = 128, SECRET_NOT_REQUIRED = 4 /* NM_SETTING_SECRET_FLAG_NOT_REQUIRED */ };

/* The key of this generation: a connection that is rolled back has the one before again. */
static void make_uri(const char *key_id, char ret[URI_MAX])
{
        size_t n = (size_t)snprintf(ret, URI_MAX, "pkcs11:token=Scepter;id=");

        for (; key_id[0] && key_id[1]; key_id += 2)
                n += (size_t)snprintf(ret + n, URI_MAX - n, "%%%.2s", key_id);
        (void)snprintf(ret + n, URI_MAX - n, ";type=private");
}

static size_t changes_of(const struct consumer *c, const char *uri, struct change ret[CHANGES_MAX])
{
        const char *certificate =
                c->path[CONSUMER_FULL_CHAIN] ? c->path[CONSUMER_FULL_CHAIN] : c->path[CONSUMER_CERTIFICATE];
        const struct change files[] = {{.key = "client-cert", .path = certificate},
                                       {.key = "ca-cert", .path = c->path[CONSUMER_ANCHOR]},
                                       {.key = "private-key", .path = c->path[CONSUMER_KEY]}};
        size_t n = 0;

        for (size_t i = 0; i < N_ELEMENTS(files); i++)
                if (files[i].path)
                        ret[n++] = files[i];
        if (c->connection_pkcs11) {
                ret[n++] = (struct change){.key = "private-key", .uri = uri};
                /* There is no PIN that anybody could be asked for. */
                ret[n++] =
                        (struct change){.key = "private-key-password-flags", .number = SECRET_NOT_REQUIRED};
        }
        return n;
}

static void write_change(struct bus_writer *w, const struct change *change)
{
        char uri[CONSUMER_PATH_MAX + 16];
        int len = snprintf(uri, sizeof uri, "%s%s", change->path ? "file://" : "",
                           change->path  ? change->path
                           : change->uri ? change->uri
                                         : "");

        bus_entry_open(w, change->key, change->number ? "u" : "ay");
        if (change->number)
                bus_write_u32(w, change->number);
        else
                bus_write_octets(w, uri, (size_t)len + 1); /* NetworkManager wants the NUL */
        bus_entry_close(w);
}

static bool is_changed(const char *key, const struct change *changes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(key, changes[i].key) == 0)
                        return true;
        return false;
}

/* One setting: {s a{sv}}. */
static enum err copy_setting(struct bus_writer *w, struct bus_reader *r, const struct change *changes,
                             size_t n, bool *ret_dot1x, struct error *e)
{
        const char *setting, *key;
        enum err err = bus_read_string(r, "setting", &setting, e);
        bool dot1x;

        if (!err)
                err = bus_read_enter(r, setting, e);
        if (err)
                return err;
        dot1x = strcmp(setting, DOT1X) == 0;
        *ret_dot1x = *ret_dot1x || dot1x;
        bus_open_entry(w);
        bus_write_string(w, setting);
        bus_open_array(w, "{sv}");
        while (!err && bus_read_more(r)) {
                err = bus_read_enter(r, setting, e);
                if (!err)
                        err = bus_read_string(r, "key", &key, e);
                if (!err && !(dot1x && is_changed(key, changes, n))) {
                        bus_open_entry(w);
                        bus_write_string(w, key);
                        bus_write_copy(w, r);
                        bus_close(w);
                }
                if (!err)
                        bus_read_leave(r);
        }
        for (size_t i = 0; dot1x && i < n; i++)
                write_change(w, &changes[i]);
        bus_close(w);
        bus_close(w);
        if (!err)
                bus_read_leave(r);
        return err;
}

/* Secrets are not among them: NetworkManager keeps those it has where none come. */
static enum err send_settings(struct network *n, const char *method, struct bus_reader *from,
                              const struct change *changes, size_t n_changes, struct error *e)
{
        struct bus_writer *w = bus_client_begin_at(NM, n->connection, NM_CONNECTION, method);
        bool dot1x = false;
        enum err r = bus_read_enter(from, "settings", e);

        bus_open_array(w, "{sa{sv}}");
        while (!r && bus_read_more(from)) {
                r = bus_read_enter(from, "setting", e);
                if (!r)
                        r = copy_setting(w, from, changes, n_changes, &dot1x, e);
                if (!r)
                        bus_read_leave(from);
        }
        bus_close(w);
        if (!r && !dot1x) {
                (void)error_set(e, ERR_CONSUMER, "The connection '%s' has no 802.1X",
                                n->consumer->connection);
                r = error_remedy(e, ERR_CONSUMER, "Name another one, or give it 802-1x.eap with nmcli.");
        }
        if (r) {
                bus_writer_free(w);
                return r;
        }
        return bus_client_call(n->bus, w, NULL, NULL, e);
}

static uint64_t seconds(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec;
}

/* StateChanged(u state, u reason) of the active connection; 0: something else. */
static uint32_t state_told(const struct bus_signal *signal, const char *active)
{
        uint32_t state;

        if (!signal->args || strcmp(signal->member, "StateChanged") != 0 ||
            strcmp(signal->path, active) != 0 || bus_read_u32(signal->args, "state", &state, NULL))
                return 0;
        return state;
}

static enum err state_now(struct network *n, const char *active, uint32_t *ret, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *state = NULL;
        enum err r = get_property(n, active, NM_ACTIVE, "State", &state, e);

        return r ? r : bus_read_u32(state, "State", ret, e);
}

static enum err wait_until_up(struct network *n, const char *active, struct error *e)
{
        const uint64_t end = seconds() + n->consumer->connection_timeout;
        uint32_t state = 0;
        enum err r = ERR_OK;

        /* One that has failed at once is not there any more. */
        if (state_now(n, active, &state, NULL))
                state = STATE_DEACTIVATED;
        for (uint64_t now = seconds();
             !r && state != STATE_ACTIVATED && state != STATE_DEACTIVATED && now < end; now = seconds()) {
                struct bus_signal signal = {0};
                uint32_t told;

                r = bus_client_next(n->bus, (int)(end - now) * 1000, &signal, e);
                told = r ? 0 : state_told(&signal, active);
                state = told ? told : state;
                bus_signal_done(&signal);
        }
        if (r || state == STATE_ACTIVATED)
                return r;
        return error_set(e, ERR_CONSUMER, "the connection '%s' %s", n->consumer->connection,
                         state == STATE_DEACTIVATED ? "is refused" : "does not come up in time");
}

static enum err activate(struct network *n, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *answer = NULL;
        CLEANUP(free_p) char *active = NULL;
        struct bus_writer *w = bus_client_begin_at(NM, NM_PATH, NM, "ActivateConnection");
        const char *path;
        enum err r = bus_client_match(
                n->bus, "type='signal',sender='" NM "',interface='" NM_ACTIVE "',member='StateChanged'", e);

        bus_write_path(w, n->connection);
        bus_write_path(w, n->device);
        bus_write_path(w, "/");
        if (r) {
                bus_writer_free(w);
                return r;
        }
        r = bus_client_call(n->bus, w, &answer, NULL, e);
        if (!r)
                r = bus_read_path(answer, "active connection", &path, e);
        if (!r)
                r = copy(&active, path, e);
        return r ? r : wait_until_up(n, active, e);
}

/* Not on the disk before the connection has come up with it. */
static enum err save(struct network *n, struct error *e)
{
        return bus_client_call(n->bus, bus_client_begin_at(NM, n->connection, NM_CONNECTION, "Save"), NULL,
                               NULL, e);
}

static enum err named(const struct network *n, enum err r, struct error *e)
{
        if (r == ERR_OK || r == ERR_NO_MEMORY || (e && e->code == ERR_CONSUMER))
                return r;
        (void)error_context(e, r, "NetworkManager, connection '%s'", n->consumer->connection);
        return error_remedy(e, r, "See what NetworkManager says: journalctl -u NetworkManager.");
}

enum err network_apply(struct bus_client *bus, const struct consumer *consumer, const char *key_id,
                       bool *ret_down, struct error *e)
{
        CLEANUP(network_done) struct network n = {.bus = bus, .consumer = consumer};
        CLEANUP(bus_reader_free_p) struct bus_reader *settings = NULL;
        CLEANUP(bus_reader_free_p) struct bus_reader *original = NULL;
        char uri[URI_MAX];
        struct change changes[CHANGES_MAX];
        size_t n_changes;
        enum err r = find_connection(&n, e);

        make_uri(key_id, uri);
        n_changes = changes_of(consumer, uri, changes);
        *ret_down = false;
        if (!r)
                r = find_active(&n, e);
        if (!r && consumer->connection_update)
                r = get_settings(&n, n.connection, &original, e);
        if (!r && consumer->connection_update)
                r = get_settings(&n, n.connection, &settings, e);
        if (!r && consumer->connection_update)
                r = send_settings(&n, n.active ? "UpdateUnsaved" : "Update", settings, changes, n_changes, e);
        if (r || !n.active)
                return named(&n, r, e);
        r = activate(&n, e);
        if (!r)
                return consumer->connection_update ? named(&n, save(&n, e), e) : ERR_OK;
        *ret_down = true;
        /* The first failure is the one to tell. */
        if (consumer->connection_update && send_settings(&n, "Update", original, NULL, 0, NULL))
                return error_context(e, r, "The old settings could not be put back");
        return named(&n, r, e);
}

enum err network_restore(struct bus_client *bus, const struct consumer *consumer, struct error *e)
{
        CLEANUP(network_done) struct network n = {.bus = bus, .consumer = consumer};
        enum err r = find_connection(&n, e);

        if (!r)
                r = copy(&n.device, "/", e);
        return r ? r : activate(&n, e);
}
