/*
 * Values for a profile's variables, from the machine and from the owner's own account. sources.c says in one
 * table who is asked for what; nothing in it can be written by a user (no GECOS, no home directory, no
 * environment). They are gathered before the plan is made: files and name services in a thread of a pool,
 * other services over the bus, each at most 5 s, all together at most 15 s.
 */
#pragma once

#include "daemon/daemon.h"
#include "policy/fact.h"
#include "store/record.h"

/* Each fact that was asked for: its value, or why there is none. */
struct fact_values;
struct facts_gather;

typedef void facts_gathered(void *ctx, struct fact_values *values);

/*
 * Gathers the facts in @needed (bits 1 << fact) for @owner, NO_OWNER being the device. Loop's thread only.
 * @done(ctx, values) is called once, later, with what it then owns (fact_values_free()), unless it is
 * cancelled; *ret is valid until then.
 */
MUST_CHECK enum err facts_gather(struct daemon *d, uid_t owner, uint32_t needed, facts_gathered *done,
                                 void *ctx, struct facts_gather **ret, struct error *e);
/* @done will not be called. What is under way ends by itself. Takes NULL. */
void facts_gather_cancel(struct facts_gather *gather);

/*
 * A seam for the expansion; borrows @values, which may be NULL: none were needed. A fact without a value is
 * ERR_NOT_FOUND and tells whom was asked and what to do, one whose source does not answer now keeps that
 * source's code. Any thread.
 */
struct facts facts_of(struct fact_values *values);
/* Takes NULL. */
void fact_values_free(struct fact_values *values);

static inline void fact_values_free_p(struct fact_values **values)
{
        fact_values_free(*values);
}
