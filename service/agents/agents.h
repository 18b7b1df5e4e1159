/*
 * Who has offered to be asked for PINs: connections on the bus, each for its own user. The newest of a user
 * comes first. Knows neither the bus nor what is asked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum { AGENTS_MAX = 64, AGENTS_PER_USER = 4 };

struct agent {
        struct agent *older;
        uid_t uid;
        uint64_t number; /* of its registration; grows, never 0 */
        char *name;      /* unique name on the bus */
        char *path;      /* of its object */
};

/* All zeroes: none. */
struct agents {
        struct agent *newest;
        uint64_t last; /* number given last */
};

/* ERR_EXISTS: this connection is one already; ERR_LIMIT. */
MUST_CHECK enum err agents_add(struct agents *agents, const char *name, const char *path, uid_t uid,
                               struct error *e);
/* @path NULL: whichever it is. false: there is no such one. */
bool agents_remove(struct agents *agents, const char *name, const char *path);
/* The newest of @uid that is older than number @below and newer than number @above; borrowed. NULL: none. */
const struct agent *agents_find(const struct agents *agents, uid_t uid, uint64_t below, uint64_t above);
void agents_done(struct agents *agents);
