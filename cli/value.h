/* D-Bus values as JSON: the one form in which verbs keep what the service said. */
#pragma once

#include <jansson.h>

#include "bus/read.h"

/*
 * The value that stands next: strings, paths, numbers, booleans; arrays; dictionaries as objects; structs as
 * arrays; variants as what they hold. Keys of dictionaries become lower-first (NotAfter: notAfter). An h is
 * ERR_INVALID. *ret: json_decref().
 */
MUST_CHECK enum err value_read(struct bus_reader *r, json_t **ret, struct error *e);
/* Text of a member: a string as it is, a number in decimal, yes or no, a list with blanks between; "" where
 * there is none. *ret: free(). */
MUST_CHECK enum err value_text(const json_t *value, char **ret, struct error *e);
/* Member of @object as a string or a number; "" and 0 where it is missing or of another type. */
const char *value_string(const json_t *object, const char *key);
uint64_t value_number(const json_t *object, const char *key);
/* "NotAfter" to "notAfter", in place. */
void lower_first(char *key);
