/* The envelope of a SUCCESS: what it is encrypted with and for whom is judged before the one private
 * operation is spent. */
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <string.h>

#include "scep-open/parts.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/legacy.h"

enum { RECIPIENTS_MAX = 16 };

/* RFC 5652 §6.1. OpenSSL's CMS API does not tell the content cipher, so these few fields are read here. */
struct encrypted_content {
        ASN1_OBJECT *type;
        X509_ALGOR *cipher;
        ASN1_OCTET_STRING *octets;
};
struct enveloped_data {
        ASN1_INTEGER *version;
        ASN1_STRING *originator;
        STACK_OF(ASN1_TYPE) * recipients;
        struct encrypted_content *content;
        STACK_OF(ASN1_TYPE) * unprotected;
};
struct enveloped_info {
        ASN1_OBJECT *type;
        struct enveloped_data *data;
};
typedef struct encrypted_content ENCRYPTED_CONTENT;
typedef struct enveloped_data ENVELOPED_DATA;
typedef struct enveloped_info ENVELOPED_INFO;

ASN1_SEQUENCE(ENCRYPTED_CONTENT) =
        {
                ASN1_SIMPLE(ENCRYPTED_CONTENT, type, ASN1_OBJECT),
                ASN1_SIMPLE(ENCRYPTED_CONTENT, cipher, X509_ALGOR),
                ASN1_IMP_OPT(ENCRYPTED_CONTENT, octets, ASN1_OCTET_STRING, 0),
} static_ASN1_SEQUENCE_END(ENCRYPTED_CONTENT)

                ASN1_SEQUENCE(ENVELOPED_DATA) =
                        {
                                ASN1_SIMPLE(ENVELOPED_DATA, version, ASN1_INTEGER),
                                ASN1_IMP_OPT(ENVELOPED_DATA, originator, ASN1_SEQUENCE, 0),
                                ASN1_SET_OF(ENVELOPED_DATA, recipients, ASN1_ANY),
                                ASN1_SIMPLE(ENVELOPED_DATA, content, ENCRYPTED_CONTENT),
                                ASN1_IMP_SET_OF_OPT(ENVELOPED_DATA, unprotected, ASN1_ANY, 1),
} static_ASN1_SEQUENCE_END(ENVELOPED_DATA)

                                ASN1_SEQUENCE(ENVELOPED_INFO) =
                                        {
                                                ASN1_SIMPLE(ENVELOPED_INFO, type, ASN1_OBJECT),
                                                ASN1_EXP(ENVELOPED_INFO, data, ENVELOPED_DATA, 0),
} static_ASN1_SEQUENCE_END(ENVELOPED_INFO)

                                                static void enveloped_info_free_p(ENVELOPED_INFO * *p)
{
        ASN1_item_free((ASN1_VALUE *)*p, ASN1_ITEM_rptr(ENVELOPED_INFO));
}

enum judgement { TAKEN, NOTED, LEGACY, NEVER };

static const struct {
        int nid;
        enum judgement judgement;
        unsigned note;
        size_t key_len;
} ciphers[] = {
        {NID_aes_128_cbc, TAKEN, 0, 16},         {NID_aes_192_cbc, TAKEN, 0, 24},
        {NID_aes_256_cbc, TAKEN, 0, 32},         {NID_des_ede3_cbc, NOTED, SCEP_NOTE_DES3, 24},
        {NID_des_cbc, LEGACY, SCEP_NOTE_DES, 8},
};

static enum err check_cipher(const struct reply_spec *spec, const X509_ALGOR *algorithm, bool *ret_legacy,
                             unsigned *notes, struct error *e)
{
        const ASN1_OBJECT *oid;
        char name[80];

        X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
        for (size_t i = 0; i < N_ELEMENTS(ciphers); i++) {
                if (ciphers[i].nid != OBJ_obj2nid(oid))
                        continue;
                if (ciphers[i].judgement == LEGACY && !spec->allow_des) {
                        (void)error_set(e, ERR_SERVER_ALGORITHM,
                                        "The server encrypted its reply with single DES");
                        return error_remedy(
                                e, ERR_SERVER_ALGORITHM,
                                "Have the server use AES or 3DES, or set AllowLegacy=des in the profile.");
                }
                *ret_legacy = ciphers[i].judgement == LEGACY;
                *notes |= ciphers[i].note;
                return ERR_OK;
        }
        OBJ_obj2txt(name, sizeof name, oid, 0);
        (void)error_set(e, ERR_SERVER_ALGORITHM,
                        "The server encrypted its reply with %s, which is never taken", name);
        return error_remedy(e, ERR_SERVER_ALGORITHM, "Have the server use AES.");
}

