/* Removal: recorded before anything is deleted, so that a restart goes on with it; then the files, then the
 * object. */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "daemon/log.h"
#include "enroll/afterwards.h"
#include "enroll/apply.h"
#include "enroll/due.h"
#include "enroll/enrollment.h"
#include "events/events.h"
#include "internal.h"

struct removing {
        struct daemon *d;
        store_id id;
        char thumbprint[2 * 20 + 1]; /* "": there was no certificate */
        void (*done)(void *ctx, const struct error *failure);
        void *ctx;
        enum err result;
        struct error error;
};

enum err request_is_running(const struct certificate *certificate, struct error *e)
{
        (void)error_set(e, ERR_BUSY, "A request for '%s' is under way", certificate->name);
        return error_remedy(e, ERR_BUSY, "End it first: scepter cancel %s", certificate->name);
}

static enum err remove_files(struct removing *removing, struct error *e)
{
        struct record record = {0};
        enum err r = store_record_read(removing->d->store, removing->id, &record, e);

        if (!r) {
                (void)snprintf(removing->thumbprint, sizeof removing->thumbprint, "%s", record.thumbprint);
                r = record_set_text(&record.activity, activity_name(ACTIVITY_REMOVING), e);
        }
        if (!r)
                r = store_record_write(removing->d->store, removing->id, &record, e);
        record_done_p(&record);
        /* A record that cannot be read must not make the certificate immortal. */
        if (r && r != ERR_CONFIG && r != ERR_NOT_FOUND)
                return r;
        return store_remove(removing->d->store, STORE_CERTIFICATES, removing->id, e);
}

static void tell_removed(struct daemon *d, const struct certificate *certificate, const char *thumbprint)
{
        const struct event_value values[] = {{EVENT_THUMBPRINT, thumbprint, 0}};
        const struct event event = {.kind = EVENT_CERT_REMOVED,
                                    .certificate = certificate->id,
                                    .name = certificate->name,
                                    .profile = certificate->profile,
                                    .owner = certificate->owner,
                                    .message = "The certificate and its key were removed",
                                    .values = values,
                                    .n = N_ELEMENTS(values)};

        event_record(d->events, &event);
}

static void run_remove(void *ctx)
{
        struct removing *removing = ctx;

        removing->result = remove_files(removing, &removing->error);
}

static void removed(void *ctx)
{
        struct removing *removing = ctx;
        struct certificate *certificate = model_find(removing->d->model, removing->id);

        if (removing->result) {
                log_error(LOG_ERR, &removing->error);
                if (certificate)
                        certificate->leaving = false;
        } else if (certificate) {
                tell_removed(removing->d, certificate, removing->thumbprint);
                objects_certificate_removed(removing->d, certificate);
                apply_removed(removing->d, removing->id);
                due_drop(removing->d, certificate);
                model_remove(removing->d->model, certificate);
        }
        if (removing->done)
                removing->done(removing->ctx, removing->result ? &removing->error : NULL);
        free(removing);
}

static enum err begin_removal(struct removing *removing, struct certificate *certificate, struct error *e)
{
        const enum err r = pool_submit(removing->d->pool, run_remove, removed, removing, e);

        if (r)
                return r;
        (void)ask_end(removing->d, certificate, ASK_REMOVED);
        certificate->activity = ACTIVITY_REMOVING;
        certificate->leaving = true;
        return ERR_OK;
}

static void remove_postponed(void *ctx, const struct error *failure)
{
        struct removing *removing = ctx;
        struct certificate *certificate = model_find(removing->d->model, removing->id);
        struct error e = {0};

        if (failure)
                e = *failure;
        if (!e.code && certificate &&
            !certificate_remove(removing->d, certificate, removing->done, removing->ctx, &e)) {
                free(removing);
                return;
        }
        if (removing->done)
                removing->done(removing->ctx, e.code ? &e : NULL);
        free(removing);
}

enum err certificate_remove(struct daemon *d, struct certificate *certificate,
                            void (*done)(void *ctx, const struct error *failure), void *ctx, struct error *e)
{
        struct removing *removing;
        enum activity next;
        enum err r = lifecycle_next(certificate->activity, LIFE_REMOVE, &next, e);

        if (r)
                return r;
        if (certificate->leaving)
                return error_set(e, ERR_BUSY, "'%s' is being removed already", certificate->name);
        if (certificate->changing_pin)
                return error_set(e, ERR_BUSY, "The PIN of '%s' is being changed", certificate->name);
        if (certificate->enrollment && !certificate->noting && !enrollment_give_way(certificate))
                return request_is_running(certificate, e);
        removing = calloc(1, sizeof *removing);
        if (!removing)
                return error_no_memory(e);
        removing->d = d;
        memcpy(removing->id, certificate->id, sizeof removing->id);
        removing->done = done;
        removing->ctx = ctx;
        r = certificate->noting ? afterwards_run(certificate, remove_postponed, removing, e)
                                : begin_removal(removing, certificate, e);
        if (r)
                free(removing);
        return r;
}

enum err certificate_remove_rest(struct daemon *d, struct certificate *certificate, struct error *e)
{
        return certificate_remove(d, certificate, NULL, NULL, e);
}
