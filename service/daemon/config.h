/* scepter.conf(5), read once: compiled defaults, then the file. */
#pragma once

#include <stdio.h>

#include "base/error.h"
#include "key/key.h"

struct config {
        char *state, *runtime, *keys_socket, *host_key, *tcti, *facts, *profiles, *consumers, *applied;
        enum key_protection protection; /* of profiles that name none */
        bool polkit;                    /* decides for those who are not root */
};

/* @path NULL: the defaults alone. ERR_CONFIG names file, line and key. */
MUST_CHECK enum err config_read(const char *path, struct config *ret, struct error *e);
void config_done(struct config *config);
/* As a file that would mean the same. */
void config_print(const struct config *config, FILE *out);