/* What stands there instead: another CMS type by name, or nothing CMS at all. */
static enum err no_envelope(struct view octets, struct error *e)
{
        const uint8_t *p = octets.data;
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        char type[80];

        ERR_clear_error();
        cms = d2i_CMS_ContentInfo(NULL, &p, (long)octets.len);
        if (!cms)
                return ossl_error(e, ERR_REPLY, "The reply says SUCCESS but its content is not an envelope");
        OBJ_obj2txt(type, sizeof type, CMS_get0_type(cms), 0);
        return error_set(e, ERR_REPLY,
                         "The reply says SUCCESS but its content is of type %s instead of an envelope", type);
}

/* Shape and cipher; strict about what stands behind. */
static enum err judge(const struct reply_spec *spec, struct view octets, ENVELOPED_INFO **ret,
                      bool *ret_legacy, unsigned *notes, struct error *e)
{
        const uint8_t *p = octets.data;
        const ASN1_ITEM *item = ASN1_ITEM_rptr(ENVELOPED_INFO);
        ENVELOPED_INFO *info;
        char type[80];
        int n;

        info = (ENVELOPED_INFO *)ASN1_item_d2i(NULL, &p, (long)octets.len, item);
        *ret = info;
        if (!info)
                return no_envelope(octets, e);
        if (p != octets.data + octets.len)
                return error_set(e, ERR_REPLY, "The envelope of the reply is followed by %zu other octets",
                                 (size_t)(octets.data + octets.len - p));
        if (OBJ_obj2nid(info->type) != NID_pkcs7_enveloped)
                return no_envelope(octets, e);
        if (OBJ_obj2nid(info->data->content->type) != NID_pkcs7_data) {
                OBJ_obj2txt(type, sizeof type, info->data->content->type, 0);
                return error_set(e, ERR_REPLY,
                                 "The content of the reply's envelope is of type %s instead of data", type);
        }
        n = sk_ASN1_TYPE_num(info->data->recipients);
        if (n < 1 || n > RECIPIENTS_MAX)
                return error_set(e, ERR_REPLY, "The envelope of the reply has %d recipients", n);
        if (!info->data->content->octets || ASN1_STRING_length(info->data->content->octets) == 0)
                return error_set(e, ERR_REPLY, "The envelope of the reply is empty");
        return check_cipher(spec, info->data->content->cipher, ret_legacy, notes, e);
}

enum way { BY_NONE, BY_TRANSPORT, BY_AGREEMENT, BY_PASSWORD };

enum err implicit_sequence(struct view raw, struct bytes *ret, struct error *e)
{
        enum err r = raw.len > 2 ? bytes_copy(ret, raw.data, raw.len, e)
                                 : error_set(e, ERR_REPLY, "A recipient of the reply's envelope is empty");

        if (!r)
                ret->data[0] = V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED;
        return r;
}

/* The encoding of recipient @i. */
static struct view encoding(const ENVELOPED_INFO *info, int i)
{
        const ASN1_TYPE *one = sk_ASN1_TYPE_value(info->data->recipients, i);

        if (!one || (one->type != V_ASN1_SEQUENCE && one->type != V_ASN1_OTHER))
                return (struct view){0};
        return (struct view){ASN1_STRING_get0_data(one->value.asn1_string),
                             (size_t)ASN1_STRING_length(one->value.asn1_string)};
}

static enum err nobody(int other, const char *issuer, struct error *e)
{
        ERR_clear_error();
        if (other >= 0)
                return error_set(e, ERR_REPLY,
                                 "The reply is encrypted by %s, and no such reply was asked for",
                                 other == CMS_RECIPINFO_AGREE  ? "key agreement"
                                 : other == CMS_RECIPINFO_PASS ? "password"
                                 : other == CMS_RECIPINFO_TRANS
                                         ? "key transport"
                                         : "a method other than key transport, key agreement and password");
        return error_set(e, ERR_REPLY,
                         "The reply is encrypted to another certificate than the request was signed with "
                         "(issuer '%s')",
                         issuer);
}

/* Someone among the recipients must be us, by a way that the request asked for; *ret_at: who. Our key goes
 * before the password. */
static enum err find_recipient(const struct reply_spec *spec, const ENVELOPED_INFO *info,
                               CMS_ContentInfo *cms, size_t content_key, enum way *ret, int *ret_at,
                               struct error *e)
{
        STACK_OF(CMS_RecipientInfo) *infos = CMS_get0_RecipientInfos(cms);
        char name[160] = "";
        int other = -1, password = -1;

