#include "link.h"

#include <openssl/err.h>
#include <string.h>

#include "base/ossl.h"

enum {
        CONNECT_MS = 15 * 1000,
        TOTAL_MS = 60 * 1000, /* a first answer of NDES can take seconds */
};

void server_link_done(struct server_link *link)
{
        bytes_done(&link->ca_bundle);
        for (size_t i = 0; i < link->n_client; i++)
                bytes_done(&link->client[i]);
        ksp_key_unref(link->client_key);
        *link = (struct server_link){0};
}

static enum err lost(const char *key, enum err r, struct error *e)
{
        if (r != ERR_NOT_FOUND)
                return error_context(e, r, "%s", key);
        (void)error_set(e, ERR_CONFIG, "What %s= of the profile named is not in the state directory any more",
                        key);
        return error_remedy(e, ERR_CONFIG, "Remove the profile and add it again.");
}

static enum err load_bundle(struct daemon *d, struct server_link *link, const char *id, struct error *e)
{
        CLEANUP(secret_done) struct secret pem = {0};
        enum err r = store_file_read(d->store, STORE_PROFILES, id, "ca-bundle.pem", &pem, e);

        return r ? r : bytes_copy(&link->ca_bundle, pem.data, pem.len, e);
}

static enum err load_certificates(struct daemon *d, struct server_link *link, const char *id, struct error *e)
{
        CLEANUP(secret_done) struct secret pem = {0};
        CLEANUP(bio_free_p) BIO *bio = NULL;
        enum err r = store_file_read(d->store, STORE_PROFILES, id, "client-cert.pem", &pem, e);

        if (r)
                return r;
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        while (bio && link->n_client < JOB_CERTS_MAX) {
                CLEANUP(x509_free_p) X509 *cert = pem_certificate(bio);

                if (!cert)
                        break;
                r = x509_der(cert, &link->client[link->n_client], e);
                if (r)
                        return r;
                link->n_client++;
        }
        ERR_clear_error();
        return link->n_client ? ERR_OK : error_set(e, ERR_CONFIG, "The stored certificate cannot be read");
}

static enum err load_client(struct daemon *d, struct server_link *link, const char *id, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = load_certificates(d, link, id, e);

        if (!r)
                r = store_directory(d->store, STORE_PROFILES, id, &fd, e);
        return r ? r : ksp_load(d->ksp, fd, "client-key.pem", &link->client_key, e);
}

enum err server_link_load(struct daemon *d, const char *id, const char *bundle, const char *client,
                          struct server_link *link, struct error *e)
{
        enum err r = ERR_OK;

        server_link_done(link);
        if (bundle) {
                r = load_bundle(d, link, id, e);
                if (r)
                        return lost("CaBundle", r, e);
        }
        if (client) {
                r = load_client(d, link, id, e);
                if (r)
                        return lost("ClientCertificate", r, e);
        }
        return ERR_OK;
}

void server_link_fill(const struct server_link *link, const struct plan *plan, struct job_link *ret)
{
        const bool direct = !plan || !plan->proxy || strcmp(plan->proxy, "none") == 0;

        *ret = (struct job_link){.proxy = direct ? NULL : plan->proxy,
                                 .ca_bundle = bytes_view(&link->ca_bundle),
                                 .connect_ms = CONNECT_MS,
                                 .total_ms = TOTAL_MS,
                                 .deny_local = plan && plan->deny_local};
        for (size_t i = 0; i < link->n_client; i++)
                ret->client.at[ret->client.n++] = bytes_view(&link->client[i]);
}
