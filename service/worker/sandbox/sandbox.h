/*
 * The cage a worker closes around itself after its libraries are initialised and before it reads its job: not
 * dumpable, no new privileges, no core, bounded memory, Landlock, and a list of system calls outside of which
 * it is killed. It never opens again.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum sandbox_kind {
        SANDBOX_PARSE,   /* no network, no files */
        SANDBOX_NETWORK, /* TCP and UDP, and the files resolver and TLS read */
        _SANDBOX_KIND_MAX
};

/*
 * Open descriptors stay usable, the job stream among them. @weak: go on where the kernel has no Landlock;
 * *ret_landlock is then 0 (else its ABI). ERR_SANDBOX: no Landlock and not @weak, or a part could not be
 * applied; end the process then. One thread only may exist when this is called.
 */
MUST_CHECK enum err sandbox_apply(enum sandbox_kind kind, bool weak, int *ret_landlock, struct error *e);
