/*
 * Steps of next_ca_open(): 1. parse the message; 2. find the one signer, who has to be the CA; 3. check the
 * signature; 4. read the certificates; 5. find what they lead to.
 */
#include "scep-wire/next-ca.h"

#include <openssl/cms.h>
#include <openssl/err.h>

#include "scep-wire/ca-certs.h"
#include "scep-wire/caps.h"

OSSL_CLEANUP(CMS_ContentInfo, cms_free, CMS_ContentInfo_free)

enum { NAME_TEXT = 128 };

static enum err parse(struct view body, CMS_ContentInfo **ret, struct error *e)
{
        const uint8_t *p = body.data;
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        ASN1_OCTET_STRING **content;
        int type;

        if (body.len == 0)
                return error_set(e, ERR_REPLY, "The server answered GetNextCACert with nothing");
        if (body.len > SCEP_BODY_MAX)
                return error_set(e, ERR_TOO_LARGE,
                                 "The server's answer to GetNextCACert is larger than %d octets",
                                 SCEP_BODY_MAX);
        if (body_is_page(body))
                return error_set(e, ERR_REPLY, "The server answered GetNextCACert with a web page");
        cms = d2i_CMS_ContentInfo(NULL, &p, (long)body.len);
        if (!cms)
                return ossl_error(e, ERR_REPLY, "The server's answer to GetNextCACert is not a CMS message");
        if (p != body.data + body.len)
                return error_set(e, ERR_REPLY,
                                 "The server's answer to GetNextCACert is followed by %zu other octets",
                                 (size_t)(body.data + body.len - p));
        if (OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed)
                return error_set(e, ERR_REPLY, "The server's answer to GetNextCACert is not signed data");
        type = OBJ_obj2nid(CMS_get0_eContentType(cms));
        if (type != NID_pkcs7_data && type != NID_pkcs7_signed)
                return error_set(e, ERR_REPLY, "What the next CA's certificate came in is of another type");
        content = CMS_get0_content(cms);
        if (!content || !*content || ASN1_STRING_length(*content) <= 0)
                return error_set(e, ERR_REPLY,
                                 "The server signed nothing where the next CA's certificate belongs");
        *ret = STEAL(cms);
        return ERR_OK;
}

static enum err check_digest(CMS_SignerInfo *si, bool allow_sha1, struct error *e)
{
        X509_ALGOR *digest = NULL;
        const ASN1_OBJECT *oid;
        char name[80];
        int nid;

        CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, NULL);
        X509_ALGOR_get0(&oid, NULL, NULL, digest);
        nid = OBJ_obj2nid(oid);
        if (nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512 || (nid == NID_sha1 && allow_sha1))
                return ERR_OK;
        OBJ_obj2txt(name, sizeof name, oid, 0);
        (void)error_set(
                e, ERR_SERVER_ALGORITHM,
                "The server signed the next CA's certificate with the digest %s, which is not taken for "
                "that",
                name);
        return error_remedy(
                e, ERR_SERVER_ALGORITHM,
                "Have the server sign with SHA-256, or put sha1 into AllowLegacy= of the profile.");
}

/* Step 2: who it is that is not the CA. */
static enum err other_signer(CMS_SignerInfo *si, const struct next_ca_spec *spec, struct error *e)
{
        char ca[NAME_TEXT], name[NAME_TEXT];

        name_text(X509_get_subject_name(spec->ca), ca, sizeof ca);
        for (int i = 0; i < sk_X509_num(spec->others); i++) {
                X509 *other = sk_X509_value(spec->others, i);

                if (CMS_SignerInfo_cert_cmp(si, other) == 0)
                        return error_set(
                                e, ERR_REPLY,
                                "The next CA's certificate is signed by '%s', and only the CA itself, "
                                "'%s', can vouch for it",
                                name_text(X509_get_subject_name(other), name, sizeof name), ca);
        }
        return error_set(e, ERR_REPLY,
                         "The next CA's certificate is signed by somebody else than the CA in force, '%s'",
                         ca);
}

