/* Names as a directory prints them: parsed, encoded, and the DER read by OpenSSL. */
#include <stdlib.h>
#include <string.h>

#include "base/ossl.h"
#include "fuzz.h"
#include "policy/ldap-name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *text = fuzz_text(data, size);
        CLEANUP(name_done) struct name name = {0};
        CLEANUP(bytes_done) struct bytes der = {0};
        struct error e = {0};
        const unsigned char *p;
        X509_NAME *parsed;
        enum err r = name_parse_ldap(text, &name, &e);

        fuzz_whole(r, &e);
        if (r)
                return 0;
        fuzz_promise(name.count > 0 && name.count <= NAME_AVAS_MAX, "a name has parts, and not too many");
        for (size_t i = 0; i < name.count; i++)
                fuzz_promise(*name.avas[i].value && !name.avas[i].whole, "a part has a value, which is text");
        r = name_der(&name, &der, &e);
        fuzz_whole(r, &e);
        if (r)
                return 0;
        p = der.data;
        parsed = d2i_X509_NAME(NULL, &p, (long)der.len);
        fuzz_promise(parsed && X509_NAME_entry_count(parsed) == (int)name.count, "each part is one entry");
        X509_NAME_free(parsed);
        return 0;
}
