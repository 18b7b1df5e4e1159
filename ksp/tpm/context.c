/* Keys that had to make room, kept as contexts that the TPM saved (TPM 2.0 Part 1, Context Management): one
 * comes back in a tenth of the time that a load takes, and without its parent beside it. It is good until the
 * TPM is reset, and for this connection as far as we are concerned. */
#include "internal.h"

#include <tss2/tss2_mu.h>

/* Of about 1.5 KiB each. */
enum { KEPT_MAX = 64 };

void tpm_context_save(struct tpm *tpm, struct tpm_object *object)
{
        CLEANUP(esys_free_p) TPMS_CONTEXT *context = NULL;
        uint8_t buf[sizeof *context];
        size_t len = 0;

        if (object->context_epoch == tpm->epoch || tpm->contexts >= KEPT_MAX)
                return;
        tpm_context_drop(tpm, object);
        if (Esys_ContextSave(tpm->esys, object->handle, &context) ||
            Tss2_MU_TPMS_CONTEXT_Marshal(context, buf, sizeof buf, &len) ||
            bytes_copy(&object->context, buf, len, NULL))
                return;
        object->context_epoch = tpm->epoch;
        tpm->contexts++;
}

void tpm_context_drop(struct tpm *tpm, struct tpm_object *object)
{
        if (!object->context_epoch)
                return;
        bytes_done(&object->context);
        object->context_epoch = 0;
        tpm->contexts--;
}

bool tpm_context_load(struct tpm *tpm, struct tpm_object *object, ESYS_TR *ret)
{
        TPMS_CONTEXT context;
        size_t offset = 0;

        if (object->context_epoch != tpm->epoch)
                return false;
        if (!Tss2_MU_TPMS_CONTEXT_Unmarshal(object->context.data, object->context.len, &offset, &context) &&
            !Esys_ContextLoad(tpm->esys, &context, ret))
                return true;
        tpm_context_drop(tpm, object);
        return false;
}
