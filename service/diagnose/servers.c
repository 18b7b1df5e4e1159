/* What the servers show: each URL of the profile, or the one that was given. */
#include "internal.h"

enum { PROBE_URLS_MAX = JOB_URLS_MAX };

static void next_url(struct diagnosis *x);

static const char *url_at(const struct diagnosis *x)
{
        if (x->url)
                return x->at_url == 0 ? x->url : NULL;
        return x->have_plan && x->at_url < x->plan.urls.count && x->at_url < PROBE_URLS_MAX
                       ? x->plan.urls.items[x->at_url]
                       : NULL;
}

static bool is_missing(const struct probe_answer *a)
{
        return a->asked && a->http.status == 404;
}

static void on_probed(void *ctx, const struct result *result, const struct error *failure)
{
        struct diagnosis *x = ctx;
        const struct result_probed *p;
        struct server_view view = {.plan = x->have_plan ? &x->plan : NULL,
                                   .anchors = x->anchors,
                                   .followed = x->followed,
                                   .now = (int64_t)clock_now(&x->d->clock)};

        x->job = NULL;
        if (failure) {
                findings_say(&x->findings, DIAGNOSE_URL_STATUS, failure->remedy, "%s", failure->message);
        } else {
                p = &result->of.probed;
                if (!x->with_suffix && (!x->have_plan || x->plan.suffix == SUFFIX_AUTO) &&
                    is_missing(&p->caps) && is_missing(&p->certs)) {
                        x->with_suffix = true; /* NDES may be known by its historic path alone */
                        next_url(x);
                        return;
                }
                if (findings_network(&x->findings, p)) {
                        findings_caps(&x->findings, &p->caps, &view);
                        findings_ca(&x->findings, &p->certs, &view);
                }
        }
        diagnosis_flush(x);
        x->at_url++;
        x->with_suffix = x->have_plan && x->plan.suffix == SUFFIX_YES;
        next_url(x);
}

static void next_url(struct diagnosis *x)
{
        const struct worker_grant grant = {.uid = x->owner == NO_OWNER ? 0 : x->owner,
                                           .tls = x->link.client_key};
        struct job job = {.kind = JOB_PROBE};
        struct error e = {0};

        job.of.probe.url = url_at(x);
        if (!job.of.probe.url) {
                diagnosis_certificate(x);
                return;
        }
        job.of.probe.identifier = x->have_plan ? x->plan.ca_identifier : NULL;
        job.of.probe.with_suffix = x->with_suffix;
        server_link_fill(&x->link, x->have_plan ? &x->plan : NULL, &job.of.probe.link);
        if (workers_start(x->d->workers, &job, &grant, x->owner, on_probed, x, &x->job, &e))
                diagnosis_end(x, &e);
}

void diagnosis_servers(struct diagnosis *x)
{
        x->with_suffix = x->have_plan && x->plan.suffix == SUFFIX_YES;
        next_url(x);
}
