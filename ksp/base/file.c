#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* What a directory has until it is complete: nobody else gets in, and its mode tells that it is not. */
enum { MODE_HALF_MADE = 0700 };

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#endif

static enum err open_regular(int dirfd, const char *name, size_t max, int *ret_fd, size_t *ret_size,
                             struct error *e)
{
        CLEANUP(close_p) int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;

        if (fd < 0 && errno == ENOENT)
                return error_set(e, ERR_NOT_FOUND, "There is no file %s", name);
        if (fd < 0)
                return errno_error(e, errno, "%s could not be opened", name);
        if (fstat(fd, &st) < 0)
                return errno_error(e, errno, "%s could not be examined", name);
        if (!S_ISREG(st.st_mode))
                return error_set(e, ERR_IO, "%s is not a regular file", name);
        if ((uint64_t)st.st_size > max)
                return error_set(e, ERR_TOO_LARGE, "%s holds more than %zu octets", name, max);
        *ret_size = (size_t)st.st_size;
        *ret_fd = steal_fd(&fd);
        return ERR_OK;
}

/* Up to @size octets from offset 0; the count in *ret_len. */
static enum err pread_full(int fd, const char *name, uint8_t *buffer, size_t size, size_t *ret_len,
                           struct error *e)
{
        size_t len = 0;

