/* Texts with variables, in each place they may stand. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *text = fuzz_text(data, size);
        const struct facts facts = fuzz_facts();
        bool alone = variables_alone(text);

        for (int place = VARIABLES_IN_SUBJECT; place <= VARIABLES_IN_URI; place++) {
                CLEANUP(free_p) char *value = NULL;
                struct error e = {0};
                enum err check = variables_check(text, (enum variables_place)place, &e), r;

                fuzz_whole(check, &e);
                r = variables_expand(text, (enum variables_place)place, &facts, &value, &e);
                fuzz_whole(r, &e);
                fuzz_promise(check == ERR_OK || r == check, "what fails the check is not expanded");
                fuzz_promise(check || r == ERR_OK || r == ERR_TOO_LARGE || r == ERR_VARIABLE,
                             "what passes the check is expanded");
                fuzz_promise(r || strstr(text, "{{") || strcmp(text, value) == 0,
                             "a text without variables stays as it is");
        }
        fuzz_promise(!alone || strncmp(text, "{{", 2) == 0, "one variable begins as one");
        (void)serial_is_placeholder(text);
        return 0;
}
