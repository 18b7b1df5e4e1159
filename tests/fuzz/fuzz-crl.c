/* A CRL as it was fetched, and the same as its CA could have signed it. */
#include <openssl/err.h>
#include <string.h>

#include "fuzz.h"
#include "recorded.h"
#include "revocation/crl.h"

static void check(struct view der)
{
        struct crl_answer answer;
        struct error e = {0};
        enum err r = crl_check(der, recorded()->own, recorded()->ca, RECORDED_NOW, &answer, &e);

        fuzz_whole(r, &e);
        if (r)
                return;
        fuzz_promise((answer.verdict == CRL_FOREIGN) == (answer.why != NULL), "a stranger has a reason");
        fuzz_promise(answer.verdict == CRL_REVOKED || !*answer.reason, "only what is revoked has one, too");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *p = data;
        CLEANUP(x509_crl_free_p) X509_CRL *crl = NULL;
        uint8_t *der = NULL;
        int len;

        check((struct view){data, size});
        crl = d2i_X509_CRL(NULL, &p, (long)size);
        if (crl && X509_CRL_sign(crl, recorded()->ca_key, EVP_sha256())) {
                len = i2d_X509_CRL(crl, &der);
                if (len > 0)
                        check((struct view){der, (size_t)len});
                OPENSSL_free(der);
        }
        ERR_clear_error();
        return 0;
}
