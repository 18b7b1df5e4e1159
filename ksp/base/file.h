/*
 * Files with bounds and without half-written states; memfds as they travel over D-Bus. Everything opens with
 * O_CLOEXEC. @dirfd as for openat(2), AT_FDCWD included.
 */
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include "base/secret.h"

/* Reads a regular file of at most @max octets. ERR_NOT_FOUND where there is none, ERR_TOO_LARGE over the
 * bound. */
MUST_CHECK enum err file_read(int dirfd, const char *name, size_t max, struct bytes *ret, struct error *e);
/* The same into locked memory. */
MUST_CHECK enum err file_read_secret(int dirfd, const char *name, size_t max, struct secret *ret,
                                     struct error *e);
/*
 * The whole of @v under @name with @mode (umask does not matter), or the old content, never a mixture: a
 * temporary file beside it, fsync, rename, fsync of the directory. No half file stays behind after a failure.
 */
MUST_CHECK enum err file_write(int dirfd, const char *name, mode_t mode, struct view v, struct error *e);
/* The same, and file_remove(), without the last fsync: for several files of one directory, before one
 * dir_sync(). */
MUST_CHECK enum err file_place(int dirfd, const char *name, mode_t mode, struct view v, struct error *e);
MUST_CHECK enum err file_drop(int dirfd, const char *name, struct error *e);
/* Unlinks @name and fsyncs the directory. A file that does not exist is a success. */
MUST_CHECK enum err file_remove(int dirfd, const char *name, struct error *e);
/* An existing directory, or a new one with @mode; *ret_fd is an open descriptor of it. Symbolic links are
 * refused. What was left half made (a crash, a disk that refused) is completed by the next call. */
MUST_CHECK enum err dir_ensure(int dirfd, const char *name, mode_t mode, int *ret_fd, struct error *e);
MUST_CHECK enum err dir_sync(int fd, struct error *e);
/* The next entry other than "." and ".."; NULL at the end. A disk that refuses is an error, and no end. *ret
 * lives as long as readdir(3) says. */
MUST_CHECK enum err dir_next(DIR *dir, struct dirent **ret, struct error *e);
/* Removes a directory and all below it; a missing one is a success. Symbolic links are unlinked, not
 * followed. */
MUST_CHECK enum err tree_remove(int dirfd, const char *name, struct error *e);

/* A sealed memfd that holds @v, offset 0. */
MUST_CHECK enum err memfd_make(const char *name, struct view v, int *ret_fd, struct error *e);
/*
 * Reads a memfd of a stranger by pread from offset 0 to the bound: its size may lie or change meanwhile.
 * Anything that is no memfd (no seals, or a name) is ERR_NOT_A_MEMFD, more than @max octets ERR_TOO_LARGE.
 */
MUST_CHECK enum err memfd_read_secret(int fd, size_t max, struct secret *ret, struct error *e);

/* All of @v or an error; restarts after EINTR. */
MUST_CHECK enum err write_all(int fd, struct view v, struct error *e);
