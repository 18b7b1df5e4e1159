/* Who comes in, who waits, credentials, reading frames. */
#include "server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "connection.h"
#include "daemon/intact.h"
#include "daemon/log.h"
#include "groups.h"
#include "listen.h"
#include "pin/line.h"

/*
 * A user has so many connections that are served, and as many that wait for one of these to end: they are
 * accepted, as in the kernel's line they would keep everybody behind them waiting, and not read. What is more
 * is closed. Root is not counted, and has places that nobody takes.
 */
enum { CONNECTIONS_PER_UID = 64, WAITING_PER_UID = 64, CONNECTIONS_MAX = 1024, KEPT_FOR_ROOT = 128 };
enum { FRAMES_PER_TURN = 8, PAUSE_USEC = 1000000, TELL_SECONDS = 60 };

struct key_server {
        struct daemon *d;
        struct key_listener listener;
        sd_event_source *io;
        sd_event_source
                *pause; /* after a failure to accept that repeats at once: no descriptors, no memory */
        struct connection *connections; /* the youngest first */
        unsigned n_connections;
        atomic_int failed; /* enum err of the last request that failed, which is to be looked into; or 0 */
        uint64_t told;     /* when the last line about closed ones was written; 0: never */
        unsigned closed;   /* since then */
};

struct daemon *connection_daemon(const struct connection *connection)
{
        return connection->server->d;
}

void connection_failed(const struct connection *connection, enum err code)
{
        atomic_store(&connection->server->failed, (int)code);
}

static void look_into_failure(struct key_server *server)
{
        const struct error why = {.code = (enum err)atomic_exchange(&server->failed, ERR_OK)};

        if (why.code)
                intact_look(server->d, &why);
}

static unsigned connections_of(const struct key_server *server, uid_t uid, bool waiting)
{
        unsigned count = 0;

        for (const struct connection *c = server->connections; c; c = c->next)
                count += c->peer.uid == uid && c->waiting == waiting;
        return count;
}

/* The one of this user that has waited longest. */
static void let_in(struct key_server *server, uid_t uid)
{
        struct connection *first = NULL;

        for (struct connection *c = server->connections; c; c = c->next)
                if (c->waiting && c->peer.uid == uid)
                        first = c;
        if (!first)
                return;
        first->waiting = false;
        (void)sd_event_source_set_io_events(first->io, EPOLLIN);
}

static void drop(struct connection *connection)
{
        struct key_server *server = connection->server;

        for (struct connection **p = &server->connections; *p; p = &(*p)->next) {
                if (*p == connection) {
                        *p = connection->next;
                        break;
                }
        }
        server->n_connections--;
        (void)sd_event_source_set_enabled(server->io, SD_EVENT_ON); /* who waits in accept may come in */
        if (!connection->waiting)
                let_in(server, connection->peer.uid);
        pin_line_leave(server->d->pin_line, connection);
        (void)sd_event_source_disable_unref(STEAL(connection->io));
        (void)shutdown(connection->fd, SHUT_RDWR);
        connection_unref(connection);
}

/* Takes whole frames that are there, a few: other connections, and the bus, have their turn. false: to be
 * closed. */
static bool take_frames(struct connection *connection, bool *ret_more)
{
        size_t at = 0;
        int taken = 0;

        look_into_failure(connection->server);
        while (taken < FRAMES_PER_TURN && connection->have - at >= FRAME_HEADER) {
                struct frame_header h;
                struct error e = {0};

                if (frame_header_decode(connection->in + at, FRAME_KEYS_MAX, &h, &e)) {
                        connection_send_error(connection, 0, &e);
                        return false;
                }
                if (connection->have - at < FRAME_HEADER + h.len)
                        break;
                if (!connection_take(connection, &h,
                                     (struct view){connection->in + at + FRAME_HEADER, h.len}))
                        return false;
                at += FRAME_HEADER + h.len;
                taken++;
        }
        memmove(connection->in, connection->in + at, connection->have - at);
        connection->have -= at;
        wipe(connection->in + connection->have, at); /* there may have been a PIN */
        *ret_more = taken == FRAMES_PER_TURN && connection->have >= FRAME_HEADER;
        return true;
}

