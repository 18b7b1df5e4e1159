/* The directory of consumers is watched: at the start and when a file of it changed, those that follow a
 * certificate are looked at again, so that nothing has to be restarted. */

#include "apply.h"
#include "apply/consumers.h"
#include "apply/outcome.h"
#include "daemon/log.h"
#include "due.h"
#include "work/watch.h"

enum { KNOWN_MAX = 64 };

struct follow {
        struct daemon *d;
        struct watch *watch;
        bool reading, again;        /* a thread is at it; and something changed meanwhile */
        struct consumers consumers; /* what it found */
        store_id known[KNOWN_MAX];  /* certificates that something was written for */
        size_t n_known;
        enum err result;
        struct error error;
};

static void look(struct follow *follow);

static void apply_followed(struct follow *follow)
{
        struct daemon *d = follow->d;
        struct certificate *c;

        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order)
                if (c->owner == NO_OWNER && c->current && consumers_follow(&follow->consumers, c->name))
                        apply_again(d, c);
}

static void read_consumers(void *ctx)
{
        struct follow *follow = ctx;

        follow->error = (struct error){0};
        follow->result = consumers_read(follow->d->config.consumers, follow->d->own_uid, &follow->consumers,
                                        &follow->error);
        follow->n_known = outcome_list(follow->d->config.applied, follow->known, KNOWN_MAX);
}

/* A daemon that was killed after a removal did not tell the applier. */
static void undo_gone(struct follow *follow)
{
        for (size_t i = 0; i < follow->n_known; i++)
                if (!model_find(follow->d->model, follow->known[i]))
                        apply_removed(follow->d, follow->known[i]);
}

static void have_read(void *ctx)
{
        struct follow *follow = ctx;

        follow->reading = false;
        if (follow->result)
                log_error(LOG_ERR, &follow->error);
        for (size_t i = 0; !follow->result && i < follow->consumers.count; i++)
                if (follow->consumers.items[i].failure.code != ERR_OK)
                        log_error(LOG_ERR, &follow->consumers.items[i].failure);
        if (!follow->result)
                apply_followed(follow);
        undo_gone(follow);
        consumers_done(&follow->consumers);
        if (follow->again)
                look(follow);
}

static void look(struct follow *follow)
{
        struct error e = {0};

        follow->again = follow->reading;
        if (follow->reading)
                return;
        if (pool_submit(follow->d->pool, read_consumers, have_read, follow, &e))
                log_error(LOG_ERR, &e);
        else
                follow->reading = true;
}

static void on_change(void *ctx)
{
        look(ctx);
}

enum err follow_start(struct daemon *d, struct error *e)
{
        struct follow *follow = calloc(1, sizeof *follow);
        enum err r;

        if (!follow)
                return error_no_memory(e);
        follow->d = d;
        d->follow = follow;
        r = watch_new(d->event, d->config.consumers, on_change, follow, &follow->watch, e);
        if (!r)
                look(follow);
        return r;
}

void follow_stop(struct daemon *d)
{
        if (d->follow)
                watch_free(STEAL(d->follow->watch));
}

void follow_end(struct daemon *d)
{
        struct follow *follow = STEAL(d->follow);

        if (!follow)
                return;
        consumers_done(&follow->consumers);
        free(follow);
}
