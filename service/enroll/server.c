/* The part of the course that talks with the server: discover, build, exchange, install. */
#include <stdio.h>
#include <string.h>

#include "agent.h"
#include "base/ossl.h"
#include "internal.h"
#include "keys/server.h"
#include "same-server.h"
#include "store/old.h"
#include "tell.h"
#include "urls.h"

static void after_install(struct enrollment *en)
{
        if (enrollment_failed(en))
                return;
        enrollment_publish(en, "");
        enrollment_free(en);
}

enum err record_transaction(struct enrollment *en, const char *url, const struct result *result,
                            struct error *e)
{
        struct record *record = &en->record;
        const struct result_exchanged *reply =
                result && result->kind == RESULT_EXCHANGED ? &result->of.exchanged : NULL;
        const bool refused = reply && (enum scep_status)reply->status == SCEP_FAILURE;
        int64_t status = 0;
        enum err r = record_set_text(&record->last_url, url, e);

        if (reply)
                status = reply->http.status;
        else if (result && result->kind == RESULT_DISCOVERED)
                status = result->of.discovered.http.status;
        else if (result && result->kind == RESULT_FAILED)
                status = result->of.failed.http.status;
        record->last_time = clock_now(&en->d->clock);
        record->last_http_status = status > 0 ? (uint64_t)status : 0;
        record->last_hresult = reply && reply->has_hresult ? reply->hresult : 0;
        if (!r)
                r = record_set_text(&record->last_pki_status,
                                    reply ? scep_status_name((enum scep_status)reply->status) : "", e);
        if (!r)
                r = record_set_text(&record->last_fail_info,
                                    refused && scep_fail_valid(reply->fail)
                                            ? scep_fail_name((enum scep_fail)reply->fail)
                                            : "",
                                    e);
        return r;
}

static void next_exchange(struct enrollment *en);

static void after_poll(struct enrollment *en)
{
        if (!enrollment_failed(en))
                next_exchange(en);
}

static void after_repeated_choice(struct enrollment *en)
{
        if (enrollment_failed(en))
                return;
        en->stage = "build";
        enrollment_step(en, step_poll, after_poll);
}

static void on_discovered(void *ctx, const struct result *result, const struct error *failure);

void enrollment_discover(struct enrollment *en)
{
        static const uint64_t suffixes[] = {
                [SUFFIX_AUTO] = 0, [SUFFIX_NO] = 1, [SUFFIX_YES] = 2}; /* enum scep_suffix */
        struct job job = {.kind = JOB_DISCOVER,
                          .of.discover = {.identifier = en->plan.ca_identifier, .want = DISCOVER_BOTH}};
        const struct worker_grant grant = {.uid = tpm_uid(en), .tls = en->link.client_key, .more = true};
        struct error e = {0};

        en->stage = "discover";
        enrollment_forget_exchange(en);
        urls_to_ask(en, &job.of.discover.urls);
        job.of.discover.suffix = suffixes[en->plan.suffix];
        server_link_fill(&en->link, &en->plan, &job.of.discover.link);
        if (workers_start(en->d->workers, &job, &grant, en->owner, on_discovered, en, &en->job, &e))
                enrollment_fail(en, &e);
}

static enum err keep_issued(struct enrollment *en, const struct result_exchanged *reply, struct error *e)
{
        if (reply->certs.n == 0)
                return error_set(e, ERR_PROTOCOL, "The worker answered a request without a certificate");
        en->reply_notes = (unsigned)reply->notes;
        for (size_t i = 0; i < reply->certs.n && i < JOB_CERTS_MAX; i++) {
                enum err r = bytes_copy(&en->issued[i], reply->certs.at[i].data, reply->certs.at[i].len, e);

                if (r)
                        return r;
                en->n_issued = i + 1;
        }
        return ERR_OK;
}

/* What of the old generations is in use, for the step that clears them away. */
static void note_held(struct enrollment *en)
{
        en->held = 0;
        for (size_t i = 0; i < en->record.old.count && i < 64; i++) {
                struct old_generation old;

                if (old_generation_read(en->record.old.items[i], &old) &&
                    key_server_holds(en->d->keys, en->certificate, old.key_id))
                        en->held |= UINT64_C(1) << i;
        }
}

static void after_next_method(struct enrollment *en)
{
        if (enrollment_failed(en))
                return;
        enrollment_publish(en, "discover");
        enrollment_discover(en); /* a server that is out of order does not answer: then nothing was refused */
}

/* The server does not do its work now; another one may. */
static bool is_out_of_order(const struct error *why, const struct result_http *http)
{
        return why->code == ERR_NETWORK || why->code == ERR_TIMEOUT || why->code == ERR_TLS ||
               (why->code == ERR_HTTP && http && (http->status >= 500 || http->status == 429));
}

