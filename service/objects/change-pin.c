/*
 * Certificate.ChangePin: another PIN for the key that is installed. Keys of generations that were replaced,
 * and are kept for programs that have them open, keep theirs: nobody enters it there, and they go within a
 * week. A program that has the present key open needs the new one from then on.
 */
#include <string.h>

#include "internal.h"
#include "pin/pin.h"

struct changing {
        struct later later;
        store_id id;
        char *name;
        int generation; /* directory */
        uint64_t now;
        struct ksp_key *key;
        uid_t uid;
        struct secret old, fresh;
        enum err result;
        struct error error;
};

static void changing_free(struct changing *changing)
{
        ksp_key_unref(changing->key);
        secret_done(&changing->old);
        secret_done(&changing->fresh);
        close_p(&changing->generation);
        bus_call_unref(changing->later.call);
        free(changing->name);
        free(changing);
}

static void run_change(void *ctx)
{
        struct changing *changing = ctx;
        struct ksp_op op = {.key = changing->key,
                            .uid = changing->uid,
                            .pin = secret_view(&changing->old),
                            .data = secret_view(&changing->fresh)};

        changing->result = pin_change(changing->later.d->pins, changing->generation, changing->name,
                                      changing->now, &op, &changing->error);
}

static void changed(void *ctx)
{
        struct changing *changing = ctx;
        struct certificate *certificate = model_find(changing->later.d->model, changing->id);
        struct error e = {0};

        if (certificate)
                certificate->changing_pin = false;
        if (changing->result)
                bus_call_fail(changing->later.call, &changing->error);
        else if (bus_call_reply_empty(changing->later.call, &e))
                bus_call_fail(changing->later.call, &e);
        changing_free(changing);
}

/* A request that runs makes, or has made, a key with the PIN it was given. */
static enum err may_change(const struct certificate *c, struct error *e)
{
        if (c->changing_pin)
                return error_set(e, ERR_BUSY, "The PIN of '%s' is being changed already", c->name);
        if (c->leaving)
                return error_set(e, ERR_BUSY, "'%s' is being removed", c->name);
        return c->enrollment && !c->noting ? request_is_running(c, e) : ERR_OK;
}

static enum err begin(struct daemon *d, struct certificate *c, struct changing *changing, struct error *e)
{
        struct ksp_key *key;
        enum err r = may_change(c, e);

        if (!r)
                r = model_key(d->model, d->ksp, c, &key, e);
        if (r)
                return r;
        changing->key = ksp_key_ref(key);
        memcpy(changing->id, c->id, sizeof changing->id);
        changing->name = strdup(c->name);
        if (!changing->name)
                return error_no_memory(e);
        r = store_generation(d->store, c->id, c->current, false, &changing->generation, e);
        if (!r)
                r = pool_submit(d->pool, run_change, changed, changing, e);
        if (!r)
                c->changing_pin = true;
        return r;
}

static enum err read_pins(struct bus_reader *reader, struct changing *changing, struct error *e)
{
        CLEANUP(close_p) int old = -1;
        CLEANUP(close_p) int fresh = -1;
        enum err r = bus_read_fd(reader, "old", &old, e);

        if (!r)
                r = bus_read_fd(reader, "new", &fresh, e);
        if (!r)
                r = bus_options_read(reader, NULL, 0, e);
        if (!r)
                r = pin_read(old, &changing->old, e);
        return r ? r : pin_read(fresh, &changing->fresh, e);
}

enum err certificate_change_pin(void *object, struct bus_call *call, struct error *e)
{
        const struct handle *handle = object;
        struct changing *changing = calloc(1, sizeof *changing);
        enum err r;

        if (!changing)
                return error_no_memory(e);
        *changing = (struct changing){.later = {handle->d, bus_call_ref(call)},
                                      .generation = -1,
                                      .now = clock_now(&handle->d->clock),
                                      .uid = bus_call_uid(call)};
        r = read_pins(bus_call_reader(call), changing, e);
        if (!r)
                r = begin(handle->d, handle->certificate, changing, e);
        if (r)
                changing_free(changing);
        return r;
}
