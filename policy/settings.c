#include "policy/settings.h"

#include <string.h>

#include "base/parse.h"

/* Room for one more of @size octets: doubled when the count has come to a power of two. NULL: no memory. */
static void *room_for_one(void *items, size_t count, size_t size)
{
        return count & (count - 1) ? items : realloc(items, (count ? 2 * count : 1) * size);
}

enum err strings_add(struct strings *s, const char *item, struct error *e)
{
        CLEANUP(free_p) char *copy = NULL;
        char **items;

        if (s->count >= STRINGS_MAX)
                return error_set(e, ERR_TOO_LARGE, "A list has more than %d entries", STRINGS_MAX);
        copy = strdup(item);
        items = copy ? room_for_one(s->items, s->count, sizeof *items) : NULL;
        if (!items)
                return error_no_memory(e);
        s->items = items;
        s->items[s->count++] = STEAL(copy);
        return ERR_OK;
}

enum err strings_add_words(struct strings *s, const char *text, struct error *e)
{
        static const char blanks[] = " \t,";

        for (const char *p = text + strspn(text, blanks); *p; p += strspn(p, blanks)) {
                size_t n = strcspn(p, blanks);
                CLEANUP(free_p) char *word = strndup(p, n);
                enum err r = word ? strings_add(s, word, e) : error_no_memory(e);

                if (r)
                        return r;
                p += n;
        }
        return ERR_OK;
}

enum err strings_copy(struct strings *ret, const struct strings *from, struct error *e)
{
        CLEANUP(strings_done) struct strings copy = {0};

        for (size_t i = 0; i < from->count; i++) {
                enum err r = strings_add(&copy, from->items[i], e);

                if (r)
                        return r;
        }
        *ret = copy;
        copy = (struct strings){0};
        return ERR_OK;
}

bool strings_equal(const struct strings *a, const struct strings *b)
{
        if (a->count != b->count)
                return false;
        for (size_t i = 0; i < a->count; i++)
                if (strcmp(a->items[i], b->items[i]) != 0)
                        return false;
        return true;
}

bool strings_contain(const struct strings *s, const char *item)
{
        for (size_t i = 0; i < s->count; i++)
                if (strcmp(s->items[i], item) == 0)
                        return true;
        return false;
}

void strings_done(struct strings *s)
{
        for (size_t i = 0; i < s->count; i++)
                free(s->items[i]);
        free(s->items);
        *s = (struct strings){0};
}

/* What stands on one line of an INI file and can be shown on a terminal. */
static bool one_line(const char *text)
{
        if (!utf8_valid(str_view(text)))
                return false;
        for (const char *p = text; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return false;
        return true;
}

enum err settings_add(struct settings *s, const char *key, const char *value, unsigned line, struct error *e)
{
        CLEANUP(free_p) char *own_key = NULL, *own_value = NULL;
        struct setting *items;

        if (strlen(key) > SETTING_KEY_MAX || !one_line(key))
                return error_set(e, ERR_PROFILE, "Line %u: this is not the name of a setting", line);
        if (strlen(value) > SETTING_VALUE_MAX)
                return error_set(e, ERR_TOO_LARGE, "%s (line %u): the value is longer than %d octets", key,
                                 line, SETTING_VALUE_MAX);
        if (!one_line(value))
                return error_set(e, ERR_PROFILE, "%s (line %u): the value holds octets that are not text",
                                 key, line);
        if (s->count >= SETTINGS_MAX)
                return error_set(e, ERR_TOO_LARGE, "There are more than %d settings", SETTINGS_MAX);
        own_key = strdup(key);
        own_value = strdup(value);
        items = own_key && own_value ? room_for_one(s->items, s->count, sizeof *items) : NULL;
        if (!items)
                return error_no_memory(e);
        s->items = items;
        s->items[s->count++] = (struct setting){STEAL(own_key), STEAL(own_value), line};
        return ERR_OK;
}

const char *settings_get(const struct settings *s, const char *key)
{
        for (size_t i = 0; i < s->count; i++)
                if (s->items[i].key[0] == key[0] && strcmp(s->items[i].key, key) == 0)
                        return s->items[i].value;
        return NULL;
}

void settings_done(struct settings *s)
{
        for (size_t i = 0; i < s->count; i++) {
                free(s->items[i].key);
                free(s->items[i].value);
        }
        free(s->items);
        *s = (struct settings){0};
}
