/*
 * A file that a profile names, as a caller of AddProfile may hand it over. The first octet says which: 'R'
 * the root, 'B' the bundle of CAs, 'C' the client certificate with its key, 'P' the challenge.
 */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/ossl.h"
#include "fuzz.h"
#include "objects/named-files.h"

/* Without a TPM. */
static struct ksp *store(void)
{
        static struct ksp *ksp;
        const struct ksp_config config = {.tcti = "none",
                                          .host_secret = str_view("not a secret, but long enough")};

        fuzz_promise(ksp || ksp_open(&config, &ksp, NULL) == ERR_OK, "there is a store of keys");
        return ksp;
}

static const char *key_of(uint8_t kind)
{
        switch (kind) {
        case 'R':
                return "Server.RootCertificate";
        case 'B':
                return "Server.CaBundle";
        case 'C':
                return "Server.ClientCertificate";
        default:
                return "Server.Challenge";
        }
}

/* As libcurl reads a bundle: it would ask for a passphrase. */
static void read_bundle(struct view bundle)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(bundle.data, (int)bundle.len);

        sk_X509_INFO_pop_free(PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL), X509_INFO_free);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(named_files_done) struct named_files files = {0};
        char value[] = "/file";
        struct setting named = {.value = value};
        struct error e = {0};
        enum err r;

        fuzz_no_prompt();
        if (!size)
                return 0;
        named.key = (char *)(uintptr_t)key_of(data[0]);
        r = named_files_take(&files, store(), &named, (struct view){data + 1, size - 1}, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r || data[0] != 'R' || files.root, "a root was read");
        fuzz_promise(r || data[0] != 'B' || files.bundle.len == size - 1, "a bundle is kept whole");
        fuzz_promise(r || data[0] != 'C' || (files.client.key && files.client.chain.len),
                     "a client has key and certificate");
        if (!r && data[0] == 'B')
                read_bundle(secret_view(&files.bundle));
        ERR_clear_error();
        return 0;
}
