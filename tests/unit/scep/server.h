/*
 * A tiny HTTP server on loopback, with TLS if asked for, one thread, one connection after the other: each
 * request is matched against a script and kept. Tests wait for nothing but its end.
 */
#pragma once

#include <openssl/ssl.h>
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
        ACT_TUNNEL,  /* a proxy: CONNECT to that port of loopback, whatever the host */
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
        SSL_CTX *tls;     /* NULL: none; borrowed */
        uint32_t address; /* host order; 0: 127.0.0.1 */
        bool keep;        /* a connection takes one request after another */
        pthread_t thread;
        char *requests[SERVER_REQUESTS_MAX]; /* heads and bodies as they came */
        size_t lens[SERVER_REQUESTS_MAX], n;
        unsigned connections, handshakes; /* that came; that succeeded */
        char peer[128];                   /* subject of the last client certificate */
};

struct server_tls {
        X509 *cert;
        EVP_PKEY *key;
        X509 *clients;      /* whoever shows a certificate of this CA is let in; NULL: everybody */
        bool optional;      /* one without is let in, too */
        int max_version;    /* TLS1_2_VERSION; 0: any */
        const char *groups; /* "P-256"; NULL: any */
        const char *suites; /* "TLS_AES_128_GCM_SHA256"; NULL: any */
};
/* SSL_CTX_free(). */
SSL_CTX *server_tls(const struct server_tls *spec);

void server_start(struct server *s, const struct server_rule *rules);
void server_stop(struct server *s);
