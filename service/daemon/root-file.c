#include "daemon/root-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum err root_file_check(int fd, uid_t own, struct error *e)
{
        struct stat st;
        enum err r = ERR_OK;

        if (fstat(fd, &st) < 0)
                return errno_error(e, errno, "its owner could not be read");
        if (st.st_uid != 0 && st.st_uid != own)
                r = error_set(e, ERR_FILE_REFUSED, "it belongs to the uid %lu, not to root",
                              (unsigned long)st.st_uid);
        else if (st.st_mode & (S_IWGRP | S_IWOTH))
                r = error_set(e, ERR_FILE_REFUSED, "its mode %04o lets others than its owner write it",
                              (unsigned)(st.st_mode & 07777));
        return r ? error_remedy(e, r, "Make it root's alone: chown root:root and chmod go-w.") : ERR_OK;
}

enum err root_file_read(int dirfd, const char *path, uid_t own, size_t max, struct secret *ret,
                        struct error *e)
{
        CLEANUP(close_p)
        int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        char opened[64];
        enum err r;

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
                (void)error_set(e, ERR_NOT_FOUND, "it does not exist");
                return error_remedy(e, ERR_NOT_FOUND, "Make the file, or correct its path.");
        }
        if (fd < 0)
                return error_set(e, ERR_FILE_REFUSED, "it could not be opened: %s",
                                 errno == ELOOP ? "it is a symbolic link" : strerror(errno));
        r = root_file_check(fd, own, e);
        if (r)
                return r;
        /* By its descriptor: what was looked at is what is read. */
        (void)snprintf(opened, sizeof opened, "/proc/self/fd/%d", fd);
        return file_read_secret(AT_FDCWD, opened, max, ret, e);
}
