/* Octets: struct bytes owns them, struct view borrows them. Nothing here is for secrets (secret.h is). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct bytes {
        uint8_t *data; /* malloc()ed; a NUL stands behind the last octet and is not counted */
        size_t len;
};

struct view {
        const uint8_t *data;
        size_t len;
};

static inline struct view bytes_view(const struct bytes *b)
{
        return (struct view){b->data, b->len};
}

/* The characters of a C string without its NUL. */
struct view str_view(const char *s);
bool view_equal(struct view a, struct view b);

/* *ret becomes an own copy; what it held before is NOT freed. */
MUST_CHECK enum err bytes_copy(struct bytes *ret, const void *data, size_t len, struct error *e);
void bytes_done(struct bytes *b);

/*
 * A string that grows up to a bound. Appending never fails at the spot: text_finish() tells once, so that
 * writers stay linear. Bound: @max octets without the NUL; more is ERR_TOO_LARGE.
 */
struct text {
        char *data;
        size_t len, size, max;
        enum err failed;
};

#define TEXT(limit) ((struct text){.max = (limit)})
void text_add(struct text *t, const char *s);
void text_add_n(struct text *t, const char *s, size_t n);
void text_addf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* *ret: a NUL-terminated string, the caller's (free()); never NULL on success. *t is empty afterwards. */
MUST_CHECK enum err text_finish(struct text *t, char **ret, struct error *e);
void text_done(struct text *t);
