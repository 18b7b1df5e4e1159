#include "scep-build/request.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

/* Microsoft's ENROLLMENT_NAME_VALUE_PAIR ([MS-WCCE] §2.2.2.7.10). */
#define OID_NAME_VALUE_PAIR "1.3.6.1.4.1.311.13.2.1"
/* Its two ways to name a template: by name as version 1 has it, and SEQUENCE { templateID OID, … }. */
#define OID_ENROLL_CERTTYPE      "1.3.6.1.4.1.311.20.2"
#define OID_CERTIFICATE_TEMPLATE "1.3.6.1.4.1.311.21.7"

OSSL_CLEANUP(EXTENDED_KEY_USAGE, eku_free, EXTENDED_KEY_USAGE_free)
OSSL_CLEANUP(ASN1_TYPE, asn1_type_free, ASN1_TYPE_free)
OSSL_CLEANUP(ASN1_STRING, asn1_string_free, ASN1_STRING_free)
OSSL_CLEANUP(X509_ATTRIBUTE, x509_attribute_free, X509_ATTRIBUTE_free)

static inline void extensions_free_p(X509_EXTENSIONS **p)
{
        sk_X509_EXTENSION_pop_free(*p, X509_EXTENSION_free);
}

static enum err add_extension_by_oid(X509_EXTENSIONS *list, const ASN1_OBJECT *oid, bool critical,
                                     struct view value, struct error *e)
{
        CLEANUP(asn1_octet_string_free_p) ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
        CLEANUP(x509_extension_free_p) X509_EXTENSION *ext = NULL;

        if (!octets || !ASN1_OCTET_STRING_set(octets, value.data, (int)value.len))
                return error_no_memory(e);
        ext = X509_EXTENSION_create_by_OBJ(NULL, oid, critical, octets);
        if (!ext || !sk_X509_EXTENSION_push(list, ext))
                return ossl_error(e, ERR_FAILED, "An extension of the request could not be built");
        ext = NULL;
        return ERR_OK;
}

static enum err add_extension(X509_EXTENSIONS *list, int nid, bool critical, struct view value,
                              struct error *e)
{
        return add_extension_by_oid(list, OBJ_nid2obj(nid), critical, value, e);
}

static enum err add_key_usage(X509_EXTENSIONS *list, uint32_t usage, struct error *e)
{
        ASN1_BIT_STRING *bits;
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        bool ok;
        int len;

        if (usage & ~(uint32_t)(0xff | KU_DECIPHER_ONLY))
                return error_set(e, ERR_INVALID, "The key usage has bits that do not exist: 0x%x", usage);
        if (!usage)
                return ERR_OK;
        bits = ASN1_BIT_STRING_new();
        ok = bits != NULL;
        /* KU_… has bit 0 of the BIT STRING as 0x80; decipherOnly, bit 8, as 0x8000. */
        for (int i = 0; ok && i < 8; i++)
                ok = ASN1_BIT_STRING_set_bit(bits, i, (int)(usage >> (7 - i) & 1)) == 1;
        if (ok && (usage & KU_DECIPHER_ONLY))
                ok = ASN1_BIT_STRING_set_bit(bits, 8, 1) == 1;
        len = ok ? i2d_ASN1_BIT_STRING(bits, &der) : -1;
        ASN1_BIT_STRING_free(bits);
        if (len < 0)
                return ossl_error(e, ERR_FAILED, "The key usage could not be encoded");
        return add_extension(list, NID_key_usage, true, (struct view){der, (size_t)len}, e);
}

static enum err add_eku(X509_EXTENSIONS *list, const char *const *oids, size_t n, struct error *e)
{
        CLEANUP(eku_free_p) EXTENDED_KEY_USAGE *eku = EXTENDED_KEY_USAGE_new();
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len;

