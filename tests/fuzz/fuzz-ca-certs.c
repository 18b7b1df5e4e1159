/* GetCACert: parsed, and chosen from, with the root at hand and by its thumbprint alone. */
#include <openssl/err.h>
#include <string.h>

#include "fuzz.h"
#include "recorded.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/ca-choice.h"

static void choose(const STACK_OF(X509) * certs, const struct ca_trust *trust)
{
        struct ca_choice choice = {0};
        struct error e = {0};
        enum err r = ca_choose(certs, trust, &choice, &e);

        fuzz_whole(r, &e);
        fuzz_promise(r || (choice.anchor && choice.recipient && choice.signer && choice.issuer),
                     "what was chosen is there");
        fuzz_promise(r || X509_cmp(choice.anchor, recorded()->ca) == 0, "nobody else is the root");
        fuzz_promise(r || X509_cmp(sk_X509_value(choice.signers, 0), choice.signer) == 0,
                     "the signer comes first");
        ca_choice_done(&choice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        struct ca_trust trust = {.anchors = recorded()->signers, .now = RECORDED_NOW};
        struct error e = {0};
        unsigned len = 0;
        enum err r = ca_certs_parse((struct view){data, size}, &certs, &e);

        fuzz_whole(r, &e);
        if (!r) {
                fuzz_promise(sk_X509_num(certs) > 0 && sk_X509_num(certs) <= SCEP_CERTS_MAX,
                             "there are some, and not too many");
                choose(certs, &trust);
                fuzz_promise(X509_digest(recorded()->ca, EVP_sha1(), trust.pin.digest, &len) == 1,
                             "the thumbprint is made");
                trust.pin.len = len;
                trust.anchors = NULL;
                choose(certs, &trust);
        }
        ERR_clear_error();
        return 0;
}
