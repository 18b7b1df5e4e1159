/* One transfer by libcurl: its settings, its bounds, and what a failure means. */
#include "transfer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "address.h"
#include "base/parse.h"

static inline void slist_p(struct curl_slist **p)
{
        curl_slist_free_all(*p);
}

/* What the callbacks of one transfer fill. */
struct transfer {
        struct bytes body;
        size_t max, room, headers;
        bool too_large, no_memory, denied;
        bool deny_local;
        struct http_reply *reply;
};

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
        struct transfer *t = ctx;
        size_t len = size * n;

        if (len > t->max - t->body.len) {
                t->too_large = true;
                return 0;
        }
        if (t->body.len + len + 1 > t->room) {
                size_t room = t->room ? t->room : 4096;
                uint8_t *grown;

                while (room < t->body.len + len + 1)
                        room *= 2;
                grown = realloc(t->body.data, room);
                if (!grown) {
                        t->no_memory = true;
                        return 0;
                }
                t->body.data = grown;
                t->room = room;
        }
        memcpy(t->body.data + t->body.len, data, len);
        t->body.len += len;
        t->body.data[t->body.len] = 0;
        return len;
}

/* "Date: …" of the answer, to tell a clock that is off (failInfo badTime). */
static void read_date(struct http_reply *reply, const char *line, size_t len)
{
        static const char name[] = "Date:";
        char text[64];
        time_t at;

        if (len < sizeof name - 1 || len - (sizeof name - 1) >= sizeof text ||
            strncasecmp(line, name, sizeof name - 1) != 0)
                return;
        (void)snprintf(text, sizeof text, "%.*s", (int)(len - (sizeof name - 1)), line + sizeof name - 1);
        at = curl_getdate(text, NULL);
        if (at == -1)
                return;
        reply->has_date = true;
        reply->date_offset = (int64_t)at - (int64_t)time(NULL);
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
        struct transfer *t = ctx;

        t->headers += size * n;
        if (t->headers > HTTP_HEADER_MAX) {
                t->too_large = true;
                return 0;
        }
        read_date(t->reply, data, size * n);
        return size * n;
}

static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
        struct transfer *t = ctx;

        (void)purpose;
        if ((address->family != AF_INET && address->family != AF_INET6) ||
            (t->deny_local && address_is_local(&address->addr))) {
                t->denied = true;
                return CURL_SOCKET_BAD;
        }
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static enum err setup_transport(CURL *curl, const struct http_options *options, struct transfer *t,
                                struct error *e)
{
        /* The blob is read only; libcurl's struct is not const-correct. */
        union {
                const uint8_t *in;
                void *out;
        } bundle = {.in = options->ca_bundle.data};
        struct curl_blob blob = {bundle.out, options->ca_bundle.len, CURL_BLOB_COPY};
        bool ok = options->connect_ms > 0 && options->connect_ms <= HTTP_TIMEOUT_MAX_MS &&
                  options->total_ms > 0 && options->total_ms <= HTTP_TIMEOUT_MAX_MS;

        if (!ok)
                return error_set(e, ERR_INVALID, "A timeout is between 1 and %d milliseconds",
                                 HTTP_TIMEOUT_MAX_MS);
        ok = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_ms) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->total_ms) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_PROXY, options->proxy ? options->proxy : "") == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_NOPROXY, "") == CURLE_OK && /* nor the environment's exceptions */
             curl_easy_setopt(curl, CURLOPT_USERAGENT, "scepter/" SCEPTER_VERSION) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_WRITEDATA, t) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_HEADERDATA, t) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK;
        if (ok && options->ca_bundle.len)
                ok = curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO_BLOB, &blob) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_PROXY_CAPATH, NULL) == CURLE_OK;
        return ok ? ERR_OK : error_set(e, ERR_FAILED, "An HTTP transfer could not be prepared");
}

static enum err setup_body(CURL *curl, struct view body, struct curl_slist **headers, struct error *e)
{
        /* No chunks, no Expect: IIS and old proxies take neither. */
        static const char *const lines[] = {"Content-Type: application/x-pki-message", "Expect:"};

        for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
                struct curl_slist *longer = curl_slist_append(*headers, lines[i]);

