/*
 * Consumers (scepter.consumer(5)): a certificate that is installed is handed to those that follow it, by
 * scepter-apply; one that has not taken it leaves the certificate in "apply-pending", and is tried again
 * with growing waits, without a new certificate. record.apply_at tells when, across restarts and renewals.
 * Loop's thread only.
 */
#pragma once

#include "daemon/daemon.h"

/* Its time has come. A failure to begin is logged and tried again. */
void apply_start(struct daemon *d, struct certificate *certificate);
/* Something may have changed: as soon as nothing else is done with it. */
void apply_again(struct daemon *d, struct certificate *certificate);
/* Before the certificate goes, and at the end of the daemon. */
void apply_cancel(struct certificate *certificate);
void apply_stop(struct daemon *d); /* at the end, those of certificates that are gone */
/* It is gone: what was written for it is taken away. @id is copied. */
void apply_removed(struct daemon *d, const char *id);

/* follow.c: watches the directory of consumers, once certificates and schedule are there; and the end, before
 * the pool goes and after. */
MUST_CHECK enum err follow_start(struct daemon *d, struct error *e);
void follow_stop(struct daemon *d);
void follow_end(struct daemon *d);
