/*
 * The storage parent: the owner hierarchy's ECC primary by the TCG template with an empty unique field, which
 * every reader of a key file can make again (0x40000001). With a password on the hierarchy: the persistent
 * SRK, if it is one we know. The primary lives as a saved context, so that it takes a slot only while a key
 * is loaded.
 */
#include "internal.h"

#include <string.h>

enum { OWNER = TPM2_RH_OWNER, SRK = 0x81000001 };

/* TCG TPM v2.0 Provisioning Guidance §7.5.1, the H template: fixedTPM, fixedParent, sensitiveDataOrigin,
 * userWithAuth, noDA, restricted, decrypt; no password; unique empty. */
static const TPMA_OBJECT storage_attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                              TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                              TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;

static TPM2B_PUBLIC storage_template(bool ecc)
{
        TPM2B_PUBLIC public = {.publicArea = {.type = ecc ? TPM2_ALG_ECC : TPM2_ALG_RSA,
                                              .nameAlg = TPM2_ALG_SHA256,
                                              .objectAttributes = storage_attributes}};
        const TPMT_SYM_DEF_OBJECT aes = {
                .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};

        if (ecc) {
                public.publicArea.parameters.eccDetail = (TPMS_ECC_PARMS){.symmetric = aes,
                                                                          .scheme = {.scheme = TPM2_ALG_NULL},
                                                                          .curveID = TPM2_ECC_NIST_P256,
                                                                          .kdf = {.scheme = TPM2_ALG_NULL}};
        } else {
                public.publicArea.parameters.rsaDetail = (TPMS_RSA_PARMS){
                        .symmetric = aes, .scheme = {.scheme = TPM2_ALG_NULL}, .keyBits = 2048};
        }
        return public;
}

static TSS2_RC create_primary(struct tpm *tpm, bool ecc, ESYS_TR *ret)
{
        const TPM2B_PUBLIC template = storage_template(ecc);
        const TPM2B_SENSITIVE_CREATE sensitive = {0};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};

        return Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &sensitive, &template, &outside, &pcrs, ret, NULL, NULL, NULL, NULL);
}

/* Makes the primary and saves its context; the handle is flushed. */
static TSS2_RC make_owner_parent(struct tpm *tpm)
{
        ESYS_TR primary = ESYS_TR_NONE;
        TSS2_RC rc, base;

        if (tpm->owner_parent)
                return TSS2_RC_SUCCESS;
        rc = create_primary(tpm, /* ecc= */ true, &primary);
        base = tpm_rc_base(rc);
        /* draft-bottomley-tpm2-keys: the RSA template only where the TPM has no ECC. */
        if (base == TPM2_RC_CURVE || base == TPM2_RC_ASYMMETRIC || base == TPM2_RC_TYPE ||
            base == TPM2_RC_VALUE)
                rc = create_primary(tpm, /* ecc= */ false, &primary);
        if (tpm_cure(rc) == TPM_CURE_EVICT) {
                tpm_evict_all(tpm);
                rc = create_primary(tpm, /* ecc= */ true, &primary);
        }
        if (rc)
                return rc;
        rc = Esys_ContextSave(tpm->esys, primary, &tpm->owner_parent);
        (void)Esys_FlushContext(tpm->esys, primary);
        return rc;
}

/* A storage key: restricted, decrypting, with a password that is empty as far as its attributes can tell. */
static bool is_storage_key(const TPM2B_PUBLIC *public)
{
        const TPMA_OBJECT needed = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM |
                                   TPMA_OBJECT_USERWITHAUTH;

        return (public->publicArea.type == TPM2_ALG_ECC || public->publicArea.type == TPM2_ALG_RSA) &&
               (public->publicArea.objectAttributes & needed) == needed;
}

static enum err find_persistent(struct tpm *tpm, uint32_t handle, struct error *e)
{
        CLEANUP(esys_free_p) TPM2B_PUBLIC *public = NULL;
        ESYS_TR parent;
        TSS2_RC rc;

        if (tpm->persistent_parent != ESYS_TR_NONE && tpm->persistent_handle == handle)
                return ERR_OK;
        /* tpm2-tss 3.2 gives the same ESYS_TR twice without counting: one per context, closed with it. */
        rc = Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parent);
        if (tpm_rc_base(rc) == TPM2_RC_HANDLE)
                return error_set(e, ERR_KEY_FOREIGN, "The TPM has no storage key at 0x%08x", handle);
        if (rc)
                return tpm_error(e, rc, "find its storage key");
        rc = Esys_ReadPublic(tpm->esys, parent, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL,
                             NULL);
        if (rc)
                return tpm_error(e, rc, "read its storage key");
        if (!is_storage_key(public))
                return error_set(e, ERR_KEY_FOREIGN, "The object at 0x%08x in the TPM is not a storage key",
                                 handle);
        tpm->persistent_parent = parent;
        tpm->persistent_handle = handle;
        return ERR_OK;
}

enum err tpm_parent_choose(struct tpm *tpm, uint32_t *ret, struct error *e)
{
        TSS2_RC rc = make_owner_parent(tpm);
        TSS2_RC base = tpm_rc_base(rc);

        if (rc == TSS2_RC_SUCCESS) {
                *ret = OWNER;
                return ERR_OK;
        }
        if (base != TPM2_RC_BAD_AUTH && base != TPM2_RC_AUTH_FAIL) {
                enum err r = tpm_error(e, rc, "make its storage key");

                if (tpm_cure(rc) == TPM_CURE_RECONNECT)
                        tpm_disconnect(tpm);
                return r;
        }
        if (find_persistent(tpm, SRK, NULL))
                return error_set(e, ERR_TPM_OWNER_AUTH,
                                 "The owner hierarchy of the TPM has a password, and there is no storage key "
                                 "at 0x%08x",
                                 SRK);
        *ret = SRK;
        return ERR_OK;
}

enum err tpm_parent_get(struct tpm *tpm, uint32_t handle, ESYS_TR *ret, struct error *e)
{
        TSS2_RC rc;

        if (handle != OWNER) {
                enum err r = find_persistent(tpm, handle, e);

                if (!r)
                        *ret = tpm->persistent_parent;
                return r;
        }
        rc = make_owner_parent(tpm);
        if (!rc)
                rc = Esys_ContextLoad(tpm->esys, tpm->owner_parent, ret);
        if (tpm_cure(rc) == TPM_CURE_EVICT) {
                tpm_evict_all(tpm);
                rc = Esys_ContextLoad(tpm->esys, tpm->owner_parent, ret);
        }
        if (tpm_rc_base(rc) == TPM2_RC_INTEGRITY) {
                /* The TPM was reset and does not know its own saved context any more. */
                Esys_Free(tpm->owner_parent);
                tpm->owner_parent = NULL;
                rc = make_owner_parent(tpm);
                if (!rc)
                        rc = Esys_ContextLoad(tpm->esys, tpm->owner_parent, ret);
        }
        if (rc == TSS2_RC_SUCCESS)
                return ERR_OK;
        if (tpm_rc_base(rc) == TPM2_RC_BAD_AUTH || tpm_rc_base(rc) == TPM2_RC_AUTH_FAIL)
                return error_set(e, ERR_TPM_OWNER_AUTH, "The owner hierarchy of the TPM has a password");
        if (tpm_cure(rc) == TPM_CURE_RECONNECT)
                tpm_disconnect(tpm);
        return tpm_error(e, rc, "load its storage key");
}

void tpm_parent_put(struct tpm *tpm, ESYS_TR parent)
{
        if (tpm->esys && parent != tpm->persistent_parent)
                (void)Esys_FlushContext(tpm->esys, parent);
}
