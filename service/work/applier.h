/*
 * Starts scepter-apply for one certificate and waits for its end: as a unit, through systemd's manager on the
 * bus; or, for tests and the lab, as a child. Loop's thread only.
 */
#pragma once

#include "daemon/daemon.h"

struct applier_job;

/* @failure NULL: everything was done. What failed stands in the outcome (apply/outcome.h), if it came so far.
 */
typedef void applier_ended(void *ctx, const struct error *failure);

/* After ERR_OK @ended is called exactly once, later, unless it is cancelled. */
MUST_CHECK enum err applier_start(struct daemon *d, const char *certificate, applier_ended *ended, void *ctx,
                                  struct applier_job **ret, struct error *e);
/* Nobody is told; a unit that runs goes on, a child is ended. Takes NULL. */
void applier_cancel(struct applier_job *job);