/* The profile's next server, with the same key; what becomes of the request is decided by whom it is for. */
static bool fails_over(struct enrollment *en, const struct error *why, const struct result_http *http)
{
        if (en->certificate->activity != ACTIVITY_REQUESTING || !is_out_of_order(why, http) ||
            !urls_pass_over(en))
                return false;
        tell_failed_over(en, why);
        enrollment_publish(en, "discover");
        enrollment_discover(en);
        return true;
}

/* @definitive: the server does not want a request of this kind; another one may be welcome. */
static void fail_or_next(struct enrollment *en, const struct error *why, bool definitive)
{
        if (!definitive) {
                enrollment_fail(en, why);
                return;
        }
        if (method_is_last(en)) {
                const struct error all = method_refusals(en, why);

                enrollment_fail(en, &all);
                return;
        }
        en->why = *why;
        en->stage = "exchange";
        enrollment_step(en, step_next_method, after_next_method);
}

/* By HTTP; not what passes: too late, too many, overloaded. A server that failed at a request with a
 * challenge may have used that up: the same message again gets what it made of it, another one nothing.
 * Unless the CA has refused the other way a moment ago: then this one is what it fails at. */
static bool refuses(const struct enrollment *en, const struct result_http *http)
{
        return http->status >= 400 && http->status != 408 && http->status != 429 && http->status != 503 &&
               (http->status < 500 || !en->exchange.with_challenge || en->refused.code == ERR_SERVER_REFUSED);
}

static void refused(struct enrollment *en, const struct result_exchanged *reply)
{
        const enum scep_fail info = (enum scep_fail)reply->fail;
        const char *name = reply->has_hresult ? scep_hresult_name((uint32_t)reply->hresult) : NULL;
        const char *remedy;
        char hresult[64] = "";
        struct error e = {0};

        if (reply->has_hresult)
                (void)snprintf(hresult, sizeof hresult, "; HRESULT 0x%08x%s%s", (unsigned)reply->hresult,
                               name ? " " : "", name ? name : "");
        (void)error_set(&e, ERR_SERVER_REFUSED, "The server refused the request: %s (%s)%s%s%s",
                        scep_fail_name(info), scep_fail_meaning(info), hresult,
                        reply->text ? "; it says: " : "", reply->text ? reply->text : "");
        remedy = reply->has_hresult ? scep_hresult_remedy((uint32_t)reply->hresult) : NULL;
        (void)error_remedy(&e, ERR_SERVER_REFUSED, "%s", remedy ? remedy : scep_fail_remedy(info));
        fail_or_next(en, &e, en->certificate->activity == ACTIVITY_REQUESTING);
}

static void on_exchanged(void *ctx, const struct result *result, const struct error *failure)
{
        struct enrollment *en = ctx;
        struct error e = {0};

        en->job = NULL;
        if (record_transaction(en, en->record.request_url, result, &e)) {
                enrollment_fail(en, &e);
                return;
        }
        if (failure) {
                const struct result_http *http = result ? &result->of.failed.http : NULL;
                const bool definitive = http && failure->code == ERR_HTTP && refuses(en, http);

                en->retry_after = http ? http->retry_after : 0;
                if ((definitive && !method_is_last(en)) || !fails_over(en, failure, http))
                        fail_or_next(en, failure, definitive);
                return;
        }
        switch ((enum scep_status)result->of.exchanged.status) {
        case SCEP_SUCCESS:
                if (keep_issued(en, &result->of.exchanged, &e)) {
                        enrollment_fail(en, &e);
                        return;
                }
                note_held(en);
                en->stage = "check";
                enrollment_publish(en, "check");
                enrollment_step(en, step_install, after_install);
                return;
        case SCEP_PENDING:
                enrollment_pending(en, &result->of.exchanged.http);
                return;
        case SCEP_FAILURE:
                refused(en, &result->of.exchanged);
                return;
        }
        (void)error_set(&e, ERR_PROTOCOL, "The worker told a status that does not exist");
        enrollment_fail(en, &e);
}

