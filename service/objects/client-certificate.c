#include "client-certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/ossl.h"

enum { CERTIFICATES_MAX = 8 };

void client_certificate_done(struct client_certificate *client)
{
        bytes_done(&client->chain);
        ksp_key_unref(client->key);
        *client = (struct client_certificate){0};
}

static enum err add(STACK_OF(X509) * certs, struct view der, struct error *e)
{
        X509 *cert;
        enum err r;

        if (sk_X509_num(certs) == CERTIFICATES_MAX)
                return error_set(e, ERR_INVALID, "The file holds more than %d certificates",
                                 CERTIFICATES_MAX);
        r = x509_parse(der, &cert, NULL);
        if (r)
                return error_set(e, ERR_INVALID, "A certificate in the file is malformed");
        if (sk_X509_push(certs, cert))
                return ERR_OK;
        X509_free(cert);
        return error_no_memory(e);
}

static enum err read_all(struct view file, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = sk_X509_new_null();
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(file.data, (int)file.len);
        char *name, *header;
        uint8_t *der;
        long len;

        if (!certs || !bio)
                return error_no_memory(e);
        while (PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
                enum err r = strcmp(name, PEM_STRING_X509) == 0
                                     ? add(certs, (struct view){der, (size_t)len}, e)
                                     : ERR_OK;

                OPENSSL_free(name);
                OPENSSL_free(header);
                OPENSSL_clear_free(der, (size_t)len); /* the key is among them */
                if (r)
                        return r;
        }
        ERR_clear_error();
        if (sk_X509_num(certs) == 0)
                return error_set(e, ERR_INVALID, "The file holds no certificate in PEM");
        *ret = STEAL(certs);
        return ERR_OK;
}

static enum err write_all(const STACK_OF(X509) * certs, struct bytes *ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());

        if (!bio)
                return error_no_memory(e);
        for (int i = 0; i < sk_X509_num(certs); i++)
                if (PEM_write_bio_X509(bio, sk_X509_value(certs, i)) != 1)
                        return ossl_error(e, ERR_FAILED, "A certificate could not be encoded");
        return bio_bytes(bio, ret, e);
}

enum err client_certificate_read(struct ksp *ksp, struct view file, struct client_certificate *ret,
                                 struct error *e)
{
        CLEANUP(client_certificate_done) struct client_certificate client = {0};
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        enum err r = read_all(file, &certs, e);

        if (!r)
                r = ksp_import(ksp, file, &client.key, e);
        if (r)
                return r;
        if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(certs, 0)), ksp_key_public(client.key)) != 1) {
                ERR_clear_error();
                (void)error_set(e, ERR_INVALID,
                                "The private key in the file does not belong to the first certificate in it");
                return error_remedy(
                        e, ERR_INVALID,
                        "Put the certificate first, its issuers behind it, and its own key with them.");
        }
        r = write_all(certs, &client.chain, e);
        if (r)
                return r;
        *ret = client;
        client = (struct client_certificate){0};
        return ERR_OK;
}
