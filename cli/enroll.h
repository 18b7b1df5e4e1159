/* What the properties of a certificate say about a wait for it. Pure. */
#pragma once

#include "cli/cli.h"

/* *ret_ended: the activity does not go on by itself; then ERR_OK means there is a certificate, and any other
 * code is what became of the request: ERR_PENDING, ERR_CHALLENGE_NEEDED, ERR_CANCELLED, or the certificate's
 * own last error. */
MUST_CHECK enum err enroll_outcome(const json_t *object, bool *ret_ended, struct error *e);
