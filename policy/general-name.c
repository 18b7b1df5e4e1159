#include "policy/general-name.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "policy/name.h"
#include "policy/san-kinds.h"

enum { OCTETS_SHOWN = 32 };

void directory_name_text(const X509_NAME *name, char *ret, size_t size)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        int n;

        ret[0] = 0;
        if (!bio ||
            X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
                return;
        n = BIO_read(bio, ret, (int)size - 1);
        ret[n > 0 ? n : 0] = 0;
}

static struct view octets_of(const ASN1_STRING *s)
{
        return (struct view){ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
}

/* @prefix, then the octets; a NUL among them becomes '?'. */
static void print_text(const char *prefix, struct view v, char *ret, size_t size)
{
        size_t n = (size_t)snprintf(ret, size, "%s", prefix);

        for (size_t i = 0; i < v.len && n + 1 < size; i++)
                ret[n++] = v.data[i] ? (char)v.data[i] : '?';
        ret[n < size ? n : size - 1] = 0;
}

static void print_hex(const char *prefix, struct view v, char *ret, size_t size)
{
        char hex[2 * OCTETS_SHOWN + 1];
        bool cut = v.len > OCTETS_SHOWN;

        hex_encode((struct view){v.data, cut ? OCTETS_SHOWN : v.len}, hex);
        (void)snprintf(ret, size, "%s#%s%s", prefix, hex, cut ? "..." : "");
}

static void print_ip(struct view v, char *ret, size_t size)
{
        char text[INET6_ADDRSTRLEN] = "";

        if (v.len == 4)
                (void)inet_ntop(AF_INET, v.data, text, sizeof text);
        if (v.len == 16)
                (void)inet_ntop(AF_INET6, v.data, text, sizeof text);
        if (*text)
                (void)snprintf(ret, size, "ip:%s", text);
        else
                print_hex("ip:", v, ret, size);
}

static void print_guid(struct view v, char *ret, size_t size)
{
        const uint8_t *g = v.data;

        (void)snprintf(ret, size, "guid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                       g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13],
                       g[14], g[15]);
}

/* The value in UTF-8 where it is a character string: OPENSSL_free(); else NULL. */
static unsigned char *other_text(const ASN1_TYPE *value, size_t *ret_len)
{
        static const int types[] = {V_ASN1_UTF8STRING,   V_ASN1_PRINTABLESTRING, V_ASN1_IA5STRING,
                                    V_ASN1_BMPSTRING,    V_ASN1_T61STRING,       V_ASN1_UNIVERSALSTRING,
                                    V_ASN1_VISIBLESTRING};
        unsigned char *text = NULL;

        for (size_t i = 0; value && i < N_ELEMENTS(types); i++) {
                int len;

                if (value->type != types[i])
                        continue;
                len = ASN1_STRING_to_UTF8(&text, value->value.asn1_string);
                *ret_len = len > 0 ? (size_t)len : 0;
                return len < 0 ? NULL : text;
        }
        return NULL;
}

static bool is_guid(const char *oid, const ASN1_TYPE *value)
{
        return strcmp(oid, SAN_OID_GUID) == 0 && value && value->type == V_ASN1_OCTET_STRING &&
               ASN1_STRING_length(value->value.octet_string) == SAN_GUID_LEN;
}

static void print_other(const OTHERNAME *other, char *ret, size_t size)
{
        CLEANUP(ossl_free_p) unsigned char *text = NULL, *der = NULL;
        char oid[OID_TEXT_MAX + 1] = "", prefix[OID_TEXT_MAX + 16];
        size_t len = 0;
        int der_len;

        (void)OBJ_obj2txt(oid, sizeof oid, other->type_id, /* no_name= */ 1);
        (void)snprintf(prefix, sizeof prefix, "other:%s:", oid);
        if (is_guid(oid, other->value)) {
                print_guid(octets_of(other->value->value.octet_string), ret, size);
                return;
        }
        text = other_text(other->value, &len);
        if (text) {
                print_text(strcmp(oid, SAN_OID_UPN) == 0 ? "upn:" : prefix, (struct view){text, len}, ret,
                           size);
                return;
        }
        der_len = other->value ? i2d_ASN1_TYPE(other->value, &der) : 0;
        print_hex(prefix, (struct view){der, der_len > 0 ? (size_t)der_len : 0}, ret, size);
}

static void print_registered_id(const ASN1_OBJECT *object, char *ret, size_t size)
{
        char oid[OID_TEXT_MAX + 1] = "";

        (void)OBJ_obj2txt(oid, sizeof oid, object, /* no_name= */ 1);
        (void)snprintf(ret, size, "rid:%s", oid);
}

void general_name_text(const GENERAL_NAME *name, char *ret, size_t size)
{
        char directory[256];

        switch (name->type) {
        case GEN_DNS:
                print_text("dns:", octets_of(name->d.dNSName), ret, size);
                return;
        case GEN_EMAIL:
                print_text("email:", octets_of(name->d.rfc822Name), ret, size);
                return;
        case GEN_URI:
                print_text("uri:", octets_of(name->d.uniformResourceIdentifier), ret, size);
                return;
        case GEN_IPADD:
                print_ip(octets_of(name->d.iPAddress), ret, size);
                return;
        case GEN_RID:
                print_registered_id(name->d.registeredID, ret, size);
                return;
        case GEN_OTHERNAME:
                print_other(name->d.otherName, ret, size);
                return;
        case GEN_DIRNAME:
                directory_name_text(name->d.directoryName, directory, sizeof directory);
                (void)snprintf(ret, size, "dirname:%s", directory);
                return;
        default:
                (void)snprintf(ret, size, "of %s",
                               name->type == GEN_X400 ? "an X.400 address" : "an EDI party");
        }
}

/* Equal but for the case of letters from octet @from on. */
static bool same_letters(struct view a, struct view b, size_t from)
{
        return a.len == b.len && from <= a.len && memcmp(a.data, b.data, from) == 0 &&
               strncasecmp((const char *)a.data + from, (const char *)b.data + from, a.len - from) == 0;
}

static size_t find(struct view v, char c, size_t from)
{
        const uint8_t *at = from < v.len ? memchr(v.data + from, c, v.len - from) : NULL;

        return at ? (size_t)(at - v.data) : v.len;
}

/* RFC 5280 §7.5: the local part as it stands. */
static bool same_email(struct view a, struct view b)
{
        return same_letters(a, b, find(a, '@', 0));
}

/* RFC 5280 §7.4: scheme and host without regard to case, what follows them as it stands. */
static bool same_uri(struct view a, struct view b)
{
        size_t end = find(a, ':', 0);

        if (end + 2 < a.len && a.data[end + 1] == '/' && a.data[end + 2] == '/')
                end = find(a, '/', end + 3);
        return a.len == b.len && same_letters((struct view){a.data, end}, (struct view){b.data, end}, 0) &&
               memcmp(a.data + end, b.data + end, a.len - end) == 0;
}

static bool same_other(const OTHERNAME *a, const OTHERNAME *b)
{
        CLEANUP(ossl_free_p) unsigned char *x = NULL, *y = NULL;
        size_t x_len = 0, y_len = 0;
        char oid[OID_TEXT_MAX + 1] = "";
        struct view v, w;

        if (OBJ_cmp(a->type_id, b->type_id) != 0)
                return false;
        x = other_text(a->value, &x_len);
        y = other_text(b->value, &y_len);
        if (!x || !y)
                return a->value && b->value && ASN1_TYPE_cmp(a->value, b->value) == 0;
        v = (struct view){x, x_len};
        w = (struct view){y, y_len};
        (void)OBJ_obj2txt(oid, sizeof oid, a->type_id, /* no_name= */ 1);
        return strcmp(oid, SAN_OID_UPN) == 0 ? same_letters(v, w, 0) : view_equal(v, w);
}

bool general_name_same(const GENERAL_NAME *a, const GENERAL_NAME *b)
{
        if (a->type != b->type)
                return false;
        switch (a->type) {
        case GEN_DNS:
                return same_letters(octets_of(a->d.dNSName), octets_of(b->d.dNSName), 0);
        case GEN_EMAIL:
                return same_email(octets_of(a->d.rfc822Name), octets_of(b->d.rfc822Name));
        case GEN_URI:
                return same_uri(octets_of(a->d.uniformResourceIdentifier),
                                octets_of(b->d.uniformResourceIdentifier));
        case GEN_IPADD:
                return view_equal(octets_of(a->d.iPAddress), octets_of(b->d.iPAddress));
        case GEN_RID:
                return OBJ_cmp(a->d.registeredID, b->d.registeredID) == 0;
        case GEN_DIRNAME:
                return X509_NAME_cmp(a->d.directoryName, b->d.directoryName) == 0;
        case GEN_OTHERNAME:
                return same_other(a->d.otherName, b->d.otherName);
        default: /* X.400 and EDI: nobody asks for them */
                return false;
        }
}
