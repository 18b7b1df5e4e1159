#include "check.h"

#include <string.h>

#include "ask.h"
#include "base/ossl.h"
#include "fetch.h"
#include "path.h"

struct revocation_check {
        struct daemon *d;
        store_id id;
        uid_t owner;
        void (*done)(struct daemon *d, void *ctx, struct revocation_found *found);
        void *ctx;
        bool busy, cancelled;

        struct plan plan;
        bool have_plan;
        struct server_link link;
        STACK_OF(X509) * path;
        int at;
        struct worker_job *job;
        struct crl_ask *ask;
        struct crl_set crls;
        struct crl_answer answer;
        enum err result;
        struct revocation_found found;
};

void revocation_found_done(struct revocation_found *found)
{
        free(found->url);
        *found = (struct revocation_found){0};
}

void revocation_check_free(struct revocation_check *x)
{
        if (x->job)
                worker_job_cancel(x->job);
        crl_ask_free(x->ask);
        if (x->have_plan)
                plan_done(&x->plan);
        server_link_done(&x->link);
        sk_X509_pop_free(x->path, X509_free);
        crl_set_done(&x->crls);
        revocation_found_done(&x->found);
        free(x);
}

static void end(struct revocation_check *x)
{
        struct revocation_found found = x->found;
        void (*done)(struct daemon *, void *, struct revocation_found *) = x->done;
        struct daemon *d = x->d;
        void *ctx = x->ctx;

        x->found = (struct revocation_found){0};
        revocation_check_free(x);
        done(d, ctx, &found);
        revocation_found_done(&found);
}

static void next(struct revocation_check *x);

static void run_read(void *ctx)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        CLEANUP(record_done_p) struct record record = {0};
        struct revocation_check *x = ctx;
        struct error e = {0};
        enum err r = store_record_read(x->d->store, x->id, &record, &e);

        if (!r)
                r = plan_from_pairs(&record.plan, &x->plan, &e);
        x->have_plan = r == ERR_OK;
        if (!r && store_profile_read(x->d->store, record.profile, &stored, NULL) == ERR_OK)
                r = server_link_load(x->d, record.profile, settings_get(&stored.settings, "Server.CaBundle"),
                                     NULL, &x->link, &e);
        if (!r)
                r = path_read(x->d->store, x->id, &x->path, &e);
        x->result = r;
}

static void run_check(void *ctx)
{
        struct revocation_check *x = ctx;

        x->result = crl_set_check(&x->crls, sk_X509_value(x->path, x->at), sk_X509_value(x->path, x->at + 1),
                                  (int64_t)clock_now(&x->d->clock), &x->answer, NULL);
}

static void after_check(void *ctx)
{
        struct revocation_check *x = ctx;

        x->busy = false;
        if (x->cancelled) {
                revocation_check_free(x);
                return;
        }
        crl_set_done(&x->crls);
        if (x->result || x->answer.verdict != CRL_REVOKED) {
                x->at++;
                next(x);
                return;
        }
        x->found.revoked = true;
        x->found.by_ca = x->at > 0;
        x->found.at = x->answer.revoked_at;
        memcpy(x->found.reason, x->answer.reason, sizeof x->found.reason);
        end(x);
}

/* Judges x->crls, if there are any, and goes on. */
static void judge(struct revocation_check *x)
{
        if (x->crls.n && pool_submit(x->d->pool, run_check, after_check, x, NULL) == ERR_OK) {
                x->busy = true;
                return;
        }
        crl_set_done(&x->crls);
        x->at++;
        next(x);
}

static void on_fetched(void *ctx, const struct result *result, const struct error *failure)
{
        struct revocation_check *x = ctx;

        x->job = NULL;
        if (!failure)
                (void)!crl_set_add(&x->crls, result->of.fetched.body, NULL);
        judge(x);
}

static void on_asked(void *ctx, const struct crl_asked *asked, const struct error *failure)
{
        struct revocation_check *x = ctx;

        x->ask = NULL;
        for (size_t i = 0; !failure && i < asked->crls->n; i++)
                (void)!crl_set_add(&x->crls, asked->crls->at[i], NULL);
        if (failure && asked->refused) {
                x->found.url = strdup(asked->url);
                if (x->found.url)
                        x->found.refused = *failure;
        }
        judge(x);
}

/* true: a worker fetches its CRL, or its server is asked for it. That speaks for the CA that issues, and not
 * for those above. */
static bool fetch(struct revocation_check *x)
{
        const struct crl_fetch what = {sk_X509_value(x->path, x->at), &x->link, &x->plan, x->owner};
        bool other;
        enum err r = crl_fetch_start(x->d, &what, on_fetched, x, &x->job, &other, NULL);

        /* The question is signed by the certificate's key: nobody would give a PIN for it every day. */
        if (r == ERR_NOT_FOUND && x->at == 0 && x->plan.protection != POLICY_PROTECTION_USER_VERIFIED)
                r = crl_ask_start(x->d, x->id, x->owner, on_asked, x, &x->ask, NULL);
        return r == ERR_OK;
}

/* All but the anchor, which nobody above could revoke. */
static void next(struct revocation_check *x)
{
        for (; x->at + 1 < sk_X509_num(x->path); x->at++)
                if (fetch(x))
                        return;
        end(x);
}

static void after_read(void *ctx)
{
        struct revocation_check *x = ctx;

        x->busy = false;
        if (x->cancelled)
                revocation_check_free(x);
        else if (x->result)
                end(x);
        else
                next(x);
}

enum err revocation_check_start(struct daemon *d, const struct certificate *certificate,
                                void (*done)(struct daemon *d, void *ctx, struct revocation_found *found),
                                void *ctx, struct revocation_check **ret, struct error *e)
{
        struct revocation_check *x = calloc(1, sizeof *x);
        enum err r = x ? ERR_OK : error_no_memory(e);

        if (!r) {
                *x = (struct revocation_check){.d = d, .owner = certificate->owner, .done = done, .ctx = ctx};
                x->found.generation = certificate->current;
                memcpy(x->id, certificate->id, sizeof x->id);
                r = pool_submit(d->pool, run_read, after_read, x, e);
        }
        if (r) {
                free(x);
                return r;
        }
        x->busy = true;
        *ret = x;
        return ERR_OK;
}

void revocation_check_cancel(struct revocation_check *x)
{
        x->cancelled = true;
        crl_ask_cancel(STEAL(x->ask));
        if (!x->busy)
                revocation_check_free(x);
}

void revocation_check_stop(struct revocation_check *x)
{
        x->cancelled = true;
        if (x->job)
                worker_job_cancel(STEAL(x->job));
        crl_ask_stop(x->ask);
}
