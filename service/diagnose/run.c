/* Beginning and end of a diagnosis, its threads, and what was found in them. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

static void drop_kept(struct diagnosis *x)
{
        for (size_t i = 0; i < x->n_kept; i++) {
                free(x->kept[i].observed);
                free(x->kept[i].remedy);
        }
        x->n_kept = 0;
}

static void diagnosis_free(struct diagnosis *x)
{
        drop_kept(x);
        facts_gather_cancel(x->gather);
        fact_values_free(x->values);
        if (x->job)
                worker_job_cancel(x->job);
        record_done_p(&x->record);
        profile_done(&x->stored);
        if (x->have_plan)
                plan_done(&x->plan);
        sk_X509_pop_free(x->anchors, X509_free);
        sk_X509_pop_free(x->followed, X509_free);
        server_link_done(&x->link);
        sk_X509_pop_free(x->path, X509_free);
        crl_ask_cancel(x->ask);
        crl_set_done(&x->crls);
        free(x->crl_from);
        free(x->url);
        free(x);
}

static void keep(void *ctx, const struct diagnose_row *row, const char *observed, const char *remedy)
{
        struct diagnosis *x = ctx;
        struct kept *kept = &x->kept[x->n_kept];

        if (x->n_kept == KEPT_MAX)
                return;
        *kept = (struct kept){row, strdup(observed), strdup(remedy)};
        x->n_kept++;
}

void diagnosis_flush(struct diagnosis *x)
{
        for (size_t i = 0; i < x->n_kept; i++)
                if (x->kept[i].observed && x->kept[i].remedy)
                        x->ops.found(x->ops.ctx, x->kept[i].row, x->kept[i].observed, x->kept[i].remedy);
        drop_kept(x);
}

void diagnosis_end(struct diagnosis *x, const struct error *failure)
{
        const struct diagnose_ops ops = x->ops;

        diagnosis_flush(x);
        diagnosis_free(x);
        ops.done(ops.ctx, failure);
}

/* A step in a thread, then @next in the loop. */
struct step {
        struct diagnosis *x;
        void (*run)(struct diagnosis *x);
        void (*next)(struct diagnosis *x);
};

static void run_step(void *ctx)
{
        struct step *step = ctx;

        step->run(step->x);
}

static void step_done(void *ctx)
{
        struct step *step = ctx;
        struct diagnosis *x = step->x;
        void (*next)(struct diagnosis *) = step->next;

        free(step);
        x->busy = false;
        if (x->cancelled) {
                diagnosis_free(x);
                return;
        }
        diagnosis_flush(x);
        next(x);
}

enum err diagnosis_submit(struct diagnosis *x, void (*run)(struct diagnosis *x),
                          void (*next)(struct diagnosis *x), struct error *e)
{
        struct step *step = malloc(sizeof *step);
        enum err r = step ? ERR_OK : error_no_memory(e);

        if (!r) {
                *step = (struct step){x, run, next};
                r = pool_submit(x->d->pool, run_step, step_done, step, e);
        }
        if (r)
                free(step);
        else
                x->busy = true;
        return r;
}

void diagnosis_in_thread(struct diagnosis *x, void (*run)(struct diagnosis *x),
                         void (*next)(struct diagnosis *x))
{
        struct error e = {0};

        if (diagnosis_submit(x, run, next, &e))
                diagnosis_end(x, &e);
}

enum err diagnosis_start(struct daemon *d, const struct diagnose_target *target,
                         const struct diagnose_ops *ops, struct diagnosis **ret, struct error *e)
{
        struct diagnosis *x = calloc(1, sizeof *x);
        enum err r = x ? ERR_OK : error_no_memory(e);

        if (!r) {
                x->d = d;
                x->ops = *ops;
                x->owner = target->owner;
                x->n_profiles = target->n_profiles;
                x->findings = (struct findings){keep, x, 0};
                (void)snprintf(x->profile, sizeof x->profile, "%s", target->profile ? target->profile : "");
                (void)snprintf(x->certificate, sizeof x->certificate, "%s",
                               target->certificate ? target->certificate : "");
                x->url = target->url ? strdup(target->url) : NULL;
                if (target->url && !x->url)
                        r = error_no_memory(e);
        }
        if (!r)
                r = diagnosis_prepare(x, e);
        if (!r)
                *ret = x;
        else if (x)
                diagnosis_free(x);
        return r;
}

void diagnosis_cancel(struct diagnosis *x)
{
        x->cancelled = true;
        if (!x->busy)
                diagnosis_free(x);
}
