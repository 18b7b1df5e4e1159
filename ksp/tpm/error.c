/* Response codes of the TPM and its transport, by table: which trouble it is, and what we do about it
 * ourselves before it is told. */
#include "internal.h"

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tpm2_types.h>

TSS2_RC tpm_rc_base(TSS2_RC rc)
{
        TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
        TSS2_RC base = rc & ~(TSS2_RC)TSS2_RC_LAYER_MASK;

        /* A format-one code also names the handle, session or parameter at fault (TPM 2.0 Part 2 §6.6.2). */
        if (layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER)
                return base & TPM2_RC_FMT1 ? base & (TPM2_RC_FMT1 | 0x3fu) : base;
        return rc;
}

static const struct {
        TSS2_RC rc; /* base */
        enum err code;
        enum tpm_cure cure;
} table[] = {
        {TPM2_RC_LOCKOUT, ERR_TPM_LOCKED_OUT, TPM_CURE_NONE},
        {TPM2_RC_AUTH_FAIL, ERR_TPM_WRONG_AUTH, TPM_CURE_NONE},
        {TPM2_RC_BAD_AUTH, ERR_TPM_WRONG_AUTH, TPM_CURE_NONE},
        {TPM2_RC_OBJECT_MEMORY, ERR_TPM_FULL, TPM_CURE_EVICT},
        {TPM2_RC_OBJECT_HANDLES, ERR_TPM_FULL, TPM_CURE_EVICT},
        {TPM2_RC_MEMORY, ERR_TPM_FULL, TPM_CURE_EVICT},
        {TPM2_RC_SESSION_MEMORY, ERR_TPM_FULL, TPM_CURE_EVICT},
        {TPM2_RC_SESSION_HANDLES, ERR_TPM_FULL, TPM_CURE_EVICT},
        {TPM2_RC_CONTEXT_GAP, ERR_TPM_FULL, TPM_CURE_RELOAD},
        {TPM2_RC_NV_SPACE, ERR_TPM_FULL, TPM_CURE_NONE},
        {TPM2_RC_INTEGRITY, ERR_TPM_CLEARED, TPM_CURE_NONE},
        {TPM2_RC_INITIALIZE, ERR_TPM_RESET, TPM_CURE_RELOAD},
        {TPM2_RC_REFERENCE_H0, ERR_TPM_RESET, TPM_CURE_RELOAD},
        {TPM2_RC_REFERENCE_H1, ERR_TPM_RESET, TPM_CURE_RELOAD},
        {TPM2_RC_REFERENCE_S0, ERR_TPM_RESET, TPM_CURE_RELOAD},
        {TPM2_RC_HANDLE, ERR_TPM_RESET, TPM_CURE_RELOAD},
        {TSS2_TCTI_RC_IO_ERROR, ERR_TPM_FAILED, TPM_CURE_RECONNECT},
        {TSS2_TCTI_RC_NO_CONNECTION, ERR_TPM_FAILED, TPM_CURE_RECONNECT},
        {TSS2_TCTI_RC_MALFORMED_RESPONSE, ERR_TPM_FAILED, TPM_CURE_RECONNECT},
        {TSS2_TCTI_RC_GENERAL_FAILURE, ERR_TPM_FAILED, TPM_CURE_RECONNECT},
        {TSS2_ESYS_RC_BAD_SEQUENCE, ERR_TPM_FAILED, TPM_CURE_RECONNECT},
        {TSS2_ESYS_RC_MALFORMED_RESPONSE, ERR_TPM_FAILED, TPM_CURE_RECONNECT},
        {TSS2_ESYS_RC_INSUFFICIENT_RESPONSE, ERR_TPM_FAILED, TPM_CURE_RECONNECT},
        {TSS2_ESYS_RC_MEMORY, ERR_NO_MEMORY, TPM_CURE_RECONNECT},
};

enum tpm_cure tpm_cure(TSS2_RC rc)
{
        TSS2_RC base = tpm_rc_base(rc);

        for (size_t i = 0; i < N_ELEMENTS(table); i++)
                if (table[i].rc == base)
                        return table[i].cure;
        /* A value of a handle, not of a parameter: what came as a handle before was none. */
        if (base == TPM2_RC_VALUE && rc != base && !(rc & TPM2_RC_P) && !(rc & TPM2_RC_S))
                return TPM_CURE_RECONNECT;
        /* What another layer than the TPM's says leaves the ESYS context in a state nobody promises. */
        return (rc & TSS2_RC_LAYER_MASK) && base == rc ? TPM_CURE_RECONNECT : TPM_CURE_NONE;
}

enum err tpm_error(struct error *e, TSS2_RC rc, const char *what)
{
        TSS2_RC base = tpm_rc_base(rc);
        enum err code = ERR_TPM_FAILED;

        for (size_t i = 0; i < N_ELEMENTS(table); i++)
                if (table[i].rc == base)
                        code = table[i].code;
        if (base == TPM2_RC_INITIALIZE)
                return error_set(e, code, "The TPM could not %s: it was reset and not started since (0x%x)",
                                 what, rc);
        (void)error_set(e, code, "The TPM could not %s (%s, 0x%x)", what, Tss2_RC_Decode(rc), rc);
        return base == TPM2_RC_NV_SPACE
                       ? error_remedy(e, code,
                                      "Free NV space of the TPM: 'tpm2_getcap handles-nv-index' "
                                      "lists what takes it.")
                       : code;
}
