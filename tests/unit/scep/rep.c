#include "rep.h"

#include <openssl/cms.h>
#include <openssl/provider.h>

static struct bytes take(BIO *bio)
{
        struct bytes b;

        assert_int_equal(bio_bytes(bio, &b, NULL), ERR_OK);
        return b;
}

struct bytes rep_envelope(const struct rep *rep)
{
        const char *name = rep->cipher ? rep->cipher : "AES-128-CBC";
        bool legacy = strcmp(name, "DES-CBC") == 0 || strncmp(name, "RC2", 3) == 0;
        OSSL_LIB_CTX *libctx = legacy ? OSSL_LIB_CTX_new() : NULL;
        OSSL_PROVIDER *a = legacy ? OSSL_PROVIDER_load(libctx, "default") : NULL,
                      *b = legacy ? OSSL_PROVIDER_load(libctx, "legacy") : NULL;
        EVP_CIPHER *cipher = EVP_CIPHER_fetch(libctx, name, NULL);
        STACK_OF(X509) *to = pki_stack(&rep->recipient, 1);
        BIO *in = BIO_new_mem_buf(rep->payload.data, (int)rep->payload.len), *out = BIO_new(BIO_s_mem());
        unsigned flags = CMS_BINARY | (rep->ber ? CMS_STREAM : 0);
        CMS_ContentInfo *cms = CMS_encrypt_ex(rep->password ? NULL : to, in, cipher,
                                              flags | (rep->password ? CMS_PARTIAL : 0), libctx, NULL);
        struct bytes der;

        assert_non_null(cms);
        if (rep->password) {
                assert_non_null(CMS_add0_recipient_password(
                        cms, rep->iterations ? rep->iterations : -1, NID_id_alg_PWRI_KEK, NID_undef,
                        (unsigned char *)OPENSSL_strdup(rep->password), -1, NULL));
                if (!rep->ber)
                        assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
        }
        assert_int_equal(rep->ber ? i2d_CMS_bio_stream(out, cms, in, (int)flags) : i2d_CMS_bio(out, cms), 1);
        der = take(out);
        CMS_ContentInfo_free(cms);
        BIO_free(in);
        BIO_free(out);
        EVP_CIPHER_free(cipher);
        sk_X509_pop_free(to, X509_free);
        if (legacy) {
                OSSL_PROVIDER_unload(b);
                OSSL_PROVIDER_unload(a);
                OSSL_LIB_CTX_free(libctx);
        }
        return der;
}

static struct bytes content(const struct rep *rep)
{
        struct bytes b = {0};

        switch (rep->content) {
        case REP_ENVELOPE:
                return rep_envelope(rep);
        case REP_ABSENT:
                break;
        case REP_ONE_OCTET:
                assert_int_equal(bytes_copy(&b, "\0", 1, NULL), ERR_OK);
                break;
        case REP_JUNK:
                assert_int_equal(bytes_copy(&b, "junk", 4, NULL), ERR_OK);
                break;
        case REP_PLAIN_SIGNED:
                return pki_degenerate(&rep->recipient, 1);
        case REP_AS_IT_IS:
                assert_int_equal(bytes_copy(&b, rep->payload.data, rep->payload.len, NULL), ERR_OK);
                break;
        }
        return b;
}

static void add(CMS_SignerInfo *si, const char *oid, int type, const char *text)
{
        if (text)
                assert_int_equal(CMS_signed_add1_attr_by_txt(si, oid, type, text, (int)strlen(text)), 1);
}

struct bytes rep_make(const struct rep *rep)
{
        CLEANUP(bytes_done) struct bytes inner = content(rep);
        EVP_MD *md = EVP_MD_fetch(NULL, rep->digest ? rep->digest : "SHA256", NULL);
        BIO *in = BIO_new_mem_buf(inner.data ? inner.data : (const uint8_t *)"", (int)inner.len),
            *out = BIO_new(BIO_s_mem());
        unsigned flags = CMS_PARTIAL | CMS_BINARY | (rep->content == REP_ABSENT ? CMS_DETACHED : 0) |
                         (rep->ber ? CMS_STREAM : 0);
        CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
        CMS_SignerInfo *si =
                CMS_add1_signer(cms, rep->signer, rep->signer_key, md,
                                CMS_BINARY | CMS_NOSMIMECAP | CMS_PARTIAL | (rep->carry ? 0 : CMS_NOCERTS));
        struct bytes der;

        assert_non_null(si);
        if (rep->odd_content_type)
                assert_int_equal(CMS_set1_eContentType(cms, OBJ_nid2obj(NID_pkcs7_signed)), 1);
        if (rep->signing_time) {
                ASN1_TIME *t = ASN1_TIME_set(NULL, rep->signing_time);

                assert_int_equal(CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, t->type, t, -1), 1);
                ASN1_TIME_free(t);
        }
        add(si, "2.16.840.1.113733.1.9.2", V_ASN1_PRINTABLESTRING, rep->type);
        add(si, "2.16.840.1.113733.1.9.3", V_ASN1_PRINTABLESTRING, rep->status);
        add(si, "2.16.840.1.113733.1.9.4", V_ASN1_PRINTABLESTRING, rep->fail);
        add(si, "2.16.840.1.113733.1.9.7", V_ASN1_PRINTABLESTRING, rep->transaction);
        add(si, "1.3.6.1.5.5.7.24.1", V_ASN1_UTF8STRING, rep->text);
        add(si, "1.3.6.1.4.1.311.21.33", V_ASN1_PRINTABLESTRING, rep->ms_error);
        if (rep->nonce.len)
                assert_int_equal(CMS_signed_add1_attr_by_txt(si, "2.16.840.1.113733.1.9.6",
                                                             V_ASN1_OCTET_STRING, rep->nonce.data,
                                                             (int)rep->nonce.len),
                                 1);
        if (rep->ber && rep->content != REP_ABSENT) {
                assert_int_equal(i2d_CMS_bio_stream(out, cms, in, (int)flags), 1);
        } else {
                assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
                assert_int_equal(i2d_CMS_bio(out, cms), 1);
        }
        der = take(out);
        CMS_ContentInfo_free(cms);
        BIO_free(in);
        BIO_free(out);
        EVP_MD_free(md);
        return der;
}
