/*
 * Writing a message. Nothing else in the project appends to one: libdbus ends the process at the first bad
 * octet of a string, so every string is made valid UTF-8 and bounded here. A failure (no memory, a path that
 * is none) is kept and told once, when the message is sent; until then writing goes on without effect, so
 * that writers stay linear. All functions take NULL for @w, which is a writer that has failed for want of
 * memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "bus/names.h"

struct DBusMessage;
struct bus_writer;

/* s; NULL is "". Bad octets become '?', what is longer than BUS_STRING_MAX is cut and ends in "...". */
void bus_write_string(struct bus_writer *w, const char *s);
/* The same with a bound of its own, for texts that we made ourselves. */
void bus_write_text(struct bus_writer *w, const char *s, size_t max);
/* o; a string that is no object path is a failure. */
void bus_write_path(struct bus_writer *w, const char *path);
void bus_write_bool(struct bus_writer *w, bool v);
void bus_write_u32(struct bus_writer *w, uint32_t v);
void bus_write_i32(struct bus_writer *w, int32_t v);
void bus_write_u64(struct bus_writer *w, uint64_t v);
/* h; @fd is duplicated and stays the caller's. */
void bus_write_fd(struct bus_writer *w, int fd);
/* as, ao; @list may be NULL when @n is 0. */
void bus_write_strings(struct bus_writer *w, const char *const *list, size_t n);
void bus_write_paths(struct bus_writer *w, const char *const *list, size_t n);

/* ay */
void bus_write_octets(struct bus_writer *w, const void *data, size_t n);
/* What stands next in @r, of whatever type, but for descriptors; @r stands behind it then. */
struct bus_reader;
void bus_write_copy(struct bus_writer *w, struct bus_reader *r);

/* Appends these strings, and asks for no memory of ours: for errors, which must be told where there is none.
 * The message is the caller's still. false: libdbus has none, or a text of over BUS_STRING_MAX or of bad
 * octets could not be copied. */
MUST_CHECK bool bus_append_strings(struct DBusMessage *message, const char *const *texts, size_t n);

/* Containers, at most 8 deep; bus_close() ends the innermost. @element: signature of one element ("s",
 * "{sv}"). */
void bus_open_array(struct bus_writer *w, const char *element);
void bus_open_struct(struct bus_writer *w);
void bus_open_entry(struct bus_writer *w);
void bus_open_variant(struct bus_writer *w, const char *signature);
void bus_close(struct bus_writer *w);

/* Entries of an open a{sv}. */
void bus_entry_string(struct bus_writer *w, const char *key, const char *s);
void bus_entry_path(struct bus_writer *w, const char *key, const char *path);
void bus_entry_bool(struct bus_writer *w, const char *key, bool v);
void bus_entry_u32(struct bus_writer *w, const char *key, uint32_t v);
void bus_entry_u64(struct bus_writer *w, const char *key, uint64_t v);
void bus_entry_fd(struct bus_writer *w, const char *key, int fd);
/* For any other type: the value is written between the two. */
void bus_entry_open(struct bus_writer *w, const char *key, const char *signature);
void bus_entry_close(struct bus_writer *w);
/* An entry of an a{ss}. */
void bus_entry_pair(struct bus_writer *w, const char *key, const char *s);

/* true: something failed already; what comes next has no effect. */
bool bus_writer_failed(const struct bus_writer *w);
/* Gives up a message that will not be sent. Takes NULL. */
void bus_writer_free(struct bus_writer *w);

static inline void bus_writer_free_p(struct bus_writer **w)
{
        bus_writer_free(*w);
}

/* For the bus files alone: takes over @message (NULL: no memory); and gives it back, *w being gone in any
 * case. */
struct bus_writer *bus_writer_new(struct DBusMessage *message);
MUST_CHECK enum err bus_writer_finish(struct bus_writer *w, struct DBusMessage **ret, struct error *e);
