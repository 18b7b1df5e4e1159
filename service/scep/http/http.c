/* One operation: its URL, the redirects on the way, and whether the answer can be one of a SCEP server. */
#include "scep-http/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "transfer.h"

enum err http_session_new(struct http_session **ret, struct error *e)
{
        struct http_session *session = calloc(1, sizeof *session);

        if (session)
                session->curl = curl_easy_init();
        if (!session || !session->curl) {
                free(session);
                return error_no_memory(e);
        }
        *ret = session;
        return ERR_OK;
}

void http_session_free(struct http_session *session)
{
        if (!session)
                return;
        curl_easy_cleanup(session->curl); /* the last words on its connections still go to the watch */
        free(session);
}

void http_reply_done(struct http_reply *reply)
{
        bytes_done(&reply->body);
        *reply = (struct http_reply){0};
}

enum err http_global_init(struct error *e)
{
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return error_set(e, ERR_FAILED, "libcurl could not be initialised");
        return ERR_OK;
}

void http_global_done(void)
{
        curl_global_cleanup();
}

enum err http_base64(struct view v, char **ret, struct error *e)
{
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char *out, *p;

        if (v.len > HTTP_BODY_MAX)
                return error_set(e, ERR_TOO_LARGE, "A request is larger than %d octets", HTTP_BODY_MAX);
        out = p = malloc((v.len + 2) / 3 * 4 + 1);
        if (!out)
                return error_no_memory(e);
        for (size_t i = 0; i < v.len; i += 3) {
                size_t n = v.len - i < 3 ? v.len - i : 3;
                uint32_t group = (uint32_t)v.data[i] << 16 | (n > 1 ? (uint32_t)v.data[i + 1] << 8 : 0) |
                                 (n > 2 ? v.data[i + 2] : 0);

                *p++ = alphabet[group >> 18];
                *p++ = alphabet[group >> 12 & 63];
                *p++ = n > 1 ? alphabet[group >> 6 & 63] : '=';
                *p++ = n > 2 ? alphabet[group & 63] : '=';
        }
        *p = 0;
        *ret = out;
        return ERR_OK;
}

static bool is_redirect(int64_t status)
{
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_page(const struct bytes *body)
{
        size_t i = 0;

        if (body->len >= 3 && memcmp(body->data, "\xef\xbb\xbf", 3) == 0)
                i = 3;
        while (i < body->len && strchr(" \t\r\n", body->data[i]) && body->data[i])
                i++;
        return i < body->len && body->data[i] == '<';
}

static enum err settle(struct http_reply *reply, const struct tls_watch *watch, bool post, const char *target,
                       struct error *e)
{
        header_keep(reply->target, sizeof reply->target, target);
        reply->problem = reply->status != 200 ? HTTP_STATUS : is_page(&reply->body) ? HTTP_PAGE : HTTP_FINE;
        if (reply->status != 200) {
                const enum err r = http_status_error(e, reply->status, post, target);

                if (!tls_explains_status(watch, reply->status))
                        return r;
                reply->problem = HTTP_TLS_CLIENT;
                return tls_status_remedy(watch, r, e);
        }
        if (is_page(&reply->body))
                return error_set(
                        e, ERR_REPLY,
                        "The server answered a web page instead of a SCEP message (Content-Type '%s')",
                        reply->type);
        return ERR_OK;
}

/* A client certificate is for the server that the profile names. */
static enum err check_redirect(const char *url, const char *target, const struct http_options *options,
                               struct error *e)
{
        if (!options->client || http_url_same_server(url, target))
                return ERR_OK;
        (void)error_set(
                e, ERR_HTTP,
                "The server redirects to another one, '%.300s', which is not shown the client certificate",
                target);
        return error_remedy(e, ERR_HTTP, "Put the final address into the profile's Url=.");
}

static enum err first_url(const struct http_request *request, char **ret, struct error *e)
{
        enum err r;

        if (!request->is_file)
                return http_url_make(request->url, request->with_suffix, request->operation, request->message,
                                     ret, e);
        r = http_url_check(request->url, e);
        if (r)
                return r;
        *ret = strdup(request->url);
        return *ret ? ERR_OK : error_no_memory(e);
}

static enum err follow(const struct http_request *request, const struct http_options *options,
                       struct http_session *session, struct http_reply *ret, struct error *e)
{
        CLEANUP(free_p) char *url = NULL;
        bool post = request->body.len > 0;
        enum err r = first_url(request, &url, e);

        for (int hops = 0; !r; hops++) {
                CLEANUP(free_p) char *target = NULL;
                bool was_https = strncasecmp(url, "https:", 6) == 0;

                r = transfer_once(url, request, options, session, ret, &target, e);
                if (r)
                        break;
                if (!is_redirect(ret->status) || !target || post)
                        return settle(ret, &session->watch, post, target, e);
                if (hops == HTTP_REDIRECTS_MAX || (was_https && strncasecmp(target, "https:", 6) != 0) ||
                    strncasecmp(target, "http", 4) != 0)
                        return settle(ret, &session->watch, post, target, e);
                r = check_redirect(url, target, options, e);
                free(url);
                url = STEAL(target);
        }
        return r;
}

static enum err check_client(const struct http_options *options, const char *url, struct error *e)
{
        if (!options->client)
                return ERR_OK;
        if (strncasecmp(url, "https:", 6) != 0)
                return error_set(e, ERR_INVALID, "A client certificate needs https: '%.200s'", url);
        /* libcurl has one setting for both, and the proxy would be shown the certificate. */
        if (options->proxy && strncasecmp(options->proxy, "https:", 6) == 0)
                return error_set(e, ERR_INVALID,
                                 "A client certificate is not used through a proxy with https");
        return ERR_OK;
}

enum err http_perform(const struct http_request *request, const struct http_options *options,
                      struct http_reply *ret, struct error *e)
{
        CLEANUP(http_session_free_p) struct http_session *own = NULL;
        enum err r = check_client(options, request->url, e);

        if (!r && !options->session)
                r = http_session_new(&own, e);
        return r ? r : follow(request, options, own ? own : options->session, ret, e);
}
