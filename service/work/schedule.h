/*
 * What is due when, by the wall clock (a scaled one too: tests set it instead): a heap, so that setting a
 * date costs the logarithm of how many there are, and one timer for the first of them. Loop's thread only.
 */
#pragma once

#include <stddef.h>

#include "daemon/clock.h"

struct schedule;
struct sd_event;

/* Embedded in what is scheduled; all 0 at first. */
struct schedule_entry {
        uint64_t due; /* seconds since the epoch; 0: never */
        size_t slot;  /* the schedule's: where in the heap, one higher */
        void *of;
};

/* @due(ctx, of) is called in the loop once @of's time has come; it is not scheduled any more by then. */
MUST_CHECK enum err schedule_new(struct sd_event *event, const struct wall_clock *clock,
                                 void (*due)(void *ctx, void *of), void *ctx, struct schedule **ret,
                                 struct error *e);
void schedule_free(struct schedule *schedule); /* takes NULL */

/* In place of what was set before. @due 0: never. ERR_NO_MEMORY leaves it unscheduled. */
MUST_CHECK enum err schedule_set(struct schedule *schedule, struct schedule_entry *entry, uint64_t due,
                                 struct error *e);
/* Before @entry goes. */
void schedule_drop(struct schedule *schedule, struct schedule_entry *entry);
/* The clock was set: what is due is found anew. */
void schedule_recheck(struct schedule *schedule);
