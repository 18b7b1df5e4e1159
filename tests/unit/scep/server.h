/*
 * A tiny HTTP server on loopback, one thread, one connection after the other: each request is matched against
 * a script and kept. Tests wait for nothing but its end.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

enum server_act {
        ACT_ANSWER,  /* status, type, body */
        ACT_CLOSE,   /* closes without a word */
        ACT_STALL,   /* answers nothing until the client leaves */
        ACT_CUT,     /* announces more octets than it sends */
        ACT_GARBAGE, /* no HTTP */
        ACT_ENDLESS, /* a body without end */
        ACT_HEADERS, /* headers without end */
};

struct server_rule {
        const char *match; /* in the request line; NULL: ends the script */
        enum server_act act;
        int status;
        const char *extra; /* header lines with CRLF, "" or NULL; @ stands for the port */
        struct view body;
};

enum { SERVER_REQUESTS_MAX = 16, SERVER_REQUEST_MAX = 64 * 1024 };

struct server {
        int fd, stop[2];
        unsigned short port;
        const struct server_rule *rules;
        /* Called for a rule-less match, to make a body from the request; may be NULL. bytes_done() is the
         * server's. */
        struct bytes (*answer)(const char *request, size_t len, void *ctx);
        void *ctx;
        pthread_t thread;
        char *requests[SERVER_REQUESTS_MAX]; /* heads and bodies as they came */
        size_t lens[SERVER_REQUESTS_MAX], n;
};

void server_start(struct server *s, const struct server_rule *rules);
void server_stop(struct server *s);
