/* What the TPM is asked about its own trouble, and what we do about it before anybody hears of it. */
#include "internal.h"

uint32_t tpm_lockout_seconds(struct tpm *tpm)
{
        uint32_t counter, max, interval;

        if (!(tpm_property(tpm, TPM2_PT_PERMANENT) & TPMA_PERMANENT_INLOCKOUT))
                return 0;
        counter = tpm_property(tpm, TPM2_PT_LOCKOUT_COUNTER);
        max = tpm_property(tpm, TPM2_PT_MAX_AUTH_FAIL);
        interval = tpm_property(tpm, TPM2_PT_LOCKOUT_INTERVAL);
        /* TPM 2.0 Part 1, Dictionary Attack Protection: one count goes per interval; below the maximum the
         * lockout is over. A maximum of 0 is a lockout for ever. */
        if (!max)
                return 0;
        if (counter < max)
                return interval;
        return counter - max < UINT32_MAX / (interval ? interval : 1) - 1 ? (counter - max + 1) * interval
                                                                          : UINT32_MAX;
}

static enum err locked_out(struct tpm *tpm, const char *what, struct error *e)
{
        const uint32_t seconds = tpm_lockout_seconds(tpm);

        if (!seconds)
                return error_set(e, ERR_TPM_LOCKED_OUT,
                                 "The TPM could not %s: too many wrong passwords have locked it", what);
        (void)error_set(e, ERR_TPM_LOCKED_OUT,
                        "The TPM could not %s: too many wrong passwords (%u) have locked it for at most %u s "
                        "more",
                        what, tpm_property(tpm, TPM2_PT_LOCKOUT_COUNTER), seconds);
        return error_remedy(e, ERR_TPM_LOCKED_OUT,
                            "Wait %u s, the attempt is then made by itself; 'tpm2_dictionarylockout "
                            "--clear-lockout' ends the lockout at once.",
                            seconds);
}

enum err tpm_fault(struct tpm *tpm, TSS2_RC rc, const char *what, struct error *e)
{
        tpm->last = rc;
        return tpm_rc_base(rc) == TPM2_RC_LOCKOUT ? locked_out(tpm, what, e) : tpm_error(e, rc, what);
}

bool tpm_mend(struct tpm *tpm, unsigned *done)
{
        const enum tpm_cure cure = tpm_cure(tpm->last);
        const bool again = !(*done & 1u << cure);
        const bool had = tpm->loaded > 0;

        *done |= 1u << cure;
        tpm->last = TSS2_RC_SUCCESS;
        switch (cure) {
        case TPM_CURE_NONE:
                return false;
        case TPM_CURE_RECONNECT:
        case TPM_CURE_RELOAD: /* all handles and saved contexts are gone with a reset */
                tpm_disconnect(tpm);
                return again;
        case TPM_CURE_EVICT:
                tpm_evict_all(tpm);
                return again && had;
        }
        return false;
}
