/*
 * Secrets: challenges, PINs, documents that hold them, plain private keys. The memory is locked, left out of
 * core dumps and wiped; it never moves. A failed mlock() is an error, not a shrug.
 */
#pragma once

#include "base/bytes.h"

struct secret {
        uint8_t *data; /* own pages; a NUL stands behind the last octet and is not counted */
        size_t len;
        size_t mapped;
};

/* Room for @len octets, zeroed. @ret must be empty ({0}). */
MUST_CHECK enum err secret_new(struct secret *ret, size_t len, struct error *e);
MUST_CHECK enum err secret_copy(struct secret *ret, struct view from, struct error *e);
/* Wipes and unmaps; *s is empty afterwards. Takes an empty one. */
void secret_done(struct secret *s);

static inline struct view secret_view(const struct secret *s)
{
        return (struct view){s->data, s->len};
}

/* For what a library forced us to hold in ordinary memory. */
void wipe(void *p, size_t len);
/* free() after wipe(). Takes NULL. */
void wipe_free(void *p, size_t len);
