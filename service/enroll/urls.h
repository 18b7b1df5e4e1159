/* Which of the plan's servers are asked, and in which order (design §5, several URLs). Loop's thread. */
#pragma once

#include "internal.h"

/*
 * The order: a request that waits for approval is asked after where it was made, nowhere else; one that was
 * stored, or sent without an answer, goes there first. Then the plan's order, without those that failed in
 * this attempt. Never none. Borrows from @en.
 */
void urls_to_ask(const struct enrollment *en, struct job_texts *ret);
/* The server of the request does not answer it: the others come before it until this attempt ends. false: no
 * other is left. */
bool urls_pass_over(struct enrollment *en);
