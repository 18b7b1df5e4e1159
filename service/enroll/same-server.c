#include "same-server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

struct place {
        bool https;
        char host[256]; /* without brackets */
        uint64_t port;
};

static bool place_of(const char *url, struct place *ret)
{
        const char *host, *end, *colon;
        char port[8] = "";

        ret->https = strncasecmp(url, "https://", 8) == 0;
        if (!ret->https && strncasecmp(url, "http://", 7) != 0)
                return false;
        host = strstr(url, "//") + 2;
        end = host + strcspn(host, "/?#");
        if (memchr(host, '@', (size_t)(end - host)))
                return false;
        if (*host == '[') {
                const char *bracket = memchr(host, ']', (size_t)(end - host));

                if (!bracket)
                        return false;
                host++;
                colon = bracket + 1;
                (void)snprintf(ret->host, sizeof ret->host, "%.*s", (int)(bracket - host), host);
        } else {
                colon = memchr(host, ':', (size_t)(end - host));
                if (!colon)
                        colon = end;
                (void)snprintf(ret->host, sizeof ret->host, "%.*s", (int)(colon - host), host);
        }
        ret->port = ret->https ? 443 : 80;
        if (colon == end)
                return true;
        if (*colon != ':' || (size_t)(end - colon) > sizeof port)
                return false;
        (void)snprintf(port, sizeof port, "%.*s", (int)(end - colon - 1), colon + 1);
        return parse_u64(port, 65535, &ret->port);
}

static bool same_host(const char *a, const char *b)
{
        struct in6_addr six[2];
        struct in_addr four[2];

        if (inet_pton(AF_INET6, a, &six[0]) == 1 && inet_pton(AF_INET6, b, &six[1]) == 1)
                return memcmp(&six[0], &six[1], sizeof six[0]) == 0;
        if (inet_aton(a, &four[0]) && inet_aton(b, &four[1]))
                return four[0].s_addr == four[1].s_addr;
        return strcasecmp(a, b) == 0;
}

bool same_server(const char *a, const char *b)
{
        struct place one, other;

        return place_of(a, &one) && place_of(b, &other) && one.https == other.https &&
               one.port == other.port && same_host(one.host, other.host);
}
