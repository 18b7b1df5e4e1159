/* A file as it lies on a web server, from the first URL that has it; the last failure is told. */
#include "link.h"
#include "scep-http/http.h"

static enum err fetch(const char *url, const struct http_options *options, struct http_reply *ret,
                      struct error *e)
{
        const struct http_request request = {.url = url, .is_file = true, .max = JOB_FILE_MAX};
        enum err r;

        http_reply_done(ret);
        r = http_perform(&request, options, ret, e);
        if (!r && ret->body.len == 0)
                r = error_set(e, ERR_REPLY, "The server answered nothing");
        return r ? error_context(e, r, "%.300s", url) : ERR_OK;
}

enum err network_fetch(const struct job_fetch *job, const struct network_client *client, struct bytes *ret,
                       struct result_http *ret_http, struct error *e)
{
        CLEANUP(http_reply_done) struct http_reply reply = {0};
        CLEANUP(link_done) struct link link = {0};
        struct result result = {.kind = RESULT_FETCHED};
        enum err r;

        if (job->urls.n == 0)
                return error_set(e, ERR_INVALID, "The job names no URL");
        r = link_open(&job->link, client, &link, e);
        if (r)
                return r;
        r = ERR_FAILED;
        for (size_t i = 0; i < job->urls.n && r; i++) {
                r = fetch(job->urls.at[i], &link.options, &reply, e);
                result.of.fetched.url = job->urls.at[i];
        }
        *ret_http = (struct result_http){reply.status, reply.has_date, reply.date_offset, reply.retry_after};
        if (r)
                return r;
        result.of.fetched.body = bytes_view(&reply.body);
        result.of.fetched.http = *ret_http;
        return result_encode(&result, ret, e);
}
