/* A connection of NetworkManager with 802.1X: it gets the new files and is activated again; where it does not
 * come up with them, its settings are put back. */
#pragma once

#include "policy/consumer.h"

struct bus_client;

/*
 * Updates the connection where the consumer says so, and activates it anew if it is active now. ERR_CONSUMER:
 * it could not; *ret_down: it is down since, for it did not come up: what it had before is to be put back on
 * the disk, and then network_restore() called. @key_id: CKA_ID of the certificate's key, hexadecimal.
 */
MUST_CHECK enum err network_apply(struct bus_client *bus, const struct consumer *consumer, const char *key_id,
                                  bool *ret_down, struct error *e);
/* Activates it with what it had before. */
MUST_CHECK enum err network_restore(struct bus_client *bus, const struct consumer *consumer, struct error *e);
