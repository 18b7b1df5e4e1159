/*
 * Ownership at the declaration: CLEANUP(f) runs f(&variable) when the scope ends, STEAL() passes the value on
 * at the one line that gives it away. Every f here takes NULL or an empty value.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(f)              __attribute__((cleanup(f)))
#define MUST_CHECK              __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define N_ELEMENTS(a)           (sizeof(a) / sizeof((a)[0]))

/* The value of @p, whose owner is empty afterwards. */
#define STEAL(p)                                                                                             \
        (__extension__({                                                                                     \
                __typeof__(p) stolen_ = (p);                                                                 \
                (p) = NULL;                                                                                  \
                stolen_;                                                                                     \
        }))

static inline void free_p(void *p)
{
        free(*(void **)p);
}

static inline void close_p(int *fd)
{
        if (*fd >= 0)
                (void)close(*fd);
}

static inline void closedir_p(DIR **dir)
{
        if (*dir)
                (void)closedir(*dir);
}

static inline void fclose_p(FILE **file)
{
        if (*file)
                (void)fclose(*file);
}

/* The descriptor of @fd, whose owner holds -1 afterwards. */
static inline int steal_fd(int *fd)
{
        int stolen = *fd;
        *fd = -1;
        return stolen;
}
