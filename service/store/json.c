#include "json.h"

#include <string.h>

#include "json-text.h"

/* The formats before a version's own that it reads (design §6). */
enum { FORMATS_BEFORE = 2 };

static void *member(const struct json_row *row, void *object)
{
        return (char *)object + row->offset;
}

static const void *member_const(const struct json_row *row, const void *object)
{
        return (const char *)object + row->offset;
}

enum err json_rows_settle(const struct json_row *rows, size_t n, void *object, struct error *e)
{
        for (size_t i = 0; i < n; i++) {
                char **text = member(&rows[i], object);

                if (rows[i].type != JSON_ROW_TEXT || *text)
                        continue;
                *text = strdup("");
                if (!*text)
                        return error_no_memory(e);
        }
        return ERR_OK;
}

void json_rows_done(const struct json_row *rows, size_t n, void *object)
{
        for (size_t i = 0; i < n; i++) {
                switch (rows[i].type) {
                case JSON_ROW_TEXT: {
                        char **text = member(&rows[i], object);

                        free(*text);
                        *text = NULL;
                        break;
                }
                case JSON_ROW_STRINGS:
                        strings_done(member(&rows[i], object));
                        break;
                case JSON_ROW_PAIRS:
                        settings_done(member(&rows[i], object));
                        break;
                case JSON_ROW_NUMBER:
                case JSON_ROW_BOOL:
                        break;
                }
        }
}

/* A new reference; NULL: no memory, or text that is no UTF-8 (which never comes this far). */
static json_t *row_value(const struct json_row *row, const void *object)
{
        const void *at = member_const(row, object);
        json_t *list;

        switch (row->type) {
        case JSON_ROW_TEXT:
                return json_string(*(char *const *)at ? *(char *const *)at : "");
        case JSON_ROW_NUMBER:
                return json_integer((json_int_t) * (const uint64_t *)at);
        case JSON_ROW_BOOL:
                return json_boolean(*(const bool *)at);
        case JSON_ROW_STRINGS: {
                const struct strings *strings = at;

                list = json_array();
                for (size_t i = 0; list && i < strings->count; i++)
                        if (json_array_append_new(list, json_string(strings->items[i])) < 0)
                                json_decref(STEAL(list));
                return list;
        }
        case JSON_ROW_PAIRS: {
                const struct settings *pairs = at;

                list = json_array();
                for (size_t i = 0; list && i < pairs->count; i++)
                        if (json_array_append_new(
                                    list, json_pack("[ss]", pairs->items[i].key, pairs->items[i].value)) < 0)
                                json_decref(STEAL(list));
                return list;
        }
        }
        return NULL;
}

enum err json_rows_write(const struct json_row *rows, size_t n, unsigned version, const void *object,
                         char **ret, struct error *e)
{
        json_t *root = json_object();
        char *text = NULL, *line = NULL;
        bool ok = root && json_object_set_new(root, "version", json_integer((json_int_t)version)) == 0;

        for (size_t i = 0; ok && i < n; i++)
                ok = json_object_set_new(root, rows[i].name, row_value(&rows[i], object)) == 0;
        if (ok)
                text = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
        json_decref(root);
        if (!text || asprintf(&line, "%s\n", text) < 0) {
                free(text);
                return error_no_memory(e);
        }
        free(text);
        *ret = line;
        return ERR_OK;
}

static enum err malformed(const char *what, struct error *e)
{
        return error_set(e, ERR_CONFIG, "The value of '%s' is of another type than it should be", what);
}

static enum err read_pairs(const json_t *value, const char *name, struct settings *ret, struct error *e)
{
        size_t i;
        json_t *item;

        json_array_foreach(value, i, item)
        {
                const char *key, *text;
                enum err r;

                if (json_unpack(item, "[ss!]", &key, &text) < 0)
                        return malformed(name, e);
                r = settings_add(ret, key, text, 0, e);
                if (r)
                        return r;
        }
        return ERR_OK;
}

static enum err read_strings(const json_t *value, const char *name, struct strings *ret, struct error *e)
{
        size_t i;
        json_t *item;

        json_array_foreach(value, i, item)
        {
                enum err r = json_is_string(item) ? strings_add(ret, json_string_value(item), e)
                                                  : malformed(name, e);

                if (r)
                        return r;
        }
        return ERR_OK;
}

static enum err read_row(const struct json_row *row, const json_t *value, void *object, struct error *e)
{
        void *at = member(row, object);

        switch (row->type) {
        case JSON_ROW_TEXT:
                if (!json_is_string(value))
                        return malformed(row->name, e);
                *(char **)at = strdup(json_string_value(value));
                return *(char **)at ? ERR_OK : error_no_memory(e);
        case JSON_ROW_NUMBER:
                if (!json_is_integer(value) || json_integer_value(value) < 0)
                        return malformed(row->name, e);
                *(uint64_t *)at = (uint64_t)json_integer_value(value);
                return ERR_OK;
        case JSON_ROW_BOOL:
                if (!json_is_boolean(value))
                        return malformed(row->name, e);
                *(bool *)at = json_is_true(value);
                return ERR_OK;
        case JSON_ROW_STRINGS:
                return json_is_array(value) ? read_strings(value, row->name, at, e) : malformed(row->name, e);
        case JSON_ROW_PAIRS:
                return json_is_array(value) ? read_pairs(value, row->name, at, e) : malformed(row->name, e);
        }
        return malformed(row->name, e);
}

static void json_decref_p(json_t **json)
{
        json_decref(*json);
}

enum err json_rows_read(const struct json_row *rows, size_t n, unsigned version, struct view in, void *object,
                        struct error *e)
{
        CLEANUP(json_decref_p) json_t *root = NULL;
        size_t known = 1;
        json_int_t was;
        enum err r = json_text_read(in, &root, e);

        if (r)
                return r;
        was = json_integer_value(json_object_get(root, "version"));
        if (was > (json_int_t)version)
                return error_set(
                        e, ERR_CONFIG,
                        "A newer version of Scepter wrote this (format %lld; this one reads up to %u)",
                        (long long)was, version);
        if (was < 1 || was + FORMATS_BEFORE < (json_int_t)version)
                return error_set(e, ERR_CONFIG, "The format version %lld is not one this version reads (%u)",
                                 (long long)was, version);
        for (size_t i = 0; i < n; i++) {
                const json_t *value = json_object_get(root, rows[i].name);

                if (!value)
                        continue;
                known++;
                r = read_row(&rows[i], value, object, e);
                if (r)
                        return r;
        }
        if (known != json_object_size(root))
                return error_set(e, ERR_CONFIG, "There are values that this version does not know");
        return json_rows_settle(rows, n, object, e);
}
