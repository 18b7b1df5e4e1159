/*
 * The PIN of a user-verified key: its authorisation value, without noDA, so that the TPM counts wrong ones.
 * Its counter belongs to the whole TPM: at the maximum, nothing that has such a value works any more, for
 * nobody. That is why the last try before it is not taken.
 */
#include "internal.h"

#include <string.h>

/* How many wrong ones may come before the one that would lock. */
static unsigned tries_left(uint32_t counter, uint32_t max)
{
        return max > counter + 1 ? max - counter - 1 : 0;
}

static enum err guard(struct tpm *tpm, struct tpm_pin *pin, struct error *e)
{
        const uint32_t counter = tpm_property(tpm, TPM2_PT_LOCKOUT_COUNTER);
        const uint32_t max = tpm_property(tpm, TPM2_PT_MAX_AUTH_FAIL);
        const uint32_t interval = tpm_property(tpm, TPM2_PT_LOCKOUT_INTERVAL);

        pin->left = tries_left(counter, max);
        if (tpm_lockout_seconds(tpm) || !max)
                return tpm_fault(tpm, TPM2_RC_LOCKOUT, "try the PIN", e);
        if (pin->left)
                return ERR_OK;
        (void)error_set(
                e, ERR_PIN_LOCKED,
                "The PIN was not tried: the TPM has counted %u wrong passwords of at most %u, and one "
                "more would lock the whole TPM, for every program and user",
                counter, max);
        return error_remedy(e, ERR_PIN_LOCKED,
                            "Wait %u s until the TPM forgets one, then enter the right PIN; an administrator "
                            "can have it forget all: 'tpm2_dictionarylockout --clear-lockout'.",
                            interval);
}

enum err tpm_pin_begin(struct tpm *tpm, struct tpm_pin *pin, ESYS_TR *ret_session, struct error *e)
{
        ESYS_TR session;
        TSS2_RC rc;
        enum err r;

        if (!pin->value.len)
                return error_set(e, ERR_PIN_NEEDED, "The key wants its PIN");
        r = key_pin_check(pin->value, e);
        if (r)
                return r;
        tpm_make_room(tpm, 1);
        rc = tpm_session(tpm, &session);
        if (rc)
                return tpm_fault(tpm, rc, "begin a session for the PIN", e);
        r = guard(tpm, pin, e); /* by a TPM that has just answered: 0 is what it says */
        if (r) {
                tpm_pin_end(tpm, ESYS_TR_NONE, session);
                return r;
        }
        *ret_session = session;
        return ERR_OK;
}

TSS2_RC tpm_pin_give(struct tpm *tpm, ESYS_TR key, struct view pin)
{
        TPM2B_AUTH auth = {.size = (UINT16)pin.len};
        TSS2_RC rc;

        memcpy(auth.buffer, pin.data, pin.len);
        rc = Esys_TR_SetAuth(tpm->esys, key, &auth);
        wipe(&auth, sizeof auth);
        return rc;
}

void tpm_pin_end(struct tpm *tpm, ESYS_TR key, ESYS_TR session)
{
        const TPM2B_AUTH none = {0};

        if (tpm_cure(tpm->last) == TPM_CURE_RECONNECT) /* nothing of it is there any more */
                return;
        if (key != ESYS_TR_NONE)
                (void)Esys_TR_SetAuth(tpm->esys, key, &none); /* writes over all of it */
        if (session != ESYS_TR_NONE)
                (void)Esys_FlushContext(tpm->esys, session);
}

enum err tpm_pin_fault(struct tpm *tpm, struct tpm_pin *pin, TSS2_RC rc, const char *what, struct error *e)
{
        const TSS2_RC base = tpm_rc_base(rc);

        if (base != TPM2_RC_AUTH_FAIL && base != TPM2_RC_BAD_AUTH)
                return tpm_fault(tpm, rc, what, e);
        tpm->last = rc;
        pin->left = tries_left(tpm_property(tpm, TPM2_PT_LOCKOUT_COUNTER),
                               tpm_property(tpm, TPM2_PT_MAX_AUTH_FAIL));
        return error_set(e, ERR_TPM_WRONG_AUTH, "The PIN is wrong");
}
