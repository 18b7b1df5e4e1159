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

static enum err ask_supports(struct tpm *tpm, enum key_alg alg, struct error *e)
{
        const TPMT_PUBLIC template = key_template(alg, false);
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
                return error_set(e, ERR_KEY_NOT_SUPPORTED, "This TPM cannot make %s keys", key_alg_name(alg));
        default:
                return tpm_fault(tpm, rc, "say which keys it makes", e);
        }
}

/* With another attempt where that may help: the connection may have died since the last command, and a key
 * whose answer was lost is nowhere, so that nothing is left behind. */
static enum err attempt(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *ret,
                        enum err (*work)(struct tpm *, enum key_alg, struct view, struct tpm_object *,
                                         struct error *),
                        struct error *e)
{
        unsigned cures = 0;

        for (;;) {
                struct error why = {0};
                enum err r = tpm_ready(tpm, e);

                if (r)
                        return r;
                tpm->last = TSS2_RC_SUCCESS;
                r = work(tpm, alg, pin, ret, &why);
                if (!r)
                        return ERR_OK;
                if (!tpm_mend(tpm, &cures))
                        return error_copy(e, &why);
        }
}

static enum err supports(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *unused,
                         struct error *e)
{
        (void)pin;
        (void)unused;
        return ask_supports(tpm, alg, e);
}

enum err tpm_supports(struct tpm *tpm, enum key_alg alg, struct error *e)
{
        return attempt(tpm, alg, (struct view){0}, NULL, supports, e);
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

static enum err create(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *ret,
                       struct error *e)
{
        const TPM2B_PUBLIC template = {.publicArea = key_template(alg, pin.len > 0)};
        TPM2B_SENSITIVE_CREATE sensitive = {.sensitive.userAuth.size = (UINT16)pin.len};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};
        CLEANUP(esys_free_p) TPM2B_PUBLIC *public = NULL;
        CLEANUP(esys_free_p) TPM2B_PRIVATE *private = NULL;
        uint32_t handle;
        ESYS_TR parent, session = ESYS_TR_NONE;
        TSS2_RC rc;
        enum err r = ask_supports(tpm, alg, e);

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
                         &outside, &pcrs, &private, &public, NULL, NULL, NULL);
        wipe(&sensitive, sizeof sensitive);
        if (rc)
                r = tpm_parent_fault(tpm, handle, rc, "make the key", e);
        if (tpm_cure(rc) != TPM_CURE_RECONNECT)
                tpm_parent_put(tpm, parent);
        tpm_pin_end(tpm, ESYS_TR_NONE, session);
        if (!r)
                r = marshal(public, private, handle, ret, e);
        if (!r)
                ret->wants_pin = pin.len > 0;
        return r;
}

enum err tpm_create(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *ret,
                    struct error *e)
{
        return attempt(tpm, alg, pin, ret, create, e);
}
