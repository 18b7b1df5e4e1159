/*
 * FollowRollover=yes: the anchors that a certificate has beside those of its profile. next-anchor.pem is what
 * its CA announced; followed-anchor.pem what was announced once and is in force since; anchor.pem, as with
 * every certificate, what the installed one leads to. The first two are believed as long as the profile pins
 * what they were learnt under. Threads of the pool: reads and writes the disk.
 */
#pragma once

#include "policy/plan.h"
#include "store/store.h"

#define NEXT_ANCHOR     "next-anchor.pem"
#define FOLLOWED_ANCHOR "followed-anchor.pem"

/* For ca_choose_followed(), in its order; NULL where @plan does not follow. *ret: sk_X509_pop_free(). */
MUST_CHECK enum err trust_followed(struct store *store, const char *id, const struct plan *plan,
                                   STACK_OF(X509) * *ret, struct error *e);
/* It is one of those already. */
bool trust_is_known(struct store *store, const char *id, X509 *cert);

/* anchor.pem was one and is another now; X509_free() both. */
struct trust_change {
        X509 *from, *to;
};
void trust_change_done(struct trust_change *change);
/*
 * Behind the commit of a certificate, and again after a crash there: anchor.pem becomes what the certificate
 * leads to, @anchor or, with NULL, what is found out among @anchors and those kept here. *ret is empty unless
 * it became another one.
 */
MUST_CHECK enum err trust_settle(struct store *store, const char *id, X509 *anchor,
                                 const STACK_OF(X509) * anchors, struct trust_change *ret, struct error *e);
/* Before @now takes the place of the plan in @old: what was learnt under another pin goes. */
MUST_CHECK enum err trust_rebind(struct store *store, const char *id, const struct settings *old,
                                 const struct plan *now, struct error *e);
