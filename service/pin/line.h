/*
 * The line of operations with a PIN that programs ask for. Such a one keeps a thread of the pool while it
 * waits for the TPM and for the disk, so that one after the other is at work, whoever asks: the other threads
 * are for what wants no PIN. Users take turns, and each has PIN_JOBS_MAX in line at most: who tries PINs as
 * fast as he can waits for himself.
 *
 * Loop's thread only, but for run().
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "work/pool.h"

enum { PIN_JOBS_MAX = 8 };

struct pin_line;

struct pin_job {
        uid_t uid;
        const void *whose;                /* for pin_line_leave() */
        void (*run)(struct pin_job *job); /* in a thread of the pool */
        /* In the loop; owns the job. @why it was not run, NULL: it was. */
        void (*done)(struct pin_job *job, const struct error *why);

        /* the line's */
        struct pin_job *next;
        uint64_t turn;
};

MUST_CHECK enum err pin_line_new(struct pool *pool, struct pin_line **ret, struct error *e);
/* After the pool; nobody waits. Takes NULL. */
void pin_line_free(struct pin_line *line);

/* done() follows, maybe at once. ERR_LIMIT: the user has too many in line; it does not. */
MUST_CHECK enum err pin_line_join(struct pin_line *line, struct pin_job *job, struct error *e);
/* Ends those of @whose that have not begun. */
void pin_line_leave(struct pin_line *line, const void *whose);
