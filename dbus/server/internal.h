/* What the files of the server share; not for the daemon. */
#pragma once

#include <stdint.h>

#include <dbus/dbus.h>
#include <systemd/sd-event.h>

#include "bus-server/loop.h"
#include "bus-server/server.h"

enum {
        CALLERS_MAX = 384,      /* connections that are remembered; the bus allows 512 match rules */
        CALLERS_PER_USER = 32,  /* of them, for one user that is not root */
        WAITING_PER_CALLER = 16 /* calls that wait for the caller's uid */
};

/* A connection that has called us. It is forgotten when it leaves the bus. */
struct bus_caller {
        char *name; /* unique name on the bus */
        uid_t uid;
        bool known; /* uid is */
        bool subscribed;
        bus_left *left; /* NULL: nobody wants to know */
        void *left_ctx;
        uint64_t used; /* larger: later */
        struct bus_call *waiting, **waiting_end;
        unsigned n_waiting;
};

/* Properties that changed and were not yet sent. */
struct bus_change {
        struct bus_change *next;
        const struct bus_interface *interface;
        uint64_t properties; /* bit n: interface->properties[n] */
        char path[];
};

struct bus_question {
        struct bus_question *next, **link;
        DBusPendingCall *pending;
        bus_answered *done;
        void *ctx;
};

struct bus_server {
        struct bus_server_setup setup;
        DBusConnection *connection;
        struct bus_loop *loop;
        uid_t own_uid;
        struct bus_caller *callers[CALLERS_MAX];
        size_t n_callers;
        uint64_t clock; /* of bus_caller.used */
        struct bus_change *changes;
        sd_event_source *flush_changes;
        struct bus_question *questions;
        struct bus_call *calls; /* all that live */
        struct bus_listener *listeners;
};

struct bus_call {
        unsigned refs;
        struct bus_server *server; /* NULL: freed before us */
        struct bus_call *prev, *next;
        struct bus_call *next_waiting;
        DBusConnection *connection;
        DBusMessage *message;
        struct bus_reader *reader;
        uid_t uid;
        const struct bus_method *method;       /* set once it is found */
        const struct bus_interface *interface; /* of the method */
        bool answered;
};

/* server.c */
bool server_is_root(const struct bus_server *server, uid_t uid);
/* Root's view for the daemon's own uid. */
uid_t server_viewer(const struct bus_server *server, uid_t uid);
bool server_may_see(const struct bus_server *server, const struct bus_object *object, uid_t uid);
/* Consumes the writer; best effort. @destination NULL: broadcast. */
void server_send_signal(struct bus_server *server, struct bus_writer *w, const char *destination);

/* callers.c */
/* Finds or remembers the sender and, when its uid is known, gives the call to dispatch_call(). */
void callers_take(struct bus_server *server, struct bus_call *call);
void callers_forget(struct bus_server *server, const char *name);
void callers_done(struct bus_server *server);
struct bus_caller *callers_find(struct bus_server *server, const char *name);

/* call.c */
struct bus_call *call_new(struct bus_server *server, DBusMessage *message);
/* Answers with an error of the bus's own names, which have one argument. */
void call_fail_name(struct bus_call *call, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* dispatch.c: the uid is known. */
void dispatch_call(struct bus_call *call);
const struct bus_method *interface_method(const struct bus_interface *interface, const char *name);

/* standard.c */
/* The methods of the standard interfaces on @object, or on a node of the path that is no object (NULL).
 * false: the call is for none of them. */
bool standard_call(struct bus_call *call, const struct bus_object *object);
/* The node has visible objects below it. */
bool standard_node_exists(struct bus_server *server, const char *path, uid_t uid);
/* a{sa{sv}}: all interfaces of an object with all their properties. */
void standard_write_interfaces(struct bus_writer *w, const struct bus_object *object, uid_t viewer);

/* listen.c: a signal came, of the bus too. */
void listeners_hear(struct bus_server *server, DBusMessage *message);

/* signals.c */
int signals_flush(sd_event_source *source, void *server);
void signals_done(struct bus_server *server);
