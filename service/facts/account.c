/* Accounts, as the name services know them. */
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "facts.h"

enum { PASSWD_BUFFER = 16 * 1024 };

/* getpwuid_r(3) has a list of errors that mean no more than "not found"; these mean "not now". */
static bool is_trouble(int error)
{
        return error == EIO || error == EAGAIN || error == ETIMEDOUT || error == EMFILE || error == ENFILE ||
               error == ENOMEM;
}

enum err facts_login(uid_t uid, char **ret, struct error *e)
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

enum err facts_uid(const char *login, uid_t *ret, struct error *e)
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
