/* Listening, credentials, reading frames. */
#include "server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "connection.h"
#include "daemon/log.h"
#include "groups.h"
#include "listen.h"

enum { CONNECTIONS_PER_UID = 64, CONNECTIONS_MAX = 1024 };

struct key_server {
        struct daemon *d;
        struct key_listener listener;
        sd_event_source *io;
        struct connection *connections;
        unsigned n_connections;
};

struct daemon *connection_daemon(const struct connection *connection)
{
        return connection->server->d;
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
        (void)sd_event_source_disable_unref(STEAL(connection->io));
        (void)shutdown(connection->fd, SHUT_RDWR);
        connection_unref(connection);
}

/* Takes the whole frames that are there. false: to be closed. */
static bool take_frames(struct connection *connection)
{
        size_t at = 0;

        while (connection->have - at >= FRAME_HEADER) {
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
        }
        memmove(connection->in, connection->in + at, connection->have - at);
        connection->have -= at;
        return true;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct connection *connection = ctx;
        ssize_t n;

        (void)source;
        (void)events;
        do
                n = recv(fd, connection->in + connection->have, sizeof connection->in - connection->have,
                         MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                return 0;
        if (n > 0)
                connection->have += (size_t)n;
        if (n <= 0 || !take_frames(connection))
                drop(connection);
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

static unsigned connections_of(const struct key_server *server, uid_t uid)
{
        unsigned count = 0;

        for (const struct connection *c = server->connections; c; c = c->next)
                count += c->peer.uid == uid;
        return count;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct key_server *server = ctx;
        struct connection *connection;
        CLEANUP(close_p) int client = -1;
        struct key_peer peer;
        pid_t pid = 0;

        (void)source;
        (void)events;
        if (server->n_connections >= CONNECTIONS_MAX) {
                (void)sd_event_source_set_enabled(server->io, SD_EVENT_OFF);
                return 0;
        }
        client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0 || !learn_peer(server->d, client, &peer, &pid))
                return 0;
        if (!peer.root && connections_of(server, peer.uid) >= CONNECTIONS_PER_UID) {
                log_line(LOG_WARNING,
                         "The user %lu holds too many connections to the key socket, ignoring one more",
                         (unsigned long)peer.uid);
                return 0;
        }
        connection = calloc(1, sizeof *connection);
        if (!connection)
                return 0;
        atomic_init(&connection->references, 1);
        (void)pthread_mutex_init(&connection->writing, NULL);
        connection->fd = steal_fd(&client);
        connection->peer = peer;
        connection->pid = pid;
        connection->server = server;
        if (sd_event_add_io(server->d->event, &connection->io, connection->fd, EPOLLIN, on_readable,
                            connection) < 0) {
                connection_unref(connection);
                return 0;
        }
        connection->next = server->connections;
        server->connections = connection;
        server->n_connections++;
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
