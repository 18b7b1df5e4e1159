/* One connection to the key socket. Inside service/keys only. */
#pragma once

#include <stdatomic.h>
#include <pthread.h>
#include <systemd/sd-event.h>

#include "access.h"
#include "daemon/daemon.h"

enum { HANDLES_MAX = 64, OPERATIONS_MAX = 8 };

/* Counted: by the server, and by each operation at work, whose answer is written by whoever finished it. */
struct connection {
        atomic_uint references;
        atomic_uint operations; /* at work */
        pthread_mutex_t writing;
        int fd;
        struct key_peer peer;
        pid_t pid;                            /* for people to read: no right follows from it */
        struct ksp_key *handles[HANDLES_MAX]; /* handle n is slot n - 1; a reference each */
        uint64_t orders[HANDLES_MAX];         /* the model's, of the certificates they were opened by */
        uint64_t generations[HANDLES_MAX];    /* and of these the one that the key is of */

        /* the server's, in the loop alone */
        struct key_server *server;
        struct connection *next;
        sd_event_source *io;
        bool waiting; /* for another one of its user to end; not read till then */
        bool more;    /* whole frames may be left in @in */
        size_t have;
        uint8_t in[FRAME_HEADER + FRAME_KEYS_MAX];
};

void connection_unref(struct connection *connection);
/* Writes a frame at once or breaks the connection: a client that does not read its answers is none. Any
 * thread. */
void connection_send(struct connection *connection, enum frame_type type, uint32_t id, struct view body);
void connection_send_error(struct connection *connection, uint32_t id, const struct error *e);
/* Whether this peer may do this with the keys of @certificate just now: access_decide(), with the groups of
 * its profile as they are (groups.h). NULL: there is no such certificate. requests.c */
MUST_CHECK enum err connection_may(const struct connection *connection, const struct certificate *certificate,
                                   enum frame_type operation, struct error *e);
/* One whole request. false: the connection broke the protocol and is to be closed. requests.c */
bool connection_take(struct connection *connection, const struct frame_header *h, struct view body);
/* What was asked failed so: looked into (daemon/intact.h) when the loop reads the next request of anybody.
 * Any thread. */
void connection_failed(const struct connection *connection, enum err code);
/* The daemon of a connection's server. */
struct daemon *connection_daemon(const struct connection *connection);
