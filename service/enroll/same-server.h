/* Whether two URLs lead to one server, without libcurl, which the daemon does not have. Pure. */
#pragma once

#include <stdbool.h>

/* Scheme, host and port are the same, however they are written. @a, @b: as policy/values.h takes them; false
 * where one is nothing of the kind. */
bool same_server(const char *a, const char *b);
