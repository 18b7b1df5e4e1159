/* A plan as the store may hold it: "key=value" on each line. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "policy/plan.h"

static bool read_pairs(char *text, struct settings *ret)
{
        char *state = NULL;

        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                char *value = line + strcspn(line, "=");

                if (*value)
                        *value++ = 0;
                if (settings_add(ret, line, value, 0, NULL))
                        return false;
        }
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *text = fuzz_text(data, size);
        CLEANUP(settings_done) struct settings pairs = {0}, first = {0}, second = {0};
        CLEANUP(plan_done) struct plan plan = {0}, again = {0};
        struct error e = {0};
        enum err r;

        if (!read_pairs(text, &pairs))
                return 0;
        r = plan_from_pairs(&pairs, &plan, &e);
        fuzz_whole(r, &e);
        if (r)
                return 0;
        fuzz_promise(plan_to_pairs(&plan, &first, &e) == ERR_OK, "a plan can be stored");
        fuzz_promise(plan_from_pairs(&first, &again, &e) == ERR_OK, "a stored plan can be read");
        fuzz_promise(plan_to_pairs(&again, &second, &e) == ERR_OK, "and stored again");
        fuzz_promise(!plan_differs(&plan, &again), "and is the same");
        fuzz_promise(first.count == second.count, "and stays the same");
        for (size_t i = 0; i < first.count; i++)
                fuzz_promise(strcmp(first.items[i].key, second.items[i].key) == 0 &&
                                     strcmp(first.items[i].value, second.items[i].value) == 0,
                             "pair by pair");
        return 0;
}
