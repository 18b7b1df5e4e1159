/*
 * What happened, told three times: one line in the certificate's events.jsonl, one entry in the journal, and
 * one line to each who follows. Order: disk, then the others; a line that is followed is on the disk already.
 */
#pragma once

#include "followers.h"
#include "line.h"

struct event_log;
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

/*
 * A cut in time, for the loop: between the two nothing is written to any events.jsonl, and a follower that is
 * added gets exactly the lines that are not in the files yet. Short: threads that record wait meanwhile.
 */
void event_log_hold(struct event_log *log);
void event_log_release(struct event_log *log);
/* As followers_add(); held. */
MUST_CHECK enum err event_log_follow(struct event_log *log, const struct follower_viewer *viewer, int *ret_fd,
                                     struct error *e);
