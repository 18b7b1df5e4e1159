/*
 * A LocURI of OMA DM taken apart: whose it is (./Device, which is also what none means, or ./User), and its
 * segments. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { LOCATION_SEGMENTS_MAX = 16 };

struct location {
        char *copy;
        const char *segments[LOCATION_SEGMENTS_MAX]; /* behind the scope, as they were written */
        size_t count; /* 0 also where there are more than any node this program knows has */
        bool user;
};

MUST_CHECK enum err location_split(const char *text, struct location *ret, struct error *e);
void location_done(struct location *l);
/* %XX once, in place; what is no escape, and %00, stays as it is. For one segment, after the split. */
void percent_decode(char *s);
