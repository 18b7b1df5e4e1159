/* Distinguished names: parsed, expanded, encoded, and the DER read by OpenSSL. */
#include <stdlib.h>
#include <string.h>

#include "base/ossl.h"
#include "fuzz.h"
#include "policy/general-name.h"

static void check_der(const struct bytes *der, size_t parts)
{
        const unsigned char *p = der->data;
        CLEANUP(x509_name_free_p) X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)der->len);
        CLEANUP(ossl_free_p) unsigned char *again = NULL;
        char text[64];
        int len;

        fuzz_promise(name && p == der->data + der->len, "the DER is a name");
        fuzz_promise(X509_NAME_entry_count(name) == (int)parts, "no value became a part of its own");
        len = i2d_X509_NAME(name, &again);
        fuzz_promise(len == (int)der->len && memcmp(again, der->data, der->len) == 0, "the name is DER");
        directory_name_text(name, text, sizeof text);
        fuzz_promise(strlen(text) < sizeof text, "text stays in its array");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *text = fuzz_text(data, size);
        CLEANUP(name_done) struct name name = {0};
        CLEANUP(bytes_done) struct bytes der = {0};
        const struct facts facts = fuzz_facts();
        struct error e = {0};
        enum err r = name_parse(text, &name, &e);

        fuzz_whole(r, &e);
        if (r)
                return 0;
        fuzz_promise(name.count > 0 && name.count <= NAME_AVAS_MAX, "a name has parts, and not too many");
        r = name_expand(&name, &facts, &e);
        fuzz_whole(r, &e);
        if (r == ERR_OK) {
                r = name_der(&name, &der, &e);
                fuzz_whole(r, &e);
        }
        if (r == ERR_OK)
                check_der(&der, name.count);
        return 0;
}
