/*
 * Arguments of a method: their signature, a newline, and the body as it comes over the bus. What libdbus
 * takes is read as the methods read it, copied, and read as an error.
 */
#include <dbus/dbus.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "bus/fault.h"
#include "bus/options.h"
#include "facts/internal.h"
#include "fuzz.h"

enum { HEADER_MAX = 512, SIGNATURE_MAX = 255, DEPTH = 10 };

struct header {
        uint8_t data[HEADER_MAX];
        size_t len;
};

static void put(struct header *h, const void *data, size_t len)
{
        memcpy(h->data + h->len, data, len);
        h->len += len;
}

static void align(struct header *h)
{
        while (h->len % 8)
                h->data[h->len++] = 0;
}

/* A field of the header: its number, its type, and the text. */
static void put_field(struct header *h, uint8_t number, char type, const char *text)
{
        const uint32_t len = (uint32_t)strlen(text);
        const uint8_t start[] = {number, 1, (uint8_t)type, 0};

        align(h);
        put(h, start, sizeof start);
        if (type == 'g')
                h->data[h->len++] = (uint8_t)len;
        else
                put(h, &len, sizeof len);
        put(h, text, len + 1);
}

/* Little or big endian, as this machine is: the rest is libdbus' own. */
static DBusMessage *message(int type, const char *signature, struct view body)
{
        struct header h = {.len = 0};
        CLEANUP(free_p) char *wire = malloc(HEADER_MAX + body.len);
        const uint16_t one = 1;
        const uint8_t start[] = {*(const uint8_t *)&one ? 'l' : 'B', (uint8_t)type, 0, 1};
        const uint32_t numbers[] = {(uint32_t)body.len, 1, 0};
        uint32_t fields;

        fuzz_promise(wire != NULL, "there is memory");
        put(&h, start, sizeof start);
        put(&h, numbers, sizeof numbers);
        if (type == DBUS_MESSAGE_TYPE_ERROR) {
                const uint8_t reply[] = {5, 1, 'u', 0, 1, 0, 0, 0};

                put_field(&h, 4, 's', "org.scepter1.Error.NotFound");
                align(&h);
                put(&h, reply, sizeof reply);
        } else {
                put_field(&h, 1, 'o', "/org/scepter1");
                put_field(&h, 2, 's', "org.scepter1.Manager");
                put_field(&h, 3, 's', "Enroll");
        }
        if (*signature)
                put_field(&h, 8, 'g', signature);
        fields = (uint32_t)(h.len - 16);
        memcpy(h.data + 12, &fields, sizeof fields);
        align(&h);
        memcpy(wire, h.data, h.len);
        if (body.len)
                memcpy(wire + h.len, body.data, body.len);
        return dbus_message_demarshal(wire, (int)(h.len + body.len), NULL);
}

/* false: the reader stands somewhere inside. */
static bool options(struct bus_reader *r)
{
        const char *text = NULL, *path = NULL;
        bool flag = false;
        uint32_t small = 0;
        uint64_t large = 0;
        CLEANUP(close_p) int fd = -1;
        CLEANUP(bus_files_done) struct bus_files files = BUS_FILES_NONE;
        const struct bus_option known[] = {
                BUS_OPTION_AS_STRING(BUS_OPTION_USER, text),  BUS_OPTION_AS_PATH(BUS_OPTION_PROFILE, path),
                BUS_OPTION_AS_BOOL(BUS_OPTION_ACCEPT, flag),  BUS_OPTION_AS_U32(BUS_OPTION_LIMIT, small),
                BUS_OPTION_AS_U64(BUS_OPTION_SINCE, large),   BUS_OPTION_AS_FD(BUS_OPTION_PIN, fd),
                BUS_OPTION_AS_FILES(BUS_OPTION_FILES, files),
        };
        struct error e = {0};
        enum err err = bus_options_read(r, known, N_ELEMENTS(known), &e);

        fuzz_whole(err, &e);
        fuzz_promise(!text || utf8_valid(str_view(text)), "a text is UTF-8");
        fuzz_promise(files.n <= BUS_FILES_MAX, "there are not too many files");
        return err == ERR_OK;
}

