/* Values of Windows' CSPs, "name=value" on each line; "old" on the first line means the older CSP. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "policy/csp.h"
#include "policy/profile.h"

static bool read_values(char *text, enum node_branch branch, struct settings *ret)
{
        char *state = NULL;

        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                char *value = line + strcspn(line, "=");
                struct error e = {0};
                enum err r;

                if (*value)
                        *value++ = 0;
                r = csp_check_value(branch, line, value, &e);
                fuzz_whole(r, &e);
                if (r == ERR_OK && !settings_get(ret, line) && settings_add(ret, line, value, 0, NULL))
                        return false;
        }
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *text = fuzz_text(data, size);
        CLEANUP(settings_done) struct settings values = {0}, out = {0};
        CLEANUP(strings_done) struct strings notes = {0};
        CLEANUP(profile_done) struct profile profile = {0};
        const enum node_branch branch =
                strncmp(text, "old\n", 4) == 0 ? BRANCH_MY_SCEP : BRANCH_CLIENT_CERTIFICATE_INSTALL;
        struct error e = {0};
        enum err r;

        if (!read_values(text, branch, &values))
                return 0;
        r = csp_settings(branch, &values, "id", false, &out, &notes, &e);
        fuzz_whole(r, &e);
        if (r)
                return 0;
        fuzz_promise(profile_from_settings(&out, false, &profile, &e) == ERR_OK,
                     "what is taken is a profile");
        fuzz_promise(profile.origin == ORIGIN_CSP && profile.type == PROFILE_DEVICE, "of this origin");
        fuzz_promise(profile.thumbprint.len > 0 && profile.urls.count > 0, "with a root and a server");
        return 0;
}
