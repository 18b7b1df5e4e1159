#include "named-files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/ossl.h"

void named_files_done(struct named_files *files)
{
        X509_free(files->root);
        secret_done(&files->bundle);
        secret_done(&files->challenge);
        client_certificate_done(&files->client);
        *files = (struct named_files){0};
}

/* PEM or DER. */
static enum err read_certificate(struct view v, X509 **ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(v.data, (int)v.len);
        X509 *cert = bio ? pem_certificate(bio) : NULL;

        if (!cert && x509_parse(v, &cert, NULL))
                return ossl_error(e, ERR_PROFILE,
                                  "RootCertificate: the file holds no certificate in PEM or DER");
        ERR_clear_error();
        *ret = cert;
        return ERR_OK;
}

static void infos_free_p(STACK_OF(X509_INFO) * *p)
{
        sk_X509_INFO_pop_free(*p, X509_INFO_free);
}

/* As libcurl will read it. An empty one would leave no server to be believed, which only an enrollment would
 * tell. */
static enum err check_bundle(struct view v, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(v.data, (int)v.len);
        CLEANUP(infos_free_p)
        STACK_OF(X509_INFO) *infos = bio ? PEM_X509_INFO_read_bio(bio, NULL, pem_no_passphrase, NULL) : NULL;

        if (!infos)
                return ossl_error(e, ERR_PROFILE, "CaBundle: the file holds something that cannot be read");
        for (int i = 0; i < sk_X509_INFO_num(infos); i++)
                if (sk_X509_INFO_value(infos, i)->x509)
                        return ERR_OK;
        return error_set(e, ERR_PROFILE, "CaBundle: the file holds no certificate in PEM");
}

enum err named_files_take(struct named_files *files, struct ksp *ksp, const struct setting *named,
                          struct view content, struct error *e)
{
        enum err r;

        if (strcmp(named->key, "Server.Challenge") == 0) {
                while (content.len &&
                       (content.data[content.len - 1] == '\n' || content.data[content.len - 1] == '\r'))
                        content.len--;
                secret_done(&files->challenge);
                return secret_copy(&files->challenge, content, e);
        }
        if (strcmp(named->key, "Server.RootCertificate") == 0) {
                X509_free(STEAL(files->root));
                return read_certificate(content, &files->root, e);
        }
        if (strcmp(named->key, "Server.CaBundle") == 0) {
                secret_done(&files->bundle);
                r = check_bundle(content, e);
                return r ? r : secret_copy(&files->bundle, content, e);
        }
        if (strcmp(named->key, "Server.ClientCertificate") == 0) {
                client_certificate_done(&files->client);
                r = client_certificate_read(ksp, content, &files->client, e);
                return r ? error_context(e, r, "ClientCertificate") : ERR_OK;
        }
        return error_set(e, ERR_UNSUPPORTED, "%s is not in this version", named->key);
}
