#include "ask.h"

#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "enroll/known-server.h"
#include "local-key.h"
#include "scep-build/message.h"
#include "scep-wire/ca-certs.h"

struct crl_ask {
        struct daemon *d;
        store_id id;
        crl_ask_done *done;
        void *ctx;
        bool busy, cancelled;

        struct known_server server;
        struct worker_job *job;
        struct bytes caps, certs; /* as the server answered at @url */
        char *url;
        struct ca_choice choice;
        bool have_choice;
        struct exchange exchange;
        struct ksp_key *key;
        X509 *cert;
        char transaction[SCEP_TRANSACTION_LEN + 1];
        uint8_t nonce[SCEP_NONCE_LEN];
        struct bytes message;
        enum err result; /* of the step in the thread */
        struct error error;
};

void crl_ask_free(struct crl_ask *x)
{
        if (!x)
                return;
        if (x->job)
                worker_job_cancel(x->job);
        known_server_done(&x->server);
        bytes_done(&x->caps);
        bytes_done(&x->certs);
        free(x->url);
        if (x->have_choice)
                ca_choice_done(&x->choice);
        ksp_key_unref(x->key);
        X509_free(x->cert);
        bytes_done(&x->message);
        free(x);
}

static void end(struct crl_ask *x, const struct job_blobs *crls, bool refused, const struct error *failure)
{
        const struct crl_asked asked = {.url = x->url, .crls = crls, .refused = refused};
        struct error e = {0};

        if (failure) {
                (void)error_copy(&e, failure);
                (void)error_context(&e, e.code, "GetCRL");
        }
        x->done(x->ctx, &asked, failure ? &e : NULL);
        crl_ask_free(x);
}

/* true: whoever asked does not want it any more, or the step failed, and @x is gone. */
static bool ends(struct crl_ask *x)
{
        x->busy = false;
        if (x->cancelled)
                crl_ask_free(x);
        else if (x->result)
                end(x, NULL, false, &x->error);
        else
                return false;
        return true;
}

static void in_thread(struct crl_ask *x, void (*run)(void *ctx), void (*next)(void *ctx))
{
        struct error e = {0};

        if (pool_submit(x->d->pool, run, next, x, &e))
                end(x, NULL, false, &e);
        else
                x->busy = true;
}

/* What definitely is this server's answer to GetCRL: it does not know it, or makes something else of it. */
static bool is_refusal(const struct error *why, const struct result *result)
{
        const int64_t status = result ? result->of.failed.http.status : 0;

        if (why->code == ERR_HTTP)
                return status >= 400 && status != 408 && status != 429 && status != 503;
        return why->code == ERR_REPLY || why->code == ERR_SERVER_ALGORITHM || why->code == ERR_TOO_LARGE;
}

static void on_exchanged(void *ctx, const struct result *result, const struct error *failure)
{
        struct crl_ask *x = ctx;
        const struct result_exchanged *reply;
        struct error e = {0};

        x->job = NULL;
        if (failure) {
                end(x, NULL, is_refusal(failure, result), failure);
                return;
        }
        reply = &result->of.exchanged;
        if (reply->crls.n) {
                end(x, &reply->crls, false, NULL);
                return;
        }
        if (reply->certs.n) {
                (void)error_set(&e, ERR_PROTOCOL, "The worker brought certificates instead of a CRL");
                end(x, NULL, false, &e);
                return;
        }
        if ((enum scep_status)reply->status == SCEP_FAILURE)
                (void)error_set(&e, ERR_SERVER_REFUSED, "The server gives no CRL: %s (%s)%s%s",
                                scep_fail_name((enum scep_fail)reply->fail),
                                scep_fail_meaning((enum scep_fail)reply->fail),
                                reply->text ? "; it says: " : "", reply->text ? reply->text : "");
        else
                (void)error_set(&e, ERR_SERVER_REFUSED, "The server gives no CRL: it answers %s",
                                scep_status_name((enum scep_status)reply->status));
        (void)error_remedy(&e, ERR_SERVER_REFUSED,
                           "Let the CA put an http address among its CRL distribution points, or leave it.");
        end(x, NULL, true, &e);
}

static void after_build(void *ctx)
{
        struct crl_ask *x = ctx;
        struct known_server *server = &x->server;
        struct bytes signers[JOB_CERTS_MAX] = {{0}}, recipient = {0};
        struct job job = {.kind = JOB_EXCHANGE};
        struct job_exchange *exchange = &job.of.exchange;
        struct worker_grant grant = {.uid = server->owner == NO_OWNER ? 0 : server->owner,
                                     .tls = server->link.client_key};
        struct error e = {0};
        enum err r;

        if (ends(x))
                return;
        grant.key = x->key;
        r = x509_der(x->cert, &recipient, &e);
        *exchange = (struct job_exchange){
                .url = x->url,
                .post = x->exchange.post,
                .type = SCEP_GET_CRL,
                .request = bytes_view(&x->message),
                .transaction = x->transaction,
                .nonce = {x->nonce, sizeof x->nonce},
                .recipient = bytes_view(&recipient),
                .allow = server->plan.allow_legacy & LEGACY_DES ? EXCHANGE_ALLOW_DES : 0,
                .ways = key_alg_is_rsa(ksp_key_alg(x->key)) ? REPLY_BY_TRANSPORT : REPLY_BY_AGREEMENT};
        server_link_fill(&server->link, &server->plan, &exchange->link);
        for (int i = 0; !r && i < sk_X509_num(x->choice.signers) && i < JOB_CERTS_MAX; i++) {
                r = x509_der(sk_X509_value(x->choice.signers, i), &signers[i], &e);
                exchange->signers.at[exchange->signers.n++] = bytes_view(&signers[i]);
        }
        if (!r)
                r = workers_start(x->d->workers, &job, &grant, server->owner, on_exchanged, x, &x->job, &e);
        for (size_t i = 0; i < JOB_CERTS_MAX; i++)
                bytes_done(&signers[i]);
        bytes_done(&recipient);
        if (r)
                end(x, NULL, false, &e);
}

