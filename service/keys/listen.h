/*
 * The listening end of the key socket: the one systemd holds (scepterd.socket, FileDescriptorName=keys), so
 * that programs may come before the service and stay in line while it is started anew; else one of our own.
 */
#pragma once

#include "base/error.h"

struct key_listener {
        int fd;
        bool own; /* bound here, and unlinked at the end; what systemd gave is systemd's */
};

/* Once, before anything is started that would inherit what systemd gave. @path: where ours would be, mode
 * 0666: rights are checked per key. ERR_CONFIG: what systemd gave is no such socket. */
MUST_CHECK enum err key_listen(const char *path, struct key_listener *ret, struct error *e);
void key_listener_done(struct key_listener *listener, const char *path);
