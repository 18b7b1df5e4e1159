/* The files of /etc/scepter/profiles.d and those that they name: root's own word, so it is read here and not
 * passed along. Blocks on the disk; a thread of the pool. */
#pragma once

#include "objects/named-files.h"

enum { PLACED_MAX = 256, PLACED_SIZE_MAX = 64 * 1024, PLACED_NAME_MAX = 200 };

struct placed_file {
        char *name; /* "wifi.profile" */
        struct secret text;
        struct error failure; /* code ERR_OK: none */
};
struct placed_files {
        struct placed_file *items; /* in the order of their names */
        size_t count;
        bool missing; /* the directory is */
};
void placed_files_done(struct placed_files *files);

/*
 * Every *.profile in the directory @path; one that somebody else than root (or @own, in a lab) could have
 * written is there with its failure. A directory that is missing is an empty one. ERR_FILE_REFUSED: others
 * can write the directory; ERR_LIMIT.
 */
MUST_CHECK enum err placed_read(const char *path, uid_t own, struct placed_files *ret, struct error *e);

/*
 * What the files hold that the profile of @settings names: paths as they are, or beside the profile in
 * @directory. A challenge is not among them: it is read when it is needed. @ret_digest: of the text and all
 * of them. Errors name the key.
 */
MUST_CHECK enum err placed_named(const struct settings *settings, const char *directory, uid_t own,
                                 struct view text, struct ksp *ksp, struct named_files *ret,
                                 char ret_digest[65], struct error *e);
