/*
 * Accounts and groups, as the name services know them. ERR_NOT_FOUND: they know no such one; ERR_IO,
 * ERR_NO_MEMORY: they cannot say now. May block for as long as they take.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/* Login name of @uid, free(). */
MUST_CHECK enum err account_login(uid_t uid, char **ret, struct error *e);
MUST_CHECK enum err account_uid(const char *login, uid_t *ret, struct error *e);
MUST_CHECK enum err account_gid(const char *group, gid_t *ret, struct error *e);
