/*
 * What happened, told three times: one line in the certificate's events.jsonl, one entry in the journal, and
 * one line to each who follows. Order: disk, then the others; a line that is followed is on the disk already.
 */
#pragma once

#include "line.h"

struct event_log;
struct sd_event;
struct store;
struct wall_clock;

MUST_CHECK enum err event_log_new(struct sd_event *event, struct store *store, const struct wall_clock *clock,
                                  struct event_log **ret, struct error *e);
void event_log_free(struct event_log *log); /* takes NULL; no thread may record any more */

/*
 * Records it, now: @event's time is set here. A failure to write is logged and otherwise ignored: an event is
 * no state. Any thread, but for one certificate one at a time.
 */
void event_record(struct event_log *log, const struct event *event);
