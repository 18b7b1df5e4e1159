#include "cli/polkit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

extern char **environ;

#define AGENT "/usr/bin/pkttyagent"

enum { NOTIFY = 3 };

static int spawn(int notify, pid_t *ret)
{
        char *const argv[] = {(char[]){AGENT}, (char[]){"--notify-fd"}, (char[]){"3"}, (char[]){"--fallback"},
                              NULL};
        posix_spawn_file_actions_t actions;
        int failed = posix_spawn_file_actions_init(&actions);

        if (failed)
                return failed;
        failed = posix_spawn_file_actions_adddup2(&actions, notify, NOTIFY);
        /* It asks at /dev/tty; that there is no polkit is for the service to say. */
        if (!failed)
                failed = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        if (!failed)
                failed = posix_spawn(ret, AGENT, &actions, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
        return failed;
}

pid_t polkit_agent_start(void)
{
        CLEANUP(close_p) int ready = -1;
        int ends[2], failed;
        pid_t pid = 0;
        char octet;

        if (geteuid() == 0 || !isatty(STDIN_FILENO) || access(AGENT, X_OK) < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return 0;
        ready = ends[0];
        failed = spawn(ends[1], &pid);
        (void)close(ends[1]);
        if (failed)
                return 0;
        /* It closes its end once it is registered, and of course when it ends. */
        while (read(ready, &octet, 1) < 0 && errno == EINTR)
                ;
        return pid;
}

void polkit_agent_stop(pid_t pid)
{
        if (!pid)
                return;
        (void)kill(pid, SIGTERM);
        (void)kill(pid, SIGCONT);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
