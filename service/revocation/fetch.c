#include "fetch.h"

#include <string.h>

#include "crl.h"

enum err crl_fetch_start(struct daemon *d, const struct crl_fetch *what, worker_done *done, void *ctx,
                         struct worker_job **ret, bool *ret_other, struct error *e)
{
        const struct worker_grant grant = {.uid = what->owner == NO_OWNER ? 0 : what->owner};
        CLEANUP(crl_urls_done) struct crl_urls urls = {0};
        struct job job = {.kind = JOB_FETCH};
        enum err r = crl_urls(what->cert, &urls, e);

        if (r)
                return r;
        *ret_other = urls.other;
        if (!urls.n)
                return error_set(e, ERR_NOT_FOUND, "The certificate names no CRL by http");
        memcpy(job.of.fetch.urls.at, urls.at, sizeof urls.at);
        job.of.fetch.urls.n = urls.n;
        server_link_fill(what->link, what->plan, &job.of.fetch.link);
        job.of.fetch.link.client.n = 0;
        return workers_start(d->workers, &job, &grant, what->owner, done, ctx, ret, e);
}
