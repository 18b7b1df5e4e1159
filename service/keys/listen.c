#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/log.h"

/* Connections that the kernel keeps in line for us; more wait in connect(2). */
enum { BACKLOG = 128 };

static const char socket_name[] = "keys";

static void names_free(char **names)
{
        for (char **name = names; name && *name; name++)
                free(*name);
        free(names);
}

/* The descriptor called "keys", -1: none. What else there is is closed: nobody would ever take from it. */
static enum err take_given(int *ret, struct error *e)
{
        char **names = NULL;
        int n = sd_listen_fds_with_names(/* unset_environment= */ 1, &names);

        *ret = -1;
        if (n < 0)
                return errno_error(e, -n, "The sockets that systemd gave could not be taken");
        for (int i = 0; i < n; i++) {
                if (*ret < 0 && strcmp(names[i], socket_name) == 0) {
                        *ret = SD_LISTEN_FDS_START + i;
                        continue;
                }
                log_line(LOG_WARNING,
                         "systemd gave a socket called '%s' where one called '%s' is taken, ignoring it",
                         names[i], socket_name);
                (void)close(SD_LISTEN_FDS_START + i);
        }
        names_free(names);
        return ERR_OK;
}

static enum err check_given(int fd, const char *path, struct error *e)
{
        int flags;

        if (sd_is_socket_unix(fd, SOCK_STREAM, /* listening= */ 1, NULL, 0) <= 0) {
                (void)error_set(e, ERR_CONFIG,
                                "The socket '%s' that systemd gave is no listening unix stream socket",
                                socket_name);
                return error_remedy(e, ERR_CONFIG, "Let scepterd.socket have ListenStream=%s and Accept=no.",
                                    path);
        }
        if (sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) == 0)
                log_line(LOG_WARNING,
                         "The key socket that systemd gave is not %s, where the state of this service would "
                         "have it",
                         path);
        /* accept4(2) must not wait where a client went away again. */
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return errno_error(e, errno, "The key socket could not be set up");
        return ERR_OK;
}

static enum err bind_own(const char *path, int *ret, struct error *e)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        CLEANUP(close_p) int fd = -1;

        if (strlen(path) >= sizeof address.sun_path)
                return error_set(e, ERR_CONFIG, "The path of the key socket is too long: %s", path);
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return errno_error(e, errno, "A socket could not be made");
        (void)unlink(path);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0666) < 0 ||
            listen(fd, BACKLOG) < 0)
                return errno_error(e, errno, "The key socket %s could not be opened", path);
        *ret = steal_fd(&fd);
        return ERR_OK;
}

enum err key_listen(const char *path, struct key_listener *ret, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = take_given(&fd, e);
        const bool given = fd >= 0;

        if (!r)
                r = given ? check_given(fd, path, e) : bind_own(path, &fd, e);
        if (r)
                return r;
        *ret = (struct key_listener){.fd = steal_fd(&fd), .own = !given};
        return ERR_OK;
}

void key_listener_done(struct key_listener *listener, const char *path)
{
        if (listener->own)
                (void)unlink(path);
        close_p(&listener->fd);
}
