/* Facts for tests: a table of values; NULL is a fact this machine does not have. */
#pragma once

#include <stdlib.h>

#include "policy/variables.h"

struct fake_facts {
        const char *values[_FACT_MAX];
        bool silent; /* the source does not answer */
};

static inline enum err fake_get(void *ctx, enum fact fact, char **ret, struct error *e)
{
        const struct fake_facts *f = ctx;

        if (f->silent)
                return error_set(e, ERR_TIMEOUT, "The source does not answer");
        if (!f->values[fact])
                return error_set(e, ERR_NOT_FOUND, "none");
        *ret = strdup(f->values[fact]);
        return ERR_OK;
}
