#include "policy/san.h"

#include <string.h>
#include <strings.h>

#include "base/ossl.h"

enum { DNS_MAX = 253, DNS_LABEL_MAX = 63, EMAIL_MAX = 255, UPN_MAX = 1024, URI_MAX = 2048 };

static const char *bad_dns(const char *v);
static const char *bad_email(const char *v);
static const char *bad_upn(const char *v);
static const char *bad_uri(const char *v);

static const struct kind {
        const char *name;
        unsigned number; /* AlternativeNameType */
        int type;        /* GEN_…; -1: a later version encodes it */
        const char *(*wrong)(const char *value);
} kinds[] = {
        {"dns", 3, GEN_DNS, bad_dns},
        {"email", 2, GEN_EMAIL, bad_email},
        {"upn", 11, GEN_OTHERNAME, bad_upn},
        {"uri", 7, GEN_URI, bad_uri},
        {"ip", 8, -1, NULL},
        {"dirname", 5, -1, NULL},
        {"rid", 9, -1, NULL},
        {"guid", 10, -1, NULL},
        {"other", 1, -1, NULL},
};

static const struct kind *kind_of(const char *entry)
{
        size_t n = strcspn(entry, ":");

        if (entry[n] != ':' || !entry[n + 1])
                return NULL;
        for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
                if (strlen(kinds[i].name) == n && strncasecmp(kinds[i].name, entry, n) == 0)
                        return &kinds[i];
        return NULL;
}

bool san_entry_known(const char *entry)
{
        return kind_of(entry) != NULL;
}

const char *san_kind_of_number(unsigned number)
{
        for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
                if (kinds[i].number == number)
                        return kinds[i].name;
        return NULL;
}

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
        return strlen(v) > UPN_MAX || !one_at(v) || strchr(v, ' ') ? "is no user principal name (user@domain)"
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

/* otherName { 1.3.6.1.4.1.311.20.2.3, [0] EXPLICIT UTF8String } */
static enum err set_upn(GENERAL_NAME *name, const char *value, struct error *e)
{
        CLEANUP(asn1_object_free_p)
        ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.311.20.2.3", /* no_name= */ 1);
        ASN1_TYPE *type = ASN1_TYPE_new();
        ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();

        if (!oid || !type || !text || ASN1_STRING_set(text, value, -1) != 1) {
                ASN1_UTF8STRING_free(text);
                ASN1_TYPE_free(type);
                return error_no_memory(e);
        }
        ASN1_TYPE_set(type, V_ASN1_UTF8STRING, text);
        if (GENERAL_NAME_set0_othername(name, oid, type) != 1) {
                ASN1_TYPE_free(type);
                return error_no_memory(e);
        }
        oid = NULL;
        return ERR_OK;
}

static enum err set_ia5(GENERAL_NAME *name, int type, const char *value, struct error *e)
{
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();

        if (!text || ASN1_STRING_set(text, value, -1) != 1) {
                ASN1_IA5STRING_free(text);
                return error_no_memory(e);
        }
        GENERAL_NAME_set0_value(name, type, text);
        return ERR_OK;
}

static enum err add_entry(GENERAL_NAMES *names, const char *entry, const struct facts *facts, struct error *e)
{
        CLEANUP(general_name_free_p) GENERAL_NAME *name = NULL;
        CLEANUP(free_p) char *value = NULL;
        const struct kind *kind = kind_of(entry);
        const char *wrong;
        enum err r;

        if (!kind)
                return error_set(e, ERR_PROFILE, "the kind of the alternative name is not known");
        if (kind->type < 0)
                return error_set(e, ERR_UNSUPPORTED,
                                 "alternative names of kind '%s' come with a later version", kind->name);
        r = variables_expand(entry + strlen(kind->name) + 1,
                             kind->type == GEN_URI ? VARIABLES_IN_URI : VARIABLES_IN_ALTERNATIVE_NAME, facts,
                             &value, e);
        if (r)
                return r;
        wrong = kind->wrong(value);
        if (wrong)
                return error_set(e, ERR_PROFILE, "'%.200s' %s", value, wrong);
        name = GENERAL_NAME_new();
        if (!name)
                return error_no_memory(e);
        r = kind->type == GEN_OTHERNAME ? set_upn(name, value, e) : set_ia5(name, kind->type, value, e);
        if (r)
                return r;
        if (sk_GENERAL_NAME_push(names, name) <= 0)
                return error_no_memory(e);
        name = NULL;
        return ERR_OK;
}

enum err san_der(const struct strings *entries, const struct facts *facts, struct bytes *ret, struct error *e)
{
        CLEANUP(general_names_free_p) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
        CLEANUP(ossl_free_p) unsigned char *der = NULL;
        int len;

        if (!names)
                return error_no_memory(e);
        for (size_t i = 0; i < entries->count; i++) {
                enum err r = add_entry(names, entries->items[i], facts, e);

                if (r)
                        return error_context(e, r, "Subject.AlternativeName='%.200s'", entries->items[i]);
        }
        if (entries->count == 0) {
                *ret = (struct bytes){0};
                return ERR_OK;
        }
        len = i2d_GENERAL_NAMES(names, &der);
        if (len <= 0)
                return ossl_error(e, ERR_FAILED, "The alternative names could not be encoded");
        if (len > SAN_DER_MAX)
                return error_set(e, ERR_TOO_LARGE, "The alternative names are larger than %d octets",
                                 SAN_DER_MAX);
        return bytes_copy(ret, der, (size_t)len, e);
}
