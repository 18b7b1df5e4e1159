/* The linker leads the calls here (--wrap), and __real_NAME is libc's. */
#include "store-faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fault armed;
static unsigned calls, target;
static const char *failed;
static bool owed; /* a write was cut short: the next one fails */

void fault_arm(unsigned step, struct fault fault)
{
        armed = fault;
        target = step;
        calls = 0;
        owed = false;
        if (step)
                failed = "none";
}

unsigned fault_calls(void)
{
        return calls;
}

const char *fault_call(void)
{
        return failed;
}

static bool fails(const char *name)
{
        calls++;
        if (!target || (armed.stays ? calls < target : calls != target))
                return false;
        if (calls == target)
                failed = name;
        errno = armed.number;
        return true;
}

/* NAME(parameters) is @real unless it is its turn. */
#define WRAP(type, name, parameters, arguments, failure)                                                     \
        type __real_##name parameters;                                                                       \
        type __wrap_##name parameters;                                                                       \
        type __wrap_##name parameters                                                                        \
        {                                                                                                    \
                return fails(#name) ? (failure) : __real_##name arguments;                                   \
        }

WRAP(int, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode), -1)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
WRAP(int, fsync, (int fd), (fd), -1)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, fstatat, (int fd, const char *path, struct stat *st, int flags), (fd, path, st, flags), -1)
WRAP(int, ftruncate, (int fd, off_t len), (fd, len), -1)
WRAP(int, renameat, (int from, const char *a, int to, const char *b), (from, a, to, b), -1)
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), -1)
WRAP(int, symlinkat, (const char *to, int fd, const char *path), (to, fd, path), -1)
WRAP(int, faccessat, (int fd, const char *path, int mode, int flags), (fd, path, mode, flags), -1)
WRAP(ssize_t, readlinkat, (int fd, const char *path, char *to, size_t max), (fd, path, to, max), -1)
WRAP(ssize_t, pread, (int fd, void *to, size_t len, off_t at), (fd, to, len, at), -1)
WRAP(DIR *, fdopendir, (int fd), (fd), NULL)
WRAP(struct dirent *, readdir, (DIR * dir), (dir), NULL)

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
        return fails("open") ? -1 : __real_open(path, flags); /* the store makes no file by it */
}

int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...)
{
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        return fails("openat") ? -1 : __real_openat(fd, path, flags, mode);
}

ssize_t __real_write(int fd, const void *from, size_t len);
ssize_t __wrap_write(int fd, const void *from, size_t len);
ssize_t __wrap_write(int fd, const void *from, size_t len)
{
        if (owed) {
                owed = false;
                errno = armed.number;
                return -1;
        }
        if (!fails("write"))
                return __real_write(fd, from, len);
        if (armed.stays || len < 2)
                return -1;
        owed = true;
        return __real_write(fd, from, len / 2);
}
