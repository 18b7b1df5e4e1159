/*
 * What happened to a certificate: one JSON line in its events.jsonl, and one entry in the journal. The names
 * mirror Windows' numbers (306 accepted, 36 request made, 39 installed, 32 failed).
 */
#pragma once

#include "daemon/daemon.h"

struct event_field {
        const char *name, *value;
};

/* @fields end with a NULL name. A failure to write is logged and otherwise ignored: an event is no state. Any
 * thread. */
void event_record(struct store *store, const struct wall_clock *clock, const char *id,
                  const char *certificate, unsigned number, const char *event, const char *message,
                  const struct event_field *fields);
