/* The way from a stored certificate to its anchor. Threads of the pool: reads the disk. */
#pragma once

#include "store/store.h"

/* What stands in current/chain.pem, behind what @chain holds. */
void path_read_chain(struct store *store, const char *id, STACK_OF(X509) * chain);
/* The certificate, its issuers out of @chain, the anchor; dates are not looked at. NULL: there is no way.
 * sk_X509_pop_free(). */
STACK_OF(X509) * path_to(X509 *cert, STACK_OF(X509) * chain, X509 *anchor);
/* The same of a certificate in the store. */
MUST_CHECK enum err path_read(struct store *store, const char *id, STACK_OF(X509) * *ret, struct error *e);
