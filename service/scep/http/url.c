#include "scep-http/url.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static const char suffix[] = "/pkiclient.exe";

enum { MADE_URL_MAX = 1024 * 1024 };

static inline void curlu_free_p(CURLU **p)
{
        curl_url_cleanup(*p);
}
static inline void curl_str_free_p(char **p)
{
        curl_free(*p);
}

static enum err parse(const char *url, CURLU **ret, struct error *e)
{
        CLEANUP(curlu_free_p) CURLU *u = curl_url();
        CURLUcode code;

        if (!u)
                return error_no_memory(e);
        code = curl_url_set(u, CURLUPART_URL, url, 0);
        if (code == CURLUE_OUT_OF_MEMORY)
                return error_no_memory(e);
        if (code != CURLUE_OK)
                return error_set(e, ERR_INVALID, "'%.200s' is not a URL of a SCEP server: %s", url,
                                 curl_url_strerror(code));
        *ret = STEAL(u);
        return ERR_OK;
}

static bool has_part(CURLU *u, CURLUPart part)
{
        CLEANUP(curl_str_free_p) char *value = NULL;

        return curl_url_get(u, part, &value, 0) == CURLUE_OK && value && *value;
}

static enum err finish(CURLU *u, char **ret, struct error *e)
{
        CLEANUP(curl_str_free_p) char *url = NULL;

        if (curl_url_get(u, CURLUPART_URL, &url, 0) != CURLUE_OK)
                return error_no_memory(e);
        *ret = strdup(url);
        return *ret ? ERR_OK : error_no_memory(e);
}

enum err http_url_check(const char *url, struct error *e)
{
        CLEANUP(curlu_free_p) CURLU *u = NULL;
        CLEANUP(curl_str_free_p) char *scheme = NULL;
        CLEANUP(free_p) char *written = NULL;
        size_t len = strnlen(url, HTTP_URL_MAX + 1);
        enum err r;

        if (len == 0 || len > HTTP_URL_MAX)
                return error_set(e, ERR_INVALID, "A URL has between 1 and %d octets", HTTP_URL_MAX);
        for (size_t i = 0; i < len; i++)
                if (url[i] <= ' ' || url[i] == 0x7f)
                        return error_set(
                                e, ERR_INVALID,
                                "'%.200s' has a blank or a character that does not belong into a URL", url);
        r = parse(url, &u, e);
        if (r)
                return r;
        if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
            (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
                return error_set(e, ERR_INVALID, "'%.200s' is neither an http nor an https URL", url);
        if (!has_part(u, CURLUPART_HOST))
                return error_set(e, ERR_INVALID, "'%.200s' names no host", url);
        if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
                return error_set(e, ERR_INVALID, "A URL of a SCEP server carries no user name or password");
        if (has_part(u, CURLUPART_FRAGMENT))
                return error_set(e, ERR_INVALID, "'%.200s' has a fragment (#)", url);
        r = finish(u, &written, e);
        if (r)
                return r;
        /* libcurl decodes a host whenever it reads one: "%37" is a name, but written as "7" an address */
        if (!http_url_same_server(url, written))
                return error_set(e, ERR_INVALID, "'%.200s' names another host when it is written plainly",
                                 url);
        return ERR_OK;
}

enum err http_url_host(const char *url, char **ret, struct error *e)
{
        CLEANUP(curlu_free_p) CURLU *u = NULL;
        CLEANUP(curl_str_free_p) char *host = NULL;
        CLEANUP(free_p) char *copy = NULL;
        enum err r = parse(url, &u, e);

