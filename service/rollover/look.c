#include "look.h"

#include <string.h>

#include "base/ossl.h"
#include "enroll/known-server.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/caps.h"
#include "scep-wire/next-ca.h"
#include "trust.h"

struct rollover_look {
        struct daemon *d;
        store_id id;
        uid_t owner;
        void (*done)(struct daemon *d, void *ctx, struct rollover_found *found);
        void *ctx;
        bool busy, cancelled;

        struct known_server server;
        struct worker_job *job;
        struct bytes caps, certs, next;
        struct error failure; /* of GetNextCACert */
        enum err result;
        struct rollover_found found;
};

void rollover_found_done(struct rollover_found *found)
{
        X509_free(found->anchor);
        X509_free(found->next);
        free(found->url);
        *found = (struct rollover_found){0};
}

void rollover_look_free(struct rollover_look *x)
{
        if (x->job)
                worker_job_cancel(x->job);
        known_server_done(&x->server);
        bytes_done(&x->caps);
        bytes_done(&x->certs);
        bytes_done(&x->next);
        rollover_found_done(&x->found);
        free(x);
}

static void end(struct rollover_look *x)
{
        struct rollover_found found = x->found;
        void (*done)(struct daemon *, void *, struct rollover_found *) = x->done;
        struct daemon *d = x->d;
        void *ctx = x->ctx;

        x->found = (struct rollover_found){0};
        rollover_look_free(x);
        done(d, ctx, &found);
        rollover_found_done(&found);
}

static void run_read(void *ctx)
{
        struct rollover_look *x = ctx;
        struct error e = {0};

        x->result = known_server_load(x->d, x->id, x->owner, &x->server, &e);
}

static enum err judge(struct rollover_look *x, struct error *e)
{
        const time_t now = (time_t)clock_now(&x->d->clock);
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        CLEANUP(ca_choice_done) struct ca_choice choice = {0};
        struct next_ca_spec spec = {.allow_sha1 = x->server.plan.allow_legacy & LEGACY_SHA1, .now = now};
        struct scep_caps caps = {0};
        enum err r = caps_parse(bytes_view(&x->caps), &caps, e);

        /* An answer that the capabilities do not announce is none. */
        if (r || !(caps.flags & SCEP_CAP_GET_NEXT_CA))
                return r;
        r = ca_certs_parse(bytes_view(&x->certs), &certs, e);
        if (!r)
                r = known_server_choose(&x->server, certs, now, &choice, e);
        if (r)
                return r; /* the next request tells that */
        x->found.anchor = STEAL(choice.anchor);
        if (x->failure.code) {
                x->found.refused = x->failure;
                return ERR_OK;
        }
        spec.ca = choice.issuer;
        spec.others = certs;
        spec.anchor = x->found.anchor;
        r = next_ca_open(bytes_view(&x->next), &spec, &x->found.next, &x->found.refused);
        if (r) {
                x->found.refused.code = r;
                return ERR_OK;
        }
        if (x->found.next && trust_is_known(x->d->store, x->id, x->found.next))
                X509_free(STEAL(x->found.next));
        return ERR_OK;
}

static void run_judge(void *ctx)
{
        struct rollover_look *x = ctx;
        struct error e = {0};

        x->result = judge(x, &e);
}

static void after_judge(void *ctx)
{
        struct rollover_look *x = ctx;

        x->busy = false;
        if (x->cancelled) {
                rollover_look_free(x);
                return;
        }
        end(x);
}

static enum err take(struct rollover_look *x, const struct result_discovered *found)
{
        const struct result_failed failed = {found->next_name, found->next_message, found->next_remedy, {0}};
        enum err r = ERR_OK;

        if (!known_server_is(&x->server, found->url) || found->caps_status != 200)
                return ERR_PROTOCOL;
        if (failed.name && failed.message && failed.remedy)
                (void)result_error(&failed, &x->failure);
        x->found.url = strdup(found->url);
        if (!x->found.url)
                return ERR_NO_MEMORY;
        r = bytes_copy(&x->caps, found->caps.data, found->caps.len, NULL);
        if (!r)
                r = bytes_copy(&x->certs, found->certs.data, found->certs.len, NULL);
        return r ? r : bytes_copy(&x->next, found->next.data, found->next.len, NULL);
}

static void on_discovered(void *ctx, const struct result *result, const struct error *failure)
{
        struct rollover_look *x = ctx;

        x->job = NULL;
        if (failure || take(x, &result->of.discovered) ||
            pool_submit(x->d->pool, run_judge, after_judge, x, NULL)) {
                end(x);
                return;
        }
        x->busy = true;
}

static void after_read(void *ctx)
{
        struct rollover_look *x = ctx;

        x->busy = false;
        if (x->cancelled)
                rollover_look_free(x);
        else if (x->result || !x->server.plan.follow_rollover ||
                 known_server_discover(x->d, &x->server, DISCOVER_ALL, on_discovered, x, &x->job, NULL))
                end(x);
}

enum err rollover_look_start(struct daemon *d, const struct certificate *certificate,
                             void (*done)(struct daemon *d, void *ctx, struct rollover_found *found),
                             void *ctx, struct rollover_look **ret, struct error *e)
{
        struct rollover_look *x = calloc(1, sizeof *x);
        enum err r = x ? ERR_OK : error_no_memory(e);

        if (!r) {
                *x = (struct rollover_look){.d = d, .owner = certificate->owner, .done = done, .ctx = ctx};
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

void rollover_look_cancel(struct rollover_look *x)
{
        x->cancelled = true;
        if (x->busy)
                return;
        rollover_look_free(x);
}

void rollover_look_stop(struct rollover_look *x)
{
        x->cancelled = true;
        if (x->job)
                worker_job_cancel(STEAL(x->job));
}
