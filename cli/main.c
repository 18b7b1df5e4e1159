/* scepter: the thin CLI. Talks to the service and to nothing else. */
#include "cli/cli.h"

#include <locale.h>
#include <stdlib.h>
#include <time.h>

#include "base/need.h"

int main(int argc, char **argv)
{
        const char *no_color = getenv("NO_COLOR");
        struct cli cli = {
                .color = isatty(STDOUT_FILENO) && !(no_color && *no_color),
                .out = stdout,
                .err = stderr,
        };
        int status;

        /* It loses characters where there is no memory, and says nothing of it. */
        json_set_alloc_funcs(need, free);
        /* What the service says is UTF-8, and so is what we print: its widths are wanted, nothing else of the
         * locale. */
        (void)setlocale(LC_CTYPE, "C.UTF-8");
        tzset();
        status = cli_run(&cli, argc - 1, argv + 1);
        cli_done(&cli);
        return status;
}