/* Steps 2 and 3. */
static enum err verify(CMS_ContentInfo *cms, const struct next_ca_spec *spec, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *one = sk_X509_new_null();
        STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
        CMS_SignerInfo *si;
        enum err r;

        if (!one)
                return error_no_memory(e);
        if (sk_CMS_SignerInfo_num(infos) != 1)
                return error_set(e, ERR_REPLY, "The next CA's certificate has %d signers instead of one",
                                 infos ? sk_CMS_SignerInfo_num(infos) : 0);
        si = sk_CMS_SignerInfo_value(infos, 0);
        if (CMS_SignerInfo_cert_cmp(si, spec->ca) != 0)
                return other_signer(si, spec, e);
        r = check_digest(si, spec->allow_sha1, e);
        if (r)
                return r;
        if (!X509_up_ref(spec->ca))
                return ossl_error(e, ERR_FAILED, "A certificate could not be kept");
        if (!sk_X509_push(one, spec->ca)) {
                X509_free(spec->ca);
                return error_no_memory(e);
        }
        /* NOINTERN: never a certificate of the answer. Whom the CA's leads to is known. */
        if (CMS_verify(cms, one, NULL, NULL, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_NOINTERN | CMS_BINARY) !=
            1)
                return ossl_error(e, ERR_REPLY, "The signature of the next CA's certificate is not valid");
        return ERR_OK;
}

/* Step 4. */
static enum err read_certs(CMS_ContentInfo *cms, STACK_OF(X509) * *ret, struct error *e)
{
        ASN1_OCTET_STRING **content = CMS_get0_content(cms);
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        char name[NAME_TEXT];
        enum err r;

        r = next_certs_parse(
                (struct view){ASN1_STRING_get0_data(*content), (size_t)ASN1_STRING_length(*content)}, &certs,
                e);
        if (r)
                return r;
        for (int i = 0; i < sk_X509_num(certs); i++) {
                X509 *cert = sk_X509_value(certs, i);

                /* 1: by its basic constraints; what passes for a CA by its age or key usage is none here. */
                if (X509_check_ca(cert) != 1)
                        return error_set(e, ERR_REPLY, "The next CA's certificate '%s' is not that of a CA",
                                         name_text(X509_get_subject_name(cert), name, sizeof name));
        }
        *ret = STEAL(certs);
        return ERR_OK;
}

/* Dates are looked at where it is used. */
static bool leads_to(X509 *cert, STACK_OF(X509) * certs, X509 *anchor)
{
        CLEANUP(x509_store_free_p) X509_STORE *store = X509_STORE_new();
        CLEANUP(x509_store_ctx_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        bool ok = store && ctx && X509_STORE_add_cert(store, anchor) == 1 &&
                  X509_STORE_CTX_init(ctx, store, cert, certs) == 1;

        if (ok) {
                X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
                ok = X509_verify_cert(ctx) == 1;
        }
        ERR_clear_error();
        return ok;
}

static bool is_root(X509 *cert)
{
        bool root = X509_self_signed(cert, /* verify_signature= */ 1) == 1;

        ERR_clear_error();
        return root;
}

/* What is new: neither the anchor nor below it. A root is itself, whoever else has its name and key. */
static enum err keep_new(const STACK_OF(X509) * certs, X509 *anchor, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p)
        STACK_OF(X509) *all = X509_chain_up_ref((STACK_OF(X509) *)(uintptr_t)certs);
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *found = sk_X509_new_null();

        if (!all || !found)
                return error_no_memory(e);
        for (int i = 0; i < sk_X509_num(all); i++) {
                X509 *cert = sk_X509_value(all, i);

                if (X509_cmp(cert, anchor) == 0 || (!is_root(cert) && leads_to(cert, all, anchor)))
                        continue;
                if (!X509_up_ref(cert))
                        return ossl_error(e, ERR_FAILED, "A certificate could not be kept");
                if (!sk_X509_push(found, cert)) {
                        X509_free(cert);
                        return error_no_memory(e);
                }
        }
        *ret = STEAL(found);
        return ERR_OK;
}

