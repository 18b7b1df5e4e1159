/*
 * While a record is being written for what was found out beside it (certificate->noting: a consumer's
 * outcome, a revocation, the CA's announcement), nothing else can take the certificate. That takes
 * milliseconds, and nobody is refused for it: what was asked for begins when it is through. Loop's thread
 * only.
 */
#pragma once

#include "base/error.h"

struct afterwards;
struct certificate;

/* @run is called once, when nothing is noted any more; @failure: that never comes, the service ends. It looks
 * the certificate up anew. */
MUST_CHECK enum err afterwards_run(struct certificate *certificate,
                                   void (*run)(void *ctx, const struct error *failure), void *ctx,
                                   struct error *e);
/* In the order in which they came; @list is freed. */
void afterwards_begin(struct afterwards *list, const struct error *failure);
