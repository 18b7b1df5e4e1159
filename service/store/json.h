/*
 * Structs as JSON objects, by table: one row per member serves writing, reading and freeing. Members that are
 * missing in the file keep their empty value, so an older file is read; members nobody knows are an error of
 * a newer version.
 */
#pragma once

#include "base/bytes.h"
#include "policy/settings.h"

enum json_row_type {
        JSON_ROW_TEXT,    /* char *, never NULL once settled; NULL is written as "" */
        JSON_ROW_NUMBER,  /* uint64_t */
        JSON_ROW_BOOL,    /* bool */
        JSON_ROW_STRINGS, /* struct strings */
        JSON_ROW_PAIRS,   /* struct settings, as [[key, value], …]: order and repetition are kept */
};

struct json_row {
        const char *name;
        enum json_row_type type;
        size_t offset;
};

MUST_CHECK enum err json_rows_settle(const struct json_row *rows, size_t n, void *object, struct error *e);
void json_rows_done(const struct json_row *rows, size_t n, void *object);
/* *ret: free(); ends in a newline. "version" comes first. */
MUST_CHECK enum err json_rows_write(const struct json_row *rows, size_t n, unsigned version,
                                    const void *object, char **ret, struct error *e);
/* @version: today's; the two before it are read, too. @object zeroed. ERR_CONFIG. On failure the object holds
 * what was read so far: json_rows_done(). */
MUST_CHECK enum err json_rows_read(const struct json_row *rows, size_t n, unsigned version, struct view in,
                                   void *object, struct error *e);
