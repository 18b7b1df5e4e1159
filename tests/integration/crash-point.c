/*
 * Preloaded into scepterd by test_crash.py: ends it by SIGKILL just before a change of the disk that the test
 * has chosen. The file named in CRASH_POINT holds two numbers of eight octets: how many changes there were,
 * and the one to end before (0: none).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct point {
        _Atomic int64_t count, target;
};

static struct point *point;

__attribute__((constructor)) static void start(void)
{
        const char *path = getenv("CRASH_POINT");
        int fd = path && strcmp(program_invocation_short_name, "scepterd") == 0
                         ? open(path, O_RDWR | O_CLOEXEC)
                         : -1;
        void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *point, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (fd >= 0)
                (void)close(fd);
        if (at != MAP_FAILED)
                point = at;
}

static void pass(void)
{
        if (point && atomic_fetch_add(&point->count, 1) + 1 == atomic_load(&point->target))
                (void)kill(getpid(), SIGKILL);
}

#define NEXT(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

__attribute__((visibility("default"))) int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
        pass();
        return NEXT(renameat)(from_fd, from, to_fd, to);
}

__attribute__((visibility("default"))) int unlinkat(int fd, const char *name, int flags)
{
        pass();
        return NEXT(unlinkat)(fd, name, flags);
}

__attribute__((visibility("default"))) int mkdirat(int fd, const char *name, mode_t mode)
{
        pass();
        return NEXT(mkdirat)(fd, name, mode);
}

__attribute__((visibility("default"))) int symlinkat(const char *target, int fd, const char *name)
{
        pass();
        return NEXT(symlinkat)(target, fd, name);
}
