/*
 * scepter-worker: talks to one SCEP server, opens what it answers.
 */
#include <openssl/decoder.h>
#include <openssl/err.h>

#include "base/ossl.h"
#include "granted-key.h"
#include "network/network.h"
#include "scep-http/http.h"
#include "worker.h"

/* What each certificate and reply needs is made at its first use, 1.5 ms of it: before the job comes, a
 * worker that was started ahead has the time. What is not to be had is told where it is needed. */
static void look_up_algorithms(void)
{
        EVP_PKEY *none = NULL;

        EVP_MD_free(EVP_MD_fetch(NULL, "SHA2-256", NULL));
        EVP_CIPHER_free(EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL));
        EVP_KEYMGMT_free(EVP_KEYMGMT_fetch(NULL, "RSA", NULL));
        EVP_SIGNATURE_free(EVP_SIGNATURE_fetch(NULL, "RSA", NULL));
        OSSL_DECODER_CTX_free(
                OSSL_DECODER_CTX_new_for_pkey(&none, "DER", "SubjectPublicKeyInfo", NULL, 0, NULL, NULL));
        ERR_clear_error();
}

static enum err prepare(struct error *e)
{
        enum err r = http_global_init(e);

        if (!r)
                look_up_algorithms();
        return r;
}

static enum err public_of(struct view der, X509 **ret_cert, EVP_PKEY **ret, struct error *e)
{
        enum err r = x509_parse(der, ret_cert, e);

        if (r)
                return r;
        *ret = X509_get0_pubkey(*ret_cert);
        return *ret ? ERR_OK : ossl_error(e, ERR_PROTOCOL, "The job's own certificate has no key");
}

static const struct job_link *link_of(const struct job *job)
{
        switch (job->kind) {
        case JOB_EXCHANGE:
                return &job->of.exchange.link;
        case JOB_PROBE:
                return &job->of.probe.link;
        case JOB_FETCH:
                return &job->of.fetch.link;
        default:
                return &job->of.discover.link;
        }
}

static enum err unwrap(void *ctx, const struct key_unwrap *how, struct view wrapped, struct secret *ret,
                       struct error *e)
{
        return granted_unwrap(*(const int *)ctx, how, wrapped, ret, e);
}

/* The keys the job needs: that of its client certificate, and, for an exchange, the recipient's. */
static enum err work(int fd, const struct job *job, struct bytes *ret, struct result_http *http,
                     struct error *e)
{
        const bool exchanges = job->kind == JOB_EXCHANGE;
        const struct job_link *link = link_of(job);
        CLEANUP(granted_keys_done) struct granted_keys keys = {0};
        CLEANUP(x509_free_p) X509 *recipient = NULL;
        CLEANUP(x509_free_p) X509 *client = NULL;
        EVP_PKEY *recipient_key = NULL, *client_key = NULL;
        struct network_client with = {.failure = &keys.client_failure};
        enum err r = ERR_OK;

        if (exchanges)
                r = public_of(job->of.exchange.recipient, &recipient, &recipient_key, e);
        if (!r && link->client.n)
                r = public_of(link->client.at[0], &client, &client_key, e);
        if (!r && (recipient_key || client_key))
                r = granted_keys_open(fd, recipient_key, client_key, &keys, e);
        if (r)
                return r;
        with.key = keys.client;
        switch (job->kind) {
        case JOB_EXCHANGE:
                return network_exchange(&job->of.exchange,
                                        &(struct network_opener){keys.recipient, unwrap, &fd},
                                        with.key ? &with : NULL, ret, http, e);
        case JOB_PROBE:
                return network_probe(&job->of.probe, with.key ? &with : NULL, ret, http, e);
        case JOB_FETCH:
                return network_fetch(&job->of.fetch, with.key ? &with : NULL, ret, http, e);
        default:
                return network_discover(&job->of.discover, with.key ? &with : NULL, ret, http, e);
        }
}

int main(int argc, char **argv)
{
        static const struct worker worker = {
                .program = "scepter-worker",
                .sandbox = SANDBOX_NETWORK,
                .prepare = prepare,
                .work = work,
        };

        return worker_main(&worker, argc, argv);
}
