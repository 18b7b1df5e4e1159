/*
 * Values for a profile's variables, from the machine and the caller's own account; never from what a user can
 * write. This version knows the machine's name and the login name. May block (name services): a thread of the
 * pool.
 */
#pragma once

#include "policy/variables.h"
#include "store/record.h"

struct facts_source {
        uid_t uid; /* whose; NO_OWNER: the device's */
};

struct facts facts_of(struct facts_source *source);
/* Login name of @uid, free(). ERR_NOT_FOUND: the name services know no such account. */
MUST_CHECK enum err facts_login(uid_t uid, char **ret, struct error *e);
/* The uid of a login name. ERR_NOT_FOUND likewise. */
MUST_CHECK enum err facts_uid(const char *login, uid_t *ret, struct error *e);
