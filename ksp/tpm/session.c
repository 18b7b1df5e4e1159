/*
 * Sessions for what is secret on its way to the chip: owner's password, PINs, and what is made or answered
 * with them (AES-128-CFB).
 *
 *  1. a storage key under the null hierarchy, which asks for no password, to encrypt the salt to
 *  2. a session salted with it
 */
#include "internal.h"

static TSS2_RC salt_key(struct tpm *tpm, ESYS_TR *ret)
{
        const TPM2B_PUBLIC template = tpm_storage_template(/* ecc= */ true);
        const TPM2B_SENSITIVE_CREATE sensitive = {0};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};

        return Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &sensitive, &template, &outside, &pcrs, ret, NULL, NULL, NULL, NULL);
}

TSS2_RC tpm_session(struct tpm *tpm, ESYS_TR *ret)
{
        const TPMT_SYM_DEF aes = {
                .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};
        ESYS_TR salt, session;
        TSS2_RC rc = salt_key(tpm, &salt);

        if (rc)
                return rc;
        rc = Esys_StartAuthSession(tpm->esys, salt, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                   NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &session);
        (void)Esys_FlushContext(tpm->esys, salt);
        if (rc)
                return rc;
        rc = Esys_TRSess_SetAttributes(
                tpm->esys, session,
                TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION, 0xff);
        if (rc) {
                (void)Esys_FlushContext(tpm->esys, session);
                return rc;
        }
        *ret = session;
        return TSS2_RC_SUCCESS;
}
