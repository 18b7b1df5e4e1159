/* What the TPM says about itself, and whether it knows our keys, asked in a thread since the answer may take
 * as long as the TPM takes. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "internal.h"

/* Keys that are looked for, among so many certificates: what happened to one has happened to all. */
enum { KEYS_TRIED = 4, CERTIFICATES_LOOKED_AT = 16 };

struct looked_at {
        store_id id;
        uint64_t generation;
        char name[64];
};

struct tpm_status {
        struct daemon *d;
        struct tpm_view shown, fresh;
        struct looked_at looked_at[CERTIFICATES_LOOKED_AT];
        size_t n;
        uint64_t checked; /* counts answers */
        bool asking;
};

/* A TPM key that loads, or what keeps it from that; software keys are passed over. */
static void try_key(struct tpm_status *status, const struct looked_at *at)
{
        struct tpm_view *fresh = &status->fresh;
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        CLEANUP(close_p) int fd = -1;
        struct ksp_key_info info;
        struct error why = {0};
        enum err r;

        if (store_generation(status->d->store, at->id, at->generation, false, &fd, NULL) ||
            ksp_load(status->d->ksp, fd, "key.pem", &key, NULL) || !ksp_key_in_tpm(key))
                return;
        r = ksp_describe(key, &info, &why);
        fresh->keys++;
        if (!r)
                return;
        if (fresh->keys_lost++ == 0) {
                (void)error_copy(&fresh->lost, &why);
                (void)error_context(&fresh->lost, r, "The key of '%s'", at->name);
        }
}

static void run_ask(void *ctx)
{
        struct tpm_status *status = ctx;

        status->fresh = (struct tpm_view){0};
        ksp_tpm(status->d->ksp, &status->fresh.tpm);
        if (status->fresh.tpm.state != KSP_TPM_READY)
                return;
        for (size_t i = 0; i < status->n && status->fresh.keys < KEYS_TRIED; i++)
                try_key(status, &status->looked_at[i]);
}

const char *tpm_view_state(const struct tpm_view *view)
{
        const struct error *why = tpm_view_trouble(view);

        return why && view->tpm.state != KSP_TPM_ABSENT ? err_name(why->code)
                                                        : ksp_tpm_state_name(view->tpm.state);
}

const struct error *tpm_view_trouble(const struct tpm_view *view)
{
        if (view->hangs.code)
                return &view->hangs;
        if (view->tpm.state != KSP_TPM_READY)
                return &view->tpm.why;
        return view->keys_lost ? &view->lost : NULL;
}

static void asked(void *ctx)
{
        static const char *const properties[] = {"TpmState", "TpmInfo", NULL};
        struct tpm_status *status = ctx;
        const char *before = tpm_view_state(&status->shown), *now = tpm_view_state(&status->fresh);
        const struct error *why = tpm_view_trouble(&status->fresh);

        status->asking = false;
        if (status->checked == 0 || strcmp(before, now) != 0)
                log_line(why && status->fresh.tpm.state != KSP_TPM_ABSENT ? LOG_WARNING : LOG_NOTICE,
                         "TPM: %s%s%s%s%s", now, why ? ": " : "", why ? why->message : "", why ? ". " : "",
                         why ? why->remedy : "");
        status->shown = status->fresh;
        status->checked++;
        if (status->d->bus)
                bus_server_changed(status->d->bus, BUS_PATH, &manager_interface, properties);
}

static void ask(struct tpm_status *status)
{
        struct certificate *c;

        if (status->asking)
                return;
        status->n = 0;
        for (uint64_t order = 0;
             status->n < CERTIFICATES_LOOKED_AT && (c = model_next(status->d->model, order));
             order = c->order) {
                struct looked_at *at = &status->looked_at[status->n];

                if (!c->current || c->leaving)
                        continue;
                memcpy(at->id, c->id, sizeof at->id);
                at->generation = c->current;
                (void)snprintf(at->name, sizeof at->name, "%s", c->name);
                status->n++;
        }
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

/* A command that takes a sixth of what it may take is told; over its limit, the daemon ends (main.c). */
static void see_whether_it_hangs(struct tpm_status *status)
{
        struct error *hangs = &status->shown.hangs;
        struct timespec t;
        uint64_t limit, now, since = ksp_busy_since(status->d->ksp, &limit);

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
        *hangs = (struct error){0};
        if (!since || now < since + limit / 6)
                return;
        (void)error_set(hangs, ERR_TPM_FAILED, "The TPM has not answered a command for %llu s",
                        (unsigned long long)(now - since) / 1000000);
        (void)error_remedy(
                hangs, ERR_TPM_FAILED,
                "The service waits %llu s and is then started anew; if the TPM hangs again, restart "
                "the machine.",
                (unsigned long long)limit / 1000000);
}

const struct tpm_view *tpm_status_get(struct daemon *d, bool refresh)
{
        see_whether_it_hangs(d->tpm_status);
        if (refresh && !d->tpm_status->shown.hangs.code) /* another thread would wait for it in vain */
                ask(d->tpm_status);
        return &d->tpm_status->shown;
}

void tpm_status_refresh(struct daemon *d)
{
        (void)tpm_status_get(d, /* refresh= */ true);
}

uint64_t tpm_status_checked(const struct daemon *d)
{
        return d->tpm_status->checked;
}
