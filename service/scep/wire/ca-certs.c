#include "scep-wire/ca-certs.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "scep-wire/caps.h"

OSSL_CLEANUP(CMS_ContentInfo, cms_free, CMS_ContentInfo_free)

const char *name_text(const X509_NAME *name, char *text, size_t size)
{
        CLEANUP(free_p) char *whole = NULL;

        if (x509_name_text(name, &whole, NULL))
                ERR_clear_error();
        (void)snprintf(text, size, "%s", whole ? whole : "");
        utf8_scrub(text, size); /* it may be cut */
        return text;
}

/* One certificate and nothing behind it, or NULL. */
static X509 *single(struct view body)
{
        const uint8_t *p = body.data;
        CLEANUP(x509_free_p) X509 *cert = d2i_X509(NULL, &p, (long)body.len);

        if (!cert || p != body.data + body.len) {
                ERR_clear_error();
                return NULL;
        }
        return STEAL(cert);
}

static bool stack_has(const STACK_OF(X509) * certs, const X509 *cert)
{
        for (int i = 0; i < sk_X509_num(certs); i++)
                if (X509_cmp(sk_X509_value(certs, i), cert) == 0)
                        return true;
        return false;
}

static enum err stack_add(STACK_OF(X509) * certs, X509 *cert, struct error *e)
{
        if (stack_has(certs, cert))
                return ERR_OK;
        if (!X509_up_ref(cert))
                return ossl_error(e, ERR_FAILED, "A certificate could not be kept");
        if (!sk_X509_push(certs, cert)) {
                X509_free(cert);
                return error_no_memory(e);
        }
        return ERR_OK;
}

/* @what: the subject of the sentences. @strict: neither content nor signer. */
static enum err open_signed(struct view body, bool strict, const char *what, CMS_ContentInfo **ret,
                            struct error *e)
{
        const uint8_t *p = body.data;
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)body.len);
        ASN1_OCTET_STRING **content;
        char type[80];

        if (!cms)
                return ossl_error(e, ERR_REPLY, "%s neither a certificate nor a CMS message", what);
        if (p != body.data + body.len)
                return error_set(e, ERR_REPLY, "%s followed by %zu other octets", what,
                                 (size_t)(body.data + body.len - p));
        if (OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed) {
                OBJ_obj2txt(type, sizeof type, CMS_get0_type(cms), 0);
                return error_set(e, ERR_REPLY, "%s a CMS message of type %s instead of signed data", what,
                                 type);
        }
        content = CMS_get0_content(cms);
        if (strict && ((content && *content && ASN1_STRING_length(*content) > 0) ||
                       sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)) > 0))
                return error_set(e, ERR_REPLY,
                                 "%s signed data with a content or signer where only certificates belong",
                                 what);
        *ret = STEAL(cms);
        return ERR_OK;
}

static enum err signed_data(struct view body, bool strict, const char *what, STACK_OF(X509) * *ret,
                            struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *found = NULL, *certs = sk_X509_new_null();
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        enum err r = certs ? open_signed(body, strict, what, &cms, e) : error_no_memory(e);

        if (r)
                return r;
        ERR_clear_error();
        found = CMS_get1_certs(cms);
        if (!found || sk_X509_num(found) == 0) {
                if (ERR_peek_error())
                        return ossl_error(e, ERR_REPLY, "The certificates of a reply could not be read");
                return error_set(e, ERR_REPLY, "%s a CMS message without a certificate", what);
        }
        if (sk_X509_num(found) > SCEP_CERTS_MAX)
                return error_set(e, ERR_REPLY, "%s a list of %d certificates, and %d are the limit", what,
                                 sk_X509_num(found), SCEP_CERTS_MAX);
        for (int i = 0; i < sk_X509_num(found); i++) {
                r = stack_add(certs, sk_X509_value(found, i), e);
                if (r)
                        return r;
        }
        *ret = STEAL(certs);
        return ERR_OK;
}

enum err ca_certs_parse(struct view body, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        enum err r;

        if (body.len == 0)
                return error_set(e, ERR_REPLY, "The server answered GetCACert with nothing");
        if (body.len > SCEP_BODY_MAX)
                return error_set(e, ERR_TOO_LARGE, "The server's certificates are larger than %d octets",
                                 SCEP_BODY_MAX);
        if (body_is_page(body))
                return error_set(e, ERR_REPLY, "The server answered GetCACert with a web page");
        cert = single(body);
        if (!cert)
                return signed_data(body, false, "The server's answer to GetCACert is", ret, e);
        certs = sk_X509_new_null();
        if (!certs)
                return error_no_memory(e);
        r = stack_add(certs, cert, e);
        if (r)
                return r;
        *ret = STEAL(certs);
        return ERR_OK;
}

enum err degenerate_parse(struct view body, STACK_OF(X509) * *ret, struct error *e)
{
        if (body.len == 0)
                return error_set(e, ERR_REPLY, "The envelope of the reply is empty");
        if (body.len > SCEP_BODY_MAX)
                return error_set(e, ERR_TOO_LARGE, "The issued certificates are larger than %d octets",
                                 SCEP_BODY_MAX);
        return signed_data(body, true, "The content of the reply's envelope is", ret, e);
}

enum err degenerate_crls_parse(struct view body, STACK_OF(X509_CRL) * *ret, struct error *e)
{
        static const char what[] = "The content of the reply's envelope is";
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        STACK_OF(X509_CRL) * crls;
        enum err r;

        if (body.len == 0)
                return error_set(e, ERR_REPLY, "The envelope of the reply is empty");
        if (body.len > SCEP_CRL_BODY_MAX)
                return error_set(e, ERR_TOO_LARGE, "The CRL is larger than %d octets", SCEP_CRL_BODY_MAX);
        r = open_signed(body, true, what, &cms, e);
        if (r)
                return r;
        ERR_clear_error();
        crls = CMS_get1_crls(cms);
        if (sk_X509_CRL_num(crls) > 0 && sk_X509_CRL_num(crls) <= SCEP_CRLS_MAX) {
                *ret = crls;
                return ERR_OK;
        }
        if (sk_X509_CRL_num(crls) > SCEP_CRLS_MAX)
                r = error_set(e, ERR_REPLY, "%s a list of %d CRLs, and %d are the limit", what,
                              sk_X509_CRL_num(crls), SCEP_CRLS_MAX);
        else if (ERR_peek_error())
                r = ossl_error(e, ERR_REPLY, "The CRLs of a reply could not be read");
        else
                r = error_set(e, ERR_REPLY, "%s a CMS message without a CRL", what);
        sk_X509_CRL_pop_free(crls, X509_CRL_free);
        return r;
}

enum err next_certs_parse(struct view body, STACK_OF(X509) * *ret, struct error *e)
{
        return signed_data(body, true, "The content that the server signed in answer to GetNextCACert is",
                           ret, e);
}
