#include "scep-build/message.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "scep-wire/legacy.h"

OSSL_CLEANUP(CMS_ContentInfo, cms_free, CMS_ContentInfo_free)
OSSL_CLEANUP(PKCS7_ISSUER_AND_SERIAL, issuer_and_serial_free, PKCS7_ISSUER_AND_SERIAL_free)

enum err transaction_new(char ret[SCEP_TRANSACTION_LEN + 1], struct error *e)
{
        uint8_t octets[SCEP_TRANSACTION_LEN / 2];

        if (RAND_bytes(octets, sizeof octets) != 1)
                return ossl_error(e, ERR_FAILED, "There are no random numbers");
        hex_encode((struct view){octets, sizeof octets}, ret);
        return ERR_OK;
}

enum err poll_data_build(const X509 *issuer, struct view subject, struct bytes *ret, struct error *e)
{
        const uint8_t *p = subject.data;
        CLEANUP(x509_name_free_p) X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)subject.len);
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        CLEANUP(ossl_free_p) uint8_t *first = NULL;
        CLEANUP(ossl_free_p) uint8_t *second = NULL;
        int n_first, n_second, total;
        uint8_t *out;
        enum err r;

        if (!name || p != subject.data + subject.len) {
                ERR_clear_error();
                return error_set(e, ERR_INVALID, "The subject is not a DER name");
        }
        n_first = i2d_X509_NAME(X509_get_subject_name(issuer), &first);
        n_second = i2d_X509_NAME(name, &second);
        if (n_first < 0 || n_second < 0)
                return ossl_error(e, ERR_FAILED, "The names of a poll could not be encoded");
        total = ASN1_object_size(1, n_first + n_second, V_ASN1_SEQUENCE);
        der = out = total > 0 ? OPENSSL_malloc((size_t)total) : NULL;
        if (!out)
                return error_no_memory(e);
        ASN1_put_object(&out, 1, n_first + n_second, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
        memcpy(out, first, (size_t)n_first);
        memcpy(out + n_first, second, (size_t)n_second);
        r = bytes_copy(ret, der, (size_t)total, e);
        return r;
}

enum err crl_data_build(const X509 *cert, struct bytes *ret, struct error *e)
{
        CLEANUP(issuer_and_serial_free_p) PKCS7_ISSUER_AND_SERIAL *both = PKCS7_ISSUER_AND_SERIAL_new();
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len = -1;

        if (both && X509_NAME_set(&both->issuer, X509_get_issuer_name(cert)) == 1) {
                ASN1_INTEGER_free(both->serial);
                both->serial = ASN1_INTEGER_dup(X509_get0_serialNumber(cert));
                len = both->serial ? i2d_PKCS7_ISSUER_AND_SERIAL(both, &der) : -1;
        }
        if (len < 0)
                return ossl_error(e, ERR_FAILED, "Issuer and serial number could not be encoded");
        return bytes_copy(ret, der, (size_t)len, e);
}

static enum err cms_bytes(CMS_ContentInfo *cms, struct bytes *ret, struct error *e)
{
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len = i2d_CMS_ContentInfo(cms, &der);

        if (len < 0)
                return ossl_error(e, ERR_FAILED, "A message could not be encoded");
        if (len > MESSAGE_MAX)
                return error_set(e, ERR_TOO_LARGE, "The message is larger than %d octets", MESSAGE_MAX);
        return bytes_copy(ret, der, (size_t)len, e);
}

static enum err envelope(const struct message_spec *spec, struct bytes *ret, struct error *e)
{
        CLEANUP(legacy_done) struct legacy legacy = {0};
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        CLEANUP(bio_free_p) BIO *in = NULL;
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *to = sk_X509_new_null();
        EVP_CIPHER *cipher;
        enum err r;

        if (!to || !X509_up_ref(spec->recipient))
                return error_no_memory(e);
        if (!sk_X509_push(to, spec->recipient)) {
                X509_free(spec->recipient);
                return error_no_memory(e);
        }
        r = spec->cipher == SCEP_DES ? legacy_load(&legacy, e) : ERR_OK;
        if (r)
                return r;
        cipher = EVP_CIPHER_fetch(legacy.libctx, scep_cipher_ossl(spec->cipher), NULL);
        in = BIO_new_mem_buf(spec->data.data, (int)spec->data.len);
        if (cipher && in)
                cms = CMS_encrypt_ex(to, in, cipher, CMS_BINARY, legacy.libctx, NULL);
        EVP_CIPHER_free(cipher);
        if (!cms)
                return ossl_error(e, ERR_FAILED,
                                  "The request could not be encrypted to the server's certificate with %s",
                                  scep_cipher_name(spec->cipher));
        return cms_bytes(cms, ret, e);
}

