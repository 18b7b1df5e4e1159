/*
 * The owner hierarchy's password, where the administrator has given it to the service. It crosses the bus to
 * the chip as a salted HMAC, and what else is secret encrypted (AES-128-CFB):
 *
 *  1. a storage key under the null hierarchy, which asks for no password, to encrypt the salt to
 *  2. a session salted with it
 *  3. TPM2_CreatePrimary under the owner hierarchy in that session (parent.c)
 */
#include "internal.h"

#include <string.h>

enum err tpm_set_owner_auth(struct tpm *tpm, struct view auth, struct error *e)
{
        if (auth.len > sizeof((TPM2B_AUTH *)NULL)->buffer)
                return error_set(e, ERR_TOO_LARGE, "The TPM's owner password is longer than %zu octets",
                                 sizeof((TPM2B_AUTH *)NULL)->buffer);
        return secret_copy(&tpm->owner_auth, auth, e);
}

static TSS2_RC salt_key(struct tpm *tpm, ESYS_TR *ret)
{
        const TPM2B_PUBLIC template = tpm_storage_template(/* ecc= */ true);
        const TPM2B_SENSITIVE_CREATE sensitive = {0};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};

        return Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &sensitive, &template, &outside, &pcrs, ret, NULL, NULL, NULL, NULL);
}

TSS2_RC tpm_owner_session(struct tpm *tpm, ESYS_TR *ret)
{
        const TPMT_SYM_DEF aes = {
                .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};
        TPM2B_AUTH auth = {.size = (UINT16)tpm->owner_auth.len};
        ESYS_TR salt, session;
        TSS2_RC rc = salt_key(tpm, &salt);

        if (rc)
                return rc;
        rc = Esys_StartAuthSession(tpm->esys, salt, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                   NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &session);
        (void)Esys_FlushContext(tpm->esys, salt);
        if (rc)
                return rc;
        memcpy(auth.buffer, tpm->owner_auth.data, tpm->owner_auth.len);
        rc = Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_OWNER, &auth);
        wipe(&auth, sizeof auth);
        if (!rc)
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
