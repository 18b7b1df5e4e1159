/*
 * Preloaded into scepterd by crash.py, or into the program that CRASH_PROGRAM names: at a change of the disk
 * that the test has chosen, the daemon ends by SIGKILL just before it, or waits, or the change fails. The
 * file in CRASH_POINT holds three numbers of eight octets: how many changes there were, the one that is
 * chosen (0: none), and what happens there. Beside it, NAME.arrows gets a line "FROM TO COUNT", two
 * activities, for each record that replaces another.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        UNSYNCED = -2, /* it happens, but its directory cannot be synchronised; then FAIL */
        HOLD = -1,     /* it waits there until another target is set */
        KILL = 0,
        FAIL = 1 /* n more: and then a kill at the n-th change behind it */,
        RECORD_HEAD = 64 * 1024,
        NAME = 32
};

struct point {
        _Atomic int64_t count, target, mode;
};

static struct point *point;
static int arrows = -1;

__attribute__((constructor)) static void start(void)
{
        const char *path = getenv("CRASH_POINT"), *program = getenv("CRASH_PROGRAM");
        const bool wanted =
                path && strcmp(program_invocation_short_name, program ? program : "scepterd") == 0;
        int fd = wanted ? open(path, O_RDWR | O_CLOEXEC) : -1;
        void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *point, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        char name[4096];

        if (fd >= 0)
                (void)close(fd);
        if (at == MAP_FAILED)
                return;
        point = at;
        (void)snprintf(name, sizeof name, "%s.arrows", path);
        arrows = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* The activity in a record; "" where there is none. */
static void activity_of(int dir, const char *name, char ret[NAME])
{
        static const char key[] = "\"activity\"";
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        char *text = fd < 0 ? NULL : calloc(1, RECORD_HEAD);
        const char *at = NULL;

        ret[0] = 0;
        if (text && read(fd, text, RECORD_HEAD - 1) > 0)
                at = strstr(text, key);
        if (at)
                (void)sscanf(at + sizeof key - 1, " : \"%31[a-z-]\"", ret);
        free(text);
        if (fd >= 0)
                (void)close(fd);
}

static void note_arrow(int from_fd, const char *from, int to_fd, const char *to, int64_t count)
{
        char before[NAME], after[NAME], line[3 * NAME];
        int n;

        if (arrows < 0 || !strstr(to, "record.json"))
                return;
        activity_of(to_fd, to, before);
        activity_of(from_fd, from, after);
        if (!*before)
                return;
        n = snprintf(line, sizeof line, "%s %s %lld\n", before, after, (long long)count);
        if (n > 0 && write(arrows, line, (size_t)n) < 0)
                abort();
}

/* The number of this change. */
static int64_t next_change(void)
{
        return point ? atomic_fetch_add(&point->count, 1) + 1 : 0;
}

/* false: the change is to fail. */
static bool pass(int64_t count)
{
        const int64_t target = point ? atomic_load(&point->target) : 0;
        const int64_t mode = target ? atomic_load(&point->mode) : KILL;

        if (!target)
                return true;
        while (mode == HOLD && count == target && atomic_load(&point->target) == target)
                (void)poll(NULL, 0, 1);
        if (mode == HOLD || mode == UNSYNCED)
                return true;
        if (count == target && mode != KILL)
                return false;
        if (count == target + (mode ? mode - FAIL : 0))
                (void)kill(getpid(), SIGKILL);
        return true;
}

static int failed(void)
{
        errno = ENOSPC;
        return -1;
}

#define NEXT(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

__attribute__((visibility("default"))) int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
        const int64_t count = next_change();

        note_arrow(from_fd, from, to_fd, to, count);
        return pass(count) ? NEXT(renameat)(from_fd, from, to_fd, to) : failed();
}

/* Once: the directory of the change is what is synchronised next. */
__attribute__((visibility("default"))) int fsync(int fd)
{
        struct stat st;
        int64_t unsynced = UNSYNCED;

        if (!point || atomic_load(&point->mode) != UNSYNCED ||
            atomic_load(&point->count) != atomic_load(&point->target) || fstat(fd, &st) < 0 ||
            !S_ISDIR(st.st_mode) || !atomic_compare_exchange_strong(&point->mode, &unsynced, FAIL))
                return NEXT(fsync)(fd);
        errno = EIO;
        return -1;
}

__attribute__((visibility("default"))) int unlinkat(int fd, const char *name, int flags)
{
        if (faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0) /* that changes nothing */
                return NEXT(unlinkat)(fd, name, flags);
        return pass(next_change()) ? NEXT(unlinkat)(fd, name, flags) : failed();
}

__attribute__((visibility("default"))) int mkdirat(int fd, const char *name, mode_t mode)
{
        return pass(next_change()) ? NEXT(mkdirat)(fd, name, mode) : failed();
}

__attribute__((visibility("default"))) int symlinkat(const char *target, int fd, const char *name)
{
        return pass(next_change()) ? NEXT(symlinkat)(target, fd, name) : failed();
}
