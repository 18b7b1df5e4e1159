/*
 * Threads for what would keep the loop waiting: software keys, building messages (they wait here for the
 * TPM), the disk; and another one for name look-ups, which may hang. A task runs in a thread, its end is told
 * in the loop.
 */
#pragma once

#include "base/error.h"

struct pool;
struct sd_event;

/* @threads: 0: one per processor, and two at least: one may be waiting for the TPM. */
MUST_CHECK enum err pool_new(struct sd_event *event, unsigned threads, struct pool **ret, struct error *e);
/* Waits for what runs; tasks that have not begun are dropped, and nobody is told any more. Takes NULL. */
void pool_free(struct pool *pool);

/*
 * @run(ctx) in a thread, then @done(ctx) in the loop. Both always happen (but see pool_free()). Loop's thread
 * only. ERR_NO_MEMORY: neither happens.
 */
MUST_CHECK enum err pool_submit(struct pool *pool, void (*run)(void *ctx), void (*done)(void *ctx), void *ctx,
                                struct error *e);
