/*
 * One HTTP operation against a SCEP server, with bounds (RFC 8894 §4.1). Worker alone; libcurl stays in this
 * folder. Blocks until the total timeout at the latest. One thread; http_global_init() once before the
 * sandbox closes.
 */
#pragma once

#include <openssl/x509.h>

#include "base/bytes.h"
#include "scep-http/url.h"
#include "scep-wire/problem.h"

enum {
        HTTP_BODY_MAX = 1024 * 1024,
        HTTP_HEADER_MAX = 64 * 1024,
        HTTP_REDIRECTS_MAX = 3,
        HTTP_TIMEOUT_MAX_MS = 300 * 1000,
        HTTP_RETRY_AFTER_MAX = 24 * 3600,
};

/* TLS client authentication; all borrowed. TLS 1.3 alone, to the server of the URL alone: a redirect to
 * another one is not followed. */
struct http_client {
        const STACK_OF(X509) * chain; /* the certificate, then its issuers */
        EVP_PKEY *key;
        struct error *failure; /* where the key leaves why an operation failed; emptied before a handshake */
};

/* Keeps connections between operations of one job, so that each server costs one handshake. One thread. */
struct http_session;

struct http_options {
        const char *proxy;     /* NULL or "": none; the environment is never asked */
        struct view ca_bundle; /* PEM; empty: the system's */
        uint64_t connect_ms, total_ms;
        bool deny_local; /* a user's own profile: no loopback, link-local or unspecified address */
        const struct http_client *client; /* NULL: none; the same for all operations of a session */
        struct http_session *session;     /* NULL: each operation has connections of its own */
};

struct http_request {
        const char *url; /* base, as in the profile */
        bool with_suffix;
        const char *operation; /* "GetCACaps"; NULL: none, as a browser asks */
        const char *message;   /* GET: goes into the URL; NULL: none */
        struct view body;      /* POST: what is sent; empty: GET */
        bool is_file;          /* the URL as it stands: no operation and nothing of SCEP */
        size_t max;            /* of the answer, in octets; 0: HTTP_BODY_MAX */
};

struct http_reply {
        enum http_problem problem;
        int64_t verify;   /* X509_V_ERR_… of the server's TLS certificate; 0: none */
        char address[64]; /* of the server or proxy; "" before there was a connection */
        char target[256]; /* of a redirect that was not followed; "" for none; scrubbed */
        int64_t status;   /* the last one; 0: there was none */
        struct bytes body;
        char type[96]; /* Content-Type; scrubbed */
        bool has_date;
        int64_t date_offset;  /* the server's Date minus our clock, seconds */
        uint64_t retry_after; /* seconds it asks us to stay away for; 0: it does not; at most
                                 HTTP_RETRY_AFTER_MAX */
};
void http_reply_done(struct http_reply *reply);

MUST_CHECK enum err http_global_init(struct error *e);
void http_global_done(void);

MUST_CHECK enum err http_session_new(struct http_session **ret, struct error *e);
void http_session_free(struct http_session *session); /* takes NULL */
static inline void http_session_free_p(struct http_session **session)
{
        http_session_free(*session);
}

/* Standard base64 with padding, one line; free(). For PKIOperation by GET. */
MUST_CHECK enum err http_base64(struct view v, char **ret, struct error *e);

/*
 * ERR_OK: status 200 with a body that is not a web page.
 * ERR_NETWORK (name, route, connection; also an empty or cut answer), ERR_TIMEOUT, ERR_TLS, ERR_TOO_LARGE,
 * ERR_HTTP (the status in the message, a remedy of its own), ERR_REPLY (a web page with 200; not HTTP at
 * all). *ret: status and date are filled also on ERR_HTTP and ERR_REPLY; http_reply_done() in every case. GET
 * follows at most 3 redirects and never from https to http; POST none. ERR_DENIED: @options->deny_local.
 * Where the client's key failed, its error.
 */
MUST_CHECK enum err http_perform(const struct http_request *request, const struct http_options *options,
                                 struct http_reply *ret, struct error *e);
/* Inside this folder: the error for a status other than 200. @target: where a redirect points, or NULL. */
enum err http_status_error(struct error *e, int64_t status, bool post, const char *target);
