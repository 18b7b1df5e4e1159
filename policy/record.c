#include "policy/record.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

enum { TEXT_MAX_DEFAULT = 1024, ITEMS_MAX_DEFAULT = 16, VALUE_SHOWN = 120 };

static const char *const validity_units[] = {"days", "months", "years", NULL};

static void *member(const struct field *f, void *record)
{
        return (char *)record + f->offset;
}

static const void *const_member(const struct field *f, const void *record)
{
        return (const char *)record + f->offset;
}

const struct field *table_find(const struct table *t, const char *key)
{
        for (size_t i = 0; i < t->count; i++)
                if (t->fields[i].key[0] == key[0] && strcmp(t->fields[i].key, key) == 0)
                        return &t->fields[i];
        return NULL;
}

/* Key, value and line, then @problem: the sentence every wrong setting gets. */
static enum err refuse(const struct field *f, const char *value, unsigned line, const char *problem,
                       struct error *e)
{
        char where[32] = "";

        if (line)
                (void)snprintf(where, sizeof where, " (line %u)", line);
        if (f->quiet)
                return error_set(e, ERR_PROFILE, "%s%s: %s", f->key, where, problem);
        return error_set(e, ERR_PROFILE, "%s='%.*s'%s: %s", f->key, VALUE_SHOWN, value, where, problem);
}

static const char *text_problem(const struct field *f, const char *value, char *buffer, size_t size)
{
        uint64_t max = f->max ? f->max : TEXT_MAX_DEFAULT;
        const char *wrong = f->wrong ? f->wrong(value) : NULL;

        if (strlen(value) > max) {
                (void)snprintf(buffer, size, "it is longer than %u octets", (unsigned)max);
                return buffer;
        }
        if (!wrong)
                return NULL;
        (void)snprintf(buffer, size, "it %s", wrong);
        return buffer;
}

/* Index of @word in @names without regard to case; -1: not there. */
static int name_index(const char *const *names, const char *word)
{
        for (int i = 0; names[i]; i++)
                if (names[i][0] && strcasecmp(names[i], word) == 0)
                        return i;
        return -1;
}

static const char *names_problem(const struct field *f, char *buffer, size_t size)
{
        size_t n = (size_t)snprintf(buffer, size, "it must be one of");

        for (int i = 0; f->names[i] && n < size; i++)
                if (f->names[i][0])
                        n += (size_t)snprintf(buffer + n, size - n, " %s", f->names[i]);
        return buffer;
}

static enum err set_text(const struct field *f, char **m, const char *value, unsigned line, struct error *e)
{
        char buffer[192];
        const char *problem = text_problem(f, value, buffer, sizeof buffer);
        char *copy;

        if (problem)
                return refuse(f, value, line, problem, e);
        copy = strdup(value);
        if (!copy)
                return error_no_memory(e);
        free(*m);
        *m = copy;
        return ERR_OK;
}

static enum err set_item(const struct field *f, struct strings *m, const char *value, unsigned line,
                         struct error *e)
{
        char buffer[192];
        const char *problem = text_problem(f, value, buffer, sizeof buffer);
        unsigned max = f->items ? f->items : ITEMS_MAX_DEFAULT;
        int known = f->names ? name_index(f->names, value) : -1;

        if (!problem && f->names && known < 0)
                problem = names_problem(f, buffer, sizeof buffer);
        if (!problem && m->count >= max) {
                (void)snprintf(buffer, sizeof buffer, "there may be at most %u", max);
                problem = buffer;
        }
        if (!problem && strings_contain(m, value))
                problem = "it is there twice";
        if (problem)
                return refuse(f, value, line, problem, e);
        return strings_add(m, f->names ? f->names[known] : value, e);
}

static enum err set_words(const struct field *f, struct strings *m, const char *value, unsigned line,
                          struct error *e)
{
        CLEANUP(strings_done) struct strings words = {0};
        enum err r = strings_add_words(&words, value, e);

        for (size_t i = 0; r == ERR_OK && i < words.count; i++)
                r = set_item(f, m, words.items[i], line, e);
        return r;
}

