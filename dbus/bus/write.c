/* The one place that appends to messages: see write.h for why. */
#include "bus/write.h"

#include <assert.h>
#include <string.h>

#include <dbus/dbus.h>

#include "base/parse.h"
#include "bus/read.h"

enum { DEPTH_MAX = 8 };

struct bus_writer {
        DBusMessage *message;
        DBusMessageIter level[DEPTH_MAX + 1]; /* 0: the arguments themselves */
        unsigned depth;
        unsigned lost; /* containers that were opened after a failure and will be closed */
        enum err failed;
};

struct bus_writer *bus_writer_new(struct DBusMessage *message)
{
        struct bus_writer *w;

        if (!message)
                return NULL;
        w = calloc(1, sizeof *w);
        if (!w) {
                dbus_message_unref(message);
                return NULL;
        }
        w->message = message;
        dbus_message_iter_init_append(message, &w->level[0]);
        return w;
}

static void abandon(struct bus_writer *w)
{
        while (w->depth) {
                dbus_message_iter_abandon_container(&w->level[w->depth - 1], &w->level[w->depth]);
                w->depth--;
        }
}

void bus_writer_free(struct bus_writer *w)
{
        if (!w)
                return;
        abandon(w);
        dbus_message_unref(w->message);
        free(w);
}

bool bus_writer_failed(const struct bus_writer *w)
{
        return !w || w->failed;
}

enum err bus_writer_finish(struct bus_writer *w, struct DBusMessage **ret, struct error *e)
{
        CLEANUP(bus_writer_free_p) struct bus_writer *owner = w;

        if (!w || w->failed == ERR_NO_MEMORY)
                return error_no_memory(e);
        if (w->failed)
                return error_set(e, w->failed, "A message for the bus could not be written");
        assert(w->depth == 0);
        *ret = dbus_message_ref(w->message);
        return ERR_OK;
}

static void fail(struct bus_writer *w, enum err code)
{
        if (!w->failed)
                w->failed = code;
}

static void append(struct bus_writer *w, int type, const void *value)
{
        if (bus_writer_failed(w))
                return;
        if (!dbus_message_iter_append_basic(&w->level[w->depth], type, value))
                fail(w, ERR_NO_MEMORY);
}

/* What libdbus takes without ending the process: valid UTF-8 within the bound. */
static bool presentable(const char *s, size_t max)
{
        size_t len = strnlen(s, max + 1);

        return len <= max && utf8_valid((struct view){(const uint8_t *)s, len});
}

void bus_write_text(struct bus_writer *w, const char *s, size_t max)
{
        static const char cut[] = "...";
        CLEANUP(free_p) char *copy = NULL;
        size_t len;

        if (bus_writer_failed(w))
                return;
        if (!s)
                s = "";
        if (presentable(s, max)) {
                append(w, DBUS_TYPE_STRING, &s);
                return;
        }
        len = strnlen(s, max + 1);
        copy = malloc(len + sizeof cut);
        if (!copy) {
                fail(w, ERR_NO_MEMORY);
                return;
        }
        assert(max >= sizeof cut);
        memcpy(copy, s, len);
        copy[len] = 0;
        if (len > max) {
                /* utf8_scrub() drops a sequence that is cut here. */
                copy[max - (sizeof cut - 1)] = 0;
                utf8_scrub(copy, len + 1);
                strcat(copy, cut);
        } else {
                utf8_scrub(copy, len + 1);
        }
        append(w, DBUS_TYPE_STRING, &(const char *){copy});
}

void bus_write_string(struct bus_writer *w, const char *s)
{
        bus_write_text(w, s, BUS_STRING_MAX);
}

bool bus_append_strings(struct DBusMessage *message, const char *const *texts, size_t n)
{
        struct bus_writer w = {.message = message};

        dbus_message_iter_init_append(message, &w.level[0]);
        for (size_t i = 0; i < n; i++)
                bus_write_string(&w, texts[i]);
        return !w.failed;
}

void bus_write_path(struct bus_writer *w, const char *path)
{
        if (bus_writer_failed(w))
                return;
        if (!path || !presentable(path, BUS_STRING_MAX) || !dbus_validate_path(path, /* error= */ NULL)) {
                fail(w, ERR_FAILED);
                return;
        }
        append(w, DBUS_TYPE_OBJECT_PATH, &path);
}

void bus_write_bool(struct bus_writer *w, bool v)
{
        append(w, DBUS_TYPE_BOOLEAN, &(dbus_bool_t){v});
}

void bus_write_u32(struct bus_writer *w, uint32_t v)
{
        append(w, DBUS_TYPE_UINT32, &v);
}

void bus_write_i32(struct bus_writer *w, int32_t v)
{
        append(w, DBUS_TYPE_INT32, &v);
}

void bus_write_u64(struct bus_writer *w, uint64_t v)
{
        append(w, DBUS_TYPE_UINT64, &v);
}

void bus_write_fd(struct bus_writer *w, int fd)
{
        assert(fd >= 0);
        append(w, DBUS_TYPE_UNIX_FD, &fd);
}

static void open_container(struct bus_writer *w, int type, const char *signature)
{
        if (!w)
                return;
        if (!w->failed && w->depth == DEPTH_MAX)
                fail(w, ERR_FAILED);
        if (!w->failed &&
            !dbus_message_iter_open_container(&w->level[w->depth], type, signature, &w->level[w->depth + 1]))
                fail(w, ERR_NO_MEMORY);
        if (w->failed)
                w->lost++;
        else
                w->depth++;
}

void bus_open_array(struct bus_writer *w, const char *element)
{
        open_container(w, DBUS_TYPE_ARRAY, element);
}

