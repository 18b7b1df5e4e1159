/* URLs of SCEP servers: what is taken, where the query goes, and NDES's /pkiclient.exe. Pure but for
 * libcurl's parser. */
#pragma once

#include "base/bytes.h"

enum { HTTP_URL_MAX = 2048 };

enum scep_suffix {
        SCEP_SUFFIX_AUTO, /* as given first, with the suffix after a 404 */
        SCEP_SUFFIX_NO,
        SCEP_SUFFIX_YES,
        _SCEP_SUFFIX_MAX
};

/* http or https, a host that stays the same when it is written plainly, no user, password or fragment, no
 * blank or control character, at most HTTP_URL_MAX octets. ERR_INVALID names what is wrong. */
MUST_CHECK enum err http_url_check(const char *url, struct error *e);
/* Host of a checked URL, lower case, for messages and limits per server; free(). */
MUST_CHECK enum err http_url_host(const char *url, char **ret, struct error *e);
/* Scheme, host and port are the same. */
bool http_url_same_server(const char *a, const char *b);
/*
 * The URL with operation and message. @with_suffix: "/pkiclient.exe" ends the path; an existing one or a
 * slash at the end is taken off first, so it never doubles. An existing query is kept in front. @operation:
 * NULL for the base alone. @message: NULL or what is escaped octet by octet. *ret: free(). The bound is that
 * of the URL and the message together.
 */
MUST_CHECK enum err http_url_make(const char *base, bool with_suffix, const char *operation,
                                  const char *message, char **ret, struct error *e);
/* The base that answered, with or without suffix as http_url_make() would have it; free(). */
MUST_CHECK enum err http_url_base(const char *base, bool with_suffix, char **ret, struct error *e);
