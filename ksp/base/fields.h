/*
 * Fields: the one tag-length-value codec of every frame that crosses a process boundary (key channel, worker
 * jobs). A field is: tag, 2 octets; length, 4 octets; value. All numbers are big-endian. Order is kept, tags
 * may repeat. Pure: no I/O, no state outside the two structs.
 */
#pragma once

#include "base/bytes.h"

/* Grows up to @max octets; a failure is told once, by fields_finish(). */
struct fields_writer {
        struct bytes out;
        size_t size, max;
        enum err failed;
        bool secret; /* true: memory is wiped whenever it moves or goes */
};

#define FIELDS_WRITER(limit, holds_secret) ((struct fields_writer){.max = (limit), .secret = (holds_secret)})
void fields_put(struct fields_writer *w, uint16_t tag, struct view v);
void fields_put_u64(struct fields_writer *w, uint16_t tag, uint64_t v); /* 8 octets */
void fields_put_str(struct fields_writer *w, uint16_t tag, const char *s);
/* *ret: the caller's, bytes_done() or, if it was said to hold a secret, wipe() first. *w is empty afterwards.
 */
MUST_CHECK enum err fields_finish(struct fields_writer *w, struct bytes *ret, struct error *e);
void fields_writer_done(struct fields_writer *w);

struct fields_reader {
        struct view left;
};

/* true: the next field in *ret_tag, *ret_value (borrowed from the input). false at the end, or with *ret_bad
 * set, where the rest is malformed. */
bool fields_next(struct fields_reader *r, uint16_t *ret_tag, struct view *ret_value, bool *ret_bad);
/* The whole of @in is well-formed. */
bool fields_valid(struct view in);
/* First field with @tag; false: there is none. @in must be valid. */
bool fields_find(struct view in, uint16_t tag, struct view *ret_value);
/* The same with a shape: exactly 8 octets; UTF-8 without NUL of at most @max octets, copied (free()).
 * ERR_PROTOCOL where the field is missing or of another shape. */
MUST_CHECK enum err fields_get_u64(struct view in, uint16_t tag, uint64_t *ret, struct error *e);
MUST_CHECK enum err fields_get_str(struct view in, uint16_t tag, size_t max, char **ret, struct error *e);
