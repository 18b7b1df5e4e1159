/* Removal: recorded before anything is deleted, so that a restart goes on with it; then the files, then the
 * object. */
#include <string.h>

#include "daemon/log.h"
#include "enroll/enrollment.h"
#include "internal.h"

struct removing {
        struct daemon *d;
        store_id id;
        void (*done)(void *ctx, const struct error *failure);
        void *ctx;
        enum err result;
        struct error error;
};

static enum err remove_files(struct removing *removing, struct error *e)
{
        struct record record = {0};
        enum err r = store_record_read(removing->d->store, removing->id, &record, e);

        if (!r)
                r = record_set_text(&record.activity, activity_name(ACTIVITY_REMOVING), e);
        if (!r)
                r = store_record_write(removing->d->store, removing->id, &record, e);
        record_done_p(&record);
        /* A record that cannot be read must not make the certificate immortal. */
        if (r && r != ERR_CONFIG && r != ERR_NOT_FOUND)
                return r;
        return store_remove(removing->d->store, STORE_CERTIFICATES, removing->id, e);
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
                log_line(LOG_NOTICE, "Certificate '%s' and its key were removed", certificate->name);
                objects_certificate_removed(removing->d, certificate);
                model_remove(removing->d->model, certificate);
        }
        if (removing->done)
                removing->done(removing->ctx, removing->result ? &removing->error : NULL);
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
        if (certificate->enrollment)
                return error_set(e, ERR_BUSY, "A request for '%s' is under way: cancel it first",
                                 certificate->name);
        removing = calloc(1, sizeof *removing);
        if (!removing)
                return error_no_memory(e);
        removing->d = d;
        memcpy(removing->id, certificate->id, sizeof removing->id);
        removing->done = done;
        removing->ctx = ctx;
        r = pool_submit(d->pool, run_remove, removed, removing, e);
        if (r) {
                free(removing);
                return r;
        }
        certificate->activity = ACTIVITY_REMOVING;
        certificate->leaving = true;
        return ERR_OK;
}

enum err certificate_remove_rest(struct daemon *d, struct certificate *certificate, struct error *e)
{
        return certificate_remove(d, certificate, NULL, NULL, e);
}
