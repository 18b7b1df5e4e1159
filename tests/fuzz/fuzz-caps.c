/* GetCACaps. */
#include <string.h>

#include "fuzz.h"
#include "scep-wire/caps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct view body = {data, size};
        struct scep_caps caps, again;
        struct error e = {0};
        enum err r = caps_parse(body, &caps, &e);

        fuzz_whole(r, &e);
        fuzz_promise(!r || body_is_page(body) || size > SCEP_CAPS_BODY_MAX, "only pages are refused");
        if (r)
                return 0;
        fuzz_promise(!(caps.flags & ~(uint32_t)SCEP_CAPS_ALL), "there are only known flags");
        fuzz_promise(strnlen(caps.text, sizeof caps.text) < sizeof caps.text, "the text ends");
        for (const char *p = caps.text; *p; p++)
                fuzz_promise(*p >= ' ' && *p < 0x7f, "the text can be printed");
        /* It may be cut: then it says less. */
        if (caps_parse(str_view(caps.text), &again, NULL) == ERR_OK)
                fuzz_promise(!(again.flags & ~caps.flags) && strcmp(again.text, caps.text) == 0,
                             "the text says what the body said");
        return 0;
}