static enum err set_number(const struct field *f, unsigned *m, const char *value, unsigned line,
                           struct error *e)
{
        char buffer[96];
        uint64_t v;

        if (!parse_u64(value, f->max, &v) || v < f->min) {
                (void)snprintf(buffer, sizeof buffer, "it must be a number from %u to %u", (unsigned)f->min,
                               (unsigned)f->max);
                return refuse(f, value, line, buffer, e);
        }
        *m = (unsigned)v;
        return ERR_OK;
}

static enum err set_enum(const struct field *f, unsigned *m, const char *value, unsigned line,
                         struct error *e)
{
        char buffer[192];
        int i = name_index(f->names, value);

        if (i < 0)
                return refuse(f, value, line, names_problem(f, buffer, sizeof buffer), e);
        *m = (unsigned)i + (unsigned)f->min;
        return ERR_OK;
}

static enum err set_flags(const struct field *f, unsigned *m, const char *value, unsigned line,
                          struct error *e)
{
        CLEANUP(strings_done) struct strings words = {0};
        char buffer[192];
        unsigned flags = 0;
        enum err r = strings_add_words(&words, value, e);

        if (r)
                return r;
        for (size_t i = 0; i < words.count; i++) {
                int bit = name_index(f->names, words.items[i]);

                if (bit < 0)
                        return refuse(f, value, line, names_problem(f, buffer, sizeof buffer), e);
                flags |= 1u << bit;
        }
        *m = flags;
        return ERR_OK;
}

static enum err set_hex(const struct field *f, struct bytes *m, const char *value, unsigned line,
                        struct error *e)
{
        size_t size = strlen(value) / 2 + 1, len = 0;
        CLEANUP(free_p) uint8_t *octets = malloc(size);
        char buffer[96];
        struct bytes copy;
        enum err r;

        if (!octets)
                return error_no_memory(e);
        if (!hex_decode(value, octets, size, &len) || len > f->max || len == 0) {
                (void)snprintf(buffer, sizeof buffer, "it must be hexadecimal, at most %u octets",
                               (unsigned)f->max);
                return refuse(f, value, line, buffer, e);
        }
        if (f->wrong) {
                const char *wrong = f->wrong(value);

                if (wrong) {
                        (void)snprintf(buffer, sizeof buffer, "it %s", wrong);
                        return refuse(f, value, line, buffer, e);
                }
        }
        r = bytes_copy(&copy, octets, len, e);
        if (r)
                return r;
        bytes_done(m);
        *m = copy;
        return ERR_OK;
}

static const struct {
        char unit;
        uint64_t seconds;
} duration_units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

static enum err set_duration(const struct field *f, uint64_t *m, const char *value, unsigned line,
                             struct error *e)
{
        char digits[24], buffer[128];
        size_t n = strlen(value);
        uint64_t v;

        if (n >= 2 && n < sizeof digits) {
                memcpy(digits, value, n - 1);
                digits[n - 1] = 0;
                for (size_t i = 0; i < N_ELEMENTS(duration_units); i++) {
                        uint64_t seconds = duration_units[i].seconds;

                        if (value[n - 1] != duration_units[i].unit ||
                            !parse_u64(digits, f->max / seconds, &v) || v * seconds < f->min)
                                continue;
                        *m = v * seconds;
                        return ERR_OK;
                }
        }
        (void)snprintf(buffer, sizeof buffer, "it must be a time like 12h or 7d, from %u to %u seconds",
                       (unsigned)f->min, (unsigned)f->max);
        return refuse(f, value, line, buffer, e);
}

static enum err set_validity(const struct field *f, struct validity *m, const char *value, unsigned line,
                             struct error *e)
{
        static const unsigned limits[] = {36500, 1200, 100};
        size_t digits = strspn(value, "0123456789");
        const char *unit = value + digits + strspn(value + digits, " \t");
        char number[8] = "", name[16];
        int i = name_index(validity_units, unit);
        uint64_t v = 0;