        if (r)
                return r;
        if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
                return error_set(e, ERR_INVALID, "'%.200s' names no host", url);
        copy = strdup(host);
        if (!copy)
                return error_no_memory(e);
        for (char *p = copy; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char)(*p + ('a' - 'A'));
        *ret = STEAL(copy);
        return ERR_OK;
}

bool http_url_same_server(const char *a, const char *b)
{
        static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
        CLEANUP(curlu_free_p) CURLU *one = NULL;
        CLEANUP(curlu_free_p) CURLU *other = NULL;

        if (parse(a, &one, NULL) || parse(b, &other, NULL))
                return false;
        for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
                CLEANUP(curl_str_free_p) char *of_one = NULL;
                CLEANUP(curl_str_free_p) char *of_other = NULL;

                if (curl_url_get(one, parts[i], &of_one, CURLU_DEFAULT_PORT) != CURLUE_OK ||
                    curl_url_get(other, parts[i], &of_other, CURLU_DEFAULT_PORT) != CURLUE_OK ||
                    strcasecmp(of_one, of_other) != 0)
                        return false;
        }
        return true;
}

/* Path without slashes at its end and without the suffix; then with it, if asked for. As given otherwise. */
static enum err set_path(CURLU *u, bool with_suffix, struct error *e)
{
        CLEANUP(curl_str_free_p) char *path = NULL;
        struct text text = TEXT(HTTP_URL_MAX + sizeof suffix);
        CLEANUP(free_p) char *made = NULL;
        size_t len;
        enum err r;

        if (!with_suffix)
                return ERR_OK;
        if (curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK)
                return error_no_memory(e);
        len = strlen(path);
        while (len > 0 && path[len - 1] == '/')
                len--;
        if (len >= sizeof suffix - 1 &&
            strncasecmp(path + len - (sizeof suffix - 1), suffix, sizeof suffix - 1) == 0)
                len -= sizeof suffix - 1;
        text_add_n(&text, path, len);
        text_add(&text, suffix);
        r = text_finish(&text, &made, e);
        if (r)
                return r;
        return curl_url_set(u, CURLUPART_PATH, made, 0) == CURLUE_OK ? ERR_OK : error_no_memory(e);
}

enum err http_url_base(const char *base, bool with_suffix, char **ret, struct error *e)
{
        CLEANUP(curlu_free_p) CURLU *u = NULL;
        enum err r = http_url_check(base, e);

        if (!r)
                r = parse(base, &u, e);
        if (!r)
                r = set_path(u, with_suffix, e);
        return r ? r : finish(u, ret, e);
}

/* RFC 3986 §2.3: everything but the unreserved is escaped, so that '+', '/' and '=' of base64 arrive as sent.
 */
static void add_escaped(struct text *t, const char *s)
{
        static const char digits[] = "0123456789ABCDEF";

        for (; *s; s++) {
                uint8_t c = (uint8_t)*s;
                const char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};

                if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '.' || c == '_' || c == '~')
                        text_add_n(t, s, 1);
                else
                        text_add_n(t, escaped, sizeof escaped);
        }
}

enum err http_url_make(const char *base, bool with_suffix, const char *operation, const char *message,
                       char **ret, struct error *e)
{
        CLEANUP(curlu_free_p) CURLU *u = NULL;
        CLEANUP(curl_str_free_p) char *old = NULL;
        CLEANUP(free_p) char *query = NULL;
        struct text text = TEXT(MADE_URL_MAX);
        enum err r = http_url_check(base, e);

        if (!r)
                r = parse(base, &u, e);
        if (!r)
                r = set_path(u, with_suffix, e);
        if (r)
                return r;
        if (!operation)
                return finish(u, ret, e);
        if (curl_url_get(u, CURLUPART_QUERY, &old, 0) == CURLUE_OK && *old)
                text_addf(&text, "%s&", old);
        text_addf(&text, "operation=%s", operation);
        if (message) {
                text_add(&text, "&message=");
                add_escaped(&text, message);
        }
        r = text_finish(&text, &query, e);
        if (r)
                return r;
        if (curl_url_set(u, CURLUPART_QUERY, query, 0) != CURLUE_OK)
                return error_no_memory(e);
        return finish(u, ret, e);
}