static bool receive(struct connection *connection)
{
        ssize_t n;

        do
                n = recv(connection->fd, connection->in + connection->have,
                         sizeof connection->in - connection->have, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                return true;
        if (n > 0)
                connection->have += (size_t)n;
        return n > 0;
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct connection *connection = ctx;
        bool more = false;

        (void)fd;
        if (connection->waiting) { /* nothing is read, so this is its end */
                if (events & (EPOLLHUP | EPOLLERR))
                        drop(connection);
                return 0;
        }
        if ((!connection->more && !receive(connection)) || !take_frames(connection, &more)) {
                drop(connection);
                return 0;
        }
        /* There is room to write as long as it reads its answers: so this comes again at once, in its turn.
         */
        if (more != connection->more)
                (void)sd_event_source_set_io_events(source, more ? EPOLLIN | EPOLLOUT : EPOLLIN);
        connection->more = more;
        return 0;
}

/* Who is at the other end, as the kernel says. */
static bool learn_peer(const struct daemon *d, int fd, struct key_peer *ret, pid_t *ret_pid)
{
        struct ucred credentials;
        socklen_t len = sizeof credentials;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
                return false;
        *ret = (struct key_peer){.uid = credentials.uid, .gid = credentials.gid};
        ret->root = daemon_is_root(d, credentials.uid);
        *ret_pid = credentials.pid;
        len = sizeof ret->groups;
        /* More groups than fit: only the primary one counts, which errs on the safe side. */
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, ret->groups, &len) == 0)
                ret->n_groups = (unsigned)(len / sizeof *ret->groups);
        return true;
}

/* One line a minute, however many there are. */
static void tell_closed(struct key_server *server, uid_t uid)
{
        const uint64_t now = clock_now(&server->d->clock);

        server->closed++;
        if (server->told && now >= server->told && now - server->told < TELL_SECONDS)
                return;
        log_line(LOG_WARNING,
                 "The user %lu holds too many connections to the key socket, ignoring what comes besides (%u "
                 "of all users since this was last told)",
                 (unsigned long)uid, server->closed);
        server->told = now;
        server->closed = 0;
}

/* Whether this peer may have one more. *ret_waits: it is served later. */
static bool has_room(struct key_server *server, const struct key_peer *peer, bool *ret_waits)
{
        *ret_waits = false;
        if (peer->root)
                return true;
        *ret_waits = connections_of(server, peer->uid, false) >= CONNECTIONS_PER_UID;
        if (server->n_connections < CONNECTIONS_MAX - KEPT_FOR_ROOT &&
            (!*ret_waits || connections_of(server, peer->uid, true) < WAITING_PER_UID))
                return true;
        tell_closed(server, peer->uid);
        return false;
}

