/* Files that only root (or, in a lab, the service's own user) can have written: what they say counts. */
#pragma once

#include <sys/types.h>

#include "base/secret.h"

/*
 * The whole regular file at @path below @dirfd (or AT_FDCWD), no symbolic link, of root's or of @own, that
 * nobody else can write. ERR_NOT_FOUND; ERR_FILE_REFUSED: who could have written it, or what it is;
 * ERR_TOO_LARGE: over @max octets. Blocks on the disk.
 */
MUST_CHECK enum err root_file_read(int dirfd, const char *path, uid_t own, size_t max, struct secret *ret,
                                   struct error *e);
/* The same question about anything that is open: a directory, say. */
MUST_CHECK enum err root_file_check(int fd, uid_t own, struct error *e);
