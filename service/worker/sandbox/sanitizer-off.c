/* Builds without sanitizers: nothing more is needed. */
#include "sandbox/parts.h"

const char *const *sanitizer_syscalls(size_t *ret_n)
{
        *ret_n = 0;
        return NULL;
}

const char *const *sanitizer_paths(size_t *ret_n)
{
        *ret_n = 0;
        return NULL;
}

bool sanitizer_present(void)
{
        return false;
}
