/* How an HTTP transfer ended: the worker finds out, the daemon's diagnosis reads it. */
#pragma once

/* How far the transfer came that failed. */
enum http_problem {
        HTTP_FINE,
        HTTP_NAME,       /* the server's name is not known */
        HTTP_PROXY,      /* the proxy's name, or its answer to CONNECT */
        HTTP_CONNECTION, /* nobody answers at that address */
        HTTP_TLS,        /* reply.verify: what is wrong with the server's certificate */
        HTTP_TLS_NAME,   /* the server's certificate is for another name */
        HTTP_TLS_CLIENT, /* the server wants a client certificate, or another one than it was shown; or that
                            cannot be used. With a status where HTTP says so */
        HTTP_CLOSED,     /* no answer */
        HTTP_BROKEN,     /* half an answer */
        HTTP_TIMEOUT,
        HTTP_TOO_LARGE,
        HTTP_DENIED,  /* options.deny_local */
        HTTP_STATUS,  /* other than 200 */
        HTTP_PAGE,    /* a web page with 200 */
        HTTP_STRANGE, /* no HTTP */
        HTTP_OTHER,
        _HTTP_PROBLEM_MAX
};
