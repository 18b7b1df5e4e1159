#include "scep-open/reply.h"

#include <openssl/err.h>
#include <string.h>

#include "scep-open/parts.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/caps.h"

static enum err parse(struct view body, size_t max, CMS_ContentInfo **ret, struct error *e)
{
        const uint8_t *p = body.data;
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        char type[80];

        if (body.len == 0)
                return error_set(e, ERR_REPLY, "The server's reply is empty");
        if (body.len > max)
                return error_set(e, ERR_TOO_LARGE, "The server's reply is larger than %zu octets", max);
        if (body_is_page(body))
                return error_set(e, ERR_REPLY, "The server answered the request with a web page");
        cms = d2i_CMS_ContentInfo(NULL, &p, (long)body.len);
        if (!cms)
                return ossl_error(e, ERR_REPLY, "The server's reply is not a CMS message");
        if (p != body.data + body.len)
                return error_set(e, ERR_REPLY, "The server's reply is followed by %zu other octets",
                                 (size_t)(body.data + body.len - p));
        if (OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed) {
                OBJ_obj2txt(type, sizeof type, CMS_get0_type(cms), 0);
                return error_set(e, ERR_REPLY,
                                 "The server's reply is a CMS message of type %s instead of signed data",
                                 type);
        }
        /* RFC 8894 §3.2: whatever else stands there would be read as something it is not. */
        if (OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_data) {
                OBJ_obj2txt(type, sizeof type, CMS_get0_eContentType(cms), 0);
                return error_set(e, ERR_REPLY,
                                 "The content of the server's reply is of type %s instead of data", type);
        }
        *ret = STEAL(cms);
        return ERR_OK;
}

static enum err check_digest(CMS_SignerInfo *si, unsigned *notes, struct error *e)
{
        X509_ALGOR *digest = NULL, *signature = NULL;
        const ASN1_OBJECT *oid;
        char name[80];
        int nid;

        CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, &signature);
        X509_ALGOR_get0(&oid, NULL, NULL, digest);
        nid = OBJ_obj2nid(oid);
        if (nid == NID_sha1)
                *notes |= SCEP_NOTE_SHA1;
        if (nid == NID_sha1 || nid == NID_sha224 || nid == NID_sha256 || nid == NID_sha384 ||
            nid == NID_sha512)
                return ERR_OK;
        OBJ_obj2txt(name, sizeof name, oid, 0);
        (void)error_set(e, ERR_SERVER_ALGORITHM,
                        "The server signed its reply with the digest %s, which is never taken", name);
        return error_remedy(e, ERR_SERVER_ALGORITHM, "Have the server sign with SHA-256.");
}

/* Who of those that may sign did: issuer and serial, or key identifier. */
static X509 *find_signer(CMS_SignerInfo *si, const STACK_OF(X509) * signers)
{
        for (int i = 0; i < sk_X509_num(signers); i++)
                if (CMS_SignerInfo_cert_cmp(si, sk_X509_value(signers, i)) == 0)
                        return sk_X509_value(signers, i);
        return NULL;
}

static enum err unknown_signer(CMS_SignerInfo *si, struct error *e)
{
        ASN1_OCTET_STRING *key_id = NULL;
        X509_NAME *issuer = NULL;
        ASN1_INTEGER *serial = NULL;
        CLEANUP(bn_free_p) BIGNUM *number = NULL;
        CLEANUP(ossl_free_p) char *hex = NULL;
        char name[160] = "a key identifier";

        if (CMS_SignerInfo_get0_signer_id(si, &key_id, &issuer, &serial) == 1 && issuer && serial) {
                name_text(issuer, name, sizeof name);
                number = ASN1_INTEGER_to_BN(serial, NULL);
                hex = number ? BN_bn2hex(number) : NULL;
        }
        ERR_clear_error();
        (void)error_set(
                e, ERR_REPLY,
                "The reply is signed by certificate %.48s of '%s', which is none of those the server gave in "
                "GetCACert and that lead to the pinned root",
                hex ? hex : "(no serial)", name);
        return error_remedy(
                e, ERR_REPLY,
                "Have the server list the certificate it signs with in GetCACert; if its certificates "
                "were renewed just now, enroll again.");
}

