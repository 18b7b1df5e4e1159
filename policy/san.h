/*
 * Subject alternative names: "dns:host", "email:a@b", "upn:a@b", "uri:https://…" with variables in them
 * become DER GeneralNames. The kinds ip, dirname, rid, guid and other are settings a profile may hold; asking
 * for their encoding answers ERR_UNSUPPORTED by name, since it comes with a later version.
 */
#pragma once

#include "policy/settings.h"
#include "policy/variables.h"

enum { SAN_DER_MAX = 8192 };

/* true: begins with the name of a kind and a colon, and something follows. */
bool san_entry_known(const char *entry);
/* Windows' AlternativeNameType (certenroll.h: 2 e-mail, 3 DNS, 7 URL, 11 UPN …) as the word of the entry;
 * NULL: the number has none. Kind 1 (other name) is "other", which needs an OID behind it. */
const char *san_kind_of_number(unsigned number);
/*
 * GeneralNames of all entries, in their order; *ret is empty (length 0) where there are none. ERR_PROFILE
 * where a value does not fit its kind, ERR_VARIABLE where a variable has no value.
 */
MUST_CHECK enum err san_der(const struct strings *entries, const struct facts *facts, struct bytes *ret,
                            struct error *e);
