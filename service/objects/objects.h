/* The daemon's objects on the bus. Everything about D-Bus is in this folder. Loop's thread only. */
#pragma once

#include "daemon/daemon.h"

/* Connects to the system bus and takes the name. */
MUST_CHECK enum err objects_start(struct daemon *d, void (*lost)(void *ctx), void *ctx, struct error *e);
void objects_stop(struct daemon *d);

/* To be called when the new state is on the disk. */
void objects_certificate_added(struct daemon *d, struct certificate *certificate);
void objects_certificate_changed(struct daemon *d, struct certificate *certificate);
/* Before the certificate leaves the model. */
void objects_certificate_removed(struct daemon *d, struct certificate *certificate);

/* Asks the TPM for the first time; before objects_start(). */
MUST_CHECK enum err tpm_status_new(struct daemon *d, struct error *e);
void tpm_status_free(struct daemon *d);
/* Goes on with a removal that had begun when the daemon stopped. */
MUST_CHECK enum err certificate_remove_rest(struct daemon *d, struct certificate *certificate,
                                            struct error *e);