/* The next argument by its type; what has none is passed over. */
static void argument(struct bus_reader *r, unsigned depth)
{
        CLEANUP(close_p) int fd = -1;
        const char *text = NULL;
        struct error e = {0};
        enum err err = ERR_OK;
        bool flag;
        uint32_t u;
        int32_t i;
        uint64_t t;

        switch (bus_read_type(r)) {
        case 's':
                err = bus_read_string(r, "text", &text, &e);
                break;
        case 'o':
                err = bus_read_path(r, "path", &text, &e);
                break;
        case 'b':
                err = bus_read_bool(r, "flag", &flag, &e);
                break;
        case 'u':
                err = bus_read_u32(r, "number", &u, &e);
                break;
        case 'i':
                err = bus_read_i32(r, "number", &i, &e);
                break;
        case 't':
                err = bus_read_u64(r, "number", &t, &e);
                break;
        case 'h':
                err = bus_read_fd(r, "file", &fd, &e);
                break;
        case 'a':
        case 'r':
        case 'e':
        case 'v':
                err = bus_read_enter(r, "container", &e);
                if (!err && depth < DEPTH) {
                        while (bus_read_more(r))
                                argument(r, depth + 1);
                        bus_read_leave(r);
                        return;
                }
                break;
        default:
                bus_read_skip(r);
        }
        fuzz_whole(err, &e);
        if (err)
                bus_read_skip(r);
}

static void read_all(DBusMessage *m)
{
        struct bus_reader *r = bus_reader_new(m);

        fuzz_promise(r != NULL, "there is memory");
        while (bus_read_more(r)) {
                if (!bus_read_is(r, "a{sv}"))
                        argument(r, 0);
                else if (!options(r))
                        break;
        }
        bus_reader_rewind(r);
        while (bus_read_more(r))
                argument(r, 0);
        bus_reader_free(r);
}

static void copy_all(DBusMessage *m)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *r = bus_reader_new(m);
        struct bus_writer *w = bus_writer_new(dbus_message_new(DBUS_MESSAGE_TYPE_METHOD_RETURN));
        DBusMessage *copy = NULL;
        struct error e = {0};
        enum err err;

        while (bus_read_more(r) && !bus_writer_failed(w))
                bus_write_copy(w, r);
        err = bus_writer_finish(w, &copy, &e);
        fuzz_whole(err, &e);
        if (!err)
                dbus_message_unref(copy);
}

/* Every source of facts that asks a service. */
static void read_facts(DBusMessage *m)
{
        const struct place place = {.root = "", .uid = 1000, .login = (char *)(uintptr_t) "user"};

        for (const struct fact_row *row = fact_rows; row->source; row++) {
                CLEANUP(bus_reader_free_p) struct bus_reader *r = NULL;
                CLEANUP(free_p) char *value = NULL;
                struct error e = {0};
                enum err err;

                if (!row->source->answer)
                        continue;
                r = bus_reader_new(m);
                err = row->source->answer(&place, row->key, r, &value, &e);
                fuzz_whole(err, &e);
                fuzz_promise(err || value, "an answer has a value");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *newline = memchr(data, '\n', size < SIGNATURE_MAX ? size : SIGNATURE_MAX);
        char signature[SIGNATURE_MAX + 1];
        struct view body;
        struct error e = {0};
        DBusMessage *m;

        if (!newline || memchr(data, 0, (size_t)(newline - data)))
                return 0;
        memcpy(signature, data, (size_t)(newline - data));
        signature[newline - data] = 0;
        body = (struct view){newline + 1, size - (size_t)(newline + 1 - data)};
        m = message(DBUS_MESSAGE_TYPE_METHOD_CALL, signature, body);
        if (!m)
                return 0;
        read_all(m);
        copy_all(m);
        read_facts(m);
        dbus_message_unref(m);
        m = message(DBUS_MESSAGE_TYPE_ERROR, signature, body);
        if (!m)
                return 0;
        fuzz_promise(bus_fault_read(m, &e) != ERR_OK, "an error is one");
        fuzz_whole(e.code, &e);
        dbus_message_unref(m);
        return 0;
}
