/* Sending one message and opening what comes back: POST or GET as the exchange was fixed, then reply_open().
 */
#include "link.h"

#include <time.h>

#include "base/secret.h"
#include "scep-http/http.h"
#include "scep-open/reply.h"

static enum err read_signers(const struct job_exchange *job, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = sk_X509_new_null();

        if (!signers)
                return error_no_memory(e);
        for (size_t i = 0; i < job->signers.n; i++) {
                X509 *cert = NULL;
                enum err r = x509_parse(job->signers.at[i], &cert, e);

                if (r)
                        return error_context(e, r, "A certificate of the server");
                if (!sk_X509_push(signers, cert)) {
                        X509_free(cert);
                        return error_no_memory(e);
                }
        }
        *ret = STEAL(signers);
        return ERR_OK;
}

static bool asks_for_crl(const struct job_exchange *job)
{
        return job->type == SCEP_GET_CRL;
}

static enum err send(const struct job_exchange *job, const struct network_client *client,
                     struct http_reply *ret, struct error *e)
{
        CLEANUP(link_done) struct link link = {0};
        struct http_request request = {.url = job->url,
                                       .operation = "PKIOperation",
                                       .max = asks_for_crl(job) ? SCEP_CRL_BODY_MAX : 0};
        CLEANUP(free_p) char *message = NULL;
        enum err r = link_open(&job->link, client, &link, e);

        if (r)
                return r;
        if (job->post) {
                request.body = job->request;
        } else {
                r = http_base64(job->request, &message, e);
                if (r)
                        return r;
                request.message = message;
        }
        r = http_perform(&request, &link.options, ret, e);
        return r ? error_context(e, r, "%.300s", job->url) : ERR_OK;
}

/* Certificates as DER in @der, which the result borrows. */
static enum err list_certs(const STACK_OF(X509) * certs, struct bytes der[JOB_CERTS_MAX],
                           struct job_blobs *ret, struct error *e)
{
        for (int i = 0; i < sk_X509_num(certs); i++) {
                enum err r = x509_der(sk_X509_value(certs, i), &der[i], e);

                if (r)
                        return r;
                ret->at[ret->n++] = bytes_view(&der[i]);
        }
        return ERR_OK;
}

static enum err list_crls(const STACK_OF(X509_CRL) * crls, struct bytes der[JOB_CERTS_MAX],
                          struct job_blobs *ret, struct error *e)
{
        for (int i = 0; i < sk_X509_CRL_num(crls); i++) {
                CLEANUP(ossl_free_p) uint8_t *octets = NULL;
                int len = i2d_X509_CRL(sk_X509_CRL_value(crls, i), &octets);
                enum err r = len > 0 ? bytes_copy(&der[i], octets, (size_t)len, e)
                                     : ossl_error(e, ERR_REPLY, "A CRL could not be encoded");

                if (r)
                        return r;
                ret->at[ret->n++] = bytes_view(&der[i]);
        }
        return ERR_OK;
}

static enum err encode(const struct reply *reply, const struct result_http *http, struct bytes *ret,
                       struct error *e)
{
        struct result result = {.kind = RESULT_EXCHANGED};
        struct result_exchanged *x = &result.of.exchanged;
        struct bytes der[JOB_CERTS_MAX] = {0};
        char text[SCEP_TEXT_MAX];
        enum err r;

        x->status = reply->status;
        x->fail = reply->status == SCEP_FAILURE ? reply->fail : SCEP_FAIL_NONE;
        /* The protocol's texts have no control characters; a server's may. */
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = (reply->text[i] > 0 && reply->text[i] < ' ') || reply->text[i] == 0x7f
                                  ? ' '
                                  : reply->text[i];
        x->text = *text ? text : NULL;
        x->has_hresult = reply->has_hresult;
        x->hresult = reply->hresult;
        x->notes = reply->notes;
        x->http = *http;
        r = reply->crls ? list_crls(reply->crls, der, &x->crls, e)
                        : list_certs(reply->certs, der, &x->certs, e);
        if (!r)
                r = result_encode(&result, ret, e);
        for (size_t i = 0; i < N_ELEMENTS(der); i++)
                bytes_done(&der[i]);
        return r;
}

enum err network_exchange(const struct job_exchange *job, const struct network_opener *opener,
                          const struct network_client *client, struct bytes *ret,
                          struct result_http *ret_http, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = NULL;
        CLEANUP(x509_free_p) X509 *recipient = NULL;
        CLEANUP(http_reply_done) struct http_reply http = {0};
        CLEANUP(reply_done) struct reply reply = {0};
        enum err r = read_signers(job, &signers, e);

        if (!r)
                r = x509_parse(job->recipient, &recipient, e);
        if (!r)
                r = send(job, client, &http, e);
        *ret_http = (struct result_http){http.status, http.has_date, http.date_offset, http.retry_after};
        if (!r) {
                const struct reply_spec spec = {
                        .reply = bytes_view(&http.body),
                        .signers = signers,
                        .transaction = job->transaction,
                        .nonce = job->nonce,
                        .recipient = recipient,
                        .key = opener->key,
                        .transport = (job->ways & REPLY_BY_TRANSPORT) != 0,
                        .agreement = (job->ways & REPLY_BY_AGREEMENT) != 0,
                        .unwrap = job->ways & REPLY_BY_PASSWORD ? opener->unwrap : NULL,
                        .unwrap_ctx = opener->ctx,
                        .crl = asks_for_crl(job),
                        .allow_des = (job->allow & EXCHANGE_ALLOW_DES) != 0,
                        .now = time(NULL),
                };

                r = reply_open(&spec, &reply, e);
        }
        return r ? r : encode(&reply, ret_http, ret, e);
}
