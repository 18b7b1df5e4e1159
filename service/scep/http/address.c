#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_local_v4(const uint8_t at[4])
{
        return at[0] == 127 || at[0] == 0 || (at[0] == 169 && at[1] == 254) || at[0] >= 224;
}

static bool is_local_v6(const struct in6_addr *address)
{
        static const uint8_t translated[12] = {0, 0x64, 0xff, 0x9b};
        static const uint8_t compatible[12], mapped[12] = {[10] = 0xff, [11] = 0xff},
                                             alternative[12] = {[8] = 0xff, [9] = 0xff};
        const uint8_t *at = address->s6_addr;

        if (IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address) ||
            IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_MULTICAST(address))
                return true;
        if (memcmp(at, mapped, sizeof mapped) == 0 || memcmp(at, compatible, sizeof compatible) == 0 ||
            memcmp(at, alternative, sizeof alternative) == 0 ||
            memcmp(at, translated, sizeof translated) == 0)
                return is_local_v4(at + 12);
        return at[0] == 0x20 && at[1] == 0x02 && is_local_v4(at + 2);
}

bool address_is_local(const struct sockaddr *address)
{
        /* Copies: what a library hands over need not be aligned. */
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        uint8_t octets[4];

        if (address->sa_family == AF_INET6) {
                memcpy(&v6, address, sizeof v6);
                return is_local_v6(&v6.sin6_addr);
        }
        if (address->sa_family != AF_INET)
                return true;
        memcpy(&v4, address, sizeof v4);
        memcpy(octets, &v4.sin_addr.s_addr, sizeof octets);
        return is_local_v4(octets);
}

bool host_is_local(const char *host)
{
        static const char name[] = "localhost";
        char bare[256];
        struct in6_addr v6;
        struct in_addr v4;
        uint8_t octets[4];
        size_t n;

        /* Without brackets, zone and the root's dot. */
        (void)snprintf(bare, sizeof bare, "%s", *host == '[' ? host + 1 : host);
        bare[strcspn(bare, "]%")] = 0;
        n = strlen(bare);
        if (n && bare[n - 1] == '.')
                bare[--n] = 0;
        if (inet_pton(AF_INET6, bare, &v6) == 1)
                return is_local_v6(&v6);
        if (inet_aton(bare, &v4)) { /* also "127.1" and "2130706433" */
                memcpy(octets, &v4.s_addr, sizeof octets);
                return is_local_v4(octets);
        }
        if (n < sizeof name - 1 || strcasecmp(bare + n - (sizeof name - 1), name) != 0)
                return false;
        return n == sizeof name - 1 || bare[n - sizeof name] == '.';
}
