/* What a parse worker does: a document in, the commands it holds out (policy/documents). No files, no
 * network. */
#pragma once

#include "worker/protocol.h"

/* *ret: an encoded result that holds secrets, to be wiped. */
MUST_CHECK enum err parse_document(const struct job_parse *job, struct bytes *ret, struct error *e);
