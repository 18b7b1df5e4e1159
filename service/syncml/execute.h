/* The commands of a document in their order, each with its result. Loop's thread only. */
#pragma once

#include "daemon/daemon.h"
#include "policy/answer.h"
#include "policy/command.h"

struct execution;

/*
 * Executes; @done is called in a later turn, when each item of @commands has its result. @commands and
 * @results (zeroed) stay the caller's and must live until then. @user: whose ./User nodes are reached;
 * NO_OWNER: they do not exist.
 */
MUST_CHECK enum err commands_execute(struct daemon *d, const struct commands *commands,
                                     struct command_result *results, uid_t user, void (*done)(void *ctx),
                                     void *ctx, struct error *e);
