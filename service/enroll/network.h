/* NetworkManager says when the network comes up; what failed for want of it is then tried anew. Loop's
 * thread. */
#pragma once

#include "daemon/daemon.h"

struct network_watch;

/* Without NetworkManager on the bus nothing is heard, and attempts keep their dates. *ret: stopped before the
 * bus goes, freed after it; both take NULL. */
MUST_CHECK enum err network_watch_new(struct daemon *d, struct network_watch **ret, struct error *e);
void network_watch_stop(struct network_watch *watch);
void network_watch_free(struct network_watch *watch);
