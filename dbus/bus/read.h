/*
 * Reading a message, argument by argument. @what names the argument in the error. Strings are borrowed from
 * the message and live as long as the reader; they are valid UTF-8 (libdbus has seen to that) and may hold
 * control characters. Every function but bus_reader_free() takes a reader at its end. Worth handling: none;
 * ERR_INVALID names the argument that is missing or of another type.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "bus/names.h"

struct DBusMessage;
struct bus_reader;

/* At most BUS_STRING_MAX octets: ERR_TOO_LARGE. */
MUST_CHECK enum err bus_read_string(struct bus_reader *r, const char *what, const char **ret,
                                    struct error *e);
MUST_CHECK enum err bus_read_path(struct bus_reader *r, const char *what, const char **ret, struct error *e);
MUST_CHECK enum err bus_read_bool(struct bus_reader *r, const char *what, bool *ret, struct error *e);
MUST_CHECK enum err bus_read_u32(struct bus_reader *r, const char *what, uint32_t *ret, struct error *e);
MUST_CHECK enum err bus_read_i32(struct bus_reader *r, const char *what, int32_t *ret, struct error *e);
MUST_CHECK enum err bus_read_u64(struct bus_reader *r, const char *what, uint64_t *ret, struct error *e);
/* *ret: a duplicate with O_CLOEXEC, the caller's to close. */
MUST_CHECK enum err bus_read_fd(struct bus_reader *r, const char *what, int *ret, struct error *e);

/* Into the array, struct, dictionary entry or variant that stands next, and out of it, behind it. */
MUST_CHECK enum err bus_read_enter(struct bus_reader *r, const char *what, struct error *e);
void bus_read_leave(struct bus_reader *r);
/* Something more stands at this level. */
bool bus_read_more(struct bus_reader *r);
/* What stands next has this complete type. */
bool bus_read_is(struct bus_reader *r, const char *signature);
/* Type character of what stands next ('s', 'a', 'r' for a struct, 'e' for an entry, 'v', …); 0 at the end. */
char bus_read_type(struct bus_reader *r);
void bus_read_skip(struct bus_reader *r);

/* The unique name of who sent the message, as the bus wrote it; "" where there is none. */
const char *bus_reader_sender(const struct bus_reader *r);

/* Takes NULL. */
void bus_reader_free(struct bus_reader *r);

static inline void bus_reader_free_p(struct bus_reader **r)
{
        bus_reader_free(*r);
}

/* For the bus files alone: refers to @message, at its first argument. NULL: no memory. */
struct bus_reader *bus_reader_new(struct DBusMessage *message);
void bus_reader_rewind(struct bus_reader *r);
struct DBusMessageIter;
struct DBusMessageIter *bus_reader_at(struct bus_reader *r);
