/* The parts of the cage. Inside this folder only. */
#pragma once

#include <stddef.h>

#include "sandbox/sandbox.h"

enum { LANDLOCK_PATHS_MAX = 32 };

/* ABI of the running kernel; 0: no Landlock (absent, switched off, or filtered by a container). */
int landlock_abi(void);
/* Denies every file but reading beneath @paths (those that exist), TCP as @kind says, and, where the ABI has
 * it, signals and abstract sockets beyond this process. @abi > 0. */
MUST_CHECK enum err landlock_apply(int abi, enum sandbox_kind kind, const char *const *paths, size_t n,
                                   struct error *e);
/* The list of system calls; anything else kills the process. */
MUST_CHECK enum err seccomp_apply(enum sandbox_kind kind, struct error *e);

/* What a build with sanitizers needs beyond (sanitizer-on.c); nothing otherwise (sanitizer-off.c). */
const char *const *sanitizer_syscalls(size_t *ret_n);
const char *const *sanitizer_paths(size_t *ret_n);
/* Address space cannot be bounded under AddressSanitizer's shadow. */
bool sanitizer_present(void);
