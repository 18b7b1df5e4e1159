/* One transfer, beneath the operation it belongs to. Inside this folder only. */
#pragma once

#include "tls.h"

struct http_session {
        CURL *curl;
        struct tls_watch watch;
};

/*
 * GET, or POST of the body, of @url. *reply is filled as far as the transfer came. *ret_target: where a
 * redirect points, absolute; free(). Errors as http_perform() has them, but for those of a status.
 */
MUST_CHECK enum err transfer_once(const char *url, const struct http_request *request,
                                  const struct http_options *options, struct http_session *session,
                                  struct http_reply *reply, char **ret_target, struct error *e);
/* What a header said, for people and for records: valid UTF-8 without control characters, cut to @size. NULL
 * is "". */
void header_keep(char *ret, size_t size, const char *value);
