#include "facts.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>

enum { PASSWD_BUFFER = 16 * 1024 };

enum err facts_login(uid_t uid, char **ret, struct error *e)
{
        CLEANUP(free_p) char *buffer = malloc(PASSWD_BUFFER);
        struct passwd entry, *found = NULL;

        if (!buffer)
                return error_no_memory(e);
        if (getpwuid_r(uid, &entry, buffer, PASSWD_BUFFER, &found) != 0 || !found)
                return error_set(e, ERR_NOT_FOUND, "There is no account with the uid %lu",
                                 (unsigned long)uid);
        *ret = strdup(found->pw_name);
        return *ret ? ERR_OK : error_no_memory(e);
}

enum err facts_uid(const char *login, uid_t *ret, struct error *e)
{
        CLEANUP(free_p) char *buffer = malloc(PASSWD_BUFFER);
        struct passwd entry, *found = NULL;

        if (!buffer)
                return error_no_memory(e);
        if (getpwnam_r(login, &entry, buffer, PASSWD_BUFFER, &found) != 0 || !found)
                return error_set(e, ERR_NOT_FOUND, "There is no account '%s'", login);
        *ret = found->pw_uid;
        return ERR_OK;
}

static enum err device_name(char **ret, struct error *e)
{
        char name[HOST_NAME_MAX + 1] = "";

        if (gethostname(name, sizeof name - 1) < 0 || !*name || strcmp(name, "localhost") == 0)
                return error_set(e, ERR_NOT_FOUND, "This machine has no name");
        name[strcspn(name, ".")] = 0;
        *ret = strdup(name);
        return *ret ? ERR_OK : error_no_memory(e);
}

static enum err get(void *ctx, enum fact fact, char **ret, struct error *e)
{
        const struct facts_source *source = ctx;

        if (fact == FACT_DEVICE_NAME)
                return device_name(ret, e);
        if (fact == FACT_USER_NAME && source->uid != NO_OWNER)
                return facts_login(source->uid, ret, e);
        if (fact_of_user(fact) && source->uid == NO_OWNER)
                return error_set(e, ERR_NOT_FOUND, "A device has no %s", fact_text(fact));
        return error_set(e, ERR_UNSUPPORTED, "This version has no source for the %s", fact_text(fact));
}

struct facts facts_of(struct facts_source *source)
{
        return (struct facts){source, get};
}
