/*
 * Landlock by raw system calls, degrading by ABI. The constants are the kernel's ABI (linux/landlock.h),
 * written out because headers as old as Debian 12's lack the newer ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/parts.h"

enum {
        CREATE_RULESET_VERSION = 1,
        RULE_PATH_BENEATH = 1,

        FS_READ_FILE = 1 << 2,
        FS_READ_DIR = 1 << 3,
        FS_ABI1 = (1 << 13) - 1,
        FS_REFER = 1 << 13,     /* ABI 2 */
        FS_TRUNCATE = 1 << 14,  /* ABI 3 */
        FS_IOCTL_DEV = 1 << 15, /* ABI 5 */

        NET_BIND_TCP = 1 << 0, /* ABI 4 */
        NET_CONNECT_TCP = 1 << 1,

        SCOPE_ABSTRACT_UNIX = 1 << 0, /* ABI 6 */
        SCOPE_SIGNAL = 1 << 1,
};

struct ruleset_attr {
        uint64_t fs, net, scoped;
};

struct path_attr {
        uint64_t access;
        int32_t fd;
} __attribute__((packed));

int landlock_abi(void)
{
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

        return abi > 0 ? (int)abi : 0;
}

static size_t attr_size(int abi)
{
        if (abi >= 6)
                return sizeof(struct ruleset_attr);
        return abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

static struct ruleset_attr attr_for(int abi, enum sandbox_kind kind)
{
        struct ruleset_attr attr = {.fs = FS_ABI1};

        if (abi >= 2)
                attr.fs |= FS_REFER;
        if (abi >= 3)
                attr.fs |= FS_TRUNCATE;
        if (abi >= 5)
                attr.fs |= FS_IOCTL_DEV;
        /* The server's port is not known yet: connecting stays open to the network kind. */
        if (abi >= 4)
                attr.net = kind == SANDBOX_NETWORK ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
        if (abi >= 6)
                attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        return attr;
}

static enum err allow_reading(int ruleset, const char *path, struct error *e)
{
        CLEANUP(close_p) int fd = open(path, O_PATH | O_CLOEXEC);
        struct path_attr attr = {.access = FS_READ_FILE, .fd = fd};
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return ERR_OK; /* not on this machine: nothing to allow */
        /* Not EXECUTE: mmap(PROT_EXEC) does not ask for it, so libraries load without. */
        if (S_ISDIR(st.st_mode))
                attr.access |= FS_READ_DIR;
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0)
                return error_set(e, ERR_SANDBOX, "Landlock refused the rule for %s (errno %d)", path, errno);
        return ERR_OK;
}

enum err landlock_apply(int abi, enum sandbox_kind kind, const char *const *paths, size_t n, struct error *e)
{
        const struct ruleset_attr attr = attr_for(abi, kind);
        CLEANUP(close_p) int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, attr_size(abi), 0);

        if (ruleset < 0)
                return error_set(e, ERR_SANDBOX, "Landlock (ABI %d) refused its rule set (errno %d)", abi,
                                 errno);
        for (size_t i = 0; i < n; i++) {
                enum err r = allow_reading(ruleset, paths[i], e);

                if (r)
                        return r;
        }
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return error_set(e, ERR_SANDBOX, "Landlock could not be switched on (errno %d)", errno);
        return ERR_OK;
}
