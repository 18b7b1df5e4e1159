/*
 * A generation that was replaced and is still kept: programs that loaded its certificate go on with its key
 * (design §3, §6). A line of record.old: "1 <key id> <when it was replaced> <its notAfter>". Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy/settings.h"

enum { OLD_KEPT_SECONDS = 7 * 86400, OLD_MAX = 32 };

struct old_generation {
        uint64_t number;
        uint8_t key_id[20];
        uint64_t replaced, not_after; /* seconds since the epoch */
};

/* false: it is none. */
bool old_generation_read(const char *line, struct old_generation *ret);
MUST_CHECK enum err old_generation_add(struct strings *lines, const struct old_generation *old,
                                       struct error *e);
/* It may go, if no program has its key open. */
bool old_generation_is_over(const struct old_generation *old, uint64_t now);
