/* A private dbus-daemon in a directory of its own, which other uids can reach. For tests of anything on the
 * bus. */
#pragma once

#include <sys/types.h>

struct private_bus {
        pid_t pid;
        char dir[64];
        char address[256];
};

/* Returns when the bus listens. Ends the test program when it does not. */
void private_bus_start(struct private_bus *bus);
void private_bus_stop(struct private_bus *bus);
