/*
 * The system calls a worker may make. A list of what is allowed; everything else (io_uring, ptrace,
 * process_vm, pidfd, execve, mount, bpf, …) kills the process. Signals and limits reach this process alone.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/parts.h"

/* Memory, files already allowed by Landlock, time, waiting, the stream. */
static const char *const common[] = {
        "read",
        "write",
        "readv",
        "writev",
        "pread64",
        "close",
        "fstat",
        "newfstatat",
        "stat",
        "lstat",
        "statx",
        "fstatfs",
        "statfs",
        "lseek",
        "mmap",
        "munmap",
        "mremap",
        "mprotect",
        "madvise",
        "mlock",
        "mlock2",
        "munlock",
        "brk",
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "sigaltstack",
        "futex",
        "sched_yield",
        "sched_getaffinity",
        "clock_gettime",
        "clock_getres",
        "clock_nanosleep",
        "nanosleep",
        "gettimeofday",
        "time",
        "getpid",
        "gettid",
        "getppid",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "uname",
        "sysinfo",
        "getrandom",
        "exit",
        "exit_group",
        "restart_syscall",
        "openat",
        "open",
        "access",
        "faccessat",
        "faccessat2",
        "readlink",
        "readlinkat",
        "getdents64",
        "getcwd",
        "fcntl",
        "dup",
        "poll",
        "ppoll",
        "select",
        "pselect6",
        "rseq",
        "set_robust_list",
        "membarrier",
        "getrlimit",
        "recvfrom",
        "recvmsg",
        "sendto",
        "sendmsg",
        "shutdown",
        "arch_prctl",
        "getsockopt",
        "setsockopt",
        "pipe2",
        "eventfd2",
};

/* What libcurl, its resolver thread and TLS add. */
static const char *const network[] = {
        "connect",   "sendmmsg",   "recvmmsg",    "getsockname", "getpeername",  "epoll_create1",
        "epoll_ctl", "epoll_wait", "epoll_pwait", "socketpair",  "memfd_create", "ftruncate",
};

struct filter {
        scmp_filter_ctx ctx;
        int failed; /* negative errno of the first rule that was refused */
};

static inline void filter_done(struct filter *f)
{
        if (f->ctx)
                seccomp_release(f->ctx);
}

/* A call this architecture does not have is no loss. */
static void note(struct filter *f, int rc)
{
        if (rc < 0 && rc != -EDOM && !f->failed)
                f->failed = rc;
}

static void allow(struct filter *f, const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                int number = seccomp_syscall_resolve_name(names[i]);

                if (number != __NR_SCMP_ERROR)
                        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, number, 0));
        }
}

/* abort() and raise() signal this process; nothing else may be signalled or limited. */
static void allow_on_self(struct filter *f)
{
        const scmp_datum_t pid = (scmp_datum_t)getpid();

        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_EQ, pid)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, pid)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, pid)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONBIO)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, TCGETS)));
}

/*
 * Sockets of the internet alone. AF_UNIX (nscd, resolved's varlink) and AF_NETLINK are refused by errno, as
 * glibc tries them and goes on without; others are killed. Threads as libcurl's resolver makes them; clone3's
 * flags cannot be seen, and glibc falls back to clone on ENOSYS.
 */
static void allow_network(struct filter *f)
{
        const scmp_datum_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

        allow(f, network, N_ELEMENTS(network));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET)));
        note(f,
             seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET6)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                 SCMP_A0(SCMP_CMP_EQ, AF_UNIX)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                 SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread)));
        note(f, seccomp_rule_add(f->ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
        note(f,
             seccomp_rule_add(f->ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)));
}

enum err seccomp_apply(enum sandbox_kind kind, struct error *e)
{
        CLEANUP(filter_done) struct filter f = {.ctx = seccomp_init(SCMP_ACT_KILL_PROCESS)};
        const char *const *more;
        size_t n_more;
        int rc;

        if (!f.ctx)
                return error_set(e, ERR_SANDBOX, "The list of system calls could not be made");
        more = sanitizer_syscalls(&n_more);
        allow(&f, common, N_ELEMENTS(common));
        allow(&f, more, n_more);
        allow_on_self(&f);
        if (kind == SANDBOX_NETWORK)
                allow_network(&f);
        note(&f, seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
        if (f.failed)
                return error_set(e, ERR_SANDBOX, "The list of system calls could not be made (errno %d)",
                                 -f.failed);
        rc = seccomp_load(f.ctx);
        if (rc < 0)
                return error_set(e, ERR_SANDBOX,
                                 "The list of system calls could not be switched on (errno %d)", -rc);
        return ERR_OK;
}
