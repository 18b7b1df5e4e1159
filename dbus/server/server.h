/*
 * The daemon's side of the bus: one connection on an sd-event loop, a dispatcher for tables of methods and
 * properties, signals to those who may see them, and calls to other services. Nothing here blocks but
 * bus_server_new() and bus_server_own(), which are for the start, and bus_server_free(), which flushes. Main
 * loop's thread only.
 *
 * The way of a call: (1) the caller's uid is asked of the bus, once per connection, and the call waits for
 * it; (2) the object is looked up, and one the caller may not see is as good as missing; (3) interface,
 * method and signature are checked; (4) where the method has an action, the daemon's authorise() decides, at
 * once or later; (5) the object is looked up again, because (4) may take minutes, and the handler runs.
 *
 * org.freedesktop.DBus.{Peer,Introspectable,Properties} are implemented on every object, ObjectManager on
 * BUS_PATH.
 */
#pragma once

#include "bus-server/call.h"
#include "bus-server/object.h"

struct sd_event;
struct bus_server;

/* @refusal NULL: granted. Called exactly once for each authorise(), at once or later. */
typedef void bus_authorised(struct bus_call *call, const struct error *refusal);

struct bus_server_setup {
        struct sd_event *event;
        const char *address; /* of the bus; NULL: the system bus */
        struct bus_tree tree;
        void *ctx;
        /*
         * May this call do @action (the method's) to @object? The answer may depend on the object's owner and
         * on the arguments (bus_call_reader()). @object is not to be kept; @call is held until @done.
         */
        void (*authorise)(void *ctx, struct bus_call *call, const char *action,
                          const struct bus_object *object, bus_authorised *done);
        /* The connection is gone for good; the server stays valid and mute. */
        void (*lost)(void *ctx);
        /* A call is being answered with this error. NULL: nobody wants to know. */
        void (*failed)(void *ctx, const struct error *fault);
};

/* ERR_NO_SERVICE: there is no bus at the address. *ret: bus_server_free(). */
MUST_CHECK enum err bus_server_new(const struct bus_server_setup *setup, struct bus_server **ret,
                                   struct error *e);
/* Flushes, closes, ends pending questions with ERR_CANCELLED. Calls that are still held stay valid and go
 * nowhere. Takes NULL. */
void bus_server_free(struct bus_server *server);

static inline void bus_server_free_p(struct bus_server **server)
{
        bus_server_free(*server);
}

/* Takes the well-known name. ERR_EXISTS: another process has it. ERR_DENIED: the bus policy does not allow
 * it. */
MUST_CHECK enum err bus_server_own(struct bus_server *server, const char *name, struct error *e);

/*
 * Signals. Public objects: broadcast. Others: unicast to the connections of their owner and of root that have
 * called GetManagedObjects or bus_call_subscribe(). A signal that cannot be made for want of memory is
 * dropped: clients see the state at their next look.
 */
void bus_server_added(struct bus_server *server, const struct bus_object *object);
/* The object must no longer be found in the tree, or be about to go from it in this turn of the loop. */
void bus_server_removed(struct bus_server *server, const struct bus_object *object);
/*
 * @properties (a list that ends in NULL) of @interface have new values, which are read and sent once, later
 * in the loop, however often this is called before. To be called when the new state is on disk.
 */
void bus_server_changed(struct bus_server *server, const char *path, const struct bus_interface *interface,
                        const char *const *properties);

/*
 * Signals of other services. @heard gets the arguments at the first one; anybody can send a signal to us
 * alone, so what it tells is believed only if bus_reader_sender() is who answered a question before.
 * Strings of @signal are the caller's and stay. *ret: bus_listener_free(), before the server goes.
 */
struct bus_signal_name {
        const char *sender, *path, *interface, *member;
};
typedef void bus_heard(void *ctx, struct bus_reader *args);
struct bus_listener;
MUST_CHECK enum err bus_server_listen(struct bus_server *server, const struct bus_signal_name *signal,
                                      bus_heard *heard, void *ctx, struct bus_listener **ret,
                                      struct error *e);
void bus_listener_free(struct bus_listener *listener); /* takes NULL */

/* Nobody wants to know any more when @name leaves: bus_call_watch(). */
void bus_server_unwatch(struct bus_server *server, const char *name);

/* Begins a call to another connection; NULL: no memory, which bus_server_ask() will tell. */
struct bus_writer *bus_question(const char *destination, const char *path, const char *interface,
                                const char *member);
/* @failure NULL: @answer stands at the first argument and is not to be kept. */
typedef void bus_answered(void *ctx, struct bus_reader *answer, const struct error *failure);
/*
 * Sends it; @w is gone in any case. After ERR_OK @done is called exactly once, never from within this
 * function, at the latest after @timeout_ms or in bus_server_free(); after an error never.
 */
MUST_CHECK enum err bus_server_ask(struct bus_server *server, struct bus_writer *w, int timeout_ms,
                                   bus_answered *done, void *ctx, struct error *e);
/* The question that was asked with @done and @ctx is dropped, and @done is not called any more. */
void bus_server_drop(struct bus_server *server, bus_answered *done, void *ctx);
/* Sends a call without waiting for an answer; @w is gone in any case. Best effort. */
void bus_server_tell(struct bus_server *server, struct bus_writer *w);
