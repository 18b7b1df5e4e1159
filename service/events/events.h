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
 * The lines that a certificate's file holds, and the serial up to which lines are among them: what is told
 * with a higher one is not. ERR_NOT_FOUND: none was recorded, with the serial too. Any thread; while it
 * reads, whoever records waits.
 */
MUST_CHECK enum err event_log_read(struct event_log *log, const char *certificate, struct bytes *ret,
                                   uint64_t *ret_serial, struct error *e);

/* As followers_add() and followers_join(), for the loop: between the two the caller reads the files, and the
 * reader then misses no line and gets none twice. */
MUST_CHECK enum err event_log_follow(struct event_log *log, const struct follower_viewer *viewer, int *ret_fd,
                                     struct follower **ret, struct error *e);
void event_log_join(struct event_log *log, struct follower *follower, const struct follower_mark *marks,
                    size_t n);
