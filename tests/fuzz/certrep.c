#include "certrep.h"

#include <openssl/err.h>
#include <string.h>

#include "base/parse.h"
#include "fuzz.h"

void certrep_open(struct view octets, bool crl)
{
        const struct recorded *r = recorded();
        const struct reply_spec spec = {.reply = octets,
                                        .signers = r->signers,
                                        .transaction = RECORDED_TRANSACTION,
                                        .nonce = str_view(RECORDED_NONCE),
                                        .recipient = r->own,
                                        .key = r->own_key,
                                        .transport = true,
                                        .crl = crl,
                                        .now = RECORDED_NOW};
        struct reply reply = {0};
        struct error e = {0};
        const enum err result = reply_open(&spec, &reply, &e);

        fuzz_whole(result, &e);
        fuzz_promise(!result || (!reply.certs && !reply.crls), "what was refused leaves nothing");
        if (!result) {
                fuzz_promise(scep_status_valid(reply.status), "the status exists");
                fuzz_promise((reply.status == SCEP_SUCCESS) ==
                                     (crl ? sk_X509_CRL_num(reply.crls) > 0 : sk_X509_num(reply.certs) > 0),
                             "a success holds what was asked for");
                fuzz_promise(sk_X509_num(reply.certs) <= SCEP_CERTS_MAX &&
                                     sk_X509_CRL_num(reply.crls) <= SCEP_CRLS_MAX,
                             "bounds are kept");
                fuzz_promise(reply.fail == SCEP_FAIL_NONE || scep_fail_valid(reply.fail),
                             "the failInfo exists");
                fuzz_promise(utf8_valid(str_view(reply.text)) && strlen(reply.text) < SCEP_TEXT_MAX,
                             "its text can be shown");
                fuzz_promise(!(reply.notes & ~(unsigned)SCEP_NOTES_ALL), "there are only known notes");
        }
        reply_done(&reply);
        ERR_clear_error();
}
