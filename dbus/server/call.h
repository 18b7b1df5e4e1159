/*
 * One incoming call, from its arrival to its one answer. The dispatcher owns it while the handler runs; who
 * wants to answer later takes a reference and drops it after answering. A call that is dropped without an
 * answer is answered with ERR_FAILED: no caller is left waiting. Main loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "bus/options.h"
#include "bus/write.h"

struct bus_call;

struct bus_call *bus_call_ref(struct bus_call *call);
/* Takes NULL. */
void bus_call_unref(struct bus_call *call);

static inline void bus_call_unref_p(struct bus_call **call)
{
        bus_call_unref(*call);
}

/* The arguments from the first on. The call's own, valid until the next bus_call_reader() or the end of the
 * call. */
struct bus_reader *bus_call_reader(struct bus_call *call);

/* Who calls: unique name on the bus, and the uid that owns it (as the bus says, not as the message says). */
const char *bus_call_sender(const struct bus_call *call);
uid_t bus_call_uid(const struct bus_call *call);
/* uid 0 or the daemon's own. */
bool bus_call_is_root(const struct bus_call *call);
const char *bus_call_path(const struct bus_call *call);
const char *bus_call_member(const struct bus_call *call);
/* The caller allows a dialogue that asks for a password. */
bool bus_call_interactive(const struct bus_call *call);
bool bus_call_answered(const struct bus_call *call);

/*
 * Signals about objects hidden from others go to this caller from now on. ERR_LIMIT where the caller's user
 * holds too many connections.
 */
MUST_CHECK enum err bus_call_subscribe(struct bus_call *call, struct error *e);

/*
 * @left is called once this caller has left the bus, unless bus_server_unwatch() comes before; until then the
 * caller is not forgotten. One for a caller. ERR_CANCELLED: he has left already.
 */
typedef void bus_left(void *ctx, const char *name);
MUST_CHECK enum err bus_call_watch(struct bus_call *call, bus_left *left, void *ctx, struct error *e);

/* Begins the answer: write the method's out arguments, then bus_call_reply(). May be NULL (no memory): write
 * on. */
struct bus_writer *bus_call_begin(struct bus_call *call);
/* Sends it; @w is gone in any case. A failure leaves the call unanswered. To answer twice is a programming
 * error. */
MUST_CHECK enum err bus_call_reply(struct bus_call *call, struct bus_writer *w, struct error *e);
/* Answers with an empty message. */
MUST_CHECK enum err bus_call_reply_empty(struct bus_call *call, struct error *e);
/* Answers with an error. @details: further arguments that the method documents. */
void bus_call_fail(struct bus_call *call, const struct error *fault);
void bus_call_fail_with(struct bus_call *call, const struct error *fault, const char *const *details,
                        size_t n);
