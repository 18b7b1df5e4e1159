/*
 * A distinguished name as directories print it (RFC 4514): what SSSD tells of a user, and nobody writes into
 * a profile (policy/name.h is for that). Backslash escapes, leaf first. Pure.
 */
#pragma once

#include "policy/name.h"

/*
 * In the order of the text. ERR_PROFILE where it is no such name, an attribute is not known, or a value is
 * #hex. *ret: name_done().
 */
MUST_CHECK enum err name_parse_ldap(const char *text, struct name *ret, struct error *e);
