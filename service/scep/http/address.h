/* Which addresses belong to this machine or its link, where a user's own profile may not reach. Pure. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* Loopback, link-local, unspecified, "this network" (0/8), multicast and broadcast; for IPv6 also those that
 * carry such an IPv4 address: mapped, compatible, translated (64:ff9b::/96) and 6to4. Another family is
 * local. */
bool address_is_local(const struct sockaddr *address);
/* A host as it stands in a URL: an address of the above, or a name that means this machine (RFC 6761 §6.3).
 * Any other name is not: whoever resolves it has to look at what comes. */
bool host_is_local(const char *host);