void bus_open_struct(struct bus_writer *w)
{
        open_container(w, DBUS_TYPE_STRUCT, /* signature= */ NULL);
}

void bus_open_entry(struct bus_writer *w)
{
        open_container(w, DBUS_TYPE_DICT_ENTRY, /* signature= */ NULL);
}

void bus_write_octets(struct bus_writer *w, const void *data, size_t n)
{
        const uint8_t *octets = data;

        bus_open_array(w, DBUS_TYPE_BYTE_AS_STRING);
        for (size_t i = 0; i < n; i++)
                append(w, DBUS_TYPE_BYTE, &octets[i]);
        bus_close(w);
}

static bool copy_next(DBusMessageIter *from, DBusMessageIter *to, unsigned depth);

static bool copy_container(int type, DBusMessageIter *from, DBusMessageIter *to, unsigned depth)
{
        DBusMessageIter inner, copy;
        char *signature = NULL;
        bool good;

        dbus_message_iter_recurse(from, &inner);
        /* Of an array it stands in the array itself: it may be empty. */
        if (type == DBUS_TYPE_ARRAY || type == DBUS_TYPE_VARIANT) {
                signature = dbus_message_iter_get_signature(&inner);
                if (!signature)
                        return false;
        }
        good = dbus_message_iter_open_container(to, type, signature, &copy);
        dbus_free(signature);
        if (!good)
                return false;
        while (good && dbus_message_iter_get_arg_type(&inner) != DBUS_TYPE_INVALID)
                good = copy_next(&inner, &copy, depth + 1);
        if (good)
                return dbus_message_iter_close_container(to, &copy);
        dbus_message_iter_abandon_container(to, &copy);
        return false;
}

/* Strings were valid where they came from: libdbus has seen to that. */
static bool copy_next(DBusMessageIter *from, DBusMessageIter *to, unsigned depth)
{
        const int type = dbus_message_iter_get_arg_type(from);
        DBusBasicValue value;
        bool good;

        if (depth > 2 * DEPTH_MAX || type == DBUS_TYPE_UNIX_FD || type == DBUS_TYPE_INVALID)
                return false;
        if (dbus_type_is_basic(type)) {
                dbus_message_iter_get_basic(from, &value);
                good = dbus_message_iter_append_basic(to, type, &value);
        } else {
                good = copy_container(type, from, to, depth);
        }
        (void)dbus_message_iter_next(from);
        return good;
}

void bus_write_copy(struct bus_writer *w, struct bus_reader *r)
{
        if (!bus_writer_failed(w) && !copy_next(bus_reader_at(r), &w->level[w->depth], 0))
                fail(w, ERR_INVALID);
}

void bus_open_variant(struct bus_writer *w, const char *signature)
{
        open_container(w, DBUS_TYPE_VARIANT, signature);
}

void bus_close(struct bus_writer *w)
{
        if (!w)
                return;
        if (w->lost) {
                w->lost--;
                return;
        }
        assert(w->depth > 0);
        /* A container that holds half of an entry cannot be closed, only given up. */
        if (w->failed)
                dbus_message_iter_abandon_container(&w->level[w->depth - 1], &w->level[w->depth]);
        else if (!dbus_message_iter_close_container(&w->level[w->depth - 1], &w->level[w->depth]))
                fail(w, ERR_NO_MEMORY);
        w->depth--;
}

void bus_write_strings(struct bus_writer *w, const char *const *list, size_t n)
{
        bus_open_array(w, DBUS_TYPE_STRING_AS_STRING);
        for (size_t i = 0; i < n; i++)
                bus_write_string(w, list[i]);
        bus_close(w);
}

void bus_write_paths(struct bus_writer *w, const char *const *list, size_t n)
{
        bus_open_array(w, DBUS_TYPE_OBJECT_PATH_AS_STRING);
        for (size_t i = 0; i < n; i++)
                bus_write_path(w, list[i]);
        bus_close(w);
}

void bus_entry_open(struct bus_writer *w, const char *key, const char *signature)
{
        bus_open_entry(w);
        bus_write_string(w, key);
        bus_open_variant(w, signature);
}

void bus_entry_close(struct bus_writer *w)
{
        bus_close(w);
        bus_close(w);
}

void bus_entry_string(struct bus_writer *w, const char *key, const char *s)
{
        bus_entry_open(w, key, "s");
        bus_write_string(w, s);
        bus_entry_close(w);
}

void bus_entry_path(struct bus_writer *w, const char *key, const char *path)
{
        bus_entry_open(w, key, "o");
        bus_write_path(w, path);
        bus_entry_close(w);
}

void bus_entry_bool(struct bus_writer *w, const char *key, bool v)
{
        bus_entry_open(w, key, "b");
        bus_write_bool(w, v);
        bus_entry_close(w);
}

void bus_entry_u32(struct bus_writer *w, const char *key, uint32_t v)
{
        bus_entry_open(w, key, "u");
        bus_write_u32(w, v);
        bus_entry_close(w);
}

void bus_entry_u64(struct bus_writer *w, const char *key, uint64_t v)
{
        bus_entry_open(w, key, "t");
        bus_write_u64(w, v);
        bus_entry_close(w);
}

void bus_entry_fd(struct bus_writer *w, const char *key, int fd)
{
        bus_entry_open(w, key, "h");
        bus_write_fd(w, fd);
        bus_entry_close(w);
}

void bus_entry_pair(struct bus_writer *w, const char *key, const char *s)
{
        bus_open_entry(w);
        bus_write_string(w, key);
        bus_write_string(w, s);
        bus_close(w);
}
