#include "apply/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/parse.h"
#include "apply/consumers.h"
#include "daemon/account.h"

enum { SIZE_MAX_READ = 1024 * 1024, NAME_BUFFER = CONSUMER_PATH_MAX + 32 };

enum err file_owner(const char *owner, const char *group, uid_t *ret_uid, gid_t *ret_gid, struct error *e)
{
        struct error why = {0};
        uint64_t number;
        enum err r = ERR_OK;

        *ret_uid = geteuid();
        *ret_gid = getegid();
        if (owner && parse_u64(owner, UINT32_MAX - 1, &number))
                *ret_uid = (uid_t)number;
        else if (owner)
                r = account_uid(owner, ret_uid, &why);
        if (!r && group && parse_u64(group, UINT32_MAX - 1, &number))
                *ret_gid = (gid_t)number;
        else if (!r && group)
                r = account_gid(group, ret_gid, &why);
        if (r != ERR_NOT_FOUND)
                return r ? error_copy(e, &why) : ERR_OK;
        (void)error_set(e, ERR_CONFIG, "%s", why.message);
        return error_remedy(e, ERR_CONFIG, "Make it, or correct Owner= or Group= in the consumer.");
}

/* Directory of @path, and its last part. No link is followed on the way: whoever may write one of these
 * directories would else decide where root writes. */
static enum err open_parent(const char *path, int *ret_fd, const char **ret_name, struct error *e)
{
        const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                                     .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
        const char *slash = strrchr(path, '/');
        char parent[NAME_BUFFER];

        (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash == path ? 1 : slash - path), path);
        *ret_fd = (int)syscall(SYS_openat2, AT_FDCWD, parent, &how, sizeof how);
        *ret_name = slash + 1;
        if (*ret_fd >= 0)
                return ERR_OK;
        if (errno == ELOOP) {
                (void)error_set(e, ERR_IO, "A part of the path %s is a symbolic link", parent);
                return error_remedy(e, ERR_IO, "Write the path into the consumer as it is without the link.");
        }
        if (errno == ENOENT || errno == ENOTDIR) {
                (void)error_set(e, ERR_IO, "There is no directory %s", parent);
                return error_remedy(e, ERR_IO, "Make the directory, or correct the path in the consumer.");
        }
        return errno_error(e, errno, "The directory %s could not be opened", parent);
}

/* A regular file of this name, read whole. ERR_NOT_FOUND: there is none such, or one that is none of ours. */
static enum err read_there(int dirfd, const char *name, struct bytes *ret, struct stat *ret_st,
                           struct error *e)
{
        CLEANUP(close_p)
        int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        char path[64];

        if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
                return error_set(e, ERR_NOT_FOUND, "There is no file %s", name);
        if (fd < 0 || fstat(fd, ret_st) < 0)
                return errno_error(e, errno, "%s could not be opened", name);
        if (!S_ISREG(ret_st->st_mode) || ret_st->st_size > SIZE_MAX_READ)
                return error_set(e, ERR_NOT_FOUND, "%s is no file that was written here", name);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return file_read(AT_FDCWD, path, SIZE_MAX_READ, ret, e);
}

enum err file_get(const char *path, struct bytes *ret, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        const char *name;
        struct stat st;
        enum err r = open_parent(path, &fd, &name, e);

        return r ? r : read_there(fd, name, ret, &st, e);
}

static bool is_there(int dirfd, const char *name, const struct file_spec *spec)
{
        CLEANUP(bytes_done) struct bytes content = {0};
        struct stat st;

        return read_there(dirfd, name, &content, &st, NULL) == ERR_OK && st.st_nlink == 1 &&
               st.st_uid == spec->uid && st.st_gid == spec->gid && (st.st_mode & 07777) == spec->mode &&
               view_equal(bytes_view(&content), spec->content);
}

static enum err fill(int fd, const struct file_spec *spec, struct error *e)
{
        enum err r = write_all(fd, spec->content, e);

        if (r)
                return r;
        /* Owner first: chown() takes mode bits away. */
        if (fchown(fd, spec->uid, spec->gid) < 0)
                return errno_error(e, errno, "The owner could not be set to %lu:%lu",
                                   (unsigned long)spec->uid, (unsigned long)spec->gid);
        if (fchmod(fd, spec->mode) < 0)
                return errno_error(e, errno, "The mode could not be set");
        return fsync(fd) < 0 ? errno_error(e, errno, "Writing to the disk failed") : ERR_OK;
}

static enum err replace(int dirfd, const char *name, const struct file_spec *spec, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        char temporary[NAME_BUFFER];
        enum err r;

        /* One name, so that a crash leaves at most one; O_EXCL, so that it is ours. */
        (void)snprintf(temporary, sizeof temporary, ".%s.scepter-new", name);
        if (unlinkat(dirfd, temporary, 0) < 0 && errno != ENOENT)
                return errno_error(e, errno, "%s could not be removed", temporary);
        fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return errno_error(e, errno, "%s could not be created", temporary);
        r = fill(fd, spec, e);
        if (!r && renameat(dirfd, temporary, dirfd, name) < 0)
                r = errno_error(e, errno, "It could not be put in place");
        if (r) {
                (void)unlinkat(dirfd, temporary, 0);
                return r;
        }
        return dir_sync(dirfd, e);
}

enum err file_put(const struct file_spec *spec, bool *ret_changed, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        const char *name;
        enum err r = open_parent(spec->path, &fd, &name, e);

        *ret_changed = false;
        if (!r && !is_there(fd, name, spec)) {
                r = replace(fd, name, spec, e);
                *ret_changed = true;
        }
        return r ? error_context(e, r, "%s", spec->path) : ERR_OK;
}

/* ERR_NOT_FOUND: there is no file, or none with this digest. */
static enum err find_digest(int dirfd, const char *name, const char *digest, struct error *e)
{
        CLEANUP(bytes_done) struct bytes content = {0};
        char found[65];
        struct stat st;
        enum err r = read_there(dirfd, name, &content, &st, e);

        if (!r)
                r = digest_text(bytes_view(&content), found, e);
        if (!r && strcmp(found, digest) != 0)
                r = error_set(e, ERR_NOT_FOUND, "%s is another one", name);
        return r;
}

enum file_look file_look_at(const char *path, const char *digest)
{
        CLEANUP(close_p) int fd = -1;
        const char *name;
        enum err r;

        if (open_parent(path, &fd, &name, NULL) || faccessat(fd, name, R_OK, AT_EACCESS) < 0)
                return errno == ENOENT ? FILE_MISSING : FILE_HIDDEN;
        r = find_digest(fd, name, digest, NULL);
        return !r ? FILE_SAME : r == ERR_NOT_FOUND ? FILE_OTHER : FILE_HIDDEN;
}

enum err file_take_away(const char *path, const char *digest, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        struct error why = {0};
        const char *name;
        enum err r;

        if (open_parent(path, &fd, &name, NULL))
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                               ? ERR_OK
                               : errno_error(e, errno, "%s could not be removed", path);
        r = find_digest(fd, name, digest, &why);
        /* What somebody else put there since is theirs. */
        if (r == ERR_NOT_FOUND)
                return ERR_OK;
        if (r)
                return error_context(e, error_copy(e, &why), "%s", path);
        if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
                return errno_error(e, errno, "%s could not be removed", path);
        return dir_sync(fd, e);
}
