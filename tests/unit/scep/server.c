#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

/* The other end. */
struct peer {
        int fd;
        SSL *ssl; /* NULL: no TLS */
};

static bool send_all(const struct peer *peer, const void *data, size_t len)
{
        const char *p = data;

        while (len) {
                ssize_t n =
                        peer->ssl ? SSL_write(peer->ssl, p, (int)len) : send(peer->fd, p, len, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                p += n;
                len -= (size_t)n;
        }
        return true;
}

/* Until the peer closes or the test ends. */
static void wait_close(struct server *s, int fd)
{
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
        char octet[256];

        while (poll(fds, 2, -1) > 0 && !fds[1].revents)
                if (recv(fd, octet, sizeof octet, 0) <= 0)
                        return;
}

static size_t read_request(const struct peer *peer, char *request)
{
        size_t len = 0, want = 0;

        while (len < SERVER_REQUEST_MAX - 1) {
                const size_t room = SERVER_REQUEST_MAX - 1 - len;
                ssize_t n = peer->ssl ? SSL_read(peer->ssl, request + len, (int)room)
                                      : recv(peer->fd, request + len, room, 0);
                char *end;

                if (n <= 0)
                        return len;
                len += (size_t)n;
                request[len] = 0;
                if (request[0] == 0x16)
                        return len; /* a TLS ClientHello: nobody here speaks that */
                end = strstr(request, "\r\n\r\n");
                if (end && !want) {
                        char *length = strcasestr(request, "Content-Length:");

                        want = (size_t)(end + 4 - request) +
                               (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
                }
                if (want && len >= want)
                        return len;
        }
        return len;
}

static void answer(struct server *s, const struct peer *peer, const struct server_rule *rule,
                   const char *request, size_t len)
{
        char head[1024], extra[512] = "";
        struct bytes made = {0};
        struct view body = rule->body;

        if (rule->extra) {
                const char *at = strchr(rule->extra, '@');

                if (at)
                        snprintf(extra, sizeof extra, "%.*s%u%s", (int)(at - rule->extra), rule->extra,
                                 s->port, at + 1);
                else
                        snprintf(extra, sizeof extra, "%s", rule->extra);
        }
        if (!body.data && s->answer) {
                made = s->answer(request, len, s->ctx);
                body = bytes_view(&made);
        }
        snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s%s\r\n", rule->status,
                 rule->act == ACT_CUT ? body.len + 100 : body.len, s->keep ? "" : "Connection: close\r\n",
                 extra);
        if (send_all(peer, head, strlen(head)) && body.len)
                (void)send_all(peer, body.data, body.len);
        bytes_done(&made);
}

/* Octets both ways until one side ends. */
static void relay(struct server *s, int a, int b)
{
        char block[16384];

        for (;;) {
                struct pollfd fds[3] = {{.fd = a, .events = POLLIN},
                                        {.fd = b, .events = POLLIN},
                                        {.fd = s->stop[0], .events = POLLIN}};

                if (poll(fds, 3, -1) < 0 || fds[2].revents)
                        return;
                for (int i = 0; i < 2; i++) {
                        ssize_t n = fds[i].revents ? recv(fds[i].fd, block, sizeof block, 0) : 0;

                        if (fds[i].revents &&
                            (n <= 0 || send(i ? a : b, block, (size_t)n, MSG_NOSIGNAL) != n))
                                return;
                }
        }
}

static void tunnel(struct server *s, const struct peer *peer, const char *request)
{
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        const char *colon = strchr(request, ':');
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        to.sin_port = htons((unsigned short)(colon ? strtoul(colon + 1, NULL, 10) : 0));
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
            send_all(peer, "HTTP/1.1 200 Y\r\n\r\n", 18))
                relay(s, peer->fd, fd);
        (void)close(fd);
}

static void act(struct server *s, const struct peer *peer, const struct server_rule *rule,
                const char *request, size_t len)
{
        static const char endless[] = "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n",
                          headers[] = "HTTP/1.1 200 X\r\n";
        char block[4096];

        memset(block, 'x', sizeof block);
        switch (rule->act) {
        case ACT_ANSWER:
        case ACT_CUT:
                answer(s, peer, rule, request, len);
                break;
        case ACT_CLOSE:
                break;
        case ACT_STALL:
                wait_close(s, peer->fd);
                break;
        case ACT_GARBAGE:
                (void)send_all(peer, "220 mail ready\r\n", 16);
                break;
        case ACT_ENDLESS:
                (void)send_all(peer, endless, sizeof endless - 1);
                while (send_all(peer, block, sizeof block))
                        ;
                break;
        case ACT_HEADERS:
                (void)send_all(peer, headers, sizeof headers - 1);
                memcpy(block, "X: ", 3);
                memcpy(block + 1000, "\r\n", 2);
                while (send_all(peer, block, 1002))
                        ;
                break;
        case ACT_TUNNEL:
                tunnel(s, peer, request);
                break;
        }
}

