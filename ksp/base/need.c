#include "base/need.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

void *need(size_t size)
{
        void *p = malloc(size);
        struct error e = {0};

        if (p || !size)
                return p;
        (void)error_no_memory(&e);
        (void)fprintf(stderr, "%s: %s\n  %s\n", program_invocation_short_name, e.message, e.remedy);
        _exit(err_exit_status(e.code));
}
