/* Files of 'Key=value' lines that an administrator wrote, through inih. */
#pragma once

#include "base/bytes.h"

struct ini_line {
        const char *section, *key, *value; /* section: "" before the first */
        int number;
};

/* inih's choices are the process's: called once, before there are threads. */
void ini_prepare(void);
/*
 * Gives each line with a key to @take, which ends the reading with an error. @path stands in the errors
 * alone. ERR_CONFIG: a line that is too long or no 'Key=value'.
 */
MUST_CHECK enum err ini_read(const char *path, struct view text,
                             enum err (*take)(void *ctx, const struct ini_line *line, struct error *e),
                             void *ctx, struct error *e);