        if (!eku)
                return error_no_memory(e);
        if (n > REQUEST_EKU_MAX)
                return error_set(e, ERR_INVALID, "There are %zu extended key usages, and %d are the limit", n,
                                 REQUEST_EKU_MAX);
        if (n == 0)
                return ERR_OK;
        for (size_t i = 0; i < n; i++) {
                ASN1_OBJECT *oid = OBJ_txt2obj(oids[i], 1);

                if (!oid) {
                        ERR_clear_error();
                        return error_set(e, ERR_INVALID, "The extended key usage '%s' is not an OID",
                                         oids[i]);
                }
                if (!sk_ASN1_OBJECT_push(eku, oid)) {
                        ASN1_OBJECT_free(oid);
                        return error_no_memory(e);
                }
        }
        len = i2d_EXTENDED_KEY_USAGE(eku, &der);
        if (len < 0)
                return ossl_error(e, ERR_FAILED, "The extended key usage could not be encoded");
        return add_extension(list, NID_ext_key_usage, false, (struct view){der, (size_t)len}, e);
}

static enum err add_san(X509_EXTENSIONS *list, struct view san, bool critical, struct error *e)
{
        const uint8_t *p = san.data;
        CLEANUP(general_names_free_p) GENERAL_NAMES *names = NULL;

        if (san.len == 0)
                return ERR_OK;
        names = d2i_GENERAL_NAMES(NULL, &p, (long)san.len);
        if (!names || p != san.data + san.len || sk_GENERAL_NAME_num(names) == 0) {
                ERR_clear_error();
                return error_set(e, ERR_INVALID, "The alternative names are not a DER list of names");
        }
        return add_extension(list, NID_subject_alt_name, critical, san, e);
}

/* SEQUENCE { templateID OBJECT IDENTIFIER }; the version is the CA's to know. */
static enum err add_template_oid(X509_EXTENSIONS *list, const ASN1_OBJECT *template, struct error *e)
{
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *oid = OBJ_txt2obj(OID_CERTIFICATE_TEMPLATE, 1);
        int inner = i2d_ASN1_OBJECT(template, NULL);
        int len = inner > 0 ? ASN1_object_size(1, inner, V_ASN1_SEQUENCE) : -1;
        CLEANUP(free_p) uint8_t *der = len > 0 ? malloc((size_t)len) : NULL;
        uint8_t *p = der;

        if (!oid || !der)
                return ossl_error(e, ERR_FAILED, "The template could not be put into the request");
        ASN1_put_object(&p, 1, inner, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
        (void)i2d_ASN1_OBJECT(template, &p);
        return add_extension_by_oid(list, oid, false, (struct view){der, (size_t)len}, e);
}

static enum err add_template_name(X509_EXTENSIONS *list, const char *name, struct error *e)
{
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *oid = OBJ_txt2obj(OID_ENROLL_CERTTYPE, 1);
        CLEANUP(asn1_string_free_p) ASN1_STRING *text = NULL;
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len;

        /* BMPString whatever the letters: Windows' CA reads no other type here */
        if (ASN1_mbstring_ncopy(&text, (const uint8_t *)name, -1, MBSTRING_UTF8, B_ASN1_BMPSTRING, 1,
                                REQUEST_TEMPLATE_MAX) != V_ASN1_BMPSTRING) {
                ERR_clear_error();
                return error_set(e, ERR_INVALID, "'%.100s' is no name of a template", name);
        }
        len = i2d_ASN1_BMPSTRING(text, &der);
        if (!oid || len < 0)
                return ossl_error(e, ERR_FAILED, "The template could not be put into the request");
        return add_extension_by_oid(list, oid, false, (struct view){der, (size_t)len}, e);
}

static enum err add_template(X509_EXTENSIONS *list, const char *name, struct error *e)
{
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *oid = NULL;

        if (!name)
                return ERR_OK;
        if (strchr(name, '.') && strspn(name, "0123456789.") == strlen(name))
                oid = OBJ_txt2obj(name, /* no_name= */ 1);
        ERR_clear_error();
        return oid ? add_template_oid(list, oid, e) : add_template_name(list, name, e);
}

static enum err add_extensions(X509_REQ *req, const struct request_spec *spec, bool empty_subject,
                               struct error *e)
{
        CLEANUP(extensions_free_p) X509_EXTENSIONS *list = sk_X509_EXTENSION_new_null();
        enum err r;

