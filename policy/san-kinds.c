#include "policy/san-kinds.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "policy/name.h"

OSSL_CLEANUP(ASN1_STRING, asn1_string_free, ASN1_STRING_free)

enum { DNS_MAX = 253, DNS_LABEL_MAX = 63, EMAIL_MAX = 255, TEXT_MAX = 1024, URI_MAX = 2048 };

/* Printable ASCII without blanks: what an IA5String in a general name may hold. */
static bool graphic(const char *v)
{
        for (; *v; v++)
                if ((unsigned char)*v <= ' ' || (unsigned char)*v >= 0x7f)
                        return false;
        return true;
}

static bool label_ok(const char *label, size_t n, bool first)
{
        if (n == 0 || n > DNS_LABEL_MAX || label[0] == '-' || label[n - 1] == '-')
                return false;
        if (first && n == 1 && label[0] == '*')
                return true;
        for (size_t i = 0; i < n; i++) {
                bool alnum = (label[i] >= 'a' && label[i] <= 'z') || (label[i] >= 'A' && label[i] <= 'Z') ||
                             (label[i] >= '0' && label[i] <= '9');

                if (!alnum && label[i] != '-' && label[i] != '_')
                        return false;
        }
        return true;
}

static const char *bad_dns(const char *v)
{
        const char *p = v;

        if (strlen(v) > DNS_MAX)
                return "is longer than 253 characters";
        for (;;) {
                size_t n = strcspn(p, ".");

                if (!label_ok(p, n, p == v))
                        return "is no DNS name (write international names in their xn-- form)";
                if (!p[n])
                        return NULL;
                p += n + 1;
        }
}

/* Something, one '@', something. */
static bool one_at(const char *v)
{
        const char *at = strchr(v, '@');

        return at && at != v && at[1] && !strchr(at + 1, '@');
}

static const char *bad_email(const char *v)
{
        return strlen(v) > EMAIL_MAX || !graphic(v) || !one_at(v) ? "is no e-mail address in ASCII" : NULL;
}

static const char *bad_upn(const char *v)
{
        return strlen(v) > TEXT_MAX || !one_at(v) || strchr(v, ' ')
                       ? "is no user principal name (user@domain)"
                       : NULL;
}

static const char *bad_uri(const char *v)
{
        size_t scheme = strcspn(v, ":");
        bool letter = (v[0] >= 'a' && v[0] <= 'z') || (v[0] >= 'A' && v[0] <= 'Z');

        if (strlen(v) > URI_MAX || !graphic(v) || !letter || v[scheme] != ':' || !v[scheme + 1] ||
            strcspn(v, "/?#@") < scheme)
                return "is no URI in ASCII with a scheme";
        return NULL;
}

static enum err refuse(const char *value, const char *wrong, struct error *e)
{
        return error_set(e, ERR_PROFILE, "'%.200s' %s", value, wrong);
}

static enum err string_of(int type, const void *data, size_t len, ASN1_STRING **ret, struct error *e)
{
        CLEANUP(asn1_string_free_p) ASN1_STRING *s = ASN1_STRING_type_new(type);

        if (!s || ASN1_STRING_set(s, data, (int)len) != 1)
                return error_no_memory(e);
        *ret = STEAL(s);
        return ERR_OK;
}

static enum err set_string(GENERAL_NAME *name, int kind, int type, const void *data, size_t len,
                           struct error *e)
{
        ASN1_STRING *s = NULL;
        enum err r = string_of(type, data, len, &s, e);

        if (r == ERR_OK)
                GENERAL_NAME_set0_value(name, kind, s);
        return r;
}

/* otherName { @oid, [0] EXPLICIT string } */
static enum err set_other(GENERAL_NAME *name, const char *oid, int type, const void *data, size_t len,
                          struct error *e)
{
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *object = OBJ_txt2obj(oid, /* no_name= */ 1);
        CLEANUP(asn1_string_free_p) ASN1_STRING *s = NULL;
        ASN1_TYPE *value;
        enum err r;

        if (!object)
                return ossl_error(e, ERR_PROFILE, "%.128s is no object identifier", oid);
        r = string_of(type, data, len, &s, e);
        if (r)
                return r;
        value = ASN1_TYPE_new();
        if (!value)
                return error_no_memory(e);
        ASN1_TYPE_set(value, type, STEAL(s));
        if (GENERAL_NAME_set0_othername(name, object, value) != 1) {
                ASN1_TYPE_free(value);
                return error_no_memory(e);
        }
        object = NULL;
        return ERR_OK;
}

/* RFC 5280 §4.2.1.6: 4 octets or 16, in network order; a mask is for constraints. */
static enum err set_ip(GENERAL_NAME *name, const char *value, struct error *e)
{
        uint8_t octets[16];

