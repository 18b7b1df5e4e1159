#include "cli/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/cli.h"

enum { TEXT_MAX = 1024 * 1024, KEY_MAX = 256 };

void lower_first(char *key)
{
        key[0] = (char)tolower((unsigned char)key[0]);
}

/* An element of an a{sX} into @object. */
static enum err read_entry(struct bus_reader *r, json_t *object, struct error *e)
{
        char key[KEY_MAX];
        const char *name;
        json_t *value = NULL;
        enum err err = bus_read_enter(r, "entry", e);

        if (err)
                return err;
        if (bus_read_type(r) == 'o')
                err = bus_read_path(r, "key", &name, e);
        else
                err = bus_read_string(r, "key", &name, e);
        if (err)
                return err;
        (void)snprintf(key, sizeof key, "%s", name);
        lower_first(key);
        err = value_read(r, &value, e);
        if (err)
                return err;
        bus_read_leave(r);
        return json_object_set_new(object, key, value) < 0 ? error_no_memory(e) : ERR_OK;
}

static enum err read_container(struct bus_reader *r, json_t **ret, struct error *e)
{
        CLEANUP(json_decref_p) json_t *container = NULL;
        char type = bus_read_type(r);
        bool dictionary = type == 'a' && (bus_read_is(r, "a{sv}") || bus_read_is(r, "a{ss}"));
        enum err err = bus_read_enter(r, "value", e);

        container = dictionary ? json_object() : json_array();
        if (!container)
                return error_no_memory(e);
        while (!err && bus_read_more(r)) {
                json_t *element = NULL;

                if (dictionary) {
                        err = read_entry(r, container, e);
                } else {
                        err = value_read(r, &element, e);
                        if (!err && json_array_append_new(container, element) < 0)
                                err = error_no_memory(e);
                }
        }
        if (err)
                return err;
        bus_read_leave(r);
        *ret = STEAL(container);
        return ERR_OK;
}

static enum err read_variant(struct bus_reader *r, json_t **ret, struct error *e)
{
        enum err err = bus_read_enter(r, "value", e);

        if (!err)
                err = value_read(r, ret, e);
        if (!err)
                bus_read_leave(r);
        return err;
}

static enum err give(json_t *value, json_t **ret, struct error *e)
{
        if (!value)
                return error_no_memory(e);
        *ret = value;
        return ERR_OK;
}

enum err value_read(struct bus_reader *r, json_t **ret, struct error *e)
{
        const char *s;
        uint32_t u;
        int32_t i;
        uint64_t t;
        bool b;
        enum err err;

        switch (bus_read_type(r)) {
        case 's':
                err = bus_read_string(r, "value", &s, e);
                return err ? err : give(json_string(s), ret, e);
        case 'o':
                err = bus_read_path(r, "value", &s, e);
                return err ? err : give(json_string(s), ret, e);
        case 'b':
                err = bus_read_bool(r, "value", &b, e);
                return err ? err : give(json_boolean(b), ret, e);
        case 'u':
                err = bus_read_u32(r, "value", &u, e);
                return err ? err : give(json_integer(u), ret, e);
        case 'i':
                err = bus_read_i32(r, "value", &i, e);
                return err ? err : give(json_integer(i), ret, e);
        case 't':
                err = bus_read_u64(r, "value", &t, e);
                /* JSON has no unsigned numbers in jansson; no time of ours comes near the bound. */
                return err ? err : give(json_integer(t > INT64_MAX ? INT64_MAX : (json_int_t)t), ret, e);
        case 'v':
                return read_variant(r, ret, e);
        case 'a':
        case 'r':
                return read_container(r, ret, e);
        }
        return error_set(e, ERR_INVALID, "The service sent a value of a type that is not known here");
}

static void add_text(struct text *t, const json_t *value)
{
        if (json_is_string(value)) {
                text_add(t, json_string_value(value));
        } else if (json_is_integer(value)) {
                text_addf(t, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        } else if (json_is_boolean(value)) {
                text_add(t, json_is_true(value) ? "yes" : "no");
        } else if (json_is_array(value)) {
                for (size_t i = 0; i < json_array_size(value); i++) {
                        if (i)
                                text_add(t, " ");
                        add_text(t, json_array_get(value, i));
                }
        }
}

enum err value_text(const json_t *value, char **ret, struct error *e)
{
        CLEANUP(text_done) struct text t = TEXT(TEXT_MAX);

        add_text(&t, value);
        return text_finish(&t, ret, e);
}

const char *value_string(const json_t *object, const char *key)
{
        const char *s = json_string_value(json_object_get(object, key));

        return s ? s : "";
}

uint64_t value_number(const json_t *object, const char *key)
{
        json_int_t v = json_integer_value(json_object_get(object, key));

        return v < 0 ? 0 : (uint64_t)v;
}
