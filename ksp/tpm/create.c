/* New keys: what the TPM can make, and making it. */
#include "internal.h"

#include <string.h>
#include <tss2/tss2_mu.h>

/* Sign and decrypt with scheme NULL: padding is done in software, so the key serves RSA PKCS#1, PSS, OAEP and
 * any digest, and EC keys can agree on keys later (attributes are fixed at birth). noDA: a key without a
 * password must not lock the TPM, not even by an unclean power-off. */
static const TPMA_OBJECT key_attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                          TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT;

static TPMT_PUBLIC key_template(enum key_alg alg, bool pin)
{
        TPMT_PUBLIC public = {.nameAlg = TPM2_ALG_SHA256, .objectAttributes = key_attributes};

        if (pin)
        public.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_NODA;

        if (key_alg_is_rsa(alg)) {
                public.type = TPM2_ALG_RSA;
                public.parameters.rsaDetail =
                        (TPMS_RSA_PARMS){.symmetric = {.algorithm = TPM2_ALG_NULL},
                                         .scheme = {.scheme = TPM2_ALG_NULL},
                                         .keyBits = (TPMI_RSA_KEY_BITS)key_alg_bits(alg)};
        } else {
                public.type = TPM2_ALG_ECC;
                public.parameters.eccDetail = (TPMS_ECC_PARMS){
                        .symmetric = {.algorithm = TPM2_ALG_NULL},
                        .scheme = {.scheme = TPM2_ALG_NULL},
                        .curveID = alg == KEY_ALG_EC_P256 ? TPM2_ECC_NIST_P256 : TPM2_ECC_NIST_P384,
                        .kdf = {.scheme = TPM2_ALG_NULL}};
        }
        return public;
}

/* TPM 2.0 Part 1, restricted signing keys: it signs what this TPM made and nothing else, so its scheme is
 * fixed. */
static TPMT_PUBLIC attester_template(enum key_alg alg)
{
        TPMT_PUBLIC public = key_template(alg, /* pin= */ false);

        public.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_DECRYPT;
        public.objectAttributes |= TPMA_OBJECT_RESTRICTED;
        if (key_alg_is_rsa(alg))
        public.parameters.rsaDetail.scheme =
                (TPMT_RSA_SCHEME){.scheme = TPM2_ALG_RSASSA, .details.rsassa.hashAlg = TPM2_ALG_SHA256};
        else public.parameters.eccDetail.scheme =
                (TPMT_ECC_SCHEME){.scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256};
        return public;
}

/* What is to be made, and where it goes. */
struct making {
        enum key_alg alg;
        struct view pin;
        struct tpm_object *object;
        struct tpm_attester *attester; /* NULL: an ordinary key */
};

static TPMT_PUBLIC template_of(const struct making *making)
{
        return making->attester ? attester_template(making->alg)
                                : key_template(making->alg, making->pin.len > 0);
}

static enum err ask_supports(struct tpm *tpm, const struct making *making, struct error *e)
{
        const TPMT_PUBLIC template = template_of(making);
        const TPMT_PUBLIC_PARMS parameters = {.type = template.type, .parameters = template.parameters};
        TSS2_RC rc = Esys_TestParms(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parameters);

        switch (tpm_rc_base(rc)) {
        case TSS2_RC_SUCCESS:
                return ERR_OK;
        case TPM2_RC_VALUE:
        case TPM2_RC_KEY_SIZE:
        case TPM2_RC_CURVE:
        case TPM2_RC_ASYMMETRIC:
        case TPM2_RC_TYPE:
        case TPM2_RC_SCHEME:
                return error_set(e, ERR_KEY_NOT_SUPPORTED, "This TPM cannot make %s keys",
                                 key_alg_name(making->alg));
        default:
                return tpm_fault(tpm, rc, "say which keys it makes", e);
        }
}

/* With another attempt where that may help: the connection may have died since the last command, and a key
 * whose answer was lost is nowhere, so that nothing is left behind. */
static enum err attempt(struct tpm *tpm, const struct making *making,
                        enum err (*work)(struct tpm *, const struct making *, struct error *),
                        struct error *e)
{
        unsigned cures = 0;

        for (;;) {
                struct error why = {0};
                enum err r = tpm_ready(tpm, e);

                if (r)
                        return r;
                tpm->last = TSS2_RC_SUCCESS;
                r = work(tpm, making, &why);
                if (!r)
                        return ERR_OK;
                if (!tpm_mend(tpm, &cures))
                        return error_copy(e, &why);
        }
}

enum err tpm_supports(struct tpm *tpm, enum key_alg alg, struct error *e)
{
        return attempt(tpm, &(struct making){.alg = alg}, ask_supports, e);
}

static enum err marshal(const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private, uint32_t parent,
                        struct tpm_object *ret, struct error *e)
{
        uint8_t buffer[sizeof(TPM2B_PUBLIC) + sizeof(TPM2B_PRIVATE)];
        struct tpm_object object = {.parent = parent};
        size_t len = 0;
        enum err r;