        if (!list)
                return error_no_memory(e);
        r = add_key_usage(list, spec->key_usage, e);
        if (!r)
                r = add_eku(list, spec->eku, spec->n_eku, e);
        if (!r)
                r = add_san(list, spec->san, empty_subject, e);
        if (!r)
                r = add_template(list, spec->template_name, e);
        if (!r && sk_X509_EXTENSION_num(list) > 0 && !X509_REQ_add_extensions(req, list))
                r = ossl_error(e, ERR_FAILED, "The extensions could not be put into the request");
        return r;
}

/* X.680 §41.4, Table 10. */
static bool is_printable_string(struct view v)
{
        for (size_t i = 0; i < v.len; i++) {
                uint8_t c = v.data[i];

                if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
                    (c == 0 || !strchr(" '()+,-./:=?", c)))
                        return false;
        }
        return true;
}

/* PrintableString wherever possible: NDES takes nothing else for the challenge. */
static enum err add_challenge(X509_REQ *req, struct view challenge, struct error *e)
{
        int type = is_printable_string(challenge) ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING;

        if (challenge.len == 0)
                return ERR_OK;
        if (challenge.len > REQUEST_CHALLENGE_MAX)
                return error_set(e, ERR_TOO_LARGE, "The challenge is longer than %d octets",
                                 REQUEST_CHALLENGE_MAX);
        if (!utf8_valid(challenge))
                return error_set(e, ERR_INVALID, "The challenge is not UTF-8 text");
        if (!X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, type, challenge.data,
                                       (int)challenge.len))
                return ossl_error(e, ERR_FAILED, "The challenge could not be put into the request");
        return ERR_OK;
}

/* OpenSSL keeps its copy of the challenge in ordinary memory: wipe it before that is freed. */
static void wipe_challenge(X509_REQ *req)
{
        int at = X509_REQ_get_attr_by_NID(req, NID_pkcs9_challengePassword, -1);
        ASN1_TYPE *value = at >= 0 ? X509_ATTRIBUTE_get0_type(X509_REQ_get_attr(req, at), 0) : NULL;

        if (value && value->type != V_ASN1_SEQUENCE)
                wipe(value->value.asn1_string->data, (size_t)value->value.asn1_string->length);
}

static void request_free_p(X509_REQ **req)
{
        if (*req) {
                wipe_challenge(*req);
                X509_REQ_free(*req);
        }
}

/* SEQUENCE { name BMPString, value BMPString }; both are short ASCII, so the lengths fit one octet. */
static enum err pair_der(const char *name, const char *value, ASN1_TYPE **ret, struct error *e)
{
        const char *const parts[2] = {name, value};
        uint8_t der[128];
        size_t len = 2;
        const uint8_t *p = der;

        for (int i = 0; i < 2; i++) {
                size_t n = strlen(parts[i]);

                if (n > 30 || len + 2 + 2 * n > sizeof der)
                        return error_set(e, ERR_INVALID, "The validity '%s' is too long", parts[i]);
                der[len++] = V_ASN1_BMPSTRING;
                der[len++] = (uint8_t)(2 * n);
                for (size_t k = 0; k < n; k++) {
                        der[len++] = 0;
                        der[len++] = (uint8_t)parts[i][k];
                }
        }
        der[0] = V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED;
        der[1] = (uint8_t)(len - 2);
        *ret = d2i_ASN1_TYPE(NULL, &p, (long)len);
        return *ret ? ERR_OK : ossl_error(e, ERR_FAILED, "The validity could not be encoded");
}

static enum err add_validity(X509_REQ *req, const struct request_spec *spec, struct error *e)
{
        static const char *const units[] = {"Hours", "Days", "Weeks", "Months", "Years"};
        CLEANUP(x509_attribute_free_p) X509_ATTRIBUTE *attribute = NULL;
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *oid = OBJ_txt2obj(OID_NAME_VALUE_PAIR, 1);
        const char *pairs[2][2] = {{"ValidityPeriod", spec->validity_unit}, {"ValidityPeriodUnits", NULL}};
        bool known = false;
        char number[16];