/* The key and the certificate of the generation that is installed. */
static enum err load_signer(struct crl_ask *x, struct error *e)
{
        const uint64_t generation = x->server.record.current;
        CLEANUP(close_p) int fd = -1;
        char file[64];
        enum err r;

        if (!generation)
                return error_set(e, ERR_NOT_FOUND, "There is no certificate");
        if (!record_key_receives(&x->server.record))
                return error_set(e, ERR_UNSUPPORTED,
                                 "The key signs alone, so that no answer could be encrypted to it");
        (void)snprintf(file, sizeof file, "generations/%llu/cert.pem", (unsigned long long)generation);
        r = store_pem_read(x->d->store, STORE_CERTIFICATES, x->id, file, &x->cert, e);
        if (!r)
                r = store_generation(x->d->store, x->id, generation, false, &fd, e);
        return r ? r : ksp_load(x->d->ksp, fd, "key.pem", &x->key, e);
}

static enum err choose(struct crl_ask *x, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        struct exchange_plan wanted = exchange_plan_of(&x->server.plan);
        struct scep_caps caps = {0};
        enum err r = caps_parse(bytes_view(&x->caps), &caps, e);

        if (!r)
                r = ca_certs_parse(bytes_view(&x->certs), &certs, e);
        if (!r)
                r = known_server_choose(&x->server, certs, (time_t)clock_now(&x->d->clock), &x->choice, e);
        x->have_choice = r == ERR_OK;
        wanted.method = SCEP_SIGNED_PKCSREQ; /* signed by the certificate; the type is another one */
        wanted.has_certificate = true;
        return r ? r : exchange_fix(&wanted, &caps, &x->exchange, e);
}

static enum err build(struct crl_ask *x, struct error *e)
{
        const uid_t uid = x->server.owner == NO_OWNER ? 0 : x->server.owner;
        CLEANUP(bytes_done) struct bytes data = {0};
        CLEANUP(evp_pkey_free_p) EVP_PKEY *key = NULL;
        struct error key_failure = {0};
        struct message_spec spec = {.type = SCEP_GET_CRL, .transaction = x->transaction};
        enum err r = choose(x, e);

        if (!r)
                r = load_signer(x, e);
        if (!r)
                r = transaction_new(x->transaction, e);
        if (!r)
                r = crl_data_build(x->cert, &data, e);
        if (!r)
                r = local_key(x->d->libctx, x->key, uid, (struct view){0}, &key_failure, &key, e);
        if (r)
                return r;
        spec.data = bytes_view(&data);
        spec.recipient = x->choice.recipient;
        spec.cipher = x->exchange.cipher;
        spec.signer = x->cert;
        spec.key = key;
        spec.digest = x->exchange.digest;
        r = message_build(&spec, x->nonce, &x->message, e);
        return r && key_failure.code ? error_copy(e, &key_failure) : r;
}

static void run_build(void *ctx)
{
        struct crl_ask *x = ctx;

        x->result = build(x, &x->error);
}

/* What is sent goes to a server of the plan, whatever a worker makes of it. */
static enum err take(struct crl_ask *x, const struct result_discovered *found, struct error *e)
{
        enum err r;

        if (!known_server_is(&x->server, found->url))
                return error_set(e, ERR_PROTOCOL, "The worker found a server that the profile does not name");
        x->url = strdup(found->url);
        r = x->url ? bytes_copy(&x->certs, found->certs.data, found->certs.len, e) : error_no_memory(e);
        if (!r && found->caps_status == 200)
                r = bytes_copy(&x->caps, found->caps.data, found->caps.len, e);
        return r;
}

static void on_discovered(void *ctx, const struct result *result, const struct error *failure)
{
        struct crl_ask *x = ctx;
        struct error e = {0};

        x->job = NULL;
        if (!failure && take(x, &result->of.discovered, &e))
                failure = &e;
        if (failure)
                end(x, NULL, false, failure);
        else
                in_thread(x, run_build, after_build);
}

static void after_load(void *ctx)
{
        struct crl_ask *x = ctx;
        struct error e = {0};

        if (!ends(x) && known_server_discover(x->d, &x->server, DISCOVER_BOTH, on_discovered, x, &x->job, &e))
                end(x, NULL, false, &e);
}

static void run_load(void *ctx)
{
        struct crl_ask *x = ctx;

        x->result = known_server_load(x->d, x->id, x->server.owner, &x->server, &x->error);
}

enum err crl_ask_start(struct daemon *d, const char *id, uid_t owner, crl_ask_done *done, void *ctx,
                       struct crl_ask **ret, struct error *e)
{
        struct crl_ask *x = calloc(1, sizeof *x);
        enum err r = x ? ERR_OK : error_no_memory(e);

        if (!r) {
                *x = (struct crl_ask){.d = d, .done = done, .ctx = ctx, .server = {.owner = owner}};
                memcpy(x->id, id, sizeof x->id);
                r = pool_submit(d->pool, run_load, after_load, x, e);
        }
        if (r) {
                free(x);
                return r;
        }
        x->busy = true;
        *ret = x;
        return ERR_OK;
}

void crl_ask_cancel(struct crl_ask *x)
{
        if (!x)
                return;
        x->cancelled = true;
        if (!x->busy)
                crl_ask_free(x);
}

void crl_ask_stop(struct crl_ask *x)
{
        if (!x)
                return;
        x->cancelled = true;
        if (x->job)
                worker_job_cancel(STEAL(x->job));
}
