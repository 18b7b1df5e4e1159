/*
 * Evidence that a key lies in this TPM (evidence.h), by a restricted key that signs what the TPM itself made:
 *
 *  1. the attestation key comes from its file; where there is none, or one that this TPM does not know, it
 *     is made anew
 *  2. TPM2_CertifyCreation: the attestation key about itself, which tells where it was made
 *  3. TPM2_Certify: the attestation key about the key, in the session that the key's PIN wants
 *  4. the certificates of the endorsement keys
 */
#include "internal.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#include "base/ossl.h"

struct certifying {
        struct tpm_object *object;
        struct tpm_attester *attester;
        TPM2B_DATA qualifying;
        TPM2B_ATTEST *statement;
        TPMT_SIGNATURE *signature;
};

static const TPMT_SIG_SCHEME its_own = {.scheme = TPM2_ALG_NULL};

static void certifying_done(struct certifying *c)
{
        Esys_Free(c->statement);
        Esys_Free(c->signature);
        c->statement = NULL;
        c->signature = NULL;
}

static TSS2_RC certify_creation(struct tpm *tpm, ESYS_TR key, ESYS_TR session, void *ctx)
{
        struct certifying *c = ctx;
        const struct bytes *creation = &c->attester->creation, *ticket = &c->attester->ticket;
        TPM2B_DIGEST hash = {.size = EVIDENCE_HASH_LEN};
        TPMT_TK_CREATION proof = {0};
        size_t offset = 0;

        if (EVP_Digest(creation->data, creation->len, hash.buffer, NULL, EVP_sha256(), NULL) != 1 ||
            Tss2_MU_TPMT_TK_CREATION_Unmarshal(ticket->data, ticket->len, &offset, &proof))
                return TPM2_RC_TICKET; /* as if the TPM had found it */
        return Esys_CertifyCreation(tpm->esys, key, key, session, ESYS_TR_NONE, ESYS_TR_NONE, &c->qualifying,
                                    &hash, &its_own, &proof, &c->statement, &c->signature);
}

static TSS2_RC certify(struct tpm *tpm, ESYS_TR key, ESYS_TR session, void *ctx)
{
        struct certifying *c = ctx;
        ESYS_TR by;

        tpm->last = TSS2_RC_SUCCESS;
        if (tpm_object_load(tpm, &c->attester->object, &by, NULL))
                return tpm->last ? tpm->last : TPM2_RC_REFERENCE_H1;
        if (c->object->epoch != tpm->epoch) /* the one has pushed out the other */
                return TPM2_RC_OBJECT_MEMORY;
        return Esys_Certify(tpm->esys, key, by, session, ESYS_TR_PASSWORD, ESYS_TR_NONE, &c->qualifying,
                            &its_own, &c->statement, &c->signature);
}

static enum err keep_statement(const struct certifying *c, struct bytes *ret_statement,
                               struct bytes *ret_signature, struct error *e)
{
        uint8_t buffer[sizeof *c->signature];
        size_t len = 0;
        enum err r = bytes_copy(ret_statement, c->statement->attestationData, c->statement->size, e);

        if (!r && Tss2_MU_TPMT_SIGNATURE_Marshal(c->signature, buffer, sizeof buffer, &len))
                r = error_set(e, ERR_TPM_FAILED, "The TPM returned a signature that cannot be passed on");
        return r ? r : bytes_copy(ret_signature, buffer, len, e);
}

/* A stored area is a TPM2B_PUBLIC: two octets of size, and the TPMT_PUBLIC that names are made of. */
static enum err copy_area(const struct tpm_object *object, struct bytes *ret, struct error *e)
{
        if (object->public.len < sizeof(UINT16))
                return error_set(e, ERR_KEY_DAMAGED, "The public area of a TPM key is malformed");
        return bytes_copy(ret, object->public.data + sizeof(UINT16), object->public.len - sizeof(UINT16), e);
}

static enum err attest_creation(struct tpm *tpm, struct tpm_attester *attester, struct view qualifying,
                                struct evidence *ret, struct error *e)
{
        CLEANUP(certifying_done)
        struct certifying c = {.attester = attester, .qualifying.size = (UINT16)qualifying.len};
        enum err r;

        memcpy(c.qualifying.buffer, qualifying.data, qualifying.len);
        r = tpm_use(tpm, &attester->object, /* pin= */ NULL, certify_creation, &c,
                    "attest its attestation key", e);
        if (!r)
                r = keep_statement(&c, &ret->creation_certify, &ret->creation_signature, e);
        if (!r)
                r = bytes_copy(&ret->creation, attester->creation.data, attester->creation.len, e);
        return r ? r : copy_area(&attester->object, &ret->attester, e);
}

static enum err attest_key(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin,
                           struct tpm_attester *attester, struct view qualifying, struct evidence *ret,
                           struct error *e)
{
        CLEANUP(certifying_done)
        struct certifying c = {
                .object = object, .attester = attester, .qualifying.size = (UINT16)qualifying.len};
        enum err r;

        memcpy(c.qualifying.buffer, qualifying.data, qualifying.len);
        r = tpm_use(tpm, object, pin, certify, &c, "attest this key", e);
        if (!r)
                r = keep_statement(&c, &ret->certify, &ret->signature, e);
        return r ? r : copy_area(object, &ret->public, e);
}

static enum err make_attester(struct tpm *tpm, int dirfd, const char *name, struct tpm_attester *ret,
                              struct error *e)
{
        enum err r = tpm_attester_create(tpm, ret, e);

        return r ? r : tpm_attester_save(ret, dirfd, name, e);
}

/* The attestation key that is kept, or another in its place, and what it says about itself. */
static enum err begin(struct tpm *tpm, struct tpm_attester *attester, struct view qualifying, int dirfd,
                      const char *name, struct evidence *ret, struct error *e)
{
        struct error why = {0};
        enum err r = tpm_attester_load(dirfd, name, attester, &why);

        tpm->last = TSS2_RC_SUCCESS;
        if (!r)
                r = attest_creation(tpm, attester, qualifying, ret, &why);
        if (!r)
                return ERR_OK;
        if (r != ERR_NOT_FOUND && r != ERR_KEY_DAMAGED && r != ERR_TPM_CLEARED && r != ERR_KEY_FOREIGN &&
            tpm_rc_base(tpm->last) != TPM2_RC_TICKET)
                return error_copy(e, &why);
        tpm_unload(tpm, &attester->object);
        tpm_attester_done(attester);
        *attester = (struct tpm_attester){0};
        evidence_done(ret);
        r = make_attester(tpm, dirfd, name, attester, e);
        return r ? r : attest_creation(tpm, attester, qualifying, ret, e);
}

enum err tpm_attest(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin, struct view qualifying,
                    int dirfd, const char *name, struct evidence *ret, struct error *e)
{
        struct tpm_attester attester = {0};
        struct evidence evidence = {0};
        enum err r;

        if (qualifying.len != EVIDENCE_HASH_LEN)
                return error_set(e, ERR_INVALID, "Evidence is made for a hash of %d octets",
                                 EVIDENCE_HASH_LEN);
        r = begin(tpm, &attester, qualifying, dirfd, name, &evidence, e);
        if (!r)
                r = attest_key(tpm, object, pin, &attester, qualifying, &evidence, e);
        if (!r)
                r = tpm_endorsement(tpm, &evidence.endorsement, &evidence.endorsement_chain, e);
        tpm_unload(tpm, &attester.object);
        tpm_attester_done(&attester);
        if (r)
                evidence_done(&evidence);
        else
                *ret = evidence;
        return r;
}
