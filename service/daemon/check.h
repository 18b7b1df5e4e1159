/* scepterd --check-config: what an administrator wrote, looked at without a service. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

#include "daemon/config.h"

/*
 * Beyond scepter.conf, which was read: each consumer, and whether the files of profiles.d are root's (or
 * @own's) alone; what stands in profiles is for a worker to read, and 'scepter diagnose' tells of it. What is
 * wrong goes to @out, with its remedy. ERR_CONFIG: something is.
 */
MUST_CHECK enum err config_check(const struct config *config, uid_t own, FILE *out, struct error *e);
