/*
 * A source of nsswitch.conf(5) called "lab", of accounts and groups: for test_name_services.py, which
 * preloads it into scepterd, since glibc takes a library by its SONAME where that is loaded already. It asks
 * at the socket NAME_SERVICE, one line a question, and waits for the end of the answer as long as that takes,
 * as a client of sssd does; then it has no such entry, and glibc asks the next source.
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef enum nss_status passwd_by_name(const char *, struct passwd *, char *, size_t, int *);
typedef enum nss_status passwd_by_uid(uid_t, struct passwd *, char *, size_t, int *);
typedef enum nss_status group_by_name(const char *, struct group *, char *, size_t, int *);

__attribute__((visibility("default"))) passwd_by_name _nss_lab_getpwnam_r;
__attribute__((visibility("default"))) passwd_by_uid _nss_lab_getpwuid_r;
__attribute__((visibility("default"))) group_by_name _nss_lab_getgrnam_r;

static enum nss_status ask(const char *kind, const char *name, int *ret_errno)
{
        const char *path = getenv("NAME_SERVICE");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = path && *path ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
        char octet;

        *ret_errno = ENOENT;
        if (fd < 0)
                return NSS_STATUS_UNAVAIL;
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
            dprintf(fd, "%s %s\n", kind, name) < 0) {
                (void)close(fd);
                return NSS_STATUS_UNAVAIL;
        }
        while (read(fd, &octet, 1) > 0)
                ;
        (void)close(fd);
        return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_lab_getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size,
                                    int *ret_errno)
{
        (void)entry;
        (void)buffer;
        (void)size;
        return ask("login", name, ret_errno);
}

enum nss_status _nss_lab_getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size,
                                    int *ret_errno)
{
        char number[16];

        (void)entry;
        (void)buffer;
        (void)size;
        (void)snprintf(number, sizeof number, "%lu", (unsigned long)uid);
        return ask("uid", number, ret_errno);
}

enum nss_status _nss_lab_getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size,
                                    int *ret_errno)
{
        (void)entry;
        (void)buffer;
        (void)size;
        return ask("group", name, ret_errno);
}