        while (len < size) {
                ssize_t n = pread(fd, buffer + len, size - len, (off_t)len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_error(e, errno, "%s could not be read", name);
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        *ret_len = len;
        return ERR_OK;
}

enum err file_read(int dirfd, const char *name, size_t max, struct bytes *ret, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        CLEANUP(free_p) uint8_t *data = NULL;
        size_t size = 0, len;
        enum err r = open_regular(dirfd, name, max, &fd, &size, e);

        if (r)
                return r;
        data = malloc(size + 1);
        if (!data)
                return error_no_memory(e);
        r = pread_full(fd, name, data, size, &len, e);
        if (r)
                return r;
        data[len] = 0;
        *ret = (struct bytes){STEAL(data), len};
        return ERR_OK;
}

enum err file_read_secret(int dirfd, const char *name, size_t max, struct secret *ret, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        CLEANUP(secret_done) struct secret s = {0};
        size_t size = 0;
        enum err r = open_regular(dirfd, name, max, &fd, &size, e);

        if (r)
                return r;
        r = secret_new(&s, size, e);
        if (r)
                return r;
        r = pread_full(fd, name, s.data, size, &s.len, e);
        if (r)
                return r;
        *ret = s;
        s = (struct secret){0};
        return ERR_OK;
}

enum err write_all(int fd, struct view v, struct error *e)
{
        while (v.len) {
                ssize_t n = write(fd, v.data, v.len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_error(e, errno, "Writing failed");
                v.data += n;
                v.len -= (size_t)n;
        }
        return ERR_OK;
}

enum err dir_sync(int fd, struct error *e)
{
        if (fsync(fd) < 0)
                return errno_error(e, errno, "The directory could not be synchronised");
        return ERR_OK;
}

/* The directory that holds @name, to be synchronised once that has changed: whoever opens it only then has
 * changed something and tells of a failure. */
static enum err open_parent(int dirfd, const char *name, int *ret_fd, struct error *e)
{
        const char *slash = strrchr(name, '/');
        CLEANUP(free_p) char *parent = slash ? strndup(name, (size_t)(slash - name) + 1) : strdup(".");

        if (!parent)
                return error_no_memory(e);
        *ret_fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? errno_error(e, errno, "The directory of %s could not be opened", name) : ERR_OK;
}

static enum err write_and_sync(int fd, mode_t mode, struct view v, struct error *e)
{
        enum err r = write_all(fd, v, e);

        if (r)
                return r;
        if (fchmod(fd, mode) < 0)
                return errno_error(e, errno, "The mode could not be set");
        if (fsync(fd) < 0)
                return errno_error(e, errno, "Writing to the disk failed");
        return ERR_OK;
}

enum err file_place(int dirfd, const char *name, mode_t mode, struct view v, struct error *e)
{
        CLEANUP(free_p) char *temporary = NULL;
        CLEANUP(close_p) int fd = -1;
        enum err r;

        /* One writer per directory (the daemon's loop), so a fixed name is enough and a crash leaves at most
         * one. */
        if (asprintf(&temporary, "%s.new", name) < 0)
                return error_no_memory(e);
        fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return errno_error(e, errno, "%s could not be created", temporary);
        r = write_and_sync(fd, mode, v, e);
        if (r == ERR_OK && renameat(dirfd, temporary, dirfd, name) < 0)
                r = errno_error(e, errno, "The new file could not be put in place");
        if (r) {
                (void)unlinkat(dirfd, temporary, 0);
                return error_context(e, r, "%s", name);
        }
        return ERR_OK;
}

enum err file_write(int dirfd, const char *name, mode_t mode, struct view v, struct error *e)
{
        CLEANUP(close_p) int parent = -1;
        enum err r = open_parent(dirfd, name, &parent, e);

        if (!r)
                r = file_place(dirfd, name, mode, v, e);
        return r ? r : dir_sync(parent, e);
}

/* The same before @name is removed; where that is not there, or its directory, *ret_fd stays. */
static enum err open_parent_of_existing(int dirfd, const char *name, int *ret_fd, struct error *e)
{
        if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return open_parent(dirfd, name, ret_fd, e);
        return errno == ENOENT ? ERR_OK : errno_error(e, errno, "%s could not be examined", name);
}

enum err file_remove(int dirfd, const char *name, struct error *e)
{
        CLEANUP(close_p) int parent = -1;
        enum err r = open_parent_of_existing(dirfd, name, &parent, e);

        if (r || parent < 0)
                return r;
        if (unlinkat(dirfd, name, 0) < 0)
                return errno == ENOENT ? ERR_OK : errno_error(e, errno, "%s could not be removed", name);
        return dir_sync(parent, e);
}

enum err file_drop(int dirfd, const char *name, struct error *e)
{
        if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
                return errno_error(e, errno, "%s could not be removed", name);
        return ERR_OK;
}

enum err dir_ensure(int dirfd, const char *name, mode_t mode, int *ret_fd, struct error *e)
{
        CLEANUP(close_p) int fd = -1, parent = -1;
        enum err r = open_parent(dirfd, name, &parent, e);
        struct stat st;
        bool made;

        if (r)
                return r;
        made = mkdirat(dirfd, name, MODE_HALF_MADE) == 0;
        if (!made && errno != EEXIST)
                return errno_error(e, errno, "The directory %s could not be made", name);
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno_error(e, errno, "The directory %s could not be opened", name);
        if (fstat(fd, &st) < 0)
                return errno_error(e, errno, "The directory %s could not be examined", name);
        if (made || ((st.st_mode & 07777) == MODE_HALF_MADE && mode != MODE_HALF_MADE)) {
                r = dir_sync(parent, e);
                if (r)
                        return r;
                if (fchmod(fd, mode) < 0)
                        return errno_error(e, errno, "The mode of %s could not be set", name);
        }
        *ret_fd = steal_fd(&fd);
        return ERR_OK;
}

enum err dir_next(DIR *dir, struct dirent **ret, struct error *e)
{
        struct dirent *entry;

        do {
                errno = 0;
                entry = readdir(dir);
        } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
        if (!entry && errno)
                return errno_error(e, errno, "A directory could not be listed");
        *ret = entry;
        return ERR_OK;
}

static enum err empty_directory(int fd, int depth, struct error *e);

static enum err remove_entry(int dirfd, const char *name, int depth, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r;

        if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
                return ERR_OK;
        if (errno != EISDIR && errno != EPERM)
                return errno_error(e, errno, "%s could not be removed", name);
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno_error(e, errno, "The directory %s could not be opened", name);
        r = empty_directory(steal_fd(&fd), depth + 1, e);
        if (r)
                return r;
        if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return errno_error(e, errno, "The directory %s could not be removed", name);
        return ERR_OK;
}

/* Owns @fd. */
static enum err empty_directory(int fd, int depth, struct error *e)
{
        CLEANUP(closedir_p) DIR *dir = fdopendir(fd);
        struct dirent *entry = NULL;
        enum err r;

        if (!dir) {
                r = errno_error(e, errno, "A directory could not be listed");
                (void)close(fd);
                return r;
        }
        if (depth > 8)
                return error_set(e, ERR_IO, "The directory tree is too deep to be ours");
        do {
                r = dir_next(dir, &entry, e);
                if (!r && entry)
                        r = remove_entry(dirfd(dir), entry->d_name, depth, e);
        } while (!r && entry);
        return r;
}

enum err tree_remove(int dirfd, const char *name, struct error *e)
{
        CLEANUP(close_p) int parent = -1;
        enum err r = open_parent_of_existing(dirfd, name, &parent, e);

        if (r || parent < 0)
                return r;
        r = remove_entry(dirfd, name, 0, e);
        return r ? r : dir_sync(parent, e);
}

enum err memfd_make(const char *name, struct view v, int *ret_fd, struct error *e)
{
        CLEANUP(close_p) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        enum err r;

        if (fd < 0)
                return errno_error(e, errno, "A memfd could not be made");
        r = write_all(fd, v, e);
        if (r)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return errno_error(e, errno, "A memfd could not be sealed");
        *ret_fd = steal_fd(&fd);
        return ERR_OK;
}

enum err memfd_read_secret(int fd, size_t max, struct secret *ret, struct error *e)
{
        CLEANUP(secret_done) struct secret s = {0};
        struct stat st;
        size_t size = 0;
        enum err r;

        /* A file on tmpfs has seals as well; but a name, too. */
        if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink > 0)
                return error_set(e, ERR_NOT_A_MEMFD, "The descriptor that was passed is not a memfd");
        if ((uint64_t)st.st_size > max)
                return error_set(e, ERR_TOO_LARGE, "The data that was passed is larger than %zu octets", max);
        size = (size_t)st.st_size;
        r = secret_new(&s, size, e);
        if (r)
                return r;
        r = pread_full(fd, "The memfd that was passed", s.data, size, &s.len, e);
        if (r)
                return r;
        *ret = s;
        s = (struct secret){0};
        return ERR_OK;
}
