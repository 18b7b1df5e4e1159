/* Builds with AddressSanitizer: the system calls its runtime makes, and no leak check at the end of a worker.
 */
#include "sandbox/parts.h"

const char *const *sanitizer_syscalls(size_t *ret_n)
{
        static const char *const names[] = {"getrusage", "sigaltstack",    "sched_getaffinity",
                                            "readlink",  "personality",    "pipe",
                                            "prctl",     "set_robust_list"};

        *ret_n = N_ELEMENTS(names);
        return names;
}

const char *const *sanitizer_paths(size_t *ret_n)
{
        static const char *const names[] = {"/proc/self/maps", "/proc/self/cmdline"};

        *ret_n = N_ELEMENTS(names);
        return names;
}

bool sanitizer_present(void)
{
        return true;
}

/* The runtime asks once, at the end; the leak check would clone a tracer, which the filter kills. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
        return 1;
}
