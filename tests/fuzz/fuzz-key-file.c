/* Key files: TSS2 PRIVATE KEY as the store holds it, the attestation key, and what an administrator names in
 * a profile. */
#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/ossl.h"
#include "fuzz-file.h"
#include "fuzz.h"
#include "import.h"
#include "tpm/internal.h"

static void use(const struct tpm_object *object)
{
        CLEANUP(evp_pkey_free_p) EVP_PKEY *key = NULL;
        enum key_alg alg;
        struct error e = {0};
        enum err r = tpm_public_key(object, &alg, &key, &e);

        fuzz_whole(r, &e);
        fuzz_promise(r || key_alg_name(alg)[0], "a key is of a kind that has a name");
        e = (struct error){0};
        fuzz_whole(tpm_usable(object, &e), &e);
}

static void stored(struct view pem)
{
        CLEANUP(bytes_done) struct bytes written = {0};
        struct tpm_object object = {0}, again = {0};
        struct error e = {0};
        enum err r = tss2_pem_read(pem, &object, &e);

        fuzz_whole(r, &e);
        if (!r) {
                use(&object);
                fuzz_promise(tss2_pem_write(&object, &written, &e) == ERR_OK &&
                                     tss2_pem_read(bytes_view(&written), &again, &e) == ERR_OK,
                             "what was read is written and read again");
                fuzz_promise(object.parent == again.parent && object.wants_pin == again.wants_pin &&
                                     view_equal(bytes_view(&object.public), bytes_view(&again.public)) &&
                                     view_equal(bytes_view(&object.private), bytes_view(&again.private)),
                             "and is the same");
        }
        tpm_object_done(&object);
        tpm_object_done(&again);
}

static void named(struct view pem)
{
        CLEANUP(evp_pkey_free_p) EVP_PKEY *soft = NULL;
        struct tpm_object object = {0};
        struct error e = {0};
        enum err r = import_read(pem, &soft, &object, &e);

        fuzz_whole(r, &e);
        if (!r && !soft)
                use(&object);
        tpm_object_done(&object);
}

static void attestation(struct view pem)
{
        struct tpm_attester attester = {0};
        struct error e = {0};
        enum err r = tpm_attester_load(AT_FDCWD, fuzz_file("key.pem", pem.data, pem.len), &attester, &e);

        fuzz_whole(r, &e);
        if (!r)
                use(&attester.object);
        tpm_attester_done(&attester);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct view pem = {data, size};
        struct tpm_object object = {0};
        struct error e = {0};
        enum err r;

        (void)setenv("TSS2_LOG", "all+NONE", 1);
        fuzz_no_prompt();
        stored(pem);
        named(pem);
        attestation(pem);
        r = tss2_der_read(pem, &object, &e);
        fuzz_whole(r, &e);
        if (!r)
                use(&object);
        tpm_object_done(&object);
        ERR_clear_error();
        return 0;
}
