/* Which roots a profile's server may lead to. Threads of the pool: reads the disk. */
#pragma once

#include "policy/plan.h"
#include "scep-wire/ca-choice.h"
#include "store/store.h"

/* The profile's own root, or else all the owner's and the device's. *ret: sk_X509_pop_free(). */
MUST_CHECK enum err anchors_load(struct store *store, const char *profile, uid_t owner, STACK_OF(X509) * *ret,
                                 struct error *e);
/* The thumbprint of the plan; false: it is malformed. */
bool plan_pin(const struct plan *plan, struct ca_pin *ret);
/* For a bare thumbprint: the root may be one the system knows. */
void anchors_add_system(STACK_OF(X509) * anchors, const struct bytes *thumbprint);