                if (!longer)
                        return error_no_memory(e);
                *headers = longer;
        }
        if (curl_easy_setopt(curl, CURLOPT_POST, 1L) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers) != CURLE_OK)
                return error_set(e, ERR_FAILED, "An HTTP transfer could not be prepared");
        return ERR_OK;
}

/* libcurl's code and its sentence. */
static enum http_problem problem_of(const struct transfer *t, CURLcode code, bool proxy)
{
        if (t->too_large)
                return HTTP_TOO_LARGE;
        if (t->denied)
                return HTTP_DENIED;
        switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
                return HTTP_NAME;
        case CURLE_COULDNT_RESOLVE_PROXY:
                return HTTP_PROXY;
        case CURLE_COULDNT_CONNECT:
                return proxy ? HTTP_PROXY : HTTP_CONNECTION;
        case CURLE_GOT_NOTHING:
                return HTTP_CLOSED;
        case CURLE_PARTIAL_FILE:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
                return HTTP_BROKEN;
        case CURLE_OPERATION_TIMEDOUT:
                return HTTP_TIMEOUT;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_INVALIDCERTSTATUS:
                return HTTP_TLS;
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_HTTP2:
                return HTTP_STRANGE;
        default:
                return HTTP_OTHER;
        }
}

static enum err transfer_error(const struct transfer *t, const struct tls_watch *watch, CURLcode code,
                               const char *detail, const struct http_options *options, struct error *e)
{
        const char *why = *detail ? detail : curl_easy_strerror(code);
        enum err r;

        if (t->no_memory || code == CURLE_OUT_OF_MEMORY)
                return error_no_memory(e);
        if (t->too_large)
                return error_set(e, ERR_REPLY, "The server's answer is larger than %zu octets", t->max);
        if (t->denied) {
                (void)error_set(e, ERR_DENIED,
                                "The name of the server or its proxy leads to an address of this machine or "
                                "link, which a "
                                "user's own profile may not use");
                return error_remedy(e, ERR_DENIED, "Have an administrator add the profile.");
        }
        r = tls_failure(watch, code, why, e);
        if (r) {
                t->reply->problem = HTTP_TLS_CLIENT;
                return r;
        }
        if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) {
                (void)error_set(e, ERR_NETWORK, "The name cannot be resolved: %s", why);
                return error_remedy(
                        e, ERR_NETWORK,
                        "Check the host name in the profile (Url=, Proxy=) and this machine's DNS.");
        }
        switch (problem_of(t, code, options->proxy != NULL)) {
        case HTTP_CONNECTION:
                return error_set(e, ERR_NETWORK, "There is no connection to the server: %s", why);
        case HTTP_PROXY:
                (void)error_set(e, ERR_NETWORK, "There is no connection to the proxy: %s", why);
                return error_remedy(e, ERR_NETWORK, "Check Proxy= of the profile, and that the proxy runs.");
        case HTTP_CLOSED:
                return error_set(e, ERR_NETWORK, "The server closed the connection without an answer");
        case HTTP_BROKEN:
                return error_set(e, ERR_NETWORK, "The connection to the server broke: %s", why);
        case HTTP_TIMEOUT:
                return error_set(e, ERR_TIMEOUT, "The server did not answer in time (%llu s): %s",
                                 (unsigned long long)((options->total_ms + 999) / 1000), why);
        case HTTP_TLS:
                return error_set(e, ERR_TLS, "The TLS connection to the server failed: %s", why);
        case HTTP_STRANGE:
                return error_set(e, ERR_REPLY, "The server does not answer with HTTP: %s", why);
        default:
                return error_set(e, ERR_NETWORK, "The transfer failed: %s", why);
        }
}

/* A proxy resolves the server's name itself: what can be told from the name is told here. */
static enum err check_host(const char *url, const struct http_options *options, struct transfer *t,
                           struct error *e)
{
        CLEANUP(free_p) char *host = NULL;
        enum err r;

        if (!options->deny_local || !options->proxy || !*options->proxy)
                return ERR_OK;
        r = http_url_host(url, &host, e);
        if (r)
                return r;
        t->denied = host_is_local(host);
        return t->denied ? transfer_error(t, NULL, CURLE_COULDNT_CONNECT, "", options, e) : ERR_OK;
}

