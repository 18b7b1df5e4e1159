/*
 * A CertRep on its whole way, with real signatures and decrypts by recorded keys. The first octet says what
 * the rest is: 'M' the message as it comes; 'E' the envelope, which is signed here; 'C' the content of the
 * envelope, which is encrypted and signed here. In lower case it answers GetCRL.
 */
#include <string.h>

#include "certrep.h"
#include "fuzz.h"
#include "rep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct recorded *r = recorded();
        struct rep rep = {.type = "3",
                          .status = "0",
                          .transaction = RECORDED_TRANSACTION,
                          .nonce = str_view(RECORDED_NONCE),
                          .recipient = r->own,
                          .signer = r->ca,
                          .signer_key = r->ca_key};
        CLEANUP(bytes_done) struct bytes made = {0};
        bool crl;

        if (size < 2 || !data[0] || !strchr("MECmec", data[0]))
                return 0;
        crl = data[0] >= 'a';
        rep.payload = (struct view){data + 1, size - 1};
        rep.content = (data[0] | 32) == 'c' ? REP_ENVELOPE : REP_AS_IT_IS;
        if ((data[0] | 32) == 'm') {
                certrep_open(rep.payload, crl);
                return 0;
        }
        made = rep_make(&rep);
        certrep_open(bytes_view(&made), crl);
        return 0;
}
