#include "path.h"

#include <openssl/err.h>

#include "base/ossl.h"

STACK_OF(X509) * path_to(X509 *cert, STACK_OF(X509) * chain, X509 *anchor)
{
        CLEANUP(x509_store_free_p) X509_STORE *store = X509_STORE_new();
        CLEANUP(x509_store_ctx_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        bool ok = store && ctx && X509_STORE_add_cert(store, anchor) == 1 &&
                  X509_STORE_CTX_init(ctx, store, cert, chain) == 1;

        if (ok) {
                X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx),
                                            X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
                ok = X509_verify_cert(ctx) == 1;
        }
        ERR_clear_error();
        return ok ? X509_STORE_CTX_get1_chain(ctx) : NULL;
}

void path_read_chain(struct store *store, const char *id, STACK_OF(X509) * chain)
{
        CLEANUP(secret_done) struct secret pem = {0};
        CLEANUP(bio_free_p) BIO *bio = NULL;
        X509 *cert;

        if (store_file_read(store, STORE_CERTIFICATES, id, "current/chain.pem", &pem, NULL) || !pem.len)
                return;
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        while (bio && (cert = pem_certificate(bio)))
                if (!sk_X509_push(chain, cert))
                        X509_free(cert);
        ERR_clear_error();
}

enum err path_read(struct store *store, const char *id, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = sk_X509_new_null();
        CLEANUP(x509_free_p) X509 *cert = NULL;
        CLEANUP(x509_free_p) X509 *anchor = NULL;
        enum err r = chain ? store_pem_read(store, STORE_CERTIFICATES, id, "current/cert.pem", &cert, e)
                           : error_no_memory(e);

        if (!r)
                r = store_pem_read(store, STORE_CERTIFICATES, id, "anchor.pem", &anchor, e);
        if (r)
                return r;
        path_read_chain(store, id, chain);
        *ret = path_to(cert, chain, anchor);
        return *ret ? ERR_OK : error_set(e, ERR_CONFIG, "The stored chain does not lead to the anchor");
}
