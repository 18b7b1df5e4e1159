/* The programs that have a key of one certificate open: what the key socket tells a diagnosis. */
#pragma once

#include <sys/types.h>

enum { KEY_USERS_MAX = 8 };

struct key_users {
        struct {
                pid_t pids[KEY_USERS_MAX]; /* each once; of more the first */
                size_t n;
        } current, old; /* the key of the current generation; of one before */
};
