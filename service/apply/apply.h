/* What each consumer of one certificate gets: done only where it is not so already. */
#pragma once

#include "apply/consumers.h"
#include "apply/outcome.h"
#include "apply/state.h"

/*
 * @before: what was done last time, {0}: nothing. *ret tells of each consumer that follows; ERR_OK also where
 * one failed (outcome_failed()).
 */
MUST_CHECK enum err apply_all(const char *id, const struct state *state, const struct consumers *consumers,
                              const struct outcome *before, struct outcome *ret, struct error *e);
/* The certificate is gone: what was written for it goes, where it is still what was written. */
MUST_CHECK enum err apply_undo(const struct outcome *before, struct error *e);
