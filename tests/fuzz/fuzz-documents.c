#include "fuzz-documents.h"

#include <string.h>

#include "fuzz.h"
#include "policy/plan.h"

static void use_profile(const struct settings *settings, bool file)
{
        CLEANUP(profile_done) struct profile p = {0}, again = {0};
        CLEANUP(commands_done) struct commands c = {0};
        CLEANUP(settings_done) struct settings kept = {0};
        CLEANUP(plan_done) struct plan plan = {0};
        CLEANUP(free_p) char *ini = NULL, *second = NULL;
        const struct facts facts = fuzz_facts();
        const struct plan_input input = {&p, &facts, POLICY_PROTECTION_SOFTWARE, "pc1"};
        struct error e = {0};
        enum err r;

        fuzz_promise(profile_from_settings(settings, true, &p, &e) == ERR_OK,
                     "the daemon takes what the reader took");
        fuzz_promise(profile_to_settings(&p, false, &kept, &e) == ERR_OK, "a profile can be stored");
        fuzz_promise(profile_from_settings(&kept, true, &again, &e) == ERR_OK,
                     "a stored profile can be read");
        fuzz_promise(profile_write_ini(&p, &ini, &e) == ERR_OK, "a profile can be shown as a file");
        r = plan_make(&input, &plan, &e);
        fuzz_whole(r, &e);
        if (!file)
                return;
        fuzz_promise(document_read(DOCUMENT_INI, str_view(ini), &c, &e) == ERR_OK,
                     "a written file can be read");
        profile_done(&again);
        fuzz_promise(profile_from_settings(&c.items[0].settings, false, &again, &e) == ERR_OK,
                     "a written file is a profile");
        fuzz_promise(profile_write_ini(&again, &second, &e) == ERR_OK && strcmp(ini, second) == 0,
                     "a file is written as it was read");
}

void fuzz_document(enum document_format format, const uint8_t *data, size_t size)
{
        CLEANUP(commands_done) struct commands c = {0}, received = {0};
        struct bytes wire = {0};
        struct error e = {0};
        enum err r = document_read(format, (struct view){data, size}, &c, &e);

        fuzz_whole(r, &e);
        if (r)
                return;
        fuzz_promise(commands_encode(&c, &wire, &e) == ERR_OK, "commands can be sent");
        fuzz_promise(commands_decode(bytes_view(&wire), &received, &e) == ERR_OK,
                     "what was sent can be received");
        fuzz_promise(c.count == received.count, "all of it");
        for (size_t i = 0; i < received.count; i++)
                if (received.items[i].kind == COMMAND_ENROLL)
                        use_profile(&received.items[i].settings, format == DOCUMENT_INI);
        bytes_done(&wire);
}
