/*
 * A server's answer on the wire: the first octet says how it is asked (1: by POST, 2: a file, 4: a page's
 * worth is too much), the rest is what comes. The server, a thread of this program, is also the proxy of
 * every request, so that no redirect leaves the machine and no name is looked up.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/parse.h"
#include "fuzz.h"
#include "scep-http/http.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct view answer; /* of the request under way; empty between two */

/* Its own copy: whoever asked may be gone before all is sent. */
static struct bytes copy_answer(void)
{
        struct bytes copy = {0};

        (void)pthread_mutex_lock(&lock);
        fuzz_promise(bytes_copy(&copy, answer.data, answer.len, NULL) == ERR_OK, "there is memory");
        (void)pthread_mutex_unlock(&lock);
        return copy;
}

static void set_answer(struct view next)
{
        (void)pthread_mutex_lock(&lock);
        answer = next;
        (void)pthread_mutex_unlock(&lock);
}

static void serve(int fd)
{
        const struct timeval patience = {.tv_sec = 1}, moment = {.tv_usec = 5000};
        CLEANUP(bytes_done) struct bytes all = {0};
        char request[65536];

        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (recv(fd, request, sizeof request, 0) <= 0)
                return;
        all = copy_answer();
        for (struct view left = bytes_view(&all); left.len;) {
                const ssize_t n = send(fd, left.data, left.len, MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                left = (struct view){left.data + n, left.len - (size_t)n};
        }
        (void)shutdown(fd, SHUT_WR);
        /* A client that follows a redirect may leave this connection open meanwhile. */
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
        while (recv(fd, request, sizeof request, 0) > 0)
                ;
}

/* What the worker's record takes. */
static bool can_be_told(const char *text)
{
        for (const char *p = text; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return false;
        return utf8_valid(str_view(text));
}

static void *server(void *ctx)
{
        const int listener = *(const int *)ctx;

        for (;;) {
                const int fd = accept(listener, NULL, NULL);

                if (fd < 0)
                        continue;
                serve(fd);
                (void)close(fd);
        }
        return NULL;
}

/* The port it listens on. */
static unsigned start(void)
{
        static int listener;
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        pthread_t thread;

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        fuzz_promise(listener >= 0 && bind(listener, (struct sockaddr *)&address, len) == 0 &&
                             listen(listener, 16) == 0 &&
                             getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
                             pthread_create(&thread, NULL, server, &listener) == 0,
                     "there is a server");
        fuzz_promise(http_global_init(NULL) == ERR_OK, "there is a client");
        return ntohs(address.sin_port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char proxy[64];
        struct http_options options = {.proxy = proxy, .connect_ms = 2000, .total_ms = 4000};
        struct http_request request = {.url = "http://server/scep", .operation = "GetCACert"};
        struct http_reply reply = {0};
        struct error e = {0};
        size_t max;
        enum err r;

        if (!*proxy)
                (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", start());
        if (size < 1)
                return 0;
        set_answer((struct view){data + 1, size - 1});
        if (data[0] & 1)
                request.body = str_view("a message");
        if (data[0] & 2) {
                request.is_file = true;
                request.operation = NULL;
        }
        if (data[0] & 4)
                request.max = 64;
        max = request.max ? request.max : HTTP_BODY_MAX;
        r = http_perform(&request, &options, &reply, &e);
        set_answer((struct view){0});
        fuzz_whole(r, &e);
        fuzz_promise(reply.body.len <= max, "no more is taken than was allowed");
        fuzz_promise(r || reply.status == 200, "an answer is one with 200");
        fuzz_promise(reply.retry_after <= HTTP_RETRY_AFTER_MAX, "nobody is sent away for longer");
        fuzz_promise(can_be_told(reply.type) && can_be_told(reply.target), "what is kept can be told");
        http_reply_done(&reply);
        return 0;
}