        if (i < 0) { /* "1 year" is what people write */
                (void)snprintf(name, sizeof name, "%.12ss", unit);
                i = name_index(validity_units, name);
        }
        if (digits < sizeof number)
                memcpy(number, value, digits);
        if (i < 0 || digits == 0 || !parse_u64(number, limits[i < 0 ? 0 : i], &v) || v == 0)
                return refuse(f, value, line,
                              "it must be a number and days, months or years, at most 100 years", e);
        *m = (struct validity){(unsigned)v, (enum validity_unit)i};
        return ERR_OK;
}

static enum err set_bool(const struct field *f, bool *m, const char *value, unsigned line, struct error *e)
{
        if (!parse_bool(value, m))
                return refuse(f, value, line, "it must be yes or no", e);
        return ERR_OK;
}

static enum err field_set(const struct field *f, void *m, const char *value, unsigned line, struct error *e)
{
        switch (f->type) {
        case FIELD_TEXT:
                return set_text(f, m, value, line, e);
        case FIELD_LIST:
                return set_item(f, m, value, line, e);
        case FIELD_WORDS:
                return set_words(f, m, value, line, e);
        case FIELD_BOOL:
                return set_bool(f, m, value, line, e);
        case FIELD_NUMBER:
                return set_number(f, m, value, line, e);
        case FIELD_ENUM:
                return set_enum(f, m, value, line, e);
        case FIELD_FLAGS:
                return set_flags(f, m, value, line, e);
        case FIELD_HEX:
                return set_hex(f, m, value, line, e);
        case FIELD_DURATION:
                return set_duration(f, m, value, line, e);
        case FIELD_VALIDITY:
                return set_validity(f, m, value, line, e);
        }
        return error_set(e, ERR_FAILED, "%s has no type", f->key);
}

static enum err field_put(const struct table *t, const struct field *f, void *record, uint64_t *given,
                          const char *key, const char *value, unsigned line, struct error *e)
{
        uint64_t bit;
        enum err r;

        if (!f && line)
                return error_set(e, ERR_PROFILE, "%s (line %u): there is no such setting", key, line);
        if (!f)
                return error_set(e, ERR_PROFILE, "%s: there is no such setting", key);
        if (!*value)
                return ERR_OK;
        bit = UINT64_C(1) << (f - t->fields);
        if ((*given & bit) && f->type != FIELD_LIST)
                return refuse(f, value, line, "it was set before and takes one value", e);
        r = field_set(f, member(f, record), value, line, e);
        if (r == ERR_OK)
                *given |= bit;
        return r;
}

enum err record_set(const struct table *t, void *record, uint64_t *given, const char *key, const char *value,
                    unsigned line, struct error *e)
{
        return field_put(t, table_find(t, key), record, given, key, value, line, e);
}

enum err record_defaults(const struct table *t, void *record, uint64_t given, struct error *e)
{
        for (size_t i = 0; i < t->count; i++) {
                const struct field *f = &t->fields[i];
                enum err r;

                if (!f->unset || (given & UINT64_C(1) << i))
                        continue;
                r = field_set(f, member(f, record), f->unset, 0, e);
                if (r)
                        return r;
        }
        return ERR_OK;
}

static enum err join(const struct field *f, const struct strings *words, struct settings *ret,
                     struct error *e)
{
        struct text t = TEXT(SETTING_VALUE_MAX);
        CLEANUP(free_p) char *value = NULL;
        enum err r;

        for (size_t i = 0; i < words->count; i++)
                text_addf(&t, "%s%s", i ? " " : "", words->items[i]);
        r = text_finish(&t, &value, e);
        return r ? r : *value ? settings_add(ret, f->key, value, 0, e) : ERR_OK;
}

static enum err get_flags(const struct field *f, unsigned flags, struct settings *ret, struct error *e)
{
        CLEANUP(strings_done) struct strings words = {0};

        for (unsigned i = 0; f->names[i]; i++) {
                enum err r = flags & 1u << i ? strings_add(&words, f->names[i], e) : ERR_OK;

                if (r)
                        return r;
        }
        return join(f, &words, ret, e);
}

