/* Files for consumers: whole or not at all, with owner and mode from the first moment under their name, and
 * never through a symbolic link. */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"

struct file_spec {
        const char *path; /* absolute */
        struct view content;
        uid_t uid;
        gid_t gid;
        mode_t mode;
};

/* Names to numbers; NULL or "root": 0, in a lab the own ones. Digits are taken as they are. ERR_CONFIG: there
 * is none such. */
MUST_CHECK enum err file_owner(const char *owner, const char *group, uid_t *ret_uid, gid_t *ret_gid,
                               struct error *e);
/* What is there now. ERR_NOT_FOUND: no regular file. */
MUST_CHECK enum err file_get(const char *path, struct bytes *ret, struct error *e);
/* *ret_changed: it was not so before. */
MUST_CHECK enum err file_put(const struct file_spec *spec, bool *ret_changed, struct error *e);
/* Whether the file at @path has this SHA-256 (lower-case hex). */
enum file_look { FILE_SAME, FILE_OTHER, FILE_MISSING, FILE_HIDDEN /* we may not, or cannot, look */ };
enum file_look file_look_at(const char *path, const char *digest);
/* Takes it away if it still has this digest; what is gone, or another one, is no error. */
MUST_CHECK enum err file_take_away(const char *path, const char *digest, struct error *e);
