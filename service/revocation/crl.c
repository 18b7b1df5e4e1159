#include "crl.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "policy/values.h"

OSSL_CLEANUP(CRL_DIST_POINTS, crl_dist_points_free, CRL_DIST_POINTS_free)
OSSL_CLEANUP(ASN1_ENUMERATED, asn1_enumerated_free, ASN1_ENUMERATED_free)

static inline void x509_crls_free_p(STACK_OF(X509_CRL) * *p)
{
        sk_X509_CRL_pop_free(*p, X509_CRL_free);
}

void crl_urls_done(struct crl_urls *urls)
{
        for (size_t i = 0; i < urls->n; i++)
                free(urls->at[i]);
        *urls = (struct crl_urls){0};
}

static enum err take_name(const GENERAL_NAME *name, struct crl_urls *ret, struct error *e)
{
        const ASN1_IA5STRING *uri = name->type == GEN_URI ? name->d.uniformResourceIdentifier : NULL;
        CLEANUP(free_p)
        char *text = uri ? strndup((const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri))
                         : NULL;

        if (uri && !text)
                return error_no_memory(e);
        if (!text || url_wrong(text))
                ret->other = true;
        else if (ret->n < CRL_URLS_MAX)
                ret->at[ret->n++] = STEAL(text);
        return ERR_OK;
}

enum err crl_urls(X509 *cert, struct crl_urls *ret, struct error *e)
{
        CLEANUP(crl_dist_points_free_p)
        CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
        struct crl_urls urls = {0};
        enum err r = ERR_OK;

        for (int i = 0; !r && i < sk_DIST_POINT_num(points); i++) {
                const DIST_POINT *point = sk_DIST_POINT_value(points, i);

                /* of some reasons alone, of another signer, or relative to a directory */
                if (!point->distpoint || point->distpoint->type != 0 || point->reasons || point->CRLissuer) {
                        urls.other = true;
                        continue;
                }
                for (int j = 0; !r && j < sk_GENERAL_NAME_num(point->distpoint->name.fullname); j++)
                        r = take_name(sk_GENERAL_NAME_value(point->distpoint->name.fullname, j), &urls, e);
        }
        ERR_clear_error();
        if (r)
                crl_urls_done(&urls);
        else
                *ret = urls;
        return r;
}

/* What X509_verify_cert() met on its way. */
struct met {
        bool revoked, stale, early;
        int other; /* X509_V_ERR_… */
};

static int on_error(int ok, X509_STORE_CTX *ctx)
{
        struct met *met = X509_STORE_CTX_get_app_data(ctx);

        if (ok)
                return 1;
        switch (X509_STORE_CTX_get_error(ctx)) {
        case X509_V_ERR_CERT_REVOKED:
                met->revoked = true;
                break;
        case X509_V_ERR_CRL_HAS_EXPIRED:
                met->stale = true;
                break;
        case X509_V_ERR_CRL_NOT_YET_VALID:
                met->early = true;
                break;
        case X509_V_ERR_CERT_HAS_EXPIRED: /* the certificate's own dates are looked at elsewhere */
        case X509_V_ERR_CERT_NOT_YET_VALID:
                break;
        default:
                met->other = X509_STORE_CTX_get_error(ctx);
                return 0;
        }
        return 1;
}

static enum err judge(X509_CRL *crl, X509 *cert, X509 *issuer, int64_t now, struct met *met, struct error *e)
{
        CLEANUP(x509_store_free_p) X509_STORE *store = X509_STORE_new();
        CLEANUP(x509_store_ctx_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        CLEANUP(x509_crls_free_p) STACK_OF(X509_CRL) *crls = sk_X509_CRL_new_null();

        if (!store || !ctx || !crls || X509_STORE_add_cert(store, issuer) != 1 ||
            X509_STORE_CTX_init(ctx, store, cert, NULL) != 1 || X509_CRL_up_ref(crl) != 1)
                return ossl_error(e, ERR_FAILED, "A CRL could not be looked at");
        if (!sk_X509_CRL_push(crls, crl)) {
                X509_CRL_free(crl);
                return error_no_memory(e);
        }
        X509_STORE_CTX_set0_crls(ctx, crls);
        X509_STORE_CTX_set_app_data(ctx, met);
        X509_STORE_CTX_set_verify_cb(ctx, on_error);
        X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_PARTIAL_CHAIN);
        if (X509_verify_cert(ctx) != 1 && !met->other)
                met->other = X509_V_ERR_UNSPECIFIED;
        ERR_clear_error();
        return ERR_OK;
}

/* RFC 5280 §5.3.1 */
static const char *const reasons[] = {
        [1] = "keyCompromise",      [2] = "cACompromise",         [3] = "affiliationChanged",
        [4] = "superseded",         [5] = "cessationOfOperation", [6] = "certificateHold",
        [9] = "privilegeWithdrawn", [10] = "aACompromise",
};

