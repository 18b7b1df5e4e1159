/* Which programs have a key of the certificate open. Pure. */
#include "findings.h"

#include <stdio.h>

enum { LIST = KEY_USERS_MAX * 16 };

/* "pid 812, 4711", "pid 812, … and more" */
static void list_of(const pid_t pids[KEY_USERS_MAX], size_t n, char ret[LIST])
{
        size_t len = (size_t)snprintf(ret, LIST, "pid");

        for (size_t i = 0; i < n && len < LIST; i++)
                len += (size_t)snprintf(ret + len, LIST - len, "%s %ld", i ? "," : "", (long)pids[i]);
        if (n == KEY_USERS_MAX && len < LIST)
                (void)snprintf(ret + len, LIST - len, " and perhaps more");
}

void findings_consumers(struct findings *f, const struct key_users *users)
{
        char pids[LIST];

        if (users->old.n) {
                list_of(users->old.pids, users->old.n, pids);
                findings_say(f, DIAGNOSE_CONSUMERS_OLD, NULL,
                             "The key of an earlier certificate is in use: %s", pids);
        }
        list_of(users->current.pids, users->current.n, pids);
        if (users->current.n)
                findings_say(f, DIAGNOSE_CONSUMERS_OK, NULL, "The key is in use: %s", pids);
        else if (!users->old.n)
                findings_say(f, DIAGNOSE_CONSUMERS_NONE, NULL, "No program has the key open just now");
}