static enum err get_duration(const struct field *f, uint64_t v, struct settings *ret, struct error *e)
{
        char value[32];
        size_t i = 0;

        while (i + 1 < N_ELEMENTS(duration_units) &&
               (v % duration_units[i].seconds || v < duration_units[i].seconds))
                i++;
        (void)snprintf(value, sizeof value, "%llu%c", (unsigned long long)(v / duration_units[i].seconds),
                       duration_units[i].unit);
        return settings_add(ret, f->key, value, 0, e);
}

static enum err get_hex(const struct field *f, const struct bytes *b, struct settings *ret, struct error *e)
{
        CLEANUP(free_p) char *hex = NULL;

        if (b->len == 0)
                return ERR_OK;
        hex = malloc(2 * b->len + 1);
        if (!hex)
                return error_no_memory(e);
        hex_encode(bytes_view(b), hex);
        return settings_add(ret, f->key, hex, 0, e);
}

static enum err get_list(const struct field *f, const struct strings *s, struct settings *ret,
                         struct error *e)
{
        for (size_t i = 0; i < s->count; i++) {
                enum err r = settings_add(ret, f->key, s->items[i], 0, e);

                if (r)
                        return r;
        }
        return ERR_OK;
}

enum err record_get(const struct field *f, const void *record, struct settings *ret, struct error *e)
{
        const void *m = const_member(f, record);
        char value[64];

        switch (f->type) {
        case FIELD_TEXT: {
                const char *text = *(char *const *)m;

                return text ? settings_add(ret, f->key, text, 0, e) : ERR_OK;
        }
        case FIELD_LIST:
                return get_list(f, m, ret, e);
        case FIELD_WORDS:
                return join(f, m, ret, e);
        case FIELD_BOOL:
                return settings_add(ret, f->key, *(const bool *)m ? "yes" : "no", 0, e);
        case FIELD_NUMBER:
                (void)snprintf(value, sizeof value, "%u", *(const unsigned *)m);
                return settings_add(ret, f->key, value, 0, e);
        case FIELD_ENUM: {
                unsigned v = *(const unsigned *)m;

                return v < f->min ? ERR_OK : settings_add(ret, f->key, f->names[v - f->min], 0, e);
        }
        case FIELD_FLAGS:
                return get_flags(f, *(const unsigned *)m, ret, e);
        case FIELD_HEX:
                return get_hex(f, m, ret, e);
        case FIELD_DURATION:
                return get_duration(f, *(const uint64_t *)m, ret, e);
        case FIELD_VALIDITY: {
                const struct validity *v = m;

                if (!v->number)
                        return ERR_OK;
                (void)snprintf(value, sizeof value, "%u %s", v->number, validity_units[v->unit]);
                return settings_add(ret, f->key, value, 0, e);
        }
        }
        return error_set(e, ERR_FAILED, "%s has no type", f->key);
}

static void field_done(const struct field *f, void *m)
{
        switch (f->type) {
        case FIELD_TEXT:
                free(*(char **)m);
                *(char **)m = NULL;
                break;
        case FIELD_LIST:
        case FIELD_WORDS:
                strings_done(m);
                break;
        case FIELD_HEX:
                bytes_done(m);
                break;
        case FIELD_BOOL:
                *(bool *)m = false;
                break;
        case FIELD_NUMBER:
        case FIELD_ENUM:
        case FIELD_FLAGS:
                *(unsigned *)m = 0;
                break;
        case FIELD_DURATION:
                *(uint64_t *)m = 0;
                break;
        case FIELD_VALIDITY:
                *(struct validity *)m = (struct validity){0};
                break;
        }
}

enum err record_check(const struct table *t, void *scratch, const char *key, const char *value, unsigned line,
                      struct error *e)
{
        const struct field *f = table_find(t, key);
        uint64_t given = 0;
        enum err r = field_put(t, f, scratch, &given, key, value, line, e);

        if (f)
                field_done(f, member(f, scratch));
        return r;
}

void record_done(const struct table *t, void *record)
{
        for (size_t i = 0; i < t->count; i++)
                field_done(&t->fields[i], member(&t->fields[i], record));
}
