/* Alternative names: an entry on each line, or, behind a 0 octet, GeneralNames of a stranger in DER. */
#include <stdlib.h>
#include <string.h>

#include "base/ossl.h"
#include "fuzz.h"
#include "policy/general-name.h"
#include "policy/san.h"

static void read_names(struct view der, bool ours)
{
        const unsigned char *p = der.data;
        CLEANUP(general_names_free_p) GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &p, (long)der.len);

        fuzz_promise(!ours || (names && p == der.data + der.len), "the DER is a list of names");
        for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
                const GENERAL_NAME *a = sk_GENERAL_NAME_value(names, i);
                char text[80], cut[6];

                general_name_text(a, text, sizeof text);
                general_name_text(a, cut, sizeof cut);
                fuzz_promise(text[0] && strncmp(text, cut, strlen(cut)) == 0, "a name has a text");
                fuzz_promise(!ours || general_name_same(a, a), "a name is the same as itself");
                for (int k = 0; k < i; k++) {
                        const GENERAL_NAME *b = sk_GENERAL_NAME_value(names, k);

                        fuzz_promise(general_name_same(a, b) == general_name_same(b, a),
                                     "sameness has no direction");
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(strings_done) struct strings entries = {0};
        CLEANUP(bytes_done) struct bytes der = {0};
        CLEANUP(free_p) char *text = fuzz_text(data, size);
        const struct facts facts = fuzz_facts();
        struct error e = {0};
        char *state = NULL;
        bool passed = true, fixed = true;
        enum err r;

        if (size && data[0] == 0) {
                read_names((struct view){data + 1, size - 1}, false);
                return 0;
        }
        for (char *entry = strtok_r(text, "\n", &state); entry; entry = strtok_r(NULL, "\n", &state)) {
                r = san_entry_check(entry, &e);
                fuzz_whole(r, &e);
                passed = passed && r == ERR_OK;
                fixed = fixed && !strstr(entry, "{{");
                fuzz_promise(r || san_entry_known(entry), "what passes the check is known");
                (void)san_entry_only_variables(entry);
                if (strings_add(&entries, entry, &e))
                        return 0;
        }
        r = san_der(&entries, &facts, &der, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r || passed, "what is encoded has passed the check");
        fuzz_promise(!r || r == ERR_TOO_LARGE || !passed || !fixed,
                     "what has passed and has no variables is encoded");
        if (r == ERR_OK && der.len)
                read_names(bytes_view(&der), true);
        return 0;
}
