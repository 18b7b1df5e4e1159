/* Typed reading with errors that name the argument. */
#include "bus/read.h"

#include <assert.h>
#include <string.h>

#include <dbus/dbus.h>

enum { DEPTH_MAX = 8 };

struct bus_reader {
        DBusMessage *message;
        DBusMessageIter level[DEPTH_MAX + 1];
        unsigned depth;
};

struct bus_reader *bus_reader_new(struct DBusMessage *message)
{
        struct bus_reader *r = calloc(1, sizeof *r);

        if (!r)
                return NULL;
        r->message = dbus_message_ref(message);
        bus_reader_rewind(r);
        return r;
}

void bus_reader_rewind(struct bus_reader *r)
{
        r->depth = 0;
        /* FALSE only says that there are no arguments: the iterator is then at its end. */
        (void)dbus_message_iter_init(r->message, &r->level[0]);
}

const char *bus_reader_sender(const struct bus_reader *r)
{
        const char *sender = dbus_message_get_sender(r->message);

        return sender ? sender : "";
}

void bus_reader_free(struct bus_reader *r)
{
        if (!r)
                return;
        dbus_message_unref(r->message);
        free(r);
}

static DBusMessageIter *at(struct bus_reader *r)
{
        return &r->level[r->depth];
}

DBusMessageIter *bus_reader_at(struct bus_reader *r)
{
        return at(r);
}

char bus_read_type(struct bus_reader *r)
{
        return (char)dbus_message_iter_get_arg_type(at(r));
}

bool bus_read_more(struct bus_reader *r)
{
        return bus_read_type(r) != DBUS_TYPE_INVALID;
}

bool bus_read_is(struct bus_reader *r, const char *signature)
{
        char *own;
        bool same;

        if (!bus_read_more(r))
                return false;
        own = dbus_message_iter_get_signature(at(r));
        same = own && strcmp(own, signature) == 0;
        dbus_free(own);
        return same;
}

void bus_read_skip(struct bus_reader *r)
{
        (void)dbus_message_iter_next(at(r));
}

static enum err read_basic(struct bus_reader *r, const char *what, int type, const char *word, void *ret,
                           struct error *e)
{
        if (dbus_message_iter_get_arg_type(at(r)) != type)
                return error_set(e, ERR_INVALID, "'%s' is not %s", what, word);
        dbus_message_iter_get_basic(at(r), ret);
        (void)dbus_message_iter_next(at(r));
        return ERR_OK;
}

enum err bus_read_string(struct bus_reader *r, const char *what, const char **ret, struct error *e)
{
        const char *s;
        enum err err = read_basic(r, what, DBUS_TYPE_STRING, "a string", &s, e);

        if (err)
                return err;
        if (strnlen(s, BUS_STRING_MAX + 1) > BUS_STRING_MAX)
                return error_set(e, ERR_TOO_LARGE, "'%s' is longer than %d octets", what, BUS_STRING_MAX);
        *ret = s;
        return ERR_OK;
}

enum err bus_read_path(struct bus_reader *r, const char *what, const char **ret, struct error *e)
{
        return read_basic(r, what, DBUS_TYPE_OBJECT_PATH, "an object path", ret, e);
}

enum err bus_read_bool(struct bus_reader *r, const char *what, bool *ret, struct error *e)
{
        dbus_bool_t v;
        enum err err = read_basic(r, what, DBUS_TYPE_BOOLEAN, "a boolean", &v, e);

        if (err)
                return err;
        *ret = v;
        return ERR_OK;
}

enum err bus_read_u32(struct bus_reader *r, const char *what, uint32_t *ret, struct error *e)
{
        return read_basic(r, what, DBUS_TYPE_UINT32, "a number (u)", ret, e);
}

enum err bus_read_i32(struct bus_reader *r, const char *what, int32_t *ret, struct error *e)
{
        return read_basic(r, what, DBUS_TYPE_INT32, "a number (i)", ret, e);
}

enum err bus_read_u64(struct bus_reader *r, const char *what, uint64_t *ret, struct error *e)
{
        return read_basic(r, what, DBUS_TYPE_UINT64, "a number (t)", ret, e);
}

enum err bus_read_fd(struct bus_reader *r, const char *what, int *ret, struct error *e)
{
        int fd = -1;
        enum err err = read_basic(r, what, DBUS_TYPE_UNIX_FD, "a file descriptor", &fd, e);

        if (err)
                return err;
        /* libdbus duplicates with F_DUPFD_CLOEXEC; -1 where that failed. */
        if (fd < 0)
                return error_set(e, ERR_LIMIT, "'%s': no file descriptor is free", what);
        *ret = fd;
        return ERR_OK;
}

enum err bus_read_enter(struct bus_reader *r, const char *what, struct error *e)
{
        if (!dbus_type_is_container(dbus_message_iter_get_arg_type(at(r))) || r->depth == DEPTH_MAX)
                return error_set(e, ERR_INVALID, "'%s' is not of the type that was expected", what);
        dbus_message_iter_recurse(at(r), &r->level[r->depth + 1]);
        r->depth++;
        return ERR_OK;
}

void bus_read_leave(struct bus_reader *r)
{
        assert(r->depth > 0);
        r->depth--;
        (void)dbus_message_iter_next(at(r));
}
