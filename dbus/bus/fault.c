/* struct error and D-Bus errors, both ways. */
#include "bus/fault.h"

#include <string.h>

#include <dbus/dbus.h>

#include "bus/read.h"

/* What the bus, libdbus and our own dispatcher say, as our codes. No remedy: the table's own is right. */
static const struct {
        const char *name;
        enum err code;
        const char *remedy;
} foreign[] = {
        {DBUS_ERROR_SERVICE_UNKNOWN, ERR_NO_SERVICE, NULL},
        {DBUS_ERROR_NAME_HAS_NO_OWNER, ERR_NO_SERVICE, NULL},
        {DBUS_ERROR_SPAWN_SERVICE_NOT_FOUND, ERR_NO_SERVICE, NULL},
        {DBUS_ERROR_SPAWN_CHILD_EXITED, ERR_NO_SERVICE, "See why it does not start: journalctl -u scepterd."},
        {DBUS_ERROR_SPAWN_CHILD_SIGNALED, ERR_NO_SERVICE,
         "See why it does not start: journalctl -u scepterd."},
        {DBUS_ERROR_SPAWN_EXEC_FAILED, ERR_NO_SERVICE, "See why it does not start: journalctl -u scepterd."},
        {DBUS_ERROR_SPAWN_FAILED, ERR_NO_SERVICE, "See why it does not start: journalctl -u scepterd."},
        {DBUS_ERROR_DISCONNECTED, ERR_NO_SERVICE, "Check that the system bus runs: systemctl status dbus."},
        {DBUS_ERROR_NO_SERVER, ERR_NO_SERVICE, "Check that the system bus runs: systemctl status dbus."},
        {DBUS_ERROR_FILE_NOT_FOUND, ERR_NO_SERVICE, "Check that the system bus runs: systemctl status dbus."},
        {DBUS_ERROR_BAD_ADDRESS, ERR_NO_SERVICE, "Correct DBUS_SYSTEM_BUS_ADDRESS, or unset it."},
        {DBUS_ERROR_ACCESS_DENIED, ERR_DENIED, NULL},
        {DBUS_ERROR_AUTH_FAILED, ERR_DENIED, NULL},
        {DBUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, ERR_DENIED, NULL},
        {DBUS_ERROR_NO_REPLY, ERR_TIMEOUT,
         "Look at the journal of the service, then try again: journalctl -u scepterd."},
        {DBUS_ERROR_TIMEOUT, ERR_TIMEOUT,
         "Look at the journal of the service, then try again: journalctl -u scepterd."},
        {DBUS_ERROR_TIMED_OUT, ERR_TIMEOUT,
         "Look at the journal of the service, then try again: journalctl -u scepterd."},
        {DBUS_ERROR_UNKNOWN_OBJECT, ERR_NOT_FOUND, NULL},
        {DBUS_ERROR_UNKNOWN_METHOD, ERR_UNSUPPORTED,
         "Upgrade the scepter service to the version of this program and restart it."},
        {DBUS_ERROR_UNKNOWN_INTERFACE, ERR_UNSUPPORTED,
         "Upgrade the scepter service to the version of this program and restart it."},
        {DBUS_ERROR_UNKNOWN_PROPERTY, ERR_UNSUPPORTED,
         "Upgrade the scepter service to the version of this program and restart it."},
        {DBUS_ERROR_PROPERTY_READ_ONLY, ERR_INVALID, NULL},
        {DBUS_ERROR_INVALID_ARGS, ERR_INVALID, NULL},
        {DBUS_ERROR_LIMITS_EXCEEDED, ERR_LIMIT, "Wait for the running operations to end, then try again."},
        {DBUS_ERROR_NO_MEMORY, ERR_NO_MEMORY, NULL},
};

struct DBusMessage *bus_fault_message(struct DBusMessage *call, const struct error *fault,
                                      const char *const *details, size_t n_details)
{
        const char *const texts[] = {fault->message, fault->remedy};
        char name[sizeof BUS_ERROR_PREFIX + 64];
        DBusMessage *message;

        (void)snprintf(name, sizeof name, BUS_ERROR_PREFIX "%s", err_name(fault->code));
        message = dbus_message_new_error(call, name, /* error_message= */ NULL);
        if (message && bus_append_strings(message, texts, N_ELEMENTS(texts)) &&
            bus_append_strings(message, details, n_details))
                return message;
        if (message)
                dbus_message_unref(message);
        return NULL;
}

enum err bus_fault_set(struct error *e, const char *name, const char *text)
{
        if (!text || !*text)
                text = "The bus gave no reason";
        for (size_t i = 0; i < N_ELEMENTS(foreign); i++) {
                enum err r;

                if (strcmp(name, foreign[i].name) != 0)
                        continue;
                r = error_set(e, foreign[i].code, "%s", text);
                return foreign[i].remedy ? error_remedy(e, r, "%s", foreign[i].remedy) : r;
        }
        if (strncmp(name, BUS_ERROR_PREFIX, sizeof BUS_ERROR_PREFIX - 1) == 0) {
                enum err code = err_from_name(name);

                return error_set(e, code == ERR_OK ? ERR_FAILED : code, "%s", text);
        }
        return error_set(e, ERR_FAILED, "%s (%s)", text, name);
}

enum err bus_fault_read(struct DBusMessage *message, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *r = bus_reader_new(message);
        const char *name = dbus_message_get_error_name(message), *text = NULL, *remedy = NULL;
        enum err code;

        if (!r)
                return error_no_memory(e);
        if (bus_read_string(r, "message", &text, /* e= */ NULL) ||
            bus_read_string(r, "remedy", &remedy, /* e= */ NULL))
                remedy = NULL;
        code = bus_fault_set(e, name ? name : "", text);
        return remedy && *remedy ? error_remedy(e, code, "%s", remedy) : code;
}
