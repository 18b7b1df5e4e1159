/*
 * What the daemon puts on the bus: tables for its interfaces, and the tree in which its objects are found.
 * Nothing of it is copied; tables are constant and objects belong to the daemon.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct bus_call;
struct bus_writer;

struct bus_method {
        const char *name;
        const char *in;     /* signature of the arguments: checked before anything else */
        const char *out;    /* signature of the answer: asserted when it is sent */
        const char *action; /* polkit action to authorise before the handler runs; NULL: none */
        /*
         * Reads its arguments (bus_call_reader()), acts, and either answers with bus_call_reply(), or keeps
         * the call with bus_call_ref() and answers later, or returns an error, with which the dispatcher then
         * answers.
         */
        enum err (*call)(void *object, struct bus_call *call, struct error *e);
};

/* Viewer of a property in a signal that goes to everybody: show nothing that is hidden from anyone. */
#define BUS_VIEWER_EVERYBODY ((uid_t)-1)

struct bus_property {
        const char *name;
        const char *signature;
        /* Writes exactly one value of @signature. @viewer: who will read it; 0 stands for the daemon's own
         * uid too. */
        void (*get)(void *object, uid_t viewer, struct bus_writer *w);
};

struct bus_interface {
        const char *name;
        const char *introspection; /* its <interface> element, as in bus/introspection.h */
        const struct bus_method *methods;
        size_t n_methods;
        const struct bus_property *properties; /* at most 64 */
        size_t n_properties;
};

struct bus_object {
        const char *path;
        void *object;                                  /* first argument of handlers and getters */
        const struct bus_interface *const *interfaces; /* ends in NULL */
        bool is_public;                                /* everybody sees it; else the owner and root alone */
        uid_t owner;                                   /* where it is not public */
};

/* The daemon's objects. Whether a caller sees one is decided by the server, from is_public and owner. */
struct bus_tree {
        void *ctx;
        /* false: there is none. *ret is used at once and not kept. */
        bool (*find)(void *ctx, const char *path, struct bus_object *ret);
        /* Visits all of them, in any order; the visitor changes nothing. */
        void (*each)(void *ctx, void (*visit)(void *visit_ctx, const struct bus_object *object),
                     void *visit_ctx);
};
