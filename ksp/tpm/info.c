/* What the TPM says about itself, and whether we could make and use keys just now. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

/* Four octets of text in a property. */
static void property_text(struct tpm *tpm, TPM2_PT property, char *ret)
{
        uint32_t v = tpm_property(tpm, property);
        size_t len = strlen(ret);

        for (int i = 0; i < 4; i++) {
                char c = (char)(v >> (24 - 8 * i));

                if (c > ' ' && c < 0x7f)
                        ret[len++] = c;
        }
        ret[len] = 0;
}

static const char *const parent_names[] = {"0x40000001", "0x81000001"};

void tpm_info(struct tpm *tpm, struct ksp_tpm *ret)
{
        struct ksp_tpm info = {.state = KSP_TPM_READY};
        uint32_t v, parent;
        unsigned cures = 0;
        enum err r = tpm_ready(tpm, &info.why);

        if (!r && tpm_property(tpm, TPM2_PT_MANUFACTURER) == 0) {
                /* It was connected and does not answer any more: once more from the start. */
                tpm_disconnect(tpm);
                r = tpm_ready(tpm, &info.why);
        }
        if (!r) {
                property_text(tpm, TPM2_PT_MANUFACTURER, info.manufacturer);
                for (TPM2_PT p = TPM2_PT_VENDOR_STRING_1; p <= TPM2_PT_VENDOR_STRING_4; p++)
                        property_text(tpm, p, info.vendor);
                v = tpm_property(tpm, TPM2_PT_FIRMWARE_VERSION_1);
                (void)snprintf(info.firmware, sizeof info.firmware, "%u.%u", v >> 16, v & 0xffff);
                info.revision = tpm_property(tpm, TPM2_PT_REVISION);
                info.slots = tpm->slots;
                info.in_lockout = tpm_property(tpm, TPM2_PT_PERMANENT) & TPMA_PERMANENT_INLOCKOUT;
                info.lockout_counter = tpm_property(tpm, TPM2_PT_LOCKOUT_COUNTER);
                info.lockout_max = tpm_property(tpm, TPM2_PT_MAX_AUTH_FAIL);
                info.lockout_interval = tpm_property(tpm, TPM2_PT_LOCKOUT_INTERVAL);
                info.lockout_seconds = tpm_lockout_seconds(tpm);
                r = tpm_parent_choose(tpm, &parent, &info.why);
                if (!r)
                        (void)snprintf(info.parent, sizeof info.parent, "%s",
                                       parent_names[parent != TPM2_RH_OWNER]);
                /* Keys and parents with noDA, as ours are, work through a lockout. */
                if (!r && parent != TPM2_RH_OWNER && tpm->persistent_counts && info.in_lockout)
                        r = tpm_fault(tpm, TPM2_RC_LOCKOUT, "use its storage key", &info.why);
                if (!r && parent == TPM2_RH_OWNER)
                        r = tpm_parent_room(tpm, &info.why);
                for (int alg = 0; alg < _KEY_ALG_MAX; alg++)
                        info.algs[alg] = tpm_supports(tpm, (enum key_alg)alg, NULL) == ERR_OK;
        }
        if (r)
                (void)tpm_mend(tpm, &cures);
        if (r)
                info.state = r == ERR_TPM_ABSENT ? KSP_TPM_ABSENT : KSP_TPM_FAILING;
        *ret = info;
}
