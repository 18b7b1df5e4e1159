/*
 * A directory that somebody edits: told once it has been quiet, so that a bundle of changes is one, and a
 * file that is just being written is not read half. One that is not there yet, or that goes and comes back,
 * is waited for, as long as the one above it is there. Loop's thread only.
 */
#pragma once

#include "base/error.h"

struct watch;
struct sd_event;

enum { WATCH_QUIET_USEC = 300 * 1000 };

/* @changed(ctx) is called in the loop. @path is borrowed. A directory that cannot be watched is logged, and
 * what happens in it is not seen. */
MUST_CHECK enum err watch_new(struct sd_event *event, const char *path, void (*changed)(void *ctx), void *ctx,
                              struct watch **ret, struct error *e);
void watch_free(struct watch *watch); /* takes NULL */
