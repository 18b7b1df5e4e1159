/* Arguments of one verb. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct arg_option {
        const char *name;   /* "--wait" */
        bool *flag;         /* either: given without a value */
        const char **value; /* or: --name VALUE, --name=VALUE */
        const char *later;  /* or: known, but not in this version */
};

/*
 * @ret receives what is no option, between @min and @max of them; "-" is none, and behind "--" nothing is.
 * ERR_INVALID: an unknown option, a missing value, an option given twice, too few or too many arguments.
 */
MUST_CHECK enum err args_parse(int argc, char **argv, const struct arg_option *options, size_t n, size_t min,
                               size_t max, const char **ret, size_t *ret_n, struct error *e);
/* Takes --json, --no-color, --help and --version out of @argv, up to a "--"; returns the new argc. */
struct global_flags {
        bool json, no_color, help, version;
};
int args_take_global(int argc, char **argv, struct global_flags *ret);