        if (Tss2_MU_TPM2B_PUBLIC_Marshal(public, buffer, sizeof buffer, &len))
                return error_set(e, ERR_TPM_FAILED, "The TPM returned a public area that cannot be stored");
        r = bytes_copy(&object.public, buffer, len, e);
        if (r)
                return r;
        len = 0;
        if (Tss2_MU_TPM2B_PRIVATE_Marshal(private, buffer, sizeof buffer, &len))
                r = error_set(e, ERR_TPM_FAILED, "The TPM returned a private area that cannot be stored");
        else
                r = bytes_copy(&object.private, buffer, len, e);
        if (r) {
                tpm_object_done(&object);
                return r;
        }
        *ret = object;
        return ERR_OK;
}

/* What TPM2_CertifyCreation wants back. */
static enum err keep_creation(const TPM2B_CREATION_DATA *creation, const TPMT_TK_CREATION *ticket,
                              struct tpm_attester *ret, struct error *e)
{
        uint8_t buffer[sizeof *creation + sizeof *ticket];
        size_t len = 0, all = 0;
        enum err r;

        if (Tss2_MU_TPMS_CREATION_DATA_Marshal(&creation->creationData, buffer, sizeof buffer, &len) ||
            (all = len, Tss2_MU_TPMT_TK_CREATION_Marshal(ticket, buffer, sizeof buffer, &all)))
                return error_set(e, ERR_TPM_FAILED, "The TPM returned creation data that cannot be stored");
        r = bytes_copy(&ret->creation, buffer, len, e);
        return r ? r : bytes_copy(&ret->ticket, buffer + len, all - len, e);
}

static enum err create(struct tpm *tpm, const struct making *making, struct error *e)
{
        const struct view pin = making->pin;
        const TPM2B_PUBLIC template = {.publicArea = template_of(making)};
        TPM2B_SENSITIVE_CREATE sensitive = {.sensitive.userAuth.size = (UINT16)pin.len};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};
        CLEANUP(esys_free_p) TPM2B_PUBLIC *public = NULL;
        CLEANUP(esys_free_p) TPM2B_PRIVATE *private = NULL;
        CLEANUP(esys_free_p) TPM2B_CREATION_DATA *creation = NULL;
        CLEANUP(esys_free_p) TPMT_TK_CREATION *ticket = NULL;
        uint32_t handle;
        ESYS_TR parent, session = ESYS_TR_NONE;
        TSS2_RC rc;
        enum err r = ask_supports(tpm, making, e);

        if (!r)
                r = tpm_parent_choose(tpm, &handle, e);
        if (!r)
                tpm_make_room(tpm, 2);
        if (!r && pin.len) { /* what is made is encrypted on its way, and the PIN stands in it */
                rc = tpm_session(tpm, &session);
                if (rc)
                        r = tpm_fault(tpm, rc, "begin a session for the PIN", e);
        }
        if (!r)
                r = tpm_parent_get(tpm, handle, &parent, e);
        if (r) {
                tpm_pin_end(tpm, ESYS_TR_NONE, session);
                return r;
        }
        if (pin.len)
                memcpy(sensitive.sensitive.userAuth.buffer, pin.data, pin.len);
        rc = Esys_Create(tpm->esys, parent, ESYS_TR_PASSWORD, session, ESYS_TR_NONE, &sensitive, &template,
                         &outside, &pcrs, &private, &public, making->attester ? &creation : NULL, NULL,
                         making->attester ? &ticket : NULL);
        wipe(&sensitive, sizeof sensitive);
        if (rc)
                r = tpm_parent_fault(tpm, handle, rc, "make the key", e);
        if (tpm_cure(rc) != TPM_CURE_RECONNECT)
                tpm_parent_put(tpm, parent);
        tpm_pin_end(tpm, ESYS_TR_NONE, session);
        if (!r)
                r = marshal(public, private, handle, making->object, e);
        if (!r)
                making->object->wants_pin = pin.len > 0;
        if (!r && making->attester)
                r = keep_creation(creation, ticket, making->attester, e);
        return r;
}

enum err tpm_create(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *ret,
                    struct error *e)
{
        return attempt(tpm, &(struct making){.alg = alg, .pin = pin, .object = ret}, create, e);
}

enum err tpm_attester_create(struct tpm *tpm, struct tpm_attester *ret, struct error *e)
{
        struct tpm_attester made = {0};
        struct making making = {.alg = KEY_ALG_EC_P256, .object = &made.object, .attester = &made};
        enum err r = attempt(tpm, &making, create, e);

        if (r == ERR_KEY_NOT_SUPPORTED) {
                making.alg = KEY_ALG_RSA_2048;
                r = attempt(tpm, &making, create, e);
        }
        if (r)
                tpm_attester_done(&made);
        else
                *ret = made;
        return r;
}