static void add(struct key_server *server, int *client, const struct key_peer *peer, pid_t pid, bool waits)
{
        struct connection *connection = calloc(1, sizeof *connection);

        if (!connection)
                return;
        atomic_init(&connection->references, 1);
        (void)pthread_mutex_init(&connection->writing, NULL);
        connection->fd = steal_fd(client);
        connection->peer = *peer;
        connection->pid = pid;
        connection->waiting = waits;
        connection->server = server;
        if (sd_event_add_io(server->d->event, &connection->io, connection->fd, waits ? 0 : EPOLLIN, on_ready,
                            connection) < 0) {
                connection_unref(connection);
                return;
        }
        connection->next = server->connections;
        server->connections = connection;
        server->n_connections++;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct key_server *server = ctx;
        CLEANUP(close_p) int client = -1;
        struct key_peer peer;
        pid_t pid = 0;
        bool waits;

        (void)events;
        if (server->n_connections >= CONNECTIONS_MAX) {
                (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
                return 0;
        }
        client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0 && learn_peer(server->d, client, &peer, &pid) && has_room(server, &peer, &waits)) {
                add(server, &client, &peer, pid, waits);
        } else if (client < 0 &&
                   (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
                log_line(LOG_WARNING, "The key socket takes nobody for a second: %s", strerror(errno));
                (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
                (void)sd_event_source_set_time_relative(server->pause, PAUSE_USEC);
                (void)sd_event_source_set_enabled(server->pause, SD_EVENT_ONESHOT);
        }
        return 0;
}

static int on_pause(sd_event_source *source, uint64_t usec, void *ctx)
{
        (void)source;
        (void)usec;
        key_server_open(ctx);
        return 0;
}

void key_server_open(struct key_server *server)
{
        if (server)
                (void)sd_event_source_set_enabled(server->io, SD_EVENT_ON);
}

enum err key_server_new(struct daemon *d, struct key_server **ret, struct error *e)
{
        struct key_server *server = calloc(1, sizeof *server);
        int failed;
        enum err r;

        if (!server)
                return error_no_memory(e);
        server->d = d;
        server->listener.fd = -1;
        r = key_listen(d->config.keys_socket, &server->listener, e);
        if (r) {
                key_server_free(server);
                return r;
        }
        failed = sd_event_add_io(d->event, &server->io, server->listener.fd, EPOLLIN, on_connection, server);
        if (failed >= 0)
                failed = sd_event_add_time_relative(d->event, &server->pause, CLOCK_MONOTONIC, PAUSE_USEC, 0,
                                                    on_pause, server);
        if (failed >= 0)
                failed = sd_event_source_set_enabled(server->pause, SD_EVENT_OFF);
        if (failed >= 0 && key_groups_are_awaited(d->key_groups))
                failed = sd_event_source_set_enabled(server->io, SD_EVENT_OFF);
        if (failed < 0) {
                key_server_free(server);
                return errno_error(e, -failed, "The event loop took no source");
        }
        *ret = server;
        return ERR_OK;
}

void key_server_free(struct key_server *server)
{
        if (!server)
                return;
        while (server->connections)
                drop(server->connections);
        (void)sd_event_source_disable_unref(STEAL(server->io));
        (void)sd_event_source_disable_unref(STEAL(server->pause));
        key_listener_done(&server->listener, server->d->config.keys_socket);
        free(server);
}

static void add_user(pid_t pid, pid_t pids[KEY_USERS_MAX], size_t *n)
{
        for (size_t i = 0; i < *n; i++)
                if (pids[i] == pid)
                        return;
        if (*n < KEY_USERS_MAX)
                pids[(*n)++] = pid;
}

void key_server_users(const struct key_server *server, const struct certificate *certificate,
                      struct key_users *ret)
{
        *ret = (struct key_users){0};
        for (const struct connection *c = server->connections; c; c = c->next) {
                for (size_t i = 0; i < HANDLES_MAX; i++) {
                        if (!c->handles[i] || c->orders[i] != certificate->order)
                                continue;
                        if (memcmp(ksp_key_id(c->handles[i]), certificate->key_id, KEY_ID_LEN) == 0)
                                add_user(c->pid, ret->current.pids, &ret->current.n);
                        else
                                add_user(c->pid, ret->old.pids, &ret->old.n);
                }
        }
}

bool key_server_holds(const struct key_server *server, const struct certificate *certificate,
                      const uint8_t key_id[20])
{
        for (const struct connection *c = server->connections; c; c = c->next)
                for (size_t i = 0; i < HANDLES_MAX; i++)
                        if (c->handles[i] && c->orders[i] == certificate->order &&
                            memcmp(ksp_key_id(c->handles[i]), key_id, KEY_ID_LEN) == 0)
                                return true;
        return false;
}
