/* Bundles as anybody may send them: what is read is written the same, and every verdict has a sentence. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "verify/verify.h"

enum { NOW = 1795400000 };

/* A second reading of what was written gives the same text. */
static void check_writing(const struct bundle *bundle)
{
        CLEANUP(bundle_done) struct bundle again = {0};
        CLEANUP(free_p) char *text = NULL;
        CLEANUP(free_p) char *same = NULL;

        fuzz_promise(bundle_write(bundle, &text, NULL) == ERR_OK, "what was read can be written");
        fuzz_promise(bundle_read(str_view(text), &again, NULL) == ERR_OK, "what was written can be read");
        fuzz_promise(bundle_write(&again, &same, NULL) == ERR_OK && strcmp(text, same) == 0,
                     "it is the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint8_t name[EVIDENCE_NAME_LEN] = {0, 11};
        static const struct bytes nonce = {0};
        const struct known known = {.now = NOW, .nonce = &nonce, .attester = name};
        const struct view text = {data, size};
        CLEANUP(bundle_done) struct bundle bundle = {0};
        struct report report;
        struct error e = {0};
        enum err r;

        (void)setenv("TSS2_LOG", "all+NONE", 1);
        r = bundle_read(text, &bundle, &e);
        fuzz_whole(r, &e);
        if (!r)
                check_writing(&bundle);
        verify_text(text, &known, &report);
        fuzz_promise(report.count > 0 && report.count <= FINDINGS_MAX, "there are findings");
        fuzz_promise(!report.proved, "nobody has that name");
        fuzz_promise(!r || report.count == 1, "what is no bundle has one");
        for (size_t i = 0; i < report.count; i++)
                fuzz_promise(report.findings[i].text[0] && !strchr(report.findings[i].text, '\n'),
                             "a finding is a sentence on one line");
        ERR_clear_error();
        return 0;
}
