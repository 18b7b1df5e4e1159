/*
 * The events that were: the newest lines of many certificates' files, in the order of their time. A thread of
 * the pool: one file after the other is read, and of all only the lines that are wanted stay in memory.
 */
#pragma once

#include "events.h"

struct past_wanted {
        const store_id *certificates;
        size_t n;
        uint64_t since; /* seconds since the epoch */
        uint32_t limit; /* lines */
};

/* *ret: the lines, bytes_done(). *ret_marks: @wanted->n, sorted, for event_log_join(); free(). */
MUST_CHECK enum err past_read(struct event_log *log, const struct past_wanted *wanted, struct bytes *ret,
                              struct follower_mark **ret_marks, struct error *e);
