/*
 * What the applier did for one certificate, and what became of it: <AppliedDirectory>/<certificate>.json,
 * written by root, read by the daemon and by people. It tells what need not be done again, why something
 * failed, and what has to go with the certificate. No secret is in it.
 */
#pragma once

#include "base/file.h"
#include "policy/settings.h"

enum { OUTCOME_MAX = 256 * 1024, OUTCOME_VERSION = 1 };

struct applied {
        char *consumer;
        char *stamp; /* digest of what it was done with and of the consumer's own text; "": not done */
        struct strings files;           /* "<SHA-256> <path>": written for it */
        bool trust;                     /* one of them is in the system's trust store */
        uint64_t at;                    /* when it was tried */
        char *error, *message, *remedy; /* "": it was done */
};

struct outcome {
        char *name; /* of the certificate */
        uint64_t generation;
        struct applied *items;
        size_t count;
};

/* ERR_NOT_FOUND; ERR_CONFIG: not ours, or damaged. */
MUST_CHECK enum err outcome_read(const char *directory, const char *id, struct outcome *ret, struct error *e);
MUST_CHECK enum err outcome_write(const char *directory, const char *id, const struct outcome *outcome,
                                  struct error *e);
MUST_CHECK enum err outcome_remove(const char *directory, const char *id, struct error *e);
/* Ids of those there are, at most @max of them; returns how many. */
size_t outcome_list(const char *directory, char (*ret)[33], size_t max);
bool outcome_exists(const char *directory, const char *id);
void outcome_done(struct outcome *outcome);

/* A new line, empty; borrowed until the next one. NULL: no memory. */
struct applied *outcome_add(struct outcome *outcome, const char *consumer);
const struct applied *outcome_find(const struct outcome *outcome, const char *consumer);
/* The first that failed; NULL: none. */
const struct applied *outcome_failed(const struct outcome *outcome);
