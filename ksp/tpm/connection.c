/* The connection to the TPM: made when first needed, made anew after it broke. */
#include "internal.h"

#include <stdio.h>
#include <string.h>
#include <tss2/tss2_tctildr.h>

enum err tpm_new(const char *tcti, const char *sysroot, struct tpm **ret, struct error *e)
{
        struct tpm *tpm = calloc(1, sizeof *tpm);

        if (!tpm)
                return error_no_memory(e);
        tpm->tcti = strdup(tcti ? tcti : "none");
        tpm->sysroot = strdup(sysroot);
        tpm->newest.newer = tpm->newest.older = &tpm->newest;
        tpm->persistent_parent = ESYS_TR_NONE;
        if (!tpm->tcti || !tpm->sysroot) {
                tpm_free(tpm);
                return error_no_memory(e);
        }
        *ret = tpm;
        return ERR_OK;
}

void tpm_free(struct tpm *tpm)
{
        if (!tpm)
                return;
        if (tpm->esys)
                tpm_evict_all(tpm);
        tpm_disconnect(tpm);
        free(tpm->tcti);
        free(tpm->sysroot);
        free(tpm);
}

void tpm_disconnect(struct tpm *tpm)
{
        tpm_forget_all(tpm);
        Esys_Free(tpm->owner_parent);
        tpm->owner_parent = NULL;
        tpm->persistent_parent = ESYS_TR_NONE;
        if (tpm->esys)
                Esys_Finalize(&tpm->esys);
        if (tpm->transport)
                Tss2_TctiLdr_Finalize(&tpm->transport);
}

uint32_t tpm_property(struct tpm *tpm, TPM2_PT property)
{
        CLEANUP(esys_free_p) TPMS_CAPABILITY_DATA *data = NULL;
        TPMI_YES_NO more;

        if (Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
                               property, 1, &more, &data))
                return 0;
        if (data->data.tpmProperties.count < 1 ||
            data->data.tpmProperties.tpmProperty[0].property != property)
                return 0;
        return data->data.tpmProperties.tpmProperty[0].value;
}

static enum err connect_tpm(struct tpm *tpm, struct error *e)
{
        CLEANUP(esys_free_p) TPMS_CAPABILITY_DATA *data = NULL;
        TPMI_YES_NO more;
        TSS2_RC rc = Tss2_TctiLdr_Initialize(tpm->tcti, &tpm->transport);

        if (rc)
                return tpm_error(e, rc, "be reached");
        rc = Esys_Initialize(&tpm->esys, tpm->transport, NULL);
        if (rc)
                return tpm_error(e, rc, "be opened");
        rc = Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
                                TPM2_PT_STARTUP_CLEAR, 1, &more, &data);
        if (rc)
                return tpm_error(e, rc, "say what it is");
        if (!(data->data.tpmProperties.tpmProperty[0].value & TPMA_STARTUP_CLEAR_SHENABLE))
                return error_set(e, ERR_TPM_ABSENT, "The owner hierarchy of this TPM is disabled");
        tpm->slots = tpm_property(tpm, TPM2_PT_HR_TRANSIENT_AVAIL);
        tpm->epoch++;
        return ERR_OK;
}

enum err tpm_ready(struct tpm *tpm, struct error *e)
{
        enum err r;

        if (tpm->esys)
                return ERR_OK;
        r = tpm_presence(tpm->tcti, tpm->sysroot, e);
        if (!r)
                r = connect_tpm(tpm, e);
        if (r)
                tpm_disconnect(tpm);
        return r;
}

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
                r = tpm_parent_choose(tpm, &parent, &info.why);
                if (!r)
                        (void)snprintf(info.parent, sizeof info.parent, "%s",
                                       parent_names[parent != TPM2_RH_OWNER]);
                for (int alg = 0; alg < _KEY_ALG_MAX; alg++)
                        info.algs[alg] = tpm_supports(tpm, (enum key_alg)alg, NULL) == ERR_OK;
        }
        if (r)
                info.state = r == ERR_TPM_ABSENT ? KSP_TPM_ABSENT : KSP_TPM_FAILING;
        *ret = info;
}