/* The same message with its attributes in DER's order; NULL where it cannot be written. */
static CMS_ContentInfo *sorted_copy(CMS_ContentInfo *cms)
{
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len = i2d_CMS_ContentInfo(cms, &der);
        const uint8_t *p = der;

        return len > 0 ? d2i_CMS_ContentInfo(NULL, &p, len) : NULL;
}

static bool signature_holds(CMS_ContentInfo *cms, STACK_OF(X509) * one)
{
        CLEANUP(bio_free_p) BIO *nothing = NULL;
        ASN1_OCTET_STRING **content = CMS_get0_content(cms);

        /* An absent eContent is signed as an empty one (RFC 5652 §5.4). */
        if (!content || !*content)
                nothing = BIO_new_mem_buf("", 0);
        /* NOINTERN: never a certificate of the reply. The chain was checked by the daemon. */
        return CMS_verify(cms, one, NULL, nothing, NULL,
                          CMS_NO_SIGNER_CERT_VERIFY | CMS_NOINTERN | CMS_BINARY) == 1;
}

/* The signature over attributes and content, by a certificate of ours; *ret: the one signer, of *ret_cms,
 * which may have become another object. */
static enum err verify(CMS_ContentInfo **ret_cms, const STACK_OF(X509) * signers, unsigned *notes,
                       CMS_SignerInfo **ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *one = sk_X509_new_null();
        CLEANUP(cms_free_p) CMS_ContentInfo *sorted = NULL;
        CMS_ContentInfo *cms = *ret_cms;
        STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
        CMS_SignerInfo *si;
        X509 *signer;
        enum err r;

        if (!one)
                return error_no_memory(e);
        if (sk_CMS_SignerInfo_num(infos) != 1)
                return error_set(e, ERR_REPLY, "The reply has %d signers instead of one",
                                 infos ? sk_CMS_SignerInfo_num(infos) : 0);
        si = sk_CMS_SignerInfo_value(infos, 0);
        r = check_digest(si, notes, e);
        if (r)
                return r;
        if (CMS_signed_get_attr_count(si) <= 0)
                return error_set(e, ERR_REPLY, "The reply has no signed attributes");
        signer = find_signer(si, signers);
        if (!signer)
                return unknown_signer(si, e);
        if (!X509_up_ref(signer) || !sk_X509_push(one, signer))
                return error_no_memory(e);
        *ret = si;
        if (signature_holds(cms, one))
                return ERR_OK;
        /* Signed is the DER of the attributes (RFC 5652 §5.4), which some send in another order; OpenSSL
         * takes them as they came. */
        sorted = sorted_copy(cms);
        if (!sorted || !signature_holds(sorted, one))
                return ossl_error(e, ERR_REPLY, "The signature of the reply is not valid");
        ERR_clear_error();
        *ret = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(sorted), 0);
        CMS_ContentInfo_free(cms);
        *ret_cms = STEAL(sorted);
        return ERR_OK;
}

enum err reply_open(const struct reply_spec *spec, struct reply *ret, struct error *e)
{
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        CLEANUP(reply_done) struct reply reply = {0};
        CMS_SignerInfo *si = NULL;
        ASN1_OCTET_STRING **content;
        enum err r;

        ERR_clear_error();
        r = parse(spec->reply, spec->crl ? SCEP_CRL_BODY_MAX : SCEP_BODY_MAX, &cms, e);
        if (!r)
                r = verify(&cms, spec->signers, &reply.notes, &si, e);
        if (!r)
                r = attributes_read(spec, si, &reply, e);
        if (r)
                return r;
        content = CMS_get0_content(cms);
        /* FAILURE and PENDING have no envelope; NDES puts one octet there, others nothing, and an envelope is
         * ignored. */
        if (reply.status == SCEP_SUCCESS) {
                if (!content || !*content || ASN1_STRING_length(*content) < 2)
                        return error_set(e, ERR_REPLY, "The reply says SUCCESS but has no envelope");
                r = envelope_open(
                        spec,
                        (struct view){ASN1_STRING_get0_data(*content), (size_t)ASN1_STRING_length(*content)},
                        &reply, e);
                if (r)
                        return r;
        }
        *ret = reply;
        reply = (struct reply){0};
        return ERR_OK;
}

void reply_done(struct reply *reply)
{
        sk_X509_pop_free(reply->certs, X509_free);
        sk_X509_CRL_pop_free(reply->crls, X509_CRL_free);
        *reply = (struct reply){0};
}
