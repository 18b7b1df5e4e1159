#include "apply/trust.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#define TRUST_DIRECTORY "/usr/local/share/ca-certificates"
#define TRUST_PROGRAM   "/usr/sbin/update-ca-certificates"

void trust_path(const char *id, char ret[TRUST_PATH_MAX])
{
        (void)snprintf(ret, TRUST_PATH_MAX, TRUST_DIRECTORY "/scepter-%s.crt", id);
}

/* It tells how many it added; that is not for a result that was asked for. */
static int spawn(pid_t *ret)
{
        char name[] = TRUST_PROGRAM, path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
        char *const argv[] = {name, NULL}, *const environment[] = {path, NULL};
        posix_spawn_file_actions_t actions;
        int failed = posix_spawn_file_actions_init(&actions);

        if (failed)
                return failed;
        failed = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        if (!failed)
                failed = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        if (!failed)
                failed = posix_spawn(ret, TRUST_PROGRAM, &actions, NULL, argv, environment);
        (void)posix_spawn_file_actions_destroy(&actions);
        return failed;
}

enum err trust_update(struct error *e)
{
        int failed, status = 0;
        pid_t pid;

        failed = spawn(&pid);
        if (failed) {
                enum err r = errno_error(e, failed, TRUST_PROGRAM " could not be started");

                return error_remedy(e, r, "Install the package ca-certificates.");
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return ERR_OK;
        (void)error_set(e, ERR_CONSUMER, TRUST_PROGRAM " failed (status %d)",
                        WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        return error_remedy(e, ERR_CONSUMER, "Run it by hand and read what it says: update-ca-certificates.");
}
