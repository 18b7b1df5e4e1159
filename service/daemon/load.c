#include "load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "enroll/enrollment.h"
#include "log.h"

/* Records are parsed by a few threads, so many at a time, and added by one. */
enum { BUNDLE = 256, READERS_MAX = 4 };

struct ids {
        store_id *at;
        size_t n, room;
};

struct slot {
        struct record record;
        enum err result;
        struct error error;
};

struct bundle {
        struct store *store;
        const store_id *ids;
        size_t n;
        atomic_size_t next;
        struct slot slots[BUNDLE];
};

static enum err load_profile(void *ctx, const char *id, struct error *e)
{
        struct daemon *d = ctx;
        CLEANUP(stored_profile_done) struct stored_profile profile = {0};
        enum err r = store_profile_read(d->store, id, &profile, e);

        if (!r)
                r = model_add_profile(d->model, id, &profile, NULL, e);
        if (r == ERR_NOT_FOUND) /* a profile's file is written last: what lacks it never was one */
                return store_remove(d->store, STORE_PROFILES, id, e);
        if (r)
                log_error(LOG_ERR, e);
        return r == ERR_NO_MEMORY ? r : ERR_OK;
}

static enum err note_id(void *ctx, const char *id, struct error *e)
{
        struct ids *ids = ctx;

        if (ids->n == ids->room) {
                const size_t room = ids->room ? 2 * ids->room : 256;
                store_id *larger = realloc(ids->at, room * sizeof *larger);

                if (!larger)
                        return error_no_memory(e);
                ids->at = larger;
                ids->room = room;
        }
        memcpy(ids->at[ids->n++], id, sizeof *ids->at);
        return ERR_OK;
}

static void *read_records(void *ctx)
{
        struct bundle *bundle = ctx;
        size_t i;

        while ((i = atomic_fetch_add(&bundle->next, 1)) < bundle->n) {
                struct slot *slot = &bundle->slots[i];

                slot->result = store_record_read(bundle->store, bundle->ids[i], &slot->record, &slot->error);
        }
        return NULL;
}

/* This thread is one of them: where no other can be made, it does all. */
static void read_bundle(struct bundle *bundle)
{
        pthread_t others[READERS_MAX - 1];
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        long wanted = bundle->n < BUNDLE / 4 ? 0 : processors - 1;
        int n = 0;

        while (n < wanted && n < READERS_MAX - 1 &&
               pthread_create(&others[n], NULL, read_records, bundle) == 0)
                n++;
        (void)read_records(bundle);
        while (n > 0)
                (void)pthread_join(others[--n], NULL);
}

static enum err add_certificate(struct daemon *d, const char *id, struct slot *slot, struct error *e)
{
        struct certificate *certificate;
        enum err r = slot->result ? error_copy(e, &slot->error) : ERR_OK;

        if (r == ERR_NOT_FOUND) /* the daemon was killed before it had begun with it */
                return store_remove(d->store, STORE_CERTIFICATES, id, e);
        if (!r)
                r = enrollment_sweep(d, id, &slot->record, e);
        if (!r)
                r = model_add(d->model, id, &slot->record, &certificate, e);
        if (r)
                log_error(LOG_ERR, e);
        return r == ERR_NO_MEMORY ? r : ERR_OK;
}

static enum err load_bundle(struct daemon *d, struct bundle *bundle, struct error *e)
{
        enum err r = ERR_OK;

        for (size_t i = 0; i < bundle->n; i++)
                bundle->slots[i] = (struct slot){.result = ERR_OK};
        atomic_store(&bundle->next, 0);
        read_bundle(bundle);
        for (size_t i = 0; i < bundle->n; i++) {
                if (!r)
                        r = add_certificate(d, bundle->ids[i], &bundle->slots[i], e);
                record_done_p(&bundle->slots[i].record);
        }
        return r;
}

static enum err load_certificates(struct daemon *d, const struct ids *ids, struct error *e)
{
        CLEANUP(free_p) struct bundle *bundle = calloc(1, sizeof *bundle);
        enum err r = bundle ? ERR_OK : error_no_memory(e);

        for (size_t from = 0; !r && from < ids->n; from += BUNDLE) {
                bundle->store = d->store;
                bundle->ids = ids->at + from;
                bundle->n = ids->n - from < BUNDLE ? ids->n - from : BUNDLE;
                r = load_bundle(d, bundle, e);
        }
        return r;
}

enum err load_state(struct daemon *d, struct error *e)
{
        struct ids ids = {0};
        enum err r = store_each(d->store, STORE_PROFILES, load_profile, d, e);

        if (!r)
                r = store_each(d->store, STORE_CERTIFICATES, note_id, &ids, e);
        if (!r)
                r = load_certificates(d, &ids, e);
        free(ids.at);
        return r;
}