        if (!spec->validity_unit)
                return ERR_OK;
        for (size_t i = 0; i < N_ELEMENTS(units); i++)
                known |= strcmp(units[i], spec->validity_unit) == 0;
        if (!known || spec->validity_number == 0)
                return error_set(e, ERR_INVALID, "'%u %s' is no validity", spec->validity_number,
                                 spec->validity_unit);
        (void)snprintf(number, sizeof number, "%u", spec->validity_number);
        pairs[1][1] = number;
        attribute = X509_ATTRIBUTE_new();
        if (!oid || !attribute || !X509_ATTRIBUTE_set1_object(attribute, oid))
                return ossl_error(e, ERR_FAILED, "The validity could not be put into the request");
        for (int i = 0; i < 2; i++) {
                CLEANUP(asn1_type_free_p) ASN1_TYPE *value = NULL;
                enum err r = pair_der(pairs[i][0], pairs[i][1], &value, e);

                if (r)
                        return r;
                if (!X509_ATTRIBUTE_set1_data(attribute, V_ASN1_SEQUENCE, value->value.sequence->data,
                                              value->value.sequence->length))
                        return ossl_error(e, ERR_FAILED, "The validity could not be put into the request");
        }
        if (!X509_REQ_add1_attr(req, attribute))
                return ossl_error(e, ERR_FAILED, "The validity could not be put into the request");
        return ERR_OK;
}

static enum err set_subject(X509_REQ *req, const struct request_spec *spec, bool *ret_empty, struct error *e)
{
        const uint8_t *p = spec->subject.data;
        CLEANUP(x509_name_free_p) X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)spec->subject.len);

        if (!name || p != spec->subject.data + spec->subject.len) {
                ERR_clear_error();
                return error_set(e, ERR_INVALID, "The subject is not a DER name");
        }
        *ret_empty = X509_NAME_entry_count(name) == 0;
        if (*ret_empty && spec->san.len == 0)
                return error_set(e, ERR_INVALID, "The request has neither a subject nor alternative names");
        if (!X509_REQ_set_version(req, X509_REQ_VERSION_1) || !X509_REQ_set_subject_name(req, name))
                return ossl_error(e, ERR_FAILED, "The subject could not be put into the request");
        return ERR_OK;
}

enum err request_build(const struct request_spec *spec, struct secret *ret, struct error *e)
{
        CLEANUP(request_free_p) X509_REQ *req = X509_REQ_new();
        CLEANUP(evp_md_free_p) EVP_MD *md = EVP_MD_fetch(NULL, spec->digest, NULL);
        CLEANUP(secret_done) struct secret der = {0};
        bool empty_subject = false;
        uint8_t *p;
        int len;
        enum err r;

        if (!req)
                return error_no_memory(e);
        if (!md)
                return ossl_error(e, ERR_UNSUPPORTED, "The digest '%s' is not available", spec->digest);
        r = set_subject(req, spec, &empty_subject, e);
        if (!r && !X509_REQ_set_pubkey(req, spec->key))
                r = ossl_error(e, ERR_FAILED, "The public key could not be put into the request");
        if (!r)
                r = add_extensions(req, spec, empty_subject, e);
        if (!r)
                r = add_validity(req, spec, e);
        if (!r)
                r = add_challenge(req, spec->challenge, e);
        if (!r && X509_REQ_sign(req, spec->key, md) <= 0)
                r = ossl_error(e, ERR_FAILED, "The request could not be signed with the new key");
        if (r)
                return r;
        len = i2d_X509_REQ(req, NULL);
        if (len < 0 || len > REQUEST_MAX)
                return error_set(e, ERR_TOO_LARGE, "The request is larger than %d octets", REQUEST_MAX);
        r = secret_new(&der, (size_t)len, e);
        if (r)
                return r;
        p = der.data;
        if (i2d_X509_REQ(req, &p) != len)
                return ossl_error(e, ERR_FAILED, "The request could not be encoded");
        *ret = der;
        der = (struct secret){0};
        return ERR_OK;
}
