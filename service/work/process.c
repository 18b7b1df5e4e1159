#include "process.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { WORKER_STREAM = 3 }; /* where a worker finds its stream, as systemd passes it */

/* sd-event has reaped it: its number may be another's now. */
static int on_exit_of_worker(sd_event_source *source, const siginfo_t *info, void *ctx)
{
        struct worker_process *process = ctx;

        (void)info;
        if (process) {
                process->pid = 0;
                return 0;
        }
        /* Nobody else has it: the loop would keep it and its pidfd to the loop's own end. */
        (void)sd_event_source_set_floating(source, false);
        return 0;
}

static const char *program_of(const struct workers_config *config, enum job_kind kind)
{
        return kind == JOB_PARSE ? config->parse : config->network;
}

/* posix_spawn() and not fork(): the daemon is not copied for a child that only execs. */
static int spawn(const char *program, bool weak, int stream, pid_t *ret)
{
        const char *argv[] = {program, weak ? "--weak-workers" : NULL, NULL};
        /* posix_spawn() does not change the strings. */
        union {
                const char **in;
                char **out;
        } args = {argv};
        char *const environment[] = {NULL};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, defaults;
        int failed = posix_spawn_file_actions_init(&actions);

        if (failed)
                return failed;
        failed = posix_spawnattr_init(&attributes);
        if (failed) {
                (void)posix_spawn_file_actions_destroy(&actions);
                return failed;
        }
        (void)sigemptyset(&none);
        (void)sigemptyset(&defaults);
        (void)sigaddset(&defaults, SIGPIPE);
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        failed = posix_spawn_file_actions_adddup2(&actions, stream, WORKER_STREAM);
        /* tpm2-tss opens its socket to swtpm without O_CLOEXEC: a worker that inherited it would hold the
         * TPM. */
        if (!failed)
                failed = posix_spawn_file_actions_addclosefrom_np(&actions, WORKER_STREAM + 1);
        if (!failed)
                failed = posix_spawn(ret, program, &actions, &attributes, args.out, environment);
        (void)posix_spawnattr_destroy(&attributes);
        (void)posix_spawn_file_actions_destroy(&actions);
        return failed;
}

static enum err exec_worker(const struct workers_config *config, enum job_kind kind,
                            struct worker_process *ret, struct error *e)
{
        const char *program = program_of(config, kind);
        int ends[2], failed;
        pid_t pid = 0;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return errno_error(e, errno, "A socketpair could not be made");
        failed = spawn(program, config->weak, ends[1], &pid);
        (void)close(ends[1]);
        ret->fd = ends[0];
        if (failed)
                return errno_error(e, failed, "The worker %s could not be started", program);
        ret->pid = pid;
        failed = sd_event_add_child(config->event, &ret->child, pid, WEXITED, on_exit_of_worker, ret);
        return failed < 0 ? errno_error(e, -failed, "The event loop took no source") : ERR_OK;
}

static enum err connect_worker(const struct workers_config *config, enum job_kind kind,
                               struct worker_process *ret, struct error *e)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.sock", config->runtime,
                         kind == JOB_PARSE ? "parse" : "worker");

        if (n < 0 || (size_t)n >= sizeof address.sun_path)
                return error_set(e, ERR_CONFIG, "The runtime directory's path is too long");
        ret->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (ret->fd < 0)
                return errno_error(e, errno, "A socket could not be made");
        if (connect(ret->fd, (struct sockaddr *)&address, sizeof address) < 0)
                return error_set(e, ERR_WORKER, "No worker is to be had at %s (%s)", address.sun_path,
                                 strerror(errno));
        return ERR_OK;
}

enum err worker_process_start(const struct workers_config *config, enum job_kind kind,
                              struct worker_process *ret, struct error *e)
{
        enum err r;

        *ret = NO_PROCESS;
        r = program_of(config, kind) ? exec_worker(config, kind, ret, e)
                                     : connect_worker(config, kind, ret, e);
        if (r)
                worker_process_end(ret);
        return r;
}

bool worker_process_alive(const struct worker_process *process)
{
        char octet;

        if (process->fd < 0 || (process->child && !process->pid))
                return false;
        /* Nothing to read yet is what a worker that waits for its job looks like. */
        return recv(process->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
               (errno == EAGAIN || errno == EWOULDBLOCK);
}

void worker_process_move(struct worker_process *to, struct worker_process *from)
{
        *to = *from;
        *from = NO_PROCESS;
        if (to->child)
                (void)sd_event_source_set_userdata(to->child, to);
}

void worker_process_end(struct worker_process *process)
{
        if (process->fd >= 0)
                (void)close(process->fd);
        if (process->pid > 0)
                (void)kill(process->pid, SIGKILL);
        if (process->child && process->pid == 0) {
                (void)sd_event_source_disable_unref(process->child);
        } else if (process->child) {
                (void)sd_event_source_set_userdata(process->child, NULL);
                (void)sd_event_source_set_floating(process->child, true);
                (void)sd_event_source_unref(process->child);
        }
        *process = NO_PROCESS;
}
