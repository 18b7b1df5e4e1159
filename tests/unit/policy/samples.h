/* The sample documents, and copies of them with one place changed. */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static inline char *load(const char *name)
{
        struct error e = {0};
        struct bytes b = {0};
        char path[512];

        snprintf(path, sizeof path, "%s/policy/%s", TEST_DATA, name);
        expect_ok(file_read(AT_FDCWD, path, 1 << 20, &b, &e));
        return (char *)b.data;
}

/* @text with the first @from replaced; free(). */
static inline char *replaced(const char *text, const char *from, const char *to)
{
        const char *at = strstr(text, from);
        char *out = malloc(strlen(text) + strlen(to) + 1);

        if (!at)
                fail_msg("the sample lacks '%s'", from);
        sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
        return out;
}
