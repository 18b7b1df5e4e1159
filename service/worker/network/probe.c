/*
 * Looking at a server as an administrator does: the URL in a browser, then GetCACaps and GetCACert, each told
 * with all that was seen. Nothing is asked for, and no failure ends it but one that the next would meet too.
 */
#include <time.h>

#include "link.h"
#include "scep-http/http.h"

struct seen {
        struct http_reply reply;
        struct error error;
        enum err code;
        uint64_t milliseconds;
        bool asked;
};

static void seen_done(struct seen *seen)
{
        http_reply_done(&seen->reply);
}

static uint64_t now_ms(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void ask(const struct job_probe *job, const struct http_options *options, const char *operation,
                struct seen *seen)
{
        const struct http_request request = {.url = job->url,
                                             .with_suffix = job->with_suffix,
                                             .operation = operation,
                                             .message = job->identifier ? job->identifier : "default"};
        const uint64_t start = now_ms();

        seen->asked = true;
        seen->code = http_perform(&request, options, &seen->reply, &seen->error);
        seen->milliseconds = now_ms() - start;
}

/* The next operation would end the same way. */
static bool is_hopeless(const struct seen *seen)
{
        switch (seen->reply.problem) {
        case HTTP_NAME:
        case HTTP_PROXY:
        case HTTP_CONNECTION:
        case HTTP_TLS:
        case HTTP_TLS_NAME:
        case HTTP_DENIED:
        case HTTP_STRANGE:
                return true;
        case HTTP_TLS_CLIENT:
                return seen->reply.status == 0; /* not refused by the handshake: for this path alone, maybe */
        case HTTP_TIMEOUT:
                return !*seen->reply.address; /* it never connected */
        default:
                return seen->code == ERR_INVALID || seen->code == ERR_NO_MEMORY;
        }
}

static const char *text(const char *s)
{
        return *s ? s : NULL;
}

static void tell(struct seen *seen, bool with_body, struct probe_answer *ret)
{
        const struct http_reply *reply = &seen->reply;

        *ret = (struct probe_answer){.asked = seen->asked,
                                     .problem = (uint64_t)reply->problem,
                                     .verify = reply->verify,
                                     .address = text(reply->address),
                                     .type = text(reply->type),
                                     .target = text(reply->target),
                                     .milliseconds = seen->milliseconds,
                                     .http = {reply->status, reply->has_date, reply->date_offset}};
        if (seen->code) {
                ret->name = err_name(seen->code);
                ret->message = text(seen->error.message);
                ret->remedy = text(seen->error.remedy);
        } else if (with_body) {
                ret->body = bytes_view(&reply->body);
        }
}

enum err network_probe(const struct job_probe *job, const struct network_client *client, struct bytes *ret,
                       struct result_http *ret_http, struct error *e)
{
        CLEANUP(seen_done) struct seen page = {0};
        CLEANUP(seen_done) struct seen caps = {0};
        CLEANUP(seen_done) struct seen certs = {0};
        CLEANUP(link_done) struct link link = {0};
        CLEANUP(free_p) char *url = NULL;
        struct result result = {.kind = RESULT_PROBED};
        enum err r = http_url_base(job->url, job->with_suffix, &url, e);

        if (!r)
                r = link_open(&job->link, client, &link, e);
        if (r)
                return r;
        ask(job, &link.options, NULL, &page);
        if (!is_hopeless(&page))
                ask(job, &link.options, "GetCACaps", &caps);
        if (caps.asked && !is_hopeless(&caps))
                ask(job, &link.options, "GetCACert", &certs);
        result.of.probed.url = url;
        tell(&page, false, &result.of.probed.page);
        tell(&caps, true, &result.of.probed.caps);
        tell(&certs, true, &result.of.probed.certs);
        *ret_http = result.of.probed.page.http;
        return result_encode(&result, ret, e);
}
