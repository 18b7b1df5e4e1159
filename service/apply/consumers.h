/* The directory of consumers: who wrote it is looked at before a line counts. For the applier, and for the
 * daemon, which only asks whether anything follows. Blocks on the disk. */
#pragma once

#include <sys/types.h>

#include "policy/consumer.h"

enum { CONSUMERS_MAX = 256, CONSUMER_FILE_SIZE_MAX = 64 * 1024 };

struct consumers {
        struct consumer *items; /* in the order of their names */
        size_t count;
};

/*
 * Every *.consumer in @path; one that is wrong, or that somebody else than root (or @own, in a lab) could
 * have written, is there with its failure. A directory that is missing is an empty one. ERR_FILE_REFUSED:
 * others can write the directory; ERR_LIMIT.
 */
MUST_CHECK enum err consumers_read(const char *path, uid_t own, struct consumers *ret, struct error *e);
void consumers_done(struct consumers *consumers);
bool consumers_follow(const struct consumers *consumers, const char *name);
/* SHA-256 of anything, in lower-case hexadecimal. */
MUST_CHECK enum err digest_text(struct view content, char ret[65], struct error *e);