static bool add_text(CMS_SignerInfo *si, const char *oid, const char *text)
{
        return CMS_signed_add1_attr_by_txt(si, oid, V_ASN1_PRINTABLESTRING, text, (int)strlen(text)) == 1;
}

static enum err sign(const struct message_spec *spec, struct view envelope,
                     const uint8_t nonce[SCEP_NONCE_LEN], struct bytes *ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf(envelope.data, (int)envelope.len);
        CLEANUP(evp_md_free_p) EVP_MD *md = EVP_MD_fetch(NULL, scep_digest_ossl(spec->digest), NULL);
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        CMS_SignerInfo *si;
        char type[8];

        if (!in || !md)
                return ossl_error(e, ERR_FAILED, "A message could not be prepared");
        cms = CMS_sign_ex(NULL, NULL, NULL, in, CMS_PARTIAL | CMS_BINARY, NULL, NULL);
        si = cms ? CMS_add1_signer(cms, spec->signer, spec->key, md,
                                   CMS_BINARY | CMS_NOSMIMECAP | CMS_PARTIAL)
                 : NULL;
        (void)snprintf(type, sizeof type, "%d", (int)spec->type);
        if (!si || !add_text(si, SCEP_OID_MESSAGE_TYPE, type) ||
            !add_text(si, SCEP_OID_TRANSACTION_ID, spec->transaction) ||
            CMS_signed_add1_attr_by_txt(si, SCEP_OID_SENDER_NONCE, V_ASN1_OCTET_STRING, nonce,
                                        SCEP_NONCE_LEN) != 1)
                return ossl_error(e, ERR_FAILED, "The attributes of a message could not be set");
        if (CMS_final(cms, in, NULL, CMS_BINARY) != 1)
                return ossl_error(e, ERR_FAILED, "A message could not be signed");
        return cms_bytes(cms, ret, e);
}

static enum err check(const struct message_spec *spec, struct error *e)
{
        size_t len = strlen(spec->transaction);

        if (!scep_request_type_valid(spec->type))
                return error_set(e, ERR_INVALID, "Message type %d is not one that is sent", (int)spec->type);
        if (len < 1 || len > 128 ||
            strspn(spec->transaction,
                   "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ '()+,-./:=?") != len)
                return error_set(e, ERR_INVALID, "The transaction identifier is not a PrintableString");
        if (spec->data.len == 0 || spec->data.len > MESSAGE_MAX / 2)
                return error_set(e, ERR_INVALID, "There is nothing to send, or more than %d octets",
                                 MESSAGE_MAX / 2);
        if (!EVP_PKEY_is_a(X509_get0_pubkey(spec->recipient), "RSA"))
                return error_set(
                        e, ERR_UNSUPPORTED,
                        "The server's certificate has no RSA key; encrypting to another belongs to a "
                        "later step of scepter");
        return ERR_OK;
}

enum err message_build(const struct message_spec *spec, uint8_t ret_nonce[SCEP_NONCE_LEN], struct bytes *ret,
                       struct error *e)
{
        CLEANUP(bytes_done) struct bytes inner = {0};
        uint8_t nonce[SCEP_NONCE_LEN];
        enum err r = check(spec, e);

        if (!r && RAND_bytes(nonce, sizeof nonce) != 1)
                r = ossl_error(e, ERR_FAILED, "There are no random numbers");
        if (!r)
                r = envelope(spec, &inner, e);
        if (!r)
                r = sign(spec, bytes_view(&inner), nonce, ret, e);
        if (r)
                return r;
        memcpy(ret_nonce, nonce, sizeof nonce);
        return ERR_OK;
}

enum err message_is_for(struct view message, X509 *recipient, bool *ret, struct error *e)
{
        const uint8_t *p = message.data;
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)message.len);
        ASN1_OCTET_STRING **content = cms ? CMS_get0_content(cms) : NULL;
        CLEANUP(cms_free_p) CMS_ContentInfo *envelope = NULL;
        STACK_OF(CMS_RecipientInfo) * infos;

        if (content && *content) {
                p = ASN1_STRING_get0_data(*content);
                envelope = d2i_CMS_ContentInfo(NULL, &p, ASN1_STRING_length(*content));
        }
        infos = envelope ? CMS_get0_RecipientInfos(envelope) : NULL;
        if (!infos)
                return ossl_error(e, ERR_CONFIG, "The stored request is damaged");
        *ret = false;
        for (int i = 0; i < sk_CMS_RecipientInfo_num(infos); i++) {
                CMS_RecipientInfo *info = sk_CMS_RecipientInfo_value(infos, i);

                if (CMS_RecipientInfo_type(info) == CMS_RECIPINFO_TRANS &&
                    CMS_RecipientInfo_ktri_cert_cmp(info, recipient) == 0)
                        *ret = true;
        }
        return ERR_OK;
}
