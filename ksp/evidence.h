/*
 * Evidence that a key lies in a TPM: what the TPM said, as it goes to whoever wants to know, and the checks
 * of it, which need no TPM. Numbers and structures are those of TPM 2.0 Part 2, marshalled.
 *
 * What the checks show hangs on one thing that none of them shows: that the attestation key is a TPM's.
 * Whoever makes these statements up with a key in software passes them all. evidence_name() is what to
 * compare with a name that is known from elsewhere; scepter-attest(7) says from where.
 */
#pragma once

#include <openssl/evp.h>

#include "base/bytes.h"

enum {
        EVIDENCE_PART_MAX = 4096, /* octets of a structure; the largest are below 1 KiB */
        EVIDENCE_CERT_MAX = 8192, /* octets of a certificate */
        EVIDENCE_CERTS_MAX = 8,
        EVIDENCE_HASH_LEN = 32,
        EVIDENCE_NAME_LEN = 2 + EVIDENCE_HASH_LEN, /* nameAlg, SHA-256 */
};

/* Certificates, DER. */
struct cert_list {
        struct bytes items[EVIDENCE_CERTS_MAX];
        size_t count;
};

struct evidence {
        /* the key: TPMT_PUBLIC; TPMS_ATTEST and TPMT_SIGNATURE of TPM2_Certify */
        struct bytes public, certify, signature;
        /* the attestation key: TPMT_PUBLIC, TPMS_CREATION_DATA; TPMS_ATTEST and TPMT_SIGNATURE of
         * TPM2_CertifyCreation */
        struct bytes attester, creation, creation_certify, creation_signature;
        /* certificates of endorsement keys, and their issuers, as the TPM's maker put them there; none: it
         * did not */
        struct cert_list endorsement, endorsement_chain;
};
void evidence_done(struct evidence *evidence);
void cert_list_done(struct cert_list *list);
/* A copy at the end. ERR_TOO_LARGE: one too many, or it is too large. */
MUST_CHECK enum err cert_list_add(struct cert_list *list, struct view der, struct error *e);

/* The qualifyingData of both statements: SHA-256 of the certificate (DER, which says where it ends) and
 * @nonce behind it. */
MUST_CHECK enum err evidence_qualifying(struct view certificate, struct view nonce,
                                        uint8_t ret[EVIDENCE_HASH_LEN], struct error *e);

/* The checks, each for itself; ERR_EVIDENCE tells what does not hold. */

/* The public area is that of @certified, the certificate's key. */
MUST_CHECK enum err evidence_key(const struct evidence *evidence, EVP_PKEY *certified, struct error *e);
/* By its attributes, the key was made by the TPM that holds it, and cannot leave that. */
MUST_CHECK enum err evidence_origin(const struct evidence *evidence, struct error *e);
/* The same of the attestation key, which signs what its TPM made and nothing else, with SHA-256. */
MUST_CHECK enum err evidence_attester(const struct evidence *evidence, struct error *e);
/* The attestation key has signed that its TPM holds the key, for @qualifying. */
MUST_CHECK enum err evidence_certified(const struct evidence *evidence,
                                       const uint8_t qualifying[EVIDENCE_HASH_LEN], struct error *e);
/* The attestation key has signed that it was made as the creation data tell, for @qualifying; and both
 * statements name it below that storage key. */
MUST_CHECK enum err evidence_created(const struct evidence *evidence,
                                     const uint8_t qualifying[EVIDENCE_HASH_LEN], struct error *e);
/* The Name of the attestation key. */
MUST_CHECK enum err evidence_name(const struct evidence *evidence, uint8_t ret[EVIDENCE_NAME_LEN],
                                  struct error *e);
/* Whether certified and created, where they hold, say that both keys have the same storage key above them. */
bool evidence_siblings(const struct evidence *evidence);
