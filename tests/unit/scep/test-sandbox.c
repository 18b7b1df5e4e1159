/*
 * service/worker/sandbox: a child closes it around itself and tries what is forbidden. Skipped, with the
 * reason, where the kernel lacks a part.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <netinet/in.h>

#include "sandbox/parts.h"
#include "sandbox/sandbox.h"

static int child(enum sandbox_kind kind, int (*probe)(void))
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                int landlock = 0;
                struct error e = {0};

                if (sandbox_apply(kind, true, &landlock, &e)) {
                        fprintf(stderr, "%s\n", e.message);
                        _exit(99);
                }
                _exit(probe());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static int killed_open_unix(void)
{
        return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 1 : 0;
}
static int socket_inet(void)
{
        return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}
static int socket_packet(void)
{
        return socket(AF_PACKET, SOCK_RAW, 0) >= 0 ? 1 : 0;
}
static int io_uring(void)
{
        return (int)syscall(425 /* io_uring_setup */, 1, NULL);
}
static int trace(void)
{
        return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static int peek(void)
{
        return (int)syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
}
static int pidfd(void)
{
        return (int)syscall(434 /* pidfd_open */, getpid(), 0);
}
static int kill_parent(void)
{
        return kill(getppid(), 0);
}
static int kill_self(void)
{
        return kill(getpid(), 0);
}
static int limit_parent(void)
{
        struct rlimit limit;

        return (int)syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &limit);
}
static int run_program(void)
{
        return execl("/bin/true", "true", NULL);
}
static int fork_child(void)
{
        return (int)syscall(SYS_fork);
}
static int read_passwd(void)
{
        return open("/etc/passwd", O_RDONLY) >= 0 ? 1 : errno == EACCES ? 0 : 2;
}
static int write_tmp(void)
{
        return open("/tmp/scepter-sandbox-probe", O_CREAT | O_WRONLY, 0600) >= 0 ? 1
               : errno == EACCES                                                 ? 0
                                                                                 : 2;
}
static int read_hosts(void)
{
        return open("/etc/hosts", O_RDONLY) >= 0 || errno == ENOENT ? 0 : 1;
}
static int read_hosts_denied(void)
{
        return open("/etc/hosts", O_RDONLY) >= 0 ? 1 : errno == EACCES ? 0 : 2;
}
static int look(void)
{
        struct rlimit core;
        volatile uint8_t *p = malloc(1 << 20);

        if (!p)
                return 1;
        for (size_t i = 0; i < 1 << 20; i += 4096)
                p[i] = 1;
        free((void *)(uintptr_t)p);
        if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max)
                return 2;
        return 0;
}
static void *threaded(void *arg)
{
        return arg;
}
static int thread_and_name(void)
{
        struct addrinfo *found = NULL;
        pthread_t thread;

        if (pthread_create(&thread, NULL, threaded, NULL) || pthread_join(thread, NULL))
                return 1;
        if (getaddrinfo("localhost", "80", NULL, &found))
                return 2;
        freeaddrinfo(found);
        return 0;
}

/* Exit 0 is as wanted; KILLED: by SIGSYS. */
enum { KILLED = -1 };

static void table(void **state)
{
        static const struct {
                const char *name;
                enum sandbox_kind kind;
                int (*probe)(void);
                int wanted;
                bool landlock; /* needs it */
        } cases[] = {
                {"parse/look", SANDBOX_PARSE, look, 0, false},
                {"parse/socket", SANDBOX_PARSE, socket_inet, KILLED, false},
                {"parse/socket-unix", SANDBOX_PARSE, killed_open_unix, KILLED, false},
                {"parse/fork", SANDBOX_PARSE, fork_child, KILLED, false},
                {"parse/exec", SANDBOX_PARSE, run_program, KILLED, false},
                {"parse/ptrace", SANDBOX_PARSE, trace, KILLED, false},
                {"parse/kill-self", SANDBOX_PARSE, kill_self, 0, false},
                {"parse/kill-parent", SANDBOX_PARSE, kill_parent, KILLED, false},
                {"parse/read-passwd", SANDBOX_PARSE, read_passwd, 0, true},
                {"parse/read-hosts", SANDBOX_PARSE, read_hosts_denied, 0, true},
                {"network/look", SANDBOX_NETWORK, look, 0, false},
                {"network/socket", SANDBOX_NETWORK, socket_inet, 0, false},
                {"network/socket-unix", SANDBOX_NETWORK, killed_open_unix, 0, false}, /* refused by errno */
                {"network/socket-packet", SANDBOX_NETWORK, socket_packet, KILLED, false},
                {"network/resolver", SANDBOX_NETWORK, thread_and_name, 0, false},
                {"network/fork", SANDBOX_NETWORK, fork_child, KILLED, false},
                {"network/exec", SANDBOX_NETWORK, run_program, KILLED, false},
                {"network/io-uring", SANDBOX_NETWORK, io_uring, KILLED, false},
                {"network/ptrace", SANDBOX_NETWORK, trace, KILLED, false},
                {"network/process-vm", SANDBOX_NETWORK, peek, KILLED, false},
                {"network/pidfd", SANDBOX_NETWORK, pidfd, KILLED, false},
                {"network/kill-parent", SANDBOX_NETWORK, kill_parent, KILLED, false},
                {"network/limit-parent", SANDBOX_NETWORK, limit_parent, KILLED, false},
                {"network/read-hosts", SANDBOX_NETWORK, read_hosts, 0, true},
                {"network/read-passwd", SANDBOX_NETWORK, read_passwd, 0, true},
                {"network/write-tmp", SANDBOX_NETWORK, write_tmp, 0, true},
        };
        bool landlock = landlock_abi() > 0;

        (void)state;
        if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) {
                print_message("skipped: this kernel has no seccomp\n");
                skip();
        }
        if (!landlock)
                print_message("skipped in part: this kernel has no Landlock\n");
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                int status;

                if (cases[i].landlock && !landlock)
                        continue;
                status = child(cases[i].kind, cases[i].probe);
                if (cases[i].wanted == KILLED && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS))
                        fail_msg("%s: not killed (status 0x%x)", cases[i].name, (unsigned)status);
                if (cases[i].wanted == 0 && status != 0)
                        fail_msg("%s: status 0x%x", cases[i].name, (unsigned)status);
        }
}

static void abort_works(void **state)
{
        int status;
        pid_t pid;

        (void)state;
        pid = fork();
        if (pid == 0) {
                int landlock = 0;

                if (sandbox_apply(SANDBOX_NETWORK, true, &landlock, NULL) == ERR_OK)
                        (void)raise(SIGTERM);
                _exit(1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(abort_works)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
