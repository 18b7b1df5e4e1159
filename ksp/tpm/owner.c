/*
 * The owner hierarchy's password, where the administrator has given it to the service. It crosses the bus to
 * the chip as a salted HMAC (session.c): TPM2_CreatePrimary under the owner hierarchy in that session
 * (parent.c).
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

TSS2_RC tpm_owner_session(struct tpm *tpm, ESYS_TR *ret)
{
        TPM2B_AUTH auth = {.size = (UINT16)tpm->owner_auth.len};
        ESYS_TR session;
        TSS2_RC rc = tpm_session(tpm, &session);

        if (rc)
                return rc;
        memcpy(auth.buffer, tpm->owner_auth.data, tpm->owner_auth.len);
        rc = Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_OWNER, &auth);
        wipe(&auth, sizeof auth);
        if (rc) {
                (void)Esys_FlushContext(tpm->esys, session);
                return rc;
        }
        *ret = session;
        return TSS2_RC_SUCCESS;
}
