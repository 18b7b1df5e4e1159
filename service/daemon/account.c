#include "daemon/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

/* An entry of a group holds the names of all its members. */
enum { PASSWD_BUFFER = 16 * 1024, GROUP_BUFFER_MAX = 16 * 1024 * 1024 };

/* getpwuid_r(3) has a list of errors that mean no more than "not found"; these mean "not now". */
static bool is_trouble(int error)
{
        return error == EIO || error == EAGAIN || error == ETIMEDOUT || error == EMFILE || error == ENFILE ||
               error == ENOMEM;
}

enum err account_login(uid_t uid, char **ret, struct error *e)
{
        CLEANUP(free_p) char *buffer = malloc(PASSWD_BUFFER);
        struct passwd entry, *found = NULL;
        int error;

        if (!buffer)
                return error_no_memory(e);
        error = getpwuid_r(uid, &entry, buffer, PASSWD_BUFFER, &found);
        if (!found && is_trouble(error))
                return errno_error(e, error, "The account with the uid %lu could not be looked up",
                                   (unsigned long)uid);
        if (!found)
                return error_set(e, ERR_NOT_FOUND, "There is no account with the uid %lu",
                                 (unsigned long)uid);
        *ret = strdup(found->pw_name);
        return *ret ? ERR_OK : error_no_memory(e);
}

enum err account_uid(const char *login, uid_t *ret, struct error *e)
{
        CLEANUP(free_p) char *buffer = malloc(PASSWD_BUFFER);
        struct passwd entry, *found = NULL;
        int error;

        if (!buffer)
                return error_no_memory(e);
        error = getpwnam_r(login, &entry, buffer, PASSWD_BUFFER, &found);
        if (!found && is_trouble(error))
                return errno_error(e, error, "The account '%s' could not be looked up", login);
        if (!found)
                return error_set(e, ERR_NOT_FOUND, "There is no account '%s'", login);
        *ret = found->pw_uid;
        return ERR_OK;
}

enum err account_gid(const char *group, gid_t *ret, struct error *e)
{
        struct group entry, *found = NULL;
        int error = ERANGE;

        for (size_t size = PASSWD_BUFFER; error == ERANGE && size <= GROUP_BUFFER_MAX; size *= 4) {
                CLEANUP(free_p) char *buffer = malloc(size);

                if (!buffer)
                        return error_no_memory(e);
                error = getgrnam_r(group, &entry, buffer, size, &found);
                if (found) {
                        *ret = found->gr_gid;
                        return ERR_OK;
                }
        }
        if (error == ERANGE || is_trouble(error))
                return errno_error(e, error, "The group '%s' could not be looked up", group);
        return error_set(e, ERR_NOT_FOUND, "There is no group '%s'", group);
}
