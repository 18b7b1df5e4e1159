/*
 * Records by table: one table per struct gives tag, shape, bounds and place of each field, and serves both
 * directions. Inside this folder only.
 */
#pragma once

#include "base/fields.h"
#include "worker/protocol.h"

enum shape {
        SHAPE_TEXT, /* const char *; NULL: absent. On the wire with its NUL, so that decoding can borrow it */
        SHAPE_NUMBER, /* uint64_t, at most @max; always there */
        SHAPE_SIGNED, /* int64_t, within ±@max; always there */
        SHAPE_BLOB,   /* struct view; empty: absent */
        SHAPE_TEXTS,  /* struct job_texts */
        SHAPE_BLOBS,  /* struct job_blobs */
};

struct field {
        uint16_t tag;
        enum shape shape;
        bool required; /* at least one, not empty */
        size_t offset;
        uint64_t max; /* octets or value */
        const char *name;
};

/* @fields: with every tag once. @at: the struct. */
void job_record_put(struct fields_writer *w, const struct field *fields, size_t n, const void *at);
/* Checks the struct against the table, as the other side will. */
MUST_CHECK enum err job_record_check(const struct field *fields, size_t n, const void *at, struct error *e);
/* All fields of @in into *at, which must be zeroed. */
MUST_CHECK enum err job_record_get(const struct field *fields, size_t n, struct view in, void *at,
                                   struct error *e);
