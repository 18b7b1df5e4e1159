/* record.json of a certificate, as the state directory may hold it. */
#include <string.h>

#include "fuzz.h"
#include "policy/plan.h"
#include "store/old.h"
#include "store/record.h"

/* What the daemon makes of it when it starts. */
static void use(const struct record *record)
{
        CLEANUP(plan_done) struct plan plan = {0};
        struct old_generation old;
        struct error e = {0};

        fuzz_whole(plan_from_pairs(&record->plan, &plan, &e), &e);
        for (size_t i = 0; i < record->old.count; i++)
                fuzz_promise(!old_generation_read(record->old.items[i], &old) || old.number,
                             "a generation has a number");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(record_done_p) struct record record = {0};
        CLEANUP(record_done_p) struct record again = {0};
        CLEANUP(free_p) char *first = NULL;
        CLEANUP(free_p) char *second = NULL;
        struct error e = {0};
        enum err r = record_from_json((struct view){data, size}, &record, &e);

        fuzz_whole(r, &e);
        if (r)
                return 0;
        use(&record);
        fuzz_promise(record_to_json(&record, &first, &e) == ERR_OK, "what was read can be written");
        fuzz_promise(record_from_json(str_view(first), &again, &e) == ERR_OK, "and read again");
        fuzz_promise(record_to_json(&again, &second, &e) == ERR_OK && strcmp(first, second) == 0,
                     "and is the same");
        return 0;
}