        if (inet_pton(AF_INET, value, octets) == 1)
                return set_string(name, GEN_IPADD, V_ASN1_OCTET_STRING, octets, 4, e);
        if (inet_pton(AF_INET6, value, octets) == 1)
                return set_string(name, GEN_IPADD, V_ASN1_OCTET_STRING, octets, 16, e);
        return refuse(value, "is no IPv4 or IPv6 address", e);
}

static enum err set_registered_id(GENERAL_NAME *name, const char *value, struct error *e)
{
        ASN1_OBJECT *object = oid_valid(value) ? OBJ_txt2obj(value, /* no_name= */ 1) : NULL;

        if (!object)
                return refuse(value, "is no object identifier like 1.2.3.4", e);
        GENERAL_NAME_set0_value(name, GEN_RID, object);
        return ERR_OK;
}

/* Windows keeps a GUID's first three fields with their least octet first. */
static enum err set_guid(GENERAL_NAME *name, const char *value, struct error *e)
{
        static const uint8_t order[SAN_GUID_LEN] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
        static const char wrong[] = "is no GUID like 8c1b1d3e-5a70-4d6f-9e2b-0123456789ab";
        uint8_t written[SAN_GUID_LEN], octets[SAN_GUID_LEN];
        char digits[2 * SAN_GUID_LEN + 1];
        const char *p = *value == '{' ? value + 1 : value;
        size_t len = 0;

        if (strlen(p) != (*value == '{' ? 37 : 36) || (*value == '{' && p[36] != '}'))
                return refuse(value, wrong, e);
        for (size_t i = 0; i < 36; i++) {
                bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

                if (hyphen != (p[i] == '-'))
                        return refuse(value, wrong, e);
                if (!hyphen)
                        digits[len++] = p[i];
        }
        digits[len] = 0;
        if (strspn(digits, "0123456789abcdefABCDEF") != len ||
            !hex_decode(digits, written, sizeof written, &len))
                return refuse(value, wrong, e);
        for (size_t i = 0; i < sizeof octets; i++)
                octets[i] = written[order[i]];
        return set_other(name, SAN_OID_GUID, V_ASN1_OCTET_STRING, octets, sizeof octets, e);
}

static enum err set_text(GENERAL_NAME *name, const char *oid, const char *value, const char *wrong,
                         struct error *e)
{
        if (wrong)
                return refuse(value, wrong, e);
        return set_other(name, oid, V_ASN1_UTF8STRING, value, strlen(value), e);
}

static enum err set_ia5(GENERAL_NAME *name, int kind, const char *value, const char *wrong, struct error *e)
{
        if (wrong)
                return refuse(value, wrong, e);
        return set_string(name, kind, V_ASN1_IA5STRING, value, strlen(value), e);
}

static enum err set_value(GENERAL_NAME *name, enum san_kind kind, const char *oid, const char *value,
                          struct error *e)
{
        switch (kind) {
        case SAN_DNS:
                return set_ia5(name, GEN_DNS, value, bad_dns(value), e);
        case SAN_EMAIL:
                return set_ia5(name, GEN_EMAIL, value, bad_email(value), e);
        case SAN_URI:
                return set_ia5(name, GEN_URI, value, bad_uri(value), e);
        case SAN_UPN:
                return set_text(name, SAN_OID_UPN, value, bad_upn(value), e);
        case SAN_OTHER:
                return set_text(name, oid, value,
                                strlen(value) > TEXT_MAX ? "is longer than 1024 octets" : NULL, e);
        case SAN_IP:
                return set_ip(name, value, e);
        case SAN_RID:
                return set_registered_id(name, value, e);
        case SAN_GUID:
                return set_guid(name, value, e);
        case SAN_DIRNAME:
        case _SAN_KIND_MAX:
                break;
        }
        return error_set(e, ERR_FAILED, "This kind of alternative name is not made of a value");
}

enum err san_general_name(enum san_kind kind, const char *oid, const char *value, GENERAL_NAME **ret,
                          struct error *e)
{
        CLEANUP(general_name_free_p) GENERAL_NAME *name = GENERAL_NAME_new();
        enum err r;

        if (!name)
                return error_no_memory(e);
        if (!*value)
                return error_set(e, ERR_PROFILE, "The value is empty");
        r = set_value(name, kind, oid, value, e);
        if (r)
                return r;
        *ret = STEAL(name);
        return ERR_OK;
}

enum err san_directory_name(struct view name, GENERAL_NAME **ret, struct error *e)
{
        const unsigned char *p = name.data;
        X509_NAME *directory = d2i_X509_NAME(NULL, &p, (long)name.len);
        GENERAL_NAME *made = GENERAL_NAME_new();

        if (!directory || !made) {
                X509_NAME_free(directory);
                GENERAL_NAME_free(made);
                return ossl_error(e, ERR_FAILED, "The directory name could not be encoded");
        }
        GENERAL_NAME_set0_value(made, GEN_DIRNAME, directory);
        *ret = made;
        return ERR_OK;
}
