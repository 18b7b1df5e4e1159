#include "link.h"

static enum err read_chain(const struct job_blobs *certs, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = sk_X509_new_null();

        if (!chain)
                return error_no_memory(e);
        for (size_t i = 0; i < certs->n; i++) {
                X509 *cert = NULL;
                enum err r = x509_parse(certs->at[i], &cert, e);

                if (r)
                        return error_context(e, r, "The client certificate");
                if (!sk_X509_push(chain, cert)) {
                        X509_free(cert);
                        return error_no_memory(e);
                }
        }
        *ret = STEAL(chain);
        return ERR_OK;
}

enum err link_open(const struct job_link *job, const struct network_client *client, struct link *ret,
                   struct error *e)
{
        enum err r = http_session_new(&ret->session, e);

        ret->options = (struct http_options){.proxy = job->proxy,
                                             .ca_bundle = job->ca_bundle,
                                             .connect_ms = job->connect_ms,
                                             .total_ms = job->total_ms,
                                             .deny_local = job->deny_local != 0,
                                             .session = ret->session};
        if (r || !job->client.n)
                return r;
        if (!client)
                return error_set(e, ERR_PROTOCOL, "A job has a client certificate without its key");
        r = read_chain(&job->client, &ret->chain, e);
        if (r)
                return r;
        ret->client = (struct http_client){ret->chain, client->key, client->failure};
        ret->options.client = &ret->client;
        return ERR_OK;
}

void link_done(struct link *link)
{
        http_session_free(link->session); /* its connections use the rest */
        sk_X509_pop_free(link->chain, X509_free);
        *link = (struct link){0};
}
