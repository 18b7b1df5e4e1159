/*
 * Finding the server. For each URL, as given and, after a 404, with /pkiclient.exe: GetCACaps, whose HTTP
 * errors mean "no capabilities" (RFC 8894 §3.5.2), then GetCACert, which must succeed. A server that cannot
 * be reached, or is no SCEP server, makes room for the next URL; the last error is told. GetNextCACert is
 * asked of the one that answered, where it lists that; its failure is part of the result.
 */
#include "link.h"
#include "scep-http/http.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/caps.h"

struct found {
        struct http_reply caps, certs, next;
        char *url;
        bool with_suffix;
};

static void found_done(struct found *f)
{
        http_reply_done(&f->caps);
        http_reply_done(&f->certs);
        http_reply_done(&f->next);
        free(f->url);
        *f = (struct found){0};
}

static void note_http(const struct http_reply *reply, struct result_http *ret)
{
        *ret = (struct result_http){reply->status, reply->has_date, reply->date_offset, reply->retry_after};
}

/* The job, and the connections it keeps. */
struct search {
        const struct job_discover *job;
        const struct http_options *options;
};

static enum err ask(const struct search *search, const char *url, bool with_suffix, const char *operation,
                    struct http_reply *ret, struct error *e)
{
        const char *identifier = search->job->identifier;
        const struct http_request request = {.url = url,
                                             .with_suffix = with_suffix,
                                             .operation = operation,
                                             .message = identifier ? identifier : "default"};

        return http_perform(&request, search->options, ret, e);
}

/* *ret_missing: 404, so another form of the URL may exist. */
static enum err ask_caps(const struct search *search, const char *url, bool with_suffix, struct found *f,
                         bool *ret_missing, struct error *e)
{
        const bool want_certs = search->job->want & DISCOVER_CERTS;
        struct scep_caps caps;
        enum err r = ask(search, url, with_suffix, "GetCACaps", &f->caps, e);

        *ret_missing = r == ERR_HTTP && f->caps.status == 404;
        if (r == ERR_OK)
                return caps_parse(bytes_view(&f->caps.body), &caps, e);
        /* Old IIS closes the connection on GetCACaps; other servers refuse it by status. GetCACert will tell.
         * A redirect is no answer of a SCEP server, and neither is a web page. */
        if ((r == ERR_HTTP && (f->caps.status < 300 || f->caps.status >= 400) &&
             (!*ret_missing || want_certs)) ||
            (r == ERR_NETWORK && f->caps.status == 0 && want_certs)) {
                bytes_done(&f->caps.body);
                return ERR_OK;
        }
        return r;
}

static enum err ask_certs(const struct search *search, const char *url, bool with_suffix, struct found *f,
                          bool *ret_missing, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        enum err r = ask(search, url, with_suffix, "GetCACert", &f->certs, e);

        *ret_missing = r == ERR_HTTP && f->certs.status == 404;
        /* Parsed here for the error alone: the daemon, which relies on them, reads them again. */
        return r ? r : ca_certs_parse(bytes_view(&f->certs.body), &certs, e);
}

static enum err try_form(const struct search *search, const char *url, bool with_suffix, struct found *f,
                         bool *ret_missing, struct error *e)
{
        enum err r = ERR_OK;

        *ret_missing = false;
        if (search->job->want & DISCOVER_CAPS)
                r = ask_caps(search, url, with_suffix, f, ret_missing, e);
        if (!r && (search->job->want & DISCOVER_CERTS))
                r = ask_certs(search, url, with_suffix, f, ret_missing, e);
        f->with_suffix = with_suffix;
        return r ? r : http_url_base(url, with_suffix, &f->url, e);
}

/* @why: where it is listed and not to be had. */
static void ask_next(const struct search *search, const char *url, struct found *f, struct error *why)
{
        struct scep_caps caps = {0};

        if (!(search->job->want & DISCOVER_NEXT) || f->caps.status != 200 ||
            caps_parse(bytes_view(&f->caps.body), &caps, NULL) || !(caps.flags & SCEP_CAP_GET_NEXT_CA))
                return;
        if (ask(search, url, f->with_suffix, "GetNextCACert", &f->next, why)) {
                bytes_done(&f->next.body);
                (void)error_context(why, why->code, "%.300s", url);
        } else if (!f->next.body.len) {
                (void)error_set(why, ERR_REPLY, "The server answered GetNextCACert with nothing");
        }
}

static enum err try_url(const struct search *search, const char *url, struct found *f, struct error *e)
{
        const uint64_t suffix = search->job->suffix;
        bool missing = false;
        enum err r = try_form(search, url, suffix == SCEP_SUFFIX_YES, f, &missing, e);

        if (r && missing && suffix == SCEP_SUFFIX_AUTO) {
                found_done(f);
                r = try_form(search, url, true, f, &missing, e);
        }
        return r ? error_context(e, r, "%.300s", url) : ERR_OK;
}

enum err network_discover(const struct job_discover *job, const struct network_client *client,
                          struct bytes *ret, struct result_http *ret_http, struct error *e)
{
        CLEANUP(found_done) struct found f = {0};
        CLEANUP(link_done) struct link link = {0};
        const struct search search = {job, &link.options};
        struct result result = {.kind = RESULT_DISCOVERED};
        struct result_discovered *d = &result.of.discovered;
        struct error why = {0};
        size_t at = 0;
        enum err r;

        if (job->urls.n == 0)
                return error_set(e, ERR_INVALID, "The job names no server");
        r = link_open(&job->link, client, &link, e);
        if (r)
                return r;
        r = ERR_FAILED;
        for (size_t i = 0; i < job->urls.n && r; i++) {
                found_done(&f);
                r = try_url(&search, job->urls.at[i], &f, e);
                at = i;
        }
        note_http(f.certs.status ? &f.certs : &f.caps, ret_http);
        if (r)
                return r;
        d->url = f.url;
        d->caps = bytes_view(&f.caps.body);
        d->certs = bytes_view(&f.certs.body);
        d->caps_status = f.caps.status;
        d->http = *ret_http;
        ask_next(&search, job->urls.at[at], &f, &why);
        d->next = bytes_view(&f.next.body);
        if (why.code) {
                d->next_name = err_name(why.code);
                d->next_message = why.message;
                d->next_remedy = why.remedy;
        }
        return result_encode(&result, ret, e);
}
