/*
 * TLS beneath libcurl: client authentication, and what the handshake tells about a failure. Inside this
 * folder only.
 */
#pragma once

#include <curl/curl.h>

#include "scep-http/http.h"

/* Of the connection that was made last. Must outlive the handle it is set on: its connections report here. */
struct tls_watch {
        const struct http_client *client;
        bool began;         /* a ClientHello went out */
        bool is_13;         /* TLS 1.3 was agreed on */
        bool asked;         /* the server asked for a certificate */
        int alert;          /* what the server's alert said (RFC 8446 §6); -1: none came */
        struct error error; /* the client's certificate could not be set up */
};

/* Sets the handle up; with a client TLS 1.3 alone. ERR_UNSUPPORTED: a libcurl without OpenSSL. */
MUST_CHECK enum err tls_setup(CURL *curl, struct tls_watch *watch, struct error *e);
/* After a transfer that failed with @code: the error that TLS is the reason for; ERR_OK where it is not.
 * @why: libcurl's words. */
MUST_CHECK enum err tls_failure(const struct tls_watch *watch, CURLcode code, const char *why,
                                struct error *e);
/* Whether a missing or wrong client certificate explains an answer with this status. */
bool tls_explains_status(const struct tls_watch *watch, int64_t status);
/* Says so in @e, which holds the error for it and is returned. */
enum err tls_status_remedy(const struct tls_watch *watch, enum err code, struct error *e);
