/*
 * Aligned columns. What comes from the service is made harmless to a terminal: control characters become '?'.
 * Width is counted in terminal columns of UTF-8 text, whatever the locale.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

enum color { COLOR_NONE, COLOR_GOOD, COLOR_WARN, COLOR_BAD, _COLOR_MAX };

enum { TABLE_COLUMNS = 8 };

struct table_cell {
        char *text;
        enum color color;
};

struct table {
        size_t columns, cells, size;
        struct table_cell *cell;
        enum err failed;
};

/* @headers: NULL-terminated, at most TABLE_COLUMNS; they become the first row. */
void table_init(struct table *t, const char *const *headers);
/* The same without a header row. */
void table_init_plain(struct table *t, size_t columns);
/* Cells go from left to right, row after row. NULL and "" show as "-". */
void table_add(struct table *t, const char *text, enum color color);
MUST_CHECK enum err table_print(const struct table *t, FILE *out, bool color, struct error *e);
void table_done(struct table *t);

/* Terminal columns of @s; bad octets and control characters count as one. */
size_t text_width(const char *s);
/* A copy of @s without control characters (C0, DEL, C1); free(). NULL: no memory. */
char *text_printable(const char *s);
enum color color_of_state(const char *health_or_activity);
/* Escape sequence that switches @color on; "" for COLOR_NONE. */
const char *color_on(enum color color);
const char *color_off(enum color color);