static void next_exchange(struct enrollment *en)
{
        struct job job = {.kind = JOB_EXCHANGE};
        struct job_exchange *exchange = &job.of.exchange;
        const bool transport = key_alg_is_rsa(ksp_key_alg(request_key(en)));
        const bool password = !transport && en->exchange.with_challenge && en->challenge.len;
        const struct worker_grant grant = {.key = request_key(en),
                                           .password =
                                                   password ? secret_view(&en->challenge) : (struct view){0},
                                           .pin = request_pin(en),
                                           .uid = tpm_uid(en),
                                           .tls = en->link.client_key};
        struct bytes signers[JOB_CERTS_MAX] = {{0}}, recipient = {0};
        struct error e = {0};
        enum err r = x509_der(en->signer, &recipient, &e);

        en->stage = "exchange";
        *exchange =
                (struct job_exchange){.url = en->record.request_url,
                                      .post = en->exchange.post,
                                      .type = (uint64_t)en->type,
                                      .request = bytes_view(&en->message),
                                      .transaction = en->record.transaction,
                                      .nonce = {en->nonce, sizeof en->nonce},
                                      .recipient = bytes_view(&recipient),
                                      .allow = en->plan.allow_legacy & LEGACY_DES ? EXCHANGE_ALLOW_DES : 0,
                                      .ways = transport  ? REPLY_BY_TRANSPORT
                                              : password ? REPLY_BY_AGREEMENT | REPLY_BY_PASSWORD
                                                         : REPLY_BY_AGREEMENT};
        server_link_fill(&en->link, &en->plan, &exchange->link);
        for (int i = 0; !r && i < sk_X509_num(en->choice.signers) && i < JOB_CERTS_MAX; i++) {
                r = x509_der(sk_X509_value(en->choice.signers, i), &signers[i], &e);
                exchange->signers.at[exchange->signers.n++] = bytes_view(&signers[i]);
        }
        if (!r)
                r = workers_start(en->d->workers, &job, &grant, en->owner, on_exchanged, en, &en->job, &e);
        for (size_t i = 0; i < JOB_CERTS_MAX; i++)
                bytes_done(&signers[i]);
        bytes_done(&recipient);
        if (r)
                enrollment_fail(en, &e);
}

static void after_build(struct enrollment *en)
{
        if (enrollment_failed(en))
                return;
        enrollment_publish(en, "request");
        next_exchange(en);
}

static void next_build(struct enrollment *en);

static void on_agent(void *ctx, struct secret *challenge, const struct error *failure)
{
        struct enrollment *en = ctx;

        en->question = NULL;
        if (failure) {
                enrollment_fail(en, failure);
                return;
        }
        secret_done(&en->challenge);
        en->challenge = *challenge;
        *challenge = (struct secret){0};
        enrollment_step(en, step_choose, next_build);
}

/* The way that was chosen needs a challenge, and an agent has one. */
static void ask_agent(struct enrollment *en)
{
        CLEANUP(free_p) char *path = STEAL(en->agent);
        struct error e = {0};

        if (agent_ask(en->d, path, en->id, en->record.name, on_agent, en, &en->question, &e))
                enrollment_fail(en, &e);
}

static void next_build(struct enrollment *en)
{
        if (en->result == ERR_CHALLENGE_NEEDED && en->agent) {
                ask_agent(en);
                return;
        }
        if (enrollment_failed(en))
                return;
        en->stage = "build";
        enrollment_step(en, step_build, after_build);
}

/* What is sent goes where the profile says, whatever a worker makes of it: to no other server, and from https
 * to no http. */
static enum err check_answered(const struct enrollment *en, const char *url, struct error *e)
{
        for (size_t i = 0; i < en->plan.urls.count; i++)
                if (same_server(en->plan.urls.items[i], url))
                        return ERR_OK;
        return error_set(e, ERR_PROTOCOL, "The worker found a server that the profile does not name");
}

static void on_discovered(void *ctx, const struct result *result, const struct error *failure)
{
        struct enrollment *en = ctx;
        struct workers *workers = en->d->workers; /* a step may end with en gone */
        const struct result_discovered *found;
        struct error e = {0};
        enum err r;

        en->job = NULL;
        if (failure) {
                /* It is out of order: then its 5xx was no answer to the way that was tried. */
                en->record.refused &= ~en->doubted;
                /* Of several servers, the last one's failure is told. */
                struct job_texts urls;

                urls_to_ask(en, &urls);
                en->retry_after = result ? result->of.failed.http.retry_after : 0;
                r = record_transaction(en, urls.n ? urls.at[urls.n - 1] : "", result, &e);
                enrollment_fail(en, r ? &e : failure);
                return;
        }
        found = &result->of.discovered;
        r = check_answered(en, found->url, &e);
        if (!r)
                r = record_transaction(en, found->url, result, &e);
        if (!r)
                r = bytes_copy(&en->certs_body, found->certs.data, found->certs.len, &e);
        if (!r && found->caps_status == 200)
                r = bytes_copy(&en->caps_body, found->caps.data, found->caps.len, &e);
        if (!r)
                r = record_set_text(&en->answered_url, found->url, &e);
        if (r) {
                enrollment_fail(en, &e);
                return;
        }
        en->caps_status = found->caps_status > 0 ? (uint64_t)found->caps_status : 0;
        en->stage = "choose";
        enrollment_step(en, step_choose,
                        en->certificate->activity == ACTIVITY_PENDING ? after_repeated_choice : next_build);
        workers_warm(workers, JOB_EXCHANGE); /* if the one that was started beside the question has gone */
}
