/*
 * Preloaded into our programs by faults.py, and by scepterd into its workers, whose environment is empty: a
 * request for memory that the test has chosen is refused. The file that ALLOC_POINT names is struct point:
 * which program, which call in its own code (the offset of the return address) and which time of that; or,
 * with a seed, one of 400 of those that libraries make. It also counts what each call in our own code asks.
 * A program of others is told by our module in it, which is preloaded, too.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SITES = 1024, LIBRARIES = 32, ONE_OF = 400 };
enum mode { OFF, COUNT, REFUSE, SEEDED };

struct site {
        _Atomic int64_t offset, count;
};

static const struct {
        const char *name, *module; /* NULL: its own code */
} programs[] = {{"scepterd", NULL},
                {"scepter-worker", NULL},
                {"scepter-parse", NULL},
                {"scepter-apply", NULL},
                {"scepter", NULL},
                {"openssl", "/ksp.so"},
                {"pkcs11-tool", "/scepter-pkcs11.so"}};

enum { PROGRAMS = sizeof programs / sizeof *programs };

/* faults.py has the same. */
struct point {
        _Atomic int64_t mode, program, offset, nth, seen, refused, seed;
        struct site sites[PROGRAMS][SITES];
};

struct range {
        uintptr_t base, from, to;
};

static struct point *point;
static int program = -1;
static struct range own, libraries[LIBRARIES]; /* libraries: those that are made to bear it */
static size_t n_libraries;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

/* libdbus ends the program where it cannot tell of a lack of memory; libc and the loader are not asked. */
static bool bears_it(const char *path)
{
        static const char *const names[] = {"libcrypto", "libssl",  "libcurl", "libjansson",
                                            "libinih",   "libxml2", "libtss2", "libsystemd"};
        const char *name = strrchr(path, '/');

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (strncmp(name ? name + 1 : path, names[i], strlen(names[i])) == 0)
                        return true;
        return false;
}

/* @first: of those that are loaded, the program itself */
static bool is_own(const char *path, bool first)
{
        const char *module = programs[program].module, *name = strrchr(path, '/');

        return module ? name && strcmp(name, module) == 0 : first;
}

static int note_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
        bool *first = ctx;
        const bool mine = is_own(info->dlpi_name, *first);

        (void)size;
        *first = false;
        if (!mine && (n_libraries == LIBRARIES || !bears_it(info->dlpi_name)))
                return 0;
        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *header = &info->dlpi_phdr[i];
                const uintptr_t from = info->dlpi_addr + header->p_vaddr;

                if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
                        continue;
                *(mine ? &own : &libraries[n_libraries++]) =
                        (struct range){info->dlpi_addr, from, from + header->p_memsz};
                break;
        }
        return 0;
}

__attribute__((constructor)) static void start(void)
{
        const char *path = getenv("ALLOC_POINT");
        bool first = true;
        void *at;
        int fd;

        for (int i = 0; i < PROGRAMS; i++)
                if (strcmp(program_invocation_short_name, programs[i].name) == 0)
                        program = i;
        fd = path && program >= 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
        if (fd < 0)
                return;
        (void)dl_iterate_phdr(note_object, &first);
        at = mmap(NULL, sizeof *point, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void)close(fd);
        if (at != MAP_FAILED)
                point = at;
}

static bool lies_in(const struct range *range, uintptr_t at)
{
        return at >= range->from && at < range->to;
}

static void count(int64_t offset)
{
        for (size_t i = 0; i < SITES; i++) {
                struct site *site = &point->sites[program][i];
                int64_t none = 0;

                if (atomic_load(&site->offset) == offset ||
                    atomic_compare_exchange_strong(&site->offset, &none, offset) || none == offset) {
                        (void)atomic_fetch_add(&site->count, 1);
                        return;
                }
        }
}

static bool refused_in_library(uintptr_t at)
{
        uint64_t x;

        for (size_t i = 0; i < n_libraries; i++) {
                if (!lies_in(&libraries[i], at))
                        continue;
                x = (uint64_t)atomic_load(&point->seed) + (uint64_t)atomic_fetch_add(&point->seen, 1);
                x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL; /* splitmix64 */
                x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
                return (x ^ (x >> 31)) % ONE_OF == 0;
        }
        return false;
}

/* @caller asks for memory and is to get none. */
static bool refused(const void *caller)
{
        const uintptr_t at = (uintptr_t)caller;
        const int64_t mode = point ? atomic_load(&point->mode) : OFF;
        bool ret = false;

        if (mode == SEEDED) {
                ret = refused_in_library(at);
        } else if (mode != OFF && lies_in(&own, at)) {
                const int64_t offset = (int64_t)(at - own.base);

                if (mode == COUNT)
                        count(offset);
                else if (atomic_load(&point->program) == program && atomic_load(&point->offset) == offset)
                        ret = atomic_fetch_add(&point->seen, 1) + 1 == atomic_load(&point->nth);
        }
        if (ret) {
                (void)atomic_fetch_add(&point->refused, 1);
                errno = ENOMEM;
        }
        return ret;
}

#define EXPORT  __attribute__((visibility("default")))
#define REFUSED refused(__builtin_return_address(0))

EXPORT void *malloc(size_t size)
{
        return REFUSED ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
        return REFUSED ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t size)
{
        return REFUSED ? NULL : __libc_realloc(p, size);
}

EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
        size_t len;

        if (REFUSED || __builtin_mul_overflow(n, size, &len))
                return NULL;
        return __libc_realloc(p, len);
}

static char *copy(const char *from, size_t len)
{
        char *to = __libc_malloc(len + 1);

        if (to) {
                memcpy(to, from, len);
                to[len] = 0;
        }
        return to;
}

EXPORT char *strdup(const char *from)
{
        return REFUSED ? NULL : copy(from, strlen(from));
}

EXPORT char *strndup(const char *from, size_t max)
{
        return REFUSED ? NULL : copy(from, strnlen(from, max));
}

#define NEXT(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

EXPORT int asprintf(char **ret, const char *format, ...)
{
        va_list ap;
        int n;

        if (REFUSED)
                return -1;
        va_start(ap, format);
        n = NEXT(vasprintf)(ret, format, ap);
        va_end(ap);
        return n;
}

/* The same, where the headers check. */
int __asprintf_chk(char **ret, int flag, const char *format, ...);
EXPORT int __asprintf_chk(char **ret, int flag, const char *format, ...)
{
        va_list ap;
        int n;

        (void)flag;
        if (REFUSED)
                return -1;
        va_start(ap, format);
        n = NEXT(vasprintf)(ret, format, ap);
        va_end(ap);
        return n;
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const arguments[],
                       char *const environment[])
{
        char preload[4096], file[4096];
        char *const given[] = {preload, file, NULL};

        if (point && (strstr(path, "/scepter-worker") || strstr(path, "/scepter-parse"))) {
                (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", getenv("LD_PRELOAD"));
                (void)snprintf(file, sizeof file, "ALLOC_POINT=%s", getenv("ALLOC_POINT"));
                environment = given;
        }
        return NEXT(posix_spawn)(pid, path, actions, attributes, arguments, environment);
}
