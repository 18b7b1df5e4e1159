/*
 * Changes to the management tree that take effect together: one command's, or those of an Atomic. Staging
 * checks a command and notes what it would change, in drafts; committing does it, disk first. What was staged
 * is dropped without a trace. Loop's thread only.
 */
#pragma once

#include "instances.h"
#include "policy/answer.h"
#include "policy/command.h"

/* An instance as it will be. */
struct draft {
        struct instance *original; /* NULL: new */
        struct stored_instance next;
        bool removes;                  /* what the original made goes first */
        bool gone;                     /* and nothing takes its place */
        size_t touched_by, removed_by; /* commands: the last of all, the Delete */
        bool has_challenge;            /* one was written, now or earlier */
        struct secret challenge;       /* now */
        X509 *root;

        bool delivers; /* a profile is taken, and its enrollment begins */
        size_t delivered_by;
        struct settings settings;
        struct strings notes;

        /* while it is committed, for the way back */
        bool written, begun, made_profile, changed_profile, made_anchor;
        struct stored_instance before; /* of the original */
        struct stored_profile old_profile;
        struct draft *next_draft;
};

struct transaction {
        struct daemon *d;
        const struct commands *commands;
        struct command_result *results;
        uid_t user; /* whose ./User nodes are; NO_OWNER: there are none */
        struct draft *drafts, *at;
        unsigned failed; /* the code of the first failure in the commit; 0: none */
        void (*done)(void *ctx);
        void *ctx;
};

void transaction_drop(struct transaction *t);
/*
 * Checks the command and notes its changes. The code it will be answered with if the transaction is
 * committed, and the reason of a refusal, go to its result. false: refused; in an Atomic everything is.
 */
bool transaction_stage(struct transaction *t, size_t command);
/* Answers a Get. */
void transaction_get(struct transaction *t, size_t command);
/*
 * Does what was staged and calls @done, in this call or in a later turn; t->failed tells the end. Where a
 * part fails, everything that can be is put back. Codes of Delete and of enrollments are in the results then.
 */
void transaction_commit(struct transaction *t, void (*done)(void *ctx), void *ctx);

/* draft.c: the draft of the instance, or NULL; the one at the place, made if need be, for @command; a text of
 * it. */
struct draft *draft_find(const struct transaction *t, const char *key, uid_t owner);
MUST_CHECK enum err draft_touch(struct transaction *t, const struct node_place *place, uid_t owner,
                                size_t command, struct draft **ret, struct error *e);
MUST_CHECK enum err draft_text(char **text, const char *value, struct error *e);

/* For the files of this folder: the place a command names, with user nodes refused where there are none.
 * false: the result has the code. */
bool place_of(struct transaction *t, size_t command, struct location *l, struct node_place *place);
/* The instance as it stands with what was staged; NULL: there is none. */
const struct stored_instance *transaction_see(struct transaction *t, const struct node_place *place,
                                              bool user);
void refuse(struct transaction *t, size_t command, unsigned code, const char *reason);
/* The code for an error, and its sentence. */
void refuse_error(struct transaction *t, size_t command, const struct error *e);
uid_t owner_at(const struct transaction *t, bool user);
