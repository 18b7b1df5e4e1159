/*
 * A libdbus connection on an sd-event loop: watches, time-outs, and dispatching one message per turn, so that
 * no turn is long. Knows nothing of what the messages say.
 */
#pragma once

#include "base/error.h"

struct DBusConnection;
struct sd_event;
struct bus_loop;

/* Attaches @connection, which must outlive the loop. *ret: bus_loop_free(), which detaches. */
MUST_CHECK enum err bus_loop_new(struct DBusConnection *connection, struct sd_event *event,
                                 struct bus_loop **ret, struct error *e);
/* Takes NULL. */
void bus_loop_free(struct bus_loop *loop);
