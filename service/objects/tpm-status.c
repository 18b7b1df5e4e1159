/* What the TPM says about itself, asked in a thread since the answer may take as long as the TPM takes. */
#include "daemon/log.h"
#include "internal.h"

struct tpm_status {
        struct daemon *d;
        struct ksp_tpm shown, fresh;
        uint64_t checked; /* counts answers */
        bool asking;
};

static void run_ask(void *ctx)
{
        struct tpm_status *status = ctx;

        ksp_tpm(status->d->ksp, &status->fresh);
}

static void asked(void *ctx)
{
        static const char *const properties[] = {"TpmState", "TpmInfo", NULL};
        struct tpm_status *status = ctx;

        status->asking = false;
        if (status->checked == 0 || status->shown.state != status->fresh.state)
                log_line(LOG_NOTICE, "TPM: %s%s%s", ksp_tpm_state_name(status->fresh.state),
                         status->fresh.state == KSP_TPM_READY ? "" : ": ", status->fresh.why.message);
        status->shown = status->fresh;
        status->checked++;
        if (status->d->bus)
                bus_server_changed(status->d->bus, BUS_PATH, &manager_interface, properties);
}

static void ask(struct tpm_status *status)
{
        if (status->asking)
                return;
        status->asking = pool_submit(status->d->pool, run_ask, asked, status, NULL) == ERR_OK;
}

enum err tpm_status_new(struct daemon *d, struct error *e)
{
        d->tpm_status = calloc(1, sizeof *d->tpm_status);
        if (!d->tpm_status)
                return error_no_memory(e);
        d->tpm_status->d = d;
        ask(d->tpm_status);
        return ERR_OK;
}

void tpm_status_free(struct daemon *d)
{
        free(STEAL(d->tpm_status));
}

struct ksp_tpm tpm_status_get(struct daemon *d, bool refresh)
{
        if (refresh)
                ask(d->tpm_status);
        return d->tpm_status->shown;
}

uint64_t tpm_status_checked(const struct daemon *d)
{
        return d->tpm_status->checked;
}