static void read_entry(X509_CRL *crl, X509 *cert, struct crl_answer *ret)
{
        X509_REVOKED *entry = NULL;
        CLEANUP(asn1_enumerated_free_p) ASN1_ENUMERATED *reason = NULL;
        long number;

        if (X509_CRL_get0_by_cert(crl, &entry, cert) < 1)
                return;
        (void)asn1_time_seconds(X509_REVOKED_get0_revocationDate(entry), &ret->revoked_at);
        reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
        number = reason ? ASN1_ENUMERATED_get(reason) : -1;
        if (number >= 0 && number < (long)N_ELEMENTS(reasons) && reasons[number])
                (void)snprintf(ret->reason, sizeof ret->reason, "%s", reasons[number]);
}

/* The next element of DER, and @from is after it; empty: there is none of this tag. *ret_inside: its
 * contents. */
static struct view take(struct view *from, int wanted, struct view *ret_inside)
{
        const uint8_t *at = from->data;
        struct view ret = {0};
        int tag = 0, class = 0, form;
        long len = 0;

        form = from->len <= LONG_MAX ? ASN1_get_object(&at, &len, &tag, &class, (long)from->len) : 0x80;
        ERR_clear_error();
        if (form & 0x81 || tag != wanted || class != V_ASN1_UNIVERSAL) /* 0x80: failed, 0x01: not DER */
                return ret;
        *ret_inside = (struct view){at, (size_t)len};
        ret = (struct view){from->data, (size_t)(at - from->data) + (size_t)len};
        from->data += ret.len;
        from->len -= ret.len;
        return ret;
}

/* RFC 5280 §5.1.1.2: the signature's algorithm stands beside what is signed and in it, and is the same. Not
 * every OpenSSL compares them. */
static bool one_algorithm(struct view der)
{
        struct view crl = {0}, tbs = {0}, inside = {0}, inner, outer;

        (void)take(&der, V_ASN1_SEQUENCE, &crl);
        (void)take(&crl, V_ASN1_SEQUENCE, &tbs);
        (void)take(&tbs, V_ASN1_INTEGER, &inside); /* the version */
        inner = take(&tbs, V_ASN1_SEQUENCE, &inside);
        outer = take(&crl, V_ASN1_SEQUENCE, &inside);
        return inner.len && inner.len == outer.len && memcmp(inner.data, outer.data, inner.len) == 0;
}

/* What X509_verify_cert() leaves to others; NULL: nothing is wrong. */
static const char *not_whole(struct view der, const X509_CRL *crl)
{
        if (!one_algorithm(der))
                return "its signature names two algorithms";
        /* It tells what changed since another one: of whom it is silent may be revoked. */
        return X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0 ? "it is a delta CRL" : NULL;
}

enum err crl_check(struct view der, X509 *cert, X509 *issuer, int64_t now, struct crl_answer *ret,
                   struct error *e)
{
        const uint8_t *at = der.data;
        CLEANUP(x509_crl_free_p)
        X509_CRL *crl = der.len <= LONG_MAX ? d2i_X509_CRL(NULL, &at, (long)der.len) : NULL;
        struct crl_answer answer = {0};
        struct met met = {0};
        const char *wrong;
        enum err r;

        if (!crl || at != der.data + der.len) {
                ERR_clear_error();
                *ret = (struct crl_answer){.verdict = CRL_FOREIGN, .why = "it is no CRL in DER"};
                return ERR_OK;
        }
        wrong = not_whole(der, crl);
        r = judge(crl, cert, issuer, now, &met, e);
        if (r)
                return r;
        (void)asn1_time_seconds(X509_CRL_get0_lastUpdate(crl), &answer.this_update);
        (void)asn1_time_seconds(X509_CRL_get0_nextUpdate(crl), &answer.next_update);
        if (met.other || wrong) {
                answer.verdict = CRL_FOREIGN;
                answer.why = wrong ? wrong : X509_verify_cert_error_string(met.other);
        } else if (met.revoked) {
                answer.verdict = CRL_REVOKED;
                read_entry(crl, cert, &answer);
        } else {
                answer.verdict = met.stale ? CRL_STALE : met.early ? CRL_EARLY : CRL_GOOD;
        }
        *ret = answer;
        return ERR_OK;
}

void crl_set_done(struct crl_set *set)
{
        for (size_t i = 0; i < set->n; i++)
                bytes_done(&set->at[i]);
        set->n = 0;
}

enum err crl_set_add(struct crl_set *set, struct view der, struct error *e)
{
        enum err r;

        if (set->n == CRLS_MAX)
                return error_set(e, ERR_LIMIT, "More than %d CRLs came at once", CRLS_MAX);
        set->at[set->n] = (struct bytes){0};
        r = bytes_copy(&set->at[set->n], der.data, der.len, e);
        if (!r)
                set->n++;
        return r;
}

enum err crl_set_check(const struct crl_set *set, X509 *cert, X509 *issuer, int64_t now,
                       struct crl_answer *ret, struct error *e)
{
        struct crl_answer best = {.verdict = CRL_FOREIGN, .why = "there is no CRL"};

        for (size_t i = 0; i < set->n; i++) {
                struct crl_answer answer;
                enum err r = crl_check(bytes_view(&set->at[i]), cert, issuer, now, &answer, e);

                if (r)
                        return r;
                /* they are in this order, but for the one that nothing makes up for */
                if (i == 0 || answer.verdict == CRL_REVOKED ||
                    (best.verdict != CRL_REVOKED && answer.verdict < best.verdict))
                        best = answer;
        }
        *ret = best;
        return ERR_OK;
}
