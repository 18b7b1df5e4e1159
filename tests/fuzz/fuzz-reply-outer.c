/*
 * A CertRep as whoever has the server's key could send it: SignedData, its attributes, the envelope and what
 * is in it. Signature and decrypt are replaced (--wrap): every signature holds, and what is encrypted is
 * taken as it stands.
 */
#include <openssl/cms.h>

#include "certrep.h"
#include "fuzz.h"

int __wrap_CMS_verify(CMS_ContentInfo *cms, STACK_OF(X509) * certs, X509_STORE *store, BIO *content, BIO *out,
                      unsigned flags);
int __wrap_CMS_decrypt(CMS_ContentInfo *cms, EVP_PKEY *key, X509 *cert, BIO *content, BIO *out,
                       unsigned flags);

int __wrap_CMS_verify(CMS_ContentInfo *cms, STACK_OF(X509) * certs, X509_STORE *store, BIO *content, BIO *out,
                      unsigned flags)
{
        (void)store;
        (void)content;
        (void)out;
        fuzz_promise(cms && sk_X509_num(certs) == 1, "one certificate is tried");
        fuzz_promise(flags & CMS_NOINTERN, "and none of the message");
        return 1;
}

int __wrap_CMS_decrypt(CMS_ContentInfo *cms, EVP_PKEY *key, X509 *cert, BIO *content, BIO *out,
                       unsigned flags)
{
        ASN1_OCTET_STRING **octets = CMS_get0_content(cms);

        (void)content;
        fuzz_promise(key == recorded()->own_key && cert == recorded()->own, "it is for the recorded device");
        fuzz_promise(flags & CMS_DEBUG_DECRYPT, "a decrypt that fails is told");
        return octets && *octets &&
               BIO_write(out, ASN1_STRING_get0_data(*octets), ASN1_STRING_length(*octets)) >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        certrep_open((struct view){data, size}, false);
        certrep_open((struct view){data, size}, true);
        return 0;
}
