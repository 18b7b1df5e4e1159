/*
 * The wall clock, as a seam: tests let the waits of days pass in seconds, and set it without setting the
 * machine's. What is kept is wall-clock time; what is waited for is elapsed time, suspended or not, and is
 * thought over when the clock was set.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct wall_clock {
        unsigned scale;                 /* a wait of n seconds takes n/scale; 1 in earnest */
        const volatile int64_t *offset; /* seconds ahead of the machine's, in a file of a test; NULL: none */
};

/* Maps @path, eight octets, until the process ends. */
MUST_CHECK enum err clock_open(struct wall_clock *clock, const char *path, struct error *e);
/* Seconds since the epoch. */
uint64_t clock_now(const struct wall_clock *clock);
/* How long to wait, in microseconds, until so many seconds have passed for this clock. */
uint64_t clock_wait_usec(const struct wall_clock *clock, uint64_t seconds);

struct clock_watch;
struct sd_event;
/* @stepped is called in the loop after the clock was set, and after the machine slept. @path: also after a
 * write to this file; NULL: none. */
MUST_CHECK enum err clock_watch_new(struct sd_event *event, const char *path, void (*stepped)(void *ctx),
                                    void *ctx, struct clock_watch **ret, struct error *e);
void clock_watch_free(struct clock_watch *watch); /* takes NULL */
