/* Sources on this machine: the account's name, the kernel's files, the service's credentials. Threads of the
 * pool. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "internal.h"

enum { VALUE_FILE_MAX = 4096 }; /* what one read of such a file gives at most */

static enum err copy(const char *value, char **ret, struct error *e)
{
        *ret = strdup(value);
        return *ret ? ERR_OK : error_no_memory(e);
}

enum err look_login(struct place *place, const char *key, char **ret, struct error *e)
{
        (void)key;
        return place->login ? copy(place->login, ret, e) : error_copy(e, &place->login_why);
}

/* "jane@corp.example" and "CORP\jane", as SSSD and winbind write accounts of a domain, without the domain. */
enum err look_short_login(struct place *place, const char *key, char **ret, struct error *e)
{
        const char *start;
        enum err r = look_login(place, key, ret, e);

        if (r)
                return r;
        start = strrchr(*ret, '\\');
        if (start)
                memmove(*ret, start + 1, strlen(start));
        (*ret)[strcspn(*ret, "@")] = 0;
        return ERR_OK;
}

enum err look_host_name(struct place *place, const char *key, char **ret, struct error *e)
{
        char name[HOST_NAME_MAX + 1] = "";

        (void)place;
        (void)key;
        if (gethostname(name, sizeof name - 1) < 0 || !*name)
                return error_set(e, ERR_NOT_FOUND, "there is none");
        return copy(name, ret, e);
}

/* Not to be readable is the usual state of such a file for who is not root, and no fault. */
static enum err read_value(int dirfd, const char *path, char **ret, struct error *e)
{
        CLEANUP(close_p) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        char text[VALUE_FILE_MAX + 1];
        ssize_t n = fd < 0 ? -1 : read(fd, text, VALUE_FILE_MAX);

        if (n < 0 && errno == ENOENT)
                return error_set(e, ERR_NOT_FOUND, "it does not exist");
        if (n < 0 && errno == EACCES)
                return error_set(e, ERR_NOT_FOUND, "only root may read it");
        if (n < 0)
                return error_set(e, ERR_NOT_FOUND, "it could not be read: %s", strerror(errno));
        text[n] = 0; /* what the device tree has ends in a NUL of its own */
        return copy(text, ret, e);
}

enum err look_kernel_file(struct place *place, const char *key, char **ret, struct error *e)
{
        char path[PATH_MAX];

        (void)snprintf(path, sizeof path, "%s%s", place->root, key);
        return read_value(AT_FDCWD, path, ret, e);
}

enum err look_credential(struct place *place, const char *key, char **ret, struct error *e)
{
        char path[PATH_MAX];

        if (!place->credentials)
                return error_set(e, ERR_NOT_FOUND, "it was not given one");
        (void)snprintf(path, sizeof path, "%s/%s", place->credentials, key);
        return read_value(AT_FDCWD, path, ret, e);
}

/* Of several adapters the first by name: names stay from one start to the next, numbers do not. */
enum err look_wifi(struct place *place, const char *key, char **ret, struct error *e)
{
        char path[PATH_MAX], best[NAME_MAX + 1] = "";
        struct dirent *entry;
        DIR *dir;

        (void)key;
        (void)snprintf(path, sizeof path, "%s/sys/class/net", place->root);
        dir = opendir(path);
        while (dir && (entry = readdir(dir))) {
                char address[PATH_MAX];

                if (entry->d_name[0] == '.' || (*best && strcmp(entry->d_name, best) > 0))
                        continue;
                (void)snprintf(address, sizeof address, "%s/phy80211/macaddress", entry->d_name);
                if (faccessat(dirfd(dir), address, R_OK, 0) == 0)
                        (void)snprintf(best, sizeof best, "%s", entry->d_name);
        }
        if (dir)
                (void)closedir(dir);
        if (!*best)
                return error_set(e, ERR_NOT_FOUND, "there is no such adapter");
        (void)snprintf(path, sizeof path, "%s/sys/class/net/%s/phy80211/macaddress", place->root, best);
        return read_value(AT_FDCWD, path, ret, e);
}
