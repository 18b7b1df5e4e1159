/* A document's Issuers against the name of an issuer: the text, a 0 octet, the name in DER. */
#include <stdlib.h>
#include <string.h>

#include "base/ossl.h"
#include "fuzz.h"
#include "policy/issuers.h"
#include "policy/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *text = fuzz_text(data, size);
        CLEANUP(x509_name_free_p) X509_NAME *issuer = NULL, *own = NULL;
        CLEANUP(name_done) struct name name = {0};
        CLEANUP(bytes_done) struct bytes der = {0};
        const unsigned char *p = data + strlen(text) + 1;
        struct error e = {0};
        enum err r = issuers_check(text, &e);

        fuzz_whole(r, &e);
        if (strlen(text) < size)
                issuer = d2i_X509_NAME(NULL, &p, (long)(data + size - p));
        if (issuer)
                fuzz_promise(!issuers_match(text, issuer) || r == ERR_OK, "garbage holds nobody");
        /* a text that is one name as a subject, too, matches that name */
        if (r || strpbrk(text, "|\r\n") || name_parse(text, &name, NULL) || name_der(&name, &der, NULL))
                return 0;
        p = der.data;
        own = d2i_X509_NAME(NULL, &p, (long)der.len);
        fuzz_promise(own && issuers_match(text, own), "a name is itself");
        return 0;
}
