/*
 * Subject alternative names: "dns:host", "email:a@b", "upn:a@b", "uri:https://…", "ip:192.0.2.1",
 * "dirname:CN=a,O=b", "rid:1.2.3", "guid:8c1b1d3e-…" and "other:OID:text" become DER GeneralNames. Variables
 * may stand in every kind; none of { } | ; may outside of them (Intune's rule), but for the braces around a
 * GUID. A directory name is cut into its parts before variables get their values.
 */
#pragma once

#include "policy/settings.h"
#include "policy/variables.h"

enum { SAN_DER_MAX = 8192 };

/* true: begins with the name of a kind and a colon, and something follows; with "other:" a valid OID and its
 * value. */
bool san_entry_known(const char *entry);
/* An entry before its variables have values: they exist and stand where they may; a value without variables
 * fits its kind. ERR_PROFILE, or ERR_UNSUPPORTED for #hex in a directory name. */
MUST_CHECK enum err san_entry_check(const char *entry, struct error *e);
/* true: the value is one variable and nothing else; in a directory name, each of its values is. */
bool san_entry_only_variables(const char *entry);

/* Windows' AlternativeNameType (certenroll.h: 2 e-mail, 3 DNS, 7 URL, 11 UPN …) as the word of the entry;
 * NULL: no entry can be written for it, and san_number_refuse() says why. Kind 1 (other name) is "other",
 * which needs an OID behind it. */
const char *san_kind_of_number(unsigned number);
/* The failure for a number without a word: ERR_UNSUPPORTED by name for those Windows defines (0 unknown, 4
 * X.400 address, 6 EDI party name), ERR_PROFILE for any other. */
enum err san_number_refuse(unsigned number, struct error *e);

/*
 * GeneralNames of all entries, in their order; *ret is empty (length 0) where there are none. ERR_PROFILE
 * where a value does not fit its kind, ERR_VARIABLE where a variable has no value, ERR_UNSUPPORTED for #hex
 * in a directory name.
 */
MUST_CHECK enum err san_der(const struct strings *entries, const struct facts *facts, struct bytes *ret,
                            struct error *e);
