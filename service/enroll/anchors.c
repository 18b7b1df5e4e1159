#include "anchors.h"

#include <openssl/err.h>
#include <string.h>

#include "base/ossl.h"

#define SYSTEM_ANCHORS "/etc/ssl/certs/ca-certificates.crt"

enum err anchors_load(struct store *store, const char *profile, uid_t owner, STACK_OF(X509) * *ret,
                      struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *anchors = NULL;
        X509 *root = NULL;
        enum err r = store_pem_read(store, STORE_PROFILES, profile, "root.pem", &root, e);

        if (r == ERR_NOT_FOUND)
                return store_anchors(store, owner, ret, e);
        if (r)
                return r;
        anchors = sk_X509_new_null();
        if (!anchors || !sk_X509_push(anchors, root)) {
                X509_free(root);
                return error_no_memory(e);
        }
        *ret = STEAL(anchors);
        return ERR_OK;
}

bool plan_pin(const struct plan *plan, struct ca_pin *ret)
{
        *ret = (struct ca_pin){.len = plan->thumbprint.len};
        if (plan->thumbprint.len > sizeof ret->digest)
                return false;
        if (plan->thumbprint.len)
                memcpy(ret->digest, plan->thumbprint.data, plan->thumbprint.len);
        return true;
}

void anchors_add_system(STACK_OF(X509) * anchors, const struct bytes *thumbprint)
{
        struct ca_pin pin = {.len = thumbprint->len};
        CLEANUP(bio_free_p) BIO *bio = NULL;
        X509 *cert;

        if (!thumbprint->len || thumbprint->len > sizeof pin.digest)
                return;
        memcpy(pin.digest, thumbprint->data, thumbprint->len);
        for (int i = 0; i < sk_X509_num(anchors); i++)
                if (ca_pin_matches(&pin, sk_X509_value(anchors, i)))
                        return;
        bio = BIO_new_file(SYSTEM_ANCHORS, "r");
        while (bio && (cert = pem_certificate(bio))) {
                if (ca_pin_matches(&pin, cert) && sk_X509_push(anchors, cert))
                        return;
                X509_free(cert);
        }
        ERR_clear_error();
}