/* The proxy's own answer to CONNECT; the server was not reached. */
static enum err proxy_error(CURL *curl, struct error *e)
{
        long status = 0;
        enum err r;

        (void)curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &status);
        if (status < 300)
                return ERR_OK;
        r = http_status_error(e, status, false, NULL);
        return error_context(e, r, "The proxy did not connect to the server");
}

/* Seconds; 0: none, or what nobody understands. CURLINFO_RETRY_AFTER will not do: libcurl 8 makes six hours
 * of whatever is more. */
static uint64_t retry_after(CURL *curl)
{
        struct curl_header *header = NULL;
        time_t now = time(NULL), until;
        uint64_t seconds = 0;

        if (curl_easy_header(curl, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
                return 0;
        if (!parse_u64(header->value, UINT64_MAX, &seconds)) {
                until = curl_getdate(header->value, NULL);
                seconds = until > now ? (uint64_t)(until - now) : 0;
        }
        return seconds < HTTP_RETRY_AFTER_MAX ? seconds : HTTP_RETRY_AFTER_MAX;
}

/* What a diagnosis wants to know beyond the error. */
static void note_transfer(CURL *curl, const struct transfer *t, CURLcode code, bool proxy,
                          struct http_reply *reply)
{
        const char *address = NULL;
        long verify = 0, proxy_verify = 0;

        reply->problem = code == CURLE_OK ? HTTP_FINE : problem_of(t, code, proxy);
        (void)curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &address);
        (void)curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &verify);
        (void)curl_easy_getinfo(curl, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy_verify);
        reply->retry_after = retry_after(curl);
        (void)snprintf(reply->address, sizeof reply->address, "%s", address ? address : "");
        if (code != CURLE_PEER_FAILED_VERIFICATION)
                return;
        /* libcurl compares the name itself, before it asks for the result of the chain, which OpenSSL has
         * found good by then: until then it says "unspecified". */
        if (proxy_verify != X509_V_OK)
                reply->problem = HTTP_PROXY;
        else if (verify == X509_V_OK || verify == X509_V_ERR_UNSPECIFIED)
                reply->problem = HTTP_TLS_NAME;
        else
                reply->verify = verify;
}

void header_keep(char *ret, size_t size, const char *value)
{
        (void)snprintf(ret, size, "%s", value ? value : "");
        line_scrub(ret, size);
}

/* One transfer to @url. *ret_target: where a redirect points, absolute; free(). */

enum err transfer_once(const char *url, const struct http_request *request,
                       const struct http_options *options, struct http_session *session,
                       struct http_reply *reply, char **ret_target, struct error *e)
{
        CURL *curl = session->curl;
        CLEANUP(slist_p) struct curl_slist *headers = NULL;
        struct transfer t = {.max = request->max ? request->max : HTTP_BODY_MAX,
                             .deny_local = options->deny_local,
                             .reply = reply};
        char detail[CURL_ERROR_SIZE] = "";
        const char *type = NULL, *target = NULL;
        long status = 0;
        CURLcode code;
        enum err r = check_host(url, options, &t, e);

        if (r)
                return r;
        curl_easy_reset(curl); /* keeps its connections */
        session->watch.client = options->client;
        session->watch.alert = -1;
        if (curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail) != CURLE_OK ||
            curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK)
                return error_no_memory(e);
        r = setup_transport(curl, options, &t, e);
        if (!r)
                r = tls_setup(curl, &session->watch, e);
        if (!r && request->body.len)
                r = setup_body(curl, request->body, &headers, e);
        if (r)
                return r;
        http_reply_done(reply);
        code = curl_easy_perform(curl);
        reply->body = t.body;
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
        (void)curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target);
        reply->status = status;
        header_keep(reply->type, sizeof reply->type, type);
        note_transfer(curl, &t, code, options->proxy != NULL, reply);
        r = code == CURLE_OK ? ERR_OK : proxy_error(curl, e);
        if (r)
                reply->problem = HTTP_PROXY;
        if (!r && code != CURLE_OK)
                r = transfer_error(&t, &session->watch, code, detail, options, e);
        if (!r && target) {
                *ret_target = strdup(target);
                r = *ret_target ? ERR_OK : error_no_memory(e);
        }
        /* Both lie on this stack; the handle stays. */
        (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
        (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
        return r;
}
