/* A person accepts the certificate that lies in refused.pem (design §5.7). Threads of the pool. */
#include <string.h>

#include <openssl/err.h>

#include "anchors.h"
#include "internal.h"
#include "rollover/trust.h"

enum { DEPTH = 8 };

/* Of the key that is there for the generation that was asked for; *ret NULL: there is none to accept. */
static enum err refused_certificate(struct enrollment *en, int fd, X509 **ret, struct error *e)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        enum err r = store_pem_read(en->d->store, STORE_CERTIFICATES, en->id, "refused.pem", &cert, e);

        *ret = NULL;
        if (r == ERR_NOT_FOUND)
                return ERR_OK;
        if (!r)
                r = ksp_load(en->d->ksp, fd, "key.pem", &en->key, e);
        if (r == ERR_NOT_FOUND)
                return ERR_OK;
        if (r)
                return error_context(e, r, "The certificate that was kept aside");
        if (EVP_PKEY_eq(X509_get0_pubkey(cert), ksp_key_public(en->key)) == 1)
                *ret = STEAL(cert);
        ERR_clear_error();
        return ERR_OK;
}

/* The issuers that were written beside the key when it came; none: it was kept by a version without them. */
static enum err issuers_beside(int fd, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = sk_X509_new_null();
        CLEANUP(bytes_done) struct bytes pem = {0};
        CLEANUP(bio_free_p) BIO *bio = NULL;
        enum err r = chain ? file_read(fd, "chain.pem", STORE_FILE_MAX, &pem, e) : error_no_memory(e);

        if (r && r != ERR_NOT_FOUND)
                return r;
        bio = r ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
        for (X509 *cert; bio && sk_X509_num(chain) < DEPTH && (cert = pem_certificate(bio));) {
                if (!sk_X509_push(chain, cert)) {
                        X509_free(cert);
                        return error_no_memory(e);
                }
        }
        ERR_clear_error(); /* the end of the file is one */
        *ret = STEAL(chain);
        return ERR_OK;
}

static X509 *issuer_among(const STACK_OF(X509) * certs, X509 *of)
{
        for (int i = 0; i < sk_X509_num(certs); i++)
                if (X509_check_issued(sk_X509_value(certs, i), of) == X509_V_OK)
                        return sk_X509_value(certs, i);
        return NULL;
}

static enum err add(STACK_OF(X509) * anchors, X509 *cert, struct error *e)
{
        if (!X509_up_ref(cert))
                return error_no_memory(e);
        if (sk_X509_push(anchors, cert))
                return ERR_OK;
        X509_free(cert);
        return error_no_memory(e);
}

/* What the plan takes for an anchor today: its roots as far as they are what it pins, for a bare thumbprint
 * the root that the server showed, and those that were followed. */
static enum err trusted(struct enrollment *en, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *all = sk_X509_new_null(), *followed = NULL;
        CLEANUP(x509_free_p) X509 *shown = NULL;
        struct ca_pin pin;
        enum err r;

        sk_X509_pop_free(STEAL(en->anchors), X509_free);
        r = all ? resume_anchors(en, e) : error_no_memory(e);
        if (!r && !plan_pin(&en->plan, &pin))
                r = error_set(e, ERR_CONFIG, "The thumbprint of the plan is malformed");
        if (!r)
                r = trust_followed(en->d->store, en->id, &en->plan, &followed, e);
        for (int i = 0; !r && i < sk_X509_num(en->anchors); i++)
                if (!pin.len || ca_pin_matches(&pin, sk_X509_value(en->anchors, i)))
                        r = add(all, sk_X509_value(en->anchors, i), e);
        for (int i = 0; !r && i < sk_X509_num(followed); i++)
                r = add(all, sk_X509_value(followed, i), e);
        if (!r && pin.len &&
            store_pem_read(en->d->store, STORE_CERTIFICATES, en->id, "anchor.pem", &shown, NULL) == ERR_OK &&
            ca_pin_matches(&pin, shown))
                r = add(all, shown, e);
        if (!r)
                *ret = STEAL(all);
        return r;
}

/* The anchor that the certificate leads to by name; certificate_check() then verifies all of it. */
static enum err find_anchor(struct enrollment *en, X509 *cert, const STACK_OF(X509) * chain, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *anchors = NULL;
        X509 *found = NULL, *at = cert;
        enum err r = trusted(en, &anchors, e);

        if (r)
                return r;
        for (int depth = 0; at && !found && depth < DEPTH; depth++) {
                found = issuer_among(anchors, at);
                at = issuer_among(chain, at);
        }
        if (!found || !X509_up_ref(found)) {
                (void)error_set(e, ERR_CERTIFICATE_REFUSED,
                                "The certificate that was kept aside leads to no root of the profile");
                return error_remedy(e, ERR_CERTIFICATE_REFUSED,
                                    "Correct the CA's template, and renew or enroll again without --accept.");
        }
        if (en->have_choice)
                ca_choice_done(&en->choice);
        en->choice = (struct ca_choice){.anchor = found};
        en->have_choice = true;
        return ERR_OK;
}

enum err accept_refused(struct enrollment *en, bool *ret_installed, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = NULL;
        CLEANUP(x509_free_p) X509 *cert = NULL;
        CLEANUP(close_p) int fd = -1;
        enum err r;

        en->generation = en->record.requested;
        if (!en->generation ||
            store_generation(en->d->store, en->id, en->generation, false, &fd, NULL) != ERR_OK)
                return ERR_OK;
        r = refused_certificate(en, fd, &cert, e);
        if (r || !cert) {
                ksp_key_unref(STEAL(en->key));
                return r;
        }
        if (!en->have_plan)
                r = plan_from_pairs(&en->record.plan, &en->plan, e);
        en->have_plan = r == ERR_OK;
        if (!r)
                r = issuers_beside(fd, &chain, e);
        if (!r)
                r = find_anchor(en, cert, chain, e);
        if (!r)
                r = install_accepted(en, cert, chain, e);
        *ret_installed = r == ERR_OK;
        return r;
}
