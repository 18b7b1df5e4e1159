/*
 * What a bundle of 'scepter attest' proves, and what it leaves open: the checks of evidence.h and of the
 * certificates, in sentences. Nothing is asked of a service or a TPM. Pure.
 */
#pragma once

#include <openssl/x509.h>

#include "attest/bundle.h"

/* What the verifier knows himself; all of it but the time may be missing. */
struct known {
        time_t now; /* when certificates have to be valid */
        const struct bytes *nonce;
        STACK_OF(X509) * authorities; /* of the certificate */
        STACK_OF(X509) * makers;      /* of TPMs */
        const uint8_t *attester;      /* EVIDENCE_NAME_LEN octets: the Name of the attestation key */
};

enum verdict { VERDICT_PROVED, VERDICT_FAILED, VERDICT_OPEN };
const char *verdict_name(enum verdict verdict); /* "proved", "failed", "open" */

struct finding {
        const char *check; /* scepter-attest(7) lists them */
        enum verdict verdict;
        char text[ERROR_MESSAGE_MAX]; /* ASCII */
};

enum { FINDINGS_MAX = 16 };
struct report {
        struct finding findings[FINDINGS_MAX];
        size_t count;
        bool consistent;                          /* none of them failed */
        bool proved;                              /* and the attestation key is the one that is known */
        char attester[2 * EVIDENCE_NAME_LEN + 1]; /* its Name, hex; "": there is none */
};

void verify_text(struct view text, const struct known *known, struct report *ret);
