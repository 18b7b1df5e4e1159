/* A swtpm of one's own: in a temporary directory, on a unix socket, ended by its pid. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct swtpm {
        char dir[64];
        char tcti[128];
        pid_t pid;
};

/* false: there is no swtpm program here (the test skips). */
bool swtpm_start(struct swtpm *swtpm);
/* Sends @signal and waits until the process is gone; its state stays. */
void swtpm_kill(struct swtpm *swtpm, int signal);
/* Starts again on the same state. */
void swtpm_again(struct swtpm *swtpm);
/* Ends it and removes its directory. */
void swtpm_stop(struct swtpm *swtpm);
/* Runs a program with up to 14 arguments, NULL at the end; true: exit status 0. Its output goes to the
 * test's.
 */
bool run_program(const char *program, ...);
