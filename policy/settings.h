/*
 * Two small bounded containers of the policy layer: lists of strings, and ordered lists of settings
 * ("Section.Key" and value) as they travel from the readers of documents to the profile, and from the plan to
 * the store.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"

enum { SETTINGS_MAX = 256, SETTING_KEY_MAX = 64, SETTING_VALUE_MAX = 16384, STRINGS_MAX = 64 };

struct strings {
        char **items;
        size_t count;
};

/* Appends a copy. ERR_TOO_LARGE over STRINGS_MAX items. */
MUST_CHECK enum err strings_add(struct strings *s, const char *item, struct error *e);
/* Appends copies of the words of @text, which blanks and commas separate. */
MUST_CHECK enum err strings_add_words(struct strings *s, const char *text, struct error *e);
MUST_CHECK enum err strings_copy(struct strings *ret, const struct strings *from, struct error *e);
bool strings_equal(const struct strings *a, const struct strings *b);
bool strings_contain(const struct strings *s, const char *item);
void strings_done(struct strings *s);

struct setting {
        char *key;     /* "Server.Url" */
        char *value;   /* UTF-8, one line */
        unsigned line; /* of the file it came from; 0: from no file */
};

struct settings {
        struct setting *items;
        size_t count;
};

/* Appends copies. ERR_TOO_LARGE over the bounds above, ERR_PROFILE where key or value is no UTF-8 or has
 * control characters in it. */
MUST_CHECK enum err settings_add(struct settings *s, const char *key, const char *value, unsigned line,
                                 struct error *e);
/* The first value of @key, borrowed; NULL: there is none. */
const char *settings_get(const struct settings *s, const char *key);
void settings_done(struct settings *s);