        for (int i = 0; i < sk_CMS_RecipientInfo_num(infos); i++) {
                CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(infos, i);
                const int type = CMS_RecipientInfo_type(ri);
                ASN1_OCTET_STRING *key_id = NULL;
                X509_NAME *issuer = NULL;
                bool ours = false;
                enum err r;

                if (type == CMS_RECIPINFO_TRANS && spec->transport) {
                        if (CMS_RecipientInfo_ktri_cert_cmp(ri, spec->recipient) == 0) {
                                *ret = BY_TRANSPORT;
                                return ERR_OK;
                        }
                        if (CMS_RecipientInfo_ktri_get0_signer_id(ri, &key_id, &issuer, NULL) == 1 && issuer)
                                name_text(issuer, name, sizeof name);
                } else if (type == CMS_RECIPINFO_AGREE && spec->agreement) {
                        r = agreement_check(spec, ri, encoding(info, i), content_key, &ours, e);
                        if (r || ours) {
                                *ret = BY_AGREEMENT;
                                return r;
                        }
                } else if (type == CMS_RECIPINFO_PASS && spec->unwrap) {
                        password = password < 0 ? i : password;
                } else {
                        other = type;
                }
        }
        if (password < 0)
                return nobody(other, name, e);
        *ret = BY_PASSWORD;
        *ret_at = password;
        return ERR_OK;
}

static struct envelope_content content_of(const ENVELOPED_INFO *info, OSSL_LIB_CTX *libctx)
{
        const struct encrypted_content *content = info->data->content;
        struct envelope_content found = {.libctx = libctx,
                                         .cipher = content->cipher,
                                         .octets = {ASN1_STRING_get0_data(content->octets),
                                                    (size_t)ASN1_STRING_length(content->octets)}};
        const ASN1_OBJECT *oid;

        X509_ALGOR_get0(&oid, NULL, NULL, content->cipher);
        found.nid = OBJ_obj2nid(oid);
        for (size_t i = 0; i < N_ELEMENTS(ciphers); i++)
                if (ciphers[i].nid == found.nid)
                        found.key_len = ciphers[i].key_len;
        return found;
}

static enum err open_by_key(const struct reply_spec *spec, CMS_ContentInfo *cms, BIO *out, struct error *e)
{
        /*
         * DEBUG_DECRYPT: a decrypt that failed is told, instead of going on with a random content key that
         * one time in 230 passes as success. No oracle: whoever sent this has proved to be the pinned server.
         */
        if (CMS_decrypt(cms, spec->key, spec->recipient, NULL, out, CMS_DEBUG_DECRYPT | CMS_BINARY) == 1)
                return ERR_OK;
        (void)ossl_error(e, ERR_REPLY,
                         "The envelope of the reply could not be opened with the key of the request");
        return error_remedy(e, ERR_REPLY,
                            "Check that the key still works ('scepter key test'); if it does, the server "
                            "encrypted to another key.");
}

enum err envelope_open(const struct reply_spec *spec, struct view octets, struct reply *reply,
                       struct error *e)
{
        CLEANUP(legacy_done) struct legacy legacy = {0};
        CLEANUP(enveloped_info_free_p) ENVELOPED_INFO *info = NULL;
        CLEANUP(cms_free_p) CMS_ContentInfo *cms = NULL;
        CLEANUP(bio_free_p) BIO *out = BIO_new(BIO_s_mem());
        CLEANUP(bytes_done) struct bytes opened = {0};
        struct envelope_content content;
        const uint8_t *p = octets.data;
        enum way way = BY_NONE;
        bool des = false;
        int at = 0;
        enum err r;

        if (!out)
                return error_no_memory(e);
        r = judge(spec, octets, &info, &des, &reply->notes, e);
        if (!r && des)
                r = legacy_load(&legacy, e);
        if (r)
                return r;
        content = content_of(info, legacy.libctx);
        cms = CMS_ContentInfo_new_ex(legacy.libctx, NULL);
        if (!cms || !d2i_CMS_ContentInfo(&cms, &p, (long)octets.len))
                return ossl_error(e, ERR_REPLY, "The envelope of the reply could not be read");
        r = find_recipient(spec, info, cms, content.key_len, &way, &at, e);
        if (!r && way == BY_PASSWORD)
                r = password_open(spec, encoding(info, at), &content, &opened, e);
        else if (!r)
                r = open_by_key(spec, cms, out, e);
        if (!r && way != BY_PASSWORD)
                r = bio_bytes(out, &opened, e);
        if (r)
                return r;
        return spec->crl ? degenerate_crls_parse(bytes_view(&opened), &reply->crls, e)
                         : degenerate_parse(bytes_view(&opened), &reply->certs, e);
}
