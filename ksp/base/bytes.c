#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct view str_view(const char *s)
{
        return (struct view){(const uint8_t *)s, strlen(s)};
}

bool view_equal(struct view a, struct view b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

enum err bytes_copy(struct bytes *ret, const void *data, size_t len, struct error *e)
{
        uint8_t *copy = malloc(len + 1);

        if (!copy)
                return error_no_memory(e);
        if (len)
                memcpy(copy, data, len);
        copy[len] = 0;
        *ret = (struct bytes){copy, len};
        return ERR_OK;
}

void bytes_done(struct bytes *b)
{
        free(b->data);
        *b = (struct bytes){0};
}

static bool text_reserve(struct text *t, size_t more)
{
        size_t size = t->size ? t->size : 128;
        char *data;

        if (t->failed)
                return false;
        if (more > t->max - t->len) {
                t->failed = ERR_TOO_LARGE;
                return false;
        }
        while (size < t->len + more + 1)
                size *= 2;
        if (size == t->size)
                return true;
        data = realloc(t->data, size);
        if (!data) {
                t->failed = ERR_NO_MEMORY;
                return false;
        }
        t->data = data;
        t->size = size;
        return true;
}

void text_add_n(struct text *t, const char *s, size_t n)
{
        if (!text_reserve(t, n))
                return;
        memcpy(t->data + t->len, s, n);
        t->len += n;
        t->data[t->len] = 0;
}

void text_add(struct text *t, const char *s)
{
        text_add_n(t, s, strlen(s));
}

void text_addf(struct text *t, const char *fmt, ...)
{
        va_list ap, again;
        int n;

        va_start(ap, fmt);
        va_copy(again, ap);
        n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        if (n >= 0 && text_reserve(t, (size_t)n)) {
                (void)vsnprintf(t->data + t->len, (size_t)n + 1, fmt, again);
                t->len += (size_t)n;
        }
        va_end(again);
}

enum err text_finish(struct text *t, char **ret, struct error *e)
{
        size_t max = t->max;

        text_add_n(t, "", 0);
        if (t->failed) {
                enum err failed = t->failed;

                text_done(t);
                if (failed == ERR_NO_MEMORY)
                        return error_no_memory(e);
                return error_set(e, ERR_TOO_LARGE, "The text is longer than %zu octets", max);
        }
        *ret = STEAL(t->data);
        *t = TEXT(max);
        return ERR_OK;
}

void text_done(struct text *t)
{
        free(t->data);
        *t = TEXT(t->max);
}
