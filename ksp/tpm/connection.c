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
        while (tpm->esys && tpm->loaded)
                tpm_unload(tpm, tpm->newest.newer);
        tpm_disconnect(tpm);
        secret_done(&tpm->owner_auth);
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

static enum err connect_tpm(struct tpm *tpm, const char *tcti, struct error *e)
{
        CLEANUP(esys_free_p) TPMS_CAPABILITY_DATA *data = NULL;
        TPMI_YES_NO more;
        TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti, &tpm->transport);

        if (rc)
                return tpm_error(e, rc, "be reached");
        rc = Esys_Initialize(&tpm->esys, tpm->transport, NULL);
        if (rc)
                return tpm_error(e, rc, "be opened");
        rc = Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
                                TPM2_PT_STARTUP_CLEAR, 1, &more, &data);
        if (rc)
                return tpm_error(e, rc, "say what it is");
        if (data->data.tpmProperties.count < 1 ||
            data->data.tpmProperties.tpmProperty[0].property != TPM2_PT_STARTUP_CLEAR)
                return error_set(e, ERR_TPM_FAILED, "What answers as the TPM does not say what it is");
        if (!(data->data.tpmProperties.tpmProperty[0].value & TPMA_STARTUP_CLEAR_SHENABLE))
                return error_set(e, ERR_TPM_ABSENT, "The owner hierarchy of this TPM is disabled");
        tpm->slots = tpm_property(tpm, TPM2_PT_HR_TRANSIENT_AVAIL);
        tpm->epoch++;
        return ERR_OK;
}

enum err tpm_ready(struct tpm *tpm, struct error *e)
{
        char chosen[TPM_CHOSEN_MAX];
        const char *tcti;
        enum err r;

        if (tpm->esys)
                return ERR_OK;
        tcti = tpm_choose(tpm->tcti, tpm->sysroot, chosen);
        r = tpm_presence(tcti, tpm->sysroot, e);
        if (!r)
                r = connect_tpm(tpm, tcti, e);
        if (r)
                tpm_disconnect(tpm);
        return r;
}
