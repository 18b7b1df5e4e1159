/* The system's trust store, as Debian has it: files in /usr/local/share/ca-certificates, and a program that
 * makes everything else of them. */
#pragma once

#include "base/bytes.h"

enum { TRUST_PATH_MAX = 128 };

/* The file of certificate @id's anchor. */
void trust_path(const char *id, char ret[TRUST_PATH_MAX]);
/* After the file changed or went. */
MUST_CHECK enum err trust_update(struct error *e);