/* The next CA itself: the one that has issued none of the others. */
static bool is_lowest(STACK_OF(X509) * certs, X509 *cert)
{
        for (int i = 0; i < sk_X509_num(certs); i++)
                if (sk_X509_value(certs, i) != cert &&
                    X509_check_issued(cert, sk_X509_value(certs, i)) == X509_V_OK)
                        return false;
        return true;
}

/* Step 5. Borrowed. */
static enum err find_anchor(STACK_OF(X509) * certs, X509 **ret, struct error *e)
{
        X509 *root = NULL, *lowest = NULL;
        int roots = 0, lowests = 0;
        char name[NAME_TEXT];

        for (int i = 0; i < sk_X509_num(certs); i++) {
                X509 *cert = sk_X509_value(certs, i);

                if (is_root(cert)) {
                        root = cert;
                        roots++;
                } else if (is_lowest(certs, cert)) {
                        lowest = cert;
                        lowests++;
                }
        }
        if (roots > 1 || (!roots && lowests != 1))
                return error_set(e, ERR_REPLY, "The server names %d next CAs, and one is expected",
                                 roots > 1 ? roots : lowests);
        for (int i = 0; root && i < sk_X509_num(certs); i++)
                if (sk_X509_value(certs, i) != root && !leads_to(sk_X509_value(certs, i), certs, root))
                        return error_set(
                                e, ERR_REPLY,
                                "The next CA's certificate '%s' does not lead to the root it came with",
                                name_text(X509_get_subject_name(sk_X509_value(certs, i)), name, sizeof name));
        *ret = root ? root : lowest;
        return ERR_OK;
}

enum err next_ca_open(struct view body, const struct next_ca_spec *spec, X509 **ret, struct error *e)
{
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL, *fresh = NULL;
        X509 *anchor = NULL;
        char name[NAME_TEXT];
        time_t now = spec->now;
        enum err r;

        ERR_clear_error();
        r = parse(body, &cms, e);
        if (!r)
                r = verify(cms, spec, e);
        if (!r)
                r = read_certs(cms, &certs, e);
        if (!r)
                r = keep_new(certs, spec->anchor, &fresh, e);
        if (!r && sk_X509_num(fresh) > 0)
                r = find_anchor(fresh, &anchor, e);
        if (r)
                return r;
        if (anchor && X509_cmp_time(X509_get0_notAfter(anchor), &now) <= 0)
                return error_set(e, ERR_CA_EXPIRED, "The next CA's certificate '%s' has expired",
                                 name_text(X509_get_subject_name(anchor), name, sizeof name));
        if (anchor && !X509_up_ref(anchor))
                return ossl_error(e, ERR_FAILED, "A certificate could not be kept");
        *ret = anchor;
        return ERR_OK;
}

static enum err choose_under(const STACK_OF(X509) * certs, time_t now, X509 *anchor, struct ca_choice *ret,
                             struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *anchors = sk_X509_new_null();
        const struct ca_trust trust = {.anchors = anchors, .now = now};

        if (!anchors || !X509_up_ref(anchor))
                return error_no_memory(e);
        if (!sk_X509_push(anchors, anchor)) {
                X509_free(anchor);
                return error_no_memory(e);
        }
        return ca_choose(certs, &trust, ret, e);
}

enum err ca_choose_followed(const STACK_OF(X509) * certs, const struct ca_trust *trust,
                            const STACK_OF(X509) * followed, struct ca_choice *ret, struct error *e)
{
        struct error first = {0}, late = {0};
        enum err r = ca_choose(certs, trust, ret, &first);

        if (r == ERR_CA_MISMATCH || r == ERR_CA_EXPIRED) {
                for (int i = 0; i < sk_X509_num(followed); i++) {
                        struct error why = {0};
                        enum err next =
                                choose_under(certs, trust->now, sk_X509_value(followed, i), ret, &why);

                        if (next == ERR_OK)
                                return ERR_OK;
                        if (next == ERR_CA_EXPIRED)
                                late = why;
                }
        }
        if (!r)
                return ERR_OK;
        return error_copy(e, late.code ? &late : &first);
}
