/*
 * polkit's CheckAuthorization about a caller of ours, asynchronously: nobody waits while somebody types a
 * password. Loop's thread only.
 */
#pragma once

#include "daemon/daemon.h"

struct bus_call;

/* @refusal NULL: granted. */
typedef void polkit_answered(void *ctx, const struct error *refusal);

/*
 * May the sender of @call do @action? A dialogue is opened only if the message allows one. @name: of the
 * object that is meant, for rules (action.lookup("name"), with "method"); NULL: none. After ERR_OK
 * @done is called exactly once, later; ERR_LIMIT: so many questions about this user are open already.
 * @call is borrowed until then.
 */
MUST_CHECK enum err polkit_ask(struct daemon *d, struct bus_call *call, const char *action, const char *name,
                               polkit_answered *done, void *ctx, struct error *e);
