#include "swtpm.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

/* An assertion that stays in optimised builds. */
static void must(bool ok)
{
        if (!ok)
                abort();
}

bool run_program(const char *program, ...)
{
        const char *argv[16] = {program};
        va_list ap;
        int status;
        pid_t pid;

        va_start(ap, program);
        for (size_t i = 1; i < 15; i++)
                if (!(argv[i] = va_arg(ap, const char *)))
                        break;
        va_end(ap);
        pid = fork();
        must(pid >= 0);
        if (pid == 0) {
                /* execvp() does not change the strings. */
                union {
                        const char **in;
                        char **out;
                } args = {argv};

                (void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
                execvp(program, args.out);
                _exit(127);
        }
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void swtpm_again(struct swtpm *swtpm)
{
        char state[96], server[128], control[128], pidfile[96], pid[32] = "";
        FILE *file;

        (void)snprintf(state, sizeof state, "dir=%s", swtpm->dir);
        (void)snprintf(server, sizeof server, "type=unixio,path=%s/sock", swtpm->dir);
        (void)snprintf(control, sizeof control, "type=unixio,path=%s/sock.ctrl", swtpm->dir);
        (void)snprintf(pidfile, sizeof pidfile, "file=%s/pid", swtpm->dir);
        (void)unlink(pidfile + 5);
        {
                pid_t child = fork();
                int status;

                must(child >= 0);
                if (child == 0) {
                        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
                               "--ctrl", control, "--flags", "startup-clear", "--pid", pidfile, "--daemon",
                               (char *)NULL);
                        _exit(127);
                }
                must(waitpid(child, &status, 0) == child && status == 0);
        }
        file = fopen(pidfile + 5, "re");
        must(file && fgets(pid, sizeof pid, file));
        (void)fclose(file);
        swtpm->pid = (pid_t)atoi(pid);
        must(swtpm->pid > 1);
}

bool swtpm_start(struct swtpm *swtpm)
{
        if (access("/usr/bin/swtpm", X_OK) < 0)
                return false;
        strcpy(swtpm->dir, "/tmp/scepter-swtpm.XXXXXX");
        must(mkdtemp(swtpm->dir));
        (void)snprintf(swtpm->tcti, sizeof swtpm->tcti, "swtpm:path=%s/sock", swtpm->dir);
        swtpm_again(swtpm);
        return true;
}

void swtpm_kill(struct swtpm *swtpm, int signal)
{
        char proc[64];

        if (swtpm->pid <= 0)
                return;
        (void)kill(swtpm->pid, signal);
        /* It is not our child (--daemon), so it is watched until it is gone. */
        (void)snprintf(proc, sizeof proc, "/proc/%d/stat", (int)swtpm->pid);
        while (kill(swtpm->pid, 0) == 0) {
                char line[128] = "", *end;
                FILE *file = fopen(proc, "re");

                if (!file)
                        break;
                (void)!fgets(line, sizeof line, file);
                (void)fclose(file);
                end = strrchr(line, ')');
                if (end && end[1] && end[2] == 'Z')
                        break;
                (void)sched_yield();
        }
        swtpm->pid = 0;
}

void swtpm_stop(struct swtpm *swtpm)
{
        swtpm_kill(swtpm, SIGKILL);
        (void)!tree_remove(AT_FDCWD, swtpm->dir, NULL);
}
