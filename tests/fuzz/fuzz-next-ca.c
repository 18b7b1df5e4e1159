/* What a server could announce as its next CA: parsed, its signature checked, read. */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "fuzz.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/next-ca.h"

/* Made for this file; it has signed the corpus. */
static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBXTCCAQOgAwIBAgIUf/NoY6gDhtwqS9MKhOwP3kWCAJkwCgYIKoZIzj0EAwIw\n"
                             "DTELMAkGA1UEAwwCQ0EwIBcNMjYxMTIyMDIxOTE3WhgPMjEyNjEwMjkwMjE5MTda\n"
                             "MA0xCzAJBgNVBAMMAkNBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEesFBZzBh\n"
                             "7obVSlfcDWPKae4EQqxIOPsxIXZI8qerPnoriqq0gAgz5u7SIre4UEBnzCFEthyC\n"
                             "cPTiVEjDI8JXXqM/MD0wDwYDVR0TAQH/BAUwAwEB/zALBgNVHQ8EBAMCAQYwHQYD\n"
                             "VR0OBBYEFNp1G6Msf6CbiLqTEwDUZwBkwZ5nMAoGCCqGSM49BAMCA0gAMEUCIGBR\n"
                             "2ZccORoV7jWKqBT8b77COVVsuVEnNJLofjYtLWBjAiEA1ro6B6IHeAahOzj0lHGX\n"
                             "zv0mTy/ZZWMtEmidrUTcA3Y=\n"
                             "-----END CERTIFICATE-----\n";

enum { NOW = 1800000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static X509 *ca;
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        CLEANUP(x509_free_p) X509 *next = NULL;
        struct next_ca_spec spec = {.allow_sha1 = true, .now = NOW};
        struct error e = {0};
        enum err r;

        if (!ca) {
                CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf(ca_pem, -1);

                ca = PEM_read_bio_X509(in, NULL, NULL, NULL);
                fuzz_promise(ca != NULL, "the CA is read");
        }
        spec.ca = spec.anchor = ca;
        r = next_ca_open((struct view){data, size}, &spec, &next, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r == ERR_OK || !next, "what was refused leaves nothing");
        fuzz_promise(!next || (X509_check_ca(next) == 1 && X509_cmp(next, ca) != 0),
                     "the next one is a CA, and another");
        /* What is signed comes behind the signature: it is read as if it had one. */
        e = (struct error){0};
        r = next_certs_parse((struct view){data, size}, &certs, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r || sk_X509_num(certs) > 0, "what was read has certificates");
        ERR_clear_error();
        return 0;
}
