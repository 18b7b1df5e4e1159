/*
 * The structures of a TPM, as anybody may send them. The first octet says which one of a real TPM's evidence
 * is replaced by the rest: what was signed passes the checks only where it is the same.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "attest/bundle.h"
#include "base/file.h"
#include "base/ossl.h"
#include "fuzz.h"

static struct bundle real;
static X509 *certificate;
static uint8_t qualifying[EVIDENCE_HASH_LEN];

static void read_real(void)
{
        CLEANUP(bytes_done) struct bytes text = {0};

        (void)setenv("TSS2_LOG", "all+NONE", 1);
        fuzz_promise(file_read(AT_FDCWD, BUNDLE, BUNDLE_MAX, &text, NULL) == ERR_OK &&
                             bundle_read(bytes_view(&text), &real, NULL) == ERR_OK &&
                             x509_parse(bytes_view(&real.certificate), &certificate, NULL) == ERR_OK &&
                             evidence_qualifying(bytes_view(&real.certificate), bytes_view(&real.nonce),
                                                 qualifying, NULL) == ERR_OK,
                     "the real one is read");
}

static enum err check(const struct evidence *evidence, struct error *e)
{
        enum err r = evidence_key(evidence, X509_get0_pubkey(certificate), e);

        if (!r)
                r = evidence_origin(evidence, e);
        if (!r)
                r = evidence_attester(evidence, e);
        if (!r)
                r = evidence_certified(evidence, qualifying, e);
        return r ? r : evidence_created(evidence, qualifying, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct evidence evidence;
        struct bytes *const parts[] = {&evidence.public,
                                       &evidence.certify,
                                       &evidence.signature,
                                       &evidence.attester,
                                       &evidence.creation,
                                       &evidence.creation_certify,
                                       &evidence.creation_signature};
        struct bytes *part, theirs = {0};
        struct error e = {0};
        struct view was;
        enum err r;

        if (!certificate)
                read_real();
        if (!size)
                return 0;
        evidence = real.evidence;
        part = parts[data[0] % N_ELEMENTS(parts)];
        was = bytes_view(part);
        if (bytes_copy(&theirs, data + 1, size - 1, NULL))
                return 0;
        *part = theirs;
        r = check(&evidence, &e);
        fuzz_whole(r, &e);
        /* The same signature can be written in more than one way. */
        if (part != &evidence.signature && part != &evidence.creation_signature)
                fuzz_promise(r || view_equal(was, bytes_view(&theirs)), "nothing else passes");
        (void)evidence_siblings(&evidence);
        bytes_done(&theirs);
        ERR_clear_error();
        return 0;
}
