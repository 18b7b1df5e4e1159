/*
 * Opening a CertRep: signature first, then its attributes, then one private operation (RFC 8894 §3.2,
 * §3.3.2). Worker alone. Takes what real servers send: BER and DER, rsaEncryption and shaXWithRSA, no
 * certificates, eContent absent or one octet where there is no envelope (interop.md). Every refusal says what
 * was seen.
 */
#pragma once

#include <time.h>

#include "base/ossl.h"
#include "base/secret.h"
#include "key/key.h"
#include "scep-wire/names.h"

struct reply_spec {
        struct view reply; /* the body as it came */
        const STACK_OF(X509) *
                signers; /* who may sign: the chained certificates of GetCACert, never one of the reply */
        const char *transaction; /* what we sent */
        struct view nonce;       /* the senderNonce we sent */
        X509 *recipient;         /* our signer certificate: whom the envelope must name */
        EVP_PKEY *key; /* its key; one decrypt or derive at most, after the signature was verified */
        /* How the content key may come: RSA key transport, key agreement with an EC key, and, where @unwrap
         * is there, by the challenge, which that function has. In all one operation. */
        bool transport, agreement;
        enum err (*unwrap)(void *ctx, const struct key_unwrap *how, struct view wrapped, struct secret *ret,
                           struct error *e);
        void *unwrap_ctx;
        bool crl;       /* it answers GetCRL: CRLs are in the envelope, and it may be as large as they are */
        bool allow_des; /* single DES by name: loads OpenSSL's legacy provider for this reply alone */
        time_t now;
};

struct reply {
        enum scep_status status;
        enum scep_fail fail;      /* FAILURE */
        char text[SCEP_TEXT_MAX]; /* failInfoText, scrubbed; "" */
        bool has_hresult;
        uint32_t hresult;          /* szOID_ENROLL_SCEP_ERROR of NDES */
        STACK_OF(X509) * certs;    /* SUCCESS: 1 to SCEP_CERTS_MAX, in the reply's order, nothing checked */
        STACK_OF(X509_CRL) * crls; /* the same, 1 to SCEP_CRLS_MAX, where the spec says so instead */
        unsigned notes;            /* enum scep_note */
};
void reply_done(struct reply *reply);

/*
 * FAILURE and PENDING are results, not errors.
 * ERR_REPLY: no CertRep for this request (malformed, another signer, transaction, nonce, type, status; no
 * envelope, or one by a way that was not asked for); ERR_SERVER_ALGORITHM: single DES, or an algorithm never
 * taken. A key that fails is ERR_REPLY too, with what OpenSSL's queue says: whoever granted the
 * decrypt knows the true reason.
 */
MUST_CHECK enum err reply_open(const struct reply_spec *spec, struct reply *ret, struct error *e);
