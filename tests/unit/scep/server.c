#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

static bool send_all(int fd, const void *data, size_t len)
{
        const char *p = data;

        while (len) {
                ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

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

static size_t read_request(int fd, char *request)
{
        size_t len = 0, want = 0;

        while (len < SERVER_REQUEST_MAX - 1) {
                ssize_t n = recv(fd, request + len, SERVER_REQUEST_MAX - 1 - len, 0);
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

static void answer(struct server *s, int fd, const struct server_rule *rule, const char *request, size_t len)
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
        snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
                 rule->status, rule->act == ACT_CUT ? body.len + 100 : body.len, extra);
        if (send_all(fd, head, strlen(head)) && body.len)
                (void)send_all(fd, body.data, body.len);
        bytes_done(&made);
}

static void act(struct server *s, int fd, const struct server_rule *rule, const char *request, size_t len)
{
        static const char endless[] = "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n",
                          headers[] = "HTTP/1.1 200 X\r\n";
        char block[4096];

        memset(block, 'x', sizeof block);
        switch (rule->act) {
        case ACT_ANSWER:
        case ACT_CUT:
                answer(s, fd, rule, request, len);
                break;
        case ACT_CLOSE:
                break;
        case ACT_STALL:
                wait_close(s, fd);
                break;
        case ACT_GARBAGE:
                (void)send_all(fd, "220 mail ready\r\n", 16);
                break;
        case ACT_ENDLESS:
                (void)send_all(fd, endless, sizeof endless - 1);
                while (send_all(fd, block, sizeof block))
                        ;
                break;
        case ACT_HEADERS:
                (void)send_all(fd, headers, sizeof headers - 1);
                memcpy(block, "X: ", 3);
                memcpy(block + 1000, "\r\n", 2);
                while (send_all(fd, block, 1002))
                        ;
                break;
        }
}

static void serve(struct server *s, int fd)
{
        char *request = malloc(SERVER_REQUEST_MAX);
        size_t len = read_request(fd, request), line;
        const struct server_rule *rule;

        request[len] = 0;
        line = strcspn(request, "\r");
        for (rule = s->rules; rule->match; rule++) {
                const char *at = strstr(request, rule->match);

                if (at && at < request + line)
                        break;
        }
        if (s->n < SERVER_REQUESTS_MAX) {
                s->requests[s->n] = malloc(len + 1);
                memcpy(s->requests[s->n], request, len + 1);
                s->lens[s->n++] = len;
        }
        if (rule->match)
                act(s, fd, rule, request, len);
        free(request);
        (void)shutdown(fd, SHUT_WR);
        wait_close(s, fd);
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
