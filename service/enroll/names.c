/* Names anew (design §6): what the profile would ask for with today's values, beside what the stored plan
 * asks for. Threads of the pool. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

enum err step_look(struct enrollment *en, struct error *e)
{
        struct error why = {0};
        enum err r;

        (void)snprintf(en->profile, sizeof en->profile, "%s", en->record.profile);
        r = step_read(en, &why);
        en->looked = r == ERR_OK;
        if (r && en->accept)
                return error_copy(e, &why);
        if (r) /* the renewal needs no profile, and nobody has asked for its names */
                en->needed = 0;
        return ERR_OK;
}

enum err names_look(struct enrollment *en, struct strings *ret_before, bool *ret_differ, struct error *e)
{
        CLEANUP(plan_done) struct plan now = {0}, before = {0};
        struct strings names = {0};
        enum err r = plan_of_profile(en, &en->stored, &now, e);

        if (!r)
                r = plan_from_pairs(&en->record.plan, &before, e);
        if (r)
                return r;
        *ret_differ = plan_names_differ(&before, &now);
        if (*ret_differ)
                r = plan_names(&now, &names, e);
        if (!r && *ret_differ && !strings_equal(&names, &en->record.new_names))
                r = plan_names(&before, ret_before, e);
        if (r) {
                strings_done(&names);
                return r;
        }
        strings_done(&en->record.new_names);
        en->record.new_names = names; /* the next write of the record takes it to the disk */
        return ERR_OK;
}
