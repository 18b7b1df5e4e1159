/*
 * What is due for each certificate at rest: its renewal, another attempt, the daily looks at the CRLs and at
 * what its CA announces, and the dates at which its health changes by itself; the looks and those dates also
 * while a request waits for the CA. Loop's thread.
 */
#pragma once

#include "daemon/daemon.h"

/* Seconds before a renewal that somebody cancelled begins again by itself: the longest that one is put off.
 */
enum { CANCELLED_FOR = 3600 };

MUST_CHECK enum err due_start(struct daemon *d, struct error *e);
/* The end: before the workers and the pool go, and after. */
void due_stop(struct daemon *d);
void due_end(struct daemon *d);
/* After its record, its profile or its enrollment changed; and before it goes. */
void due_set(struct daemon *d, struct certificate *certificate);
/* The same once a request has ended: the server lists @caps, and what it announces is looked at at once,
 * where the profile follows that. */
void due_asked(struct daemon *d, struct certificate *certificate, uint32_t caps);
void due_drop(struct daemon *d, struct certificate *certificate);
/* The network came up: what failed because no server answered is tried soon. */
void due_network_up(struct daemon *d);
/* The clock was set, or the machine slept. */
void due_recheck(struct daemon *d);