/* One request. false: the connection is at its end. */
static bool serve_one(struct server *s, const struct peer *peer)
{
        char *request = malloc(SERVER_REQUEST_MAX);
        size_t len = read_request(peer, request), line;
        const struct server_rule *rule;
        bool go_on = s->keep && len > 0;

        request[len] = 0;
        line = strcspn(request, "\r");
        for (rule = s->rules; rule->match; rule++) {
                const char *at = strstr(request, rule->match);

                if (at && at < request + line)
                        break;
        }
        if (s->n < SERVER_REQUESTS_MAX && (len > 0 || !s->keep)) {
                s->requests[s->n] = malloc(len + 1);
                memcpy(s->requests[s->n], request, len + 1);
                s->lens[s->n++] = len;
        }
        if (rule->match)
                act(s, peer, rule, request, len);
        free(request);
        return go_on && rule->act == ACT_ANSWER;
}

static bool shake_hands(struct server *s, struct peer *peer)
{
        X509 *cert;

        peer->ssl = SSL_new(s->tls);
        if (SSL_set_fd(peer->ssl, peer->fd) != 1 || SSL_accept(peer->ssl) != 1)
                return false;
        s->handshakes++;
        cert = SSL_get1_peer_certificate(peer->ssl);
        if (cert)
                (void)X509_NAME_oneline(X509_get_subject_name(cert), s->peer, sizeof s->peer);
        X509_free(cert);
        return true;
}

static void serve(struct server *s, int fd)
{
        struct peer peer = {.fd = fd};

        s->connections++;
        if (!s->tls || shake_hands(s, &peer)) {
                while (serve_one(s, &peer))
                        ;
                if (peer.ssl)
                        (void)SSL_shutdown(peer.ssl);
        }
        (void)shutdown(fd, SHUT_WR);
        wait_close(s, fd);
        SSL_free(peer.ssl);
        ERR_clear_error();
}

static void *run(void *ctx)
{
        struct server *s = ctx;

        for (;;) {
                struct pollfd fds[2] = {{.fd = s->fd, .events = POLLIN},
                                        {.fd = s->stop[0], .events = POLLIN}};
                int fd;

                if (poll(fds, 2, -1) < 0 || fds[1].revents)
                        return NULL;
                fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
                if (fd < 0)
                        return NULL;
                serve(s, fd);
                (void)close(fd);
        }
}

void server_start(struct server *s, const struct server_rule *rules)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;

        if (s->address)
                address.sin_addr.s_addr = htonl(s->address);
        (void)signal(SIGPIPE, SIG_IGN); /* SSL_write() has no MSG_NOSIGNAL */
        s->rules = rules;
        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(s->fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(s->fd, 16), 0);
        assert_int_equal(getsockname(s->fd, (struct sockaddr *)&address, &len), 0);
        s->port = ntohs(address.sin_port);
        assert_int_equal(pipe(s->stop), 0);
        assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

void server_stop(struct server *s)
{
        (void)!write(s->stop[1], "x", 1);
        (void)pthread_join(s->thread, NULL);
        (void)close(s->fd), (void)close(s->stop[0]), (void)close(s->stop[1]);
        for (size_t i = 0; i < s->n; i++)
                free(s->requests[i]);
        *s = (struct server){0};
}

SSL_CTX *server_tls(const struct server_tls *spec)
{
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

        assert_non_null(ctx);
        assert_int_equal(SSL_CTX_use_certificate(ctx, spec->cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(ctx, spec->key), 1);
        if (spec->max_version)
                assert_int_equal(SSL_CTX_set_max_proto_version(ctx, spec->max_version), 1);
        if (spec->groups)
                assert_int_equal(SSL_CTX_set1_groups_list(ctx, spec->groups), 1);
        if (spec->suites)
                assert_int_equal(SSL_CTX_set_ciphersuites(ctx, spec->suites), 1);
        if (spec->clients) {
                assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), spec->clients), 1);
                SSL_CTX_set_verify(
                        ctx, SSL_VERIFY_PEER | (spec->optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT), NULL);
        }
        return ctx;
}
