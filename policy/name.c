#include "policy/name.h"

#include <string.h>
#include <strings.h>

#include "base/ossl.h"
#include "base/parse.h"

/* As Windows chooses: PrintableString where it fits, else UTF8String (never T61String); IA5String or nothing;
 * IA5String where it fits, else UTF8String; PrintableString of two letters. */
enum string_kind { STRING_DIRECTORY, STRING_IA5, STRING_DOMAIN, STRING_COUNTRY };

/* Keys of CertStrToName; bounds of RFC 5280 appendix A in characters (0: 1024, ours). The first key of an OID
 * is how it is spoken of. */
static const struct attribute {
        const char *key, *oid;
        enum string_kind kind;
        size_t max;
} attributes[] = {
        {"CN", "2.5.4.3", STRING_DIRECTORY, 64},
        {"L", "2.5.4.7", STRING_DIRECTORY, 128},
        {"O", "2.5.4.10", STRING_DIRECTORY, 64},
        {"OU", "2.5.4.11", STRING_DIRECTORY, 64},
        {"E", "1.2.840.113549.1.9.1", STRING_IA5, 255},
        {"Email", "1.2.840.113549.1.9.1", STRING_IA5, 255},
        {"C", "2.5.4.6", STRING_COUNTRY, 2},
        {"S", "2.5.4.8", STRING_DIRECTORY, 128},
        {"ST", "2.5.4.8", STRING_DIRECTORY, 128},
        {"SP", "2.5.4.8", STRING_DIRECTORY, 128},
        {"STREET", "2.5.4.9", STRING_DIRECTORY, 128},
        {"T", "2.5.4.12", STRING_DIRECTORY, 64},
        {"Title", "2.5.4.12", STRING_DIRECTORY, 64},
        {"G", "2.5.4.42", STRING_DIRECTORY, 0},
        {"GivenName", "2.5.4.42", STRING_DIRECTORY, 0},
        {"I", "2.5.4.43", STRING_DIRECTORY, 0},
        {"Initials", "2.5.4.43", STRING_DIRECTORY, 0},
        {"SN", "2.5.4.4", STRING_DIRECTORY, 0},
        {"DC", "0.9.2342.19200300.100.1.25", STRING_DOMAIN, 0},
        /* no short key in CertStrToName, but a bound or a type of their own */
        {NULL, "2.5.4.5", STRING_DIRECTORY, 64},
        {NULL, "2.5.4.65", STRING_DIRECTORY, 128},
};

static const struct attribute *attribute_by_oid(const char *oid)
{
        for (size_t i = 0; i < N_ELEMENTS(attributes); i++)
                if (strcmp(attributes[i].oid, oid) == 0)
                        return &attributes[i];
        return NULL;
}

bool oid_valid(const char *text)
{
        unsigned arcs = 0;
        uint64_t first = 0, arc;
        const char *p = text;

        if (strlen(text) > OID_TEXT_MAX)
                return false;
        for (;;) {
                size_t n = strspn(p, "0123456789");
                char digits[11];

                if (n == 0 || n >= sizeof digits || (p[0] == '0' && n > 1))
                        return false;
                memcpy(digits, p, n);
                digits[n] = 0;
                if (!parse_u64(digits, UINT32_MAX, &arc))
                        return false;
                if (arcs == 0 && arc > 2)
                        return false;
                if (arcs == 1 && first < 2 && arc > 39)
                        return false;
                if (arcs++ == 0)
                        first = arc;
                p += n;
                if (*p != '.')
                        break;
                p++;
        }
        return *p == 0 && arcs >= 2 && arcs <= 32;
}

static void ava_done(struct ava *a)
{
        free(a->oid);
        free(a->key);
        free(a->value);
        bytes_done(&a->octets);
        *a = (struct ava){0};
}

void name_done(struct name *n)
{
        for (size_t i = 0; i < n->count; i++)
                ava_done(&n->avas[i]);
        free(n->avas);
        *n = (struct name){0};
}

struct cursor {
        const char *text, *p;
};

static enum err refuse_at(const struct cursor *c, const char *where, const char *problem, struct error *e)
{
        return error_set(e, ERR_PROFILE, "The name '%.200s' is wrong at character %zu: %s", c->text,
                         utf8_count(c->text, where) + 1, problem);
}

static bool blank(char c)
{
        return c == ' ' || c == '\t';
}

static void skip_blanks(struct cursor *c)
{
        while (blank(*c->p))
                c->p++;
}

/* The habit of RFC 4514: it separates all the same, and what stands behind makes no sense (facts: a request
 * whose subject was escaped does not match its challenge). */
static const char *instead_of_key(const struct cursor *c, const char *start)
{
        while (start > c->text && blank(start[-1]))
                start--;
        if (start - c->text >= 2 && strchr(",;+", start[-1]) && start[-2] == '\\')
                return "the backslash before it escapes nothing; put the value in double quotes";
        return "here must stand a key and '='";
}

/* The OID of a key of the table or of a dotted one; NULL: neither. Borrowed. */
static const char *oid_of_key(const char *key)
{
        const char *oid = NULL;

        for (size_t i = 0; !oid && i < N_ELEMENTS(attributes); i++)
                if (attributes[i].key && strcasecmp(attributes[i].key, key) == 0)
                        oid = attributes[i].oid;
        if (!oid)
                oid = strncasecmp(key, "OID.", 4) == 0 ? key + 4 : key;
        return attribute_by_oid(oid) || oid_valid(oid) ? oid : NULL;
}

static enum err parse_key(struct cursor *c, struct ava *a, struct error *e)
{
        const char *start = c->p, *end, *oid;

        c->p += strcspn(c->p, "=,;+\"#");
        if (*c->p != '=')
                return refuse_at(c, start, instead_of_key(c, start), e);
        for (end = c->p; end > start && blank(end[-1]); end--)
                ;
        c->p++;
        a->key = strndup(start, (size_t)(end - start));
        if (!a->key)
                return error_no_memory(e);
        oid = oid_of_key(a->key);
        if (!oid)
                return refuse_at(
                        c, start,
                        end == start ? "the key is missing" : "this key is not known; use a dotted OID", e);
        a->oid = strdup(oid);
        return a->oid ? ERR_OK : error_no_memory(e);
}

static enum err parse_hex(struct cursor *c, struct ava *a, struct error *e)
{
        const char *start = c->p++;
        size_t n = strcspn(c->p, ",;+");
        CLEANUP(free_p) char *digits = strndup(c->p, n);
        CLEANUP(free_p) uint8_t *octets = malloc(n / 2 + 1);
        size_t len = 0;

        if (!digits || !octets)
                return error_no_memory(e);
        if (strchr(digits, ':') || !hex_decode(digits, octets, n / 2 + 1, &len) || len == 0)
                return refuse_at(c, start,
                                 "after '#' must stand hexadecimal octets; quote the value if it is text", e);
        c->p += n;
        a->hex = true;
        a->value = strdup("");
        return a->value ? bytes_copy(&a->octets, octets, len, e) : error_no_memory(e);
}

static enum err parse_quoted(struct cursor *c, struct ava *a, struct error *e)
{
        const char *start = c->p++;
        struct text t = TEXT(NAME_TEXT_MAX);

        for (;;) {
                size_t n = strcspn(c->p, "\"");

                text_add_n(&t, c->p, n);
                c->p += n;
                if (!*c->p) {
                        text_done(&t);
                        return refuse_at(c, start, "this quote is never closed", e);
                }
                c->p++;
                if (*c->p != '"')
                        break;
                text_add_n(&t, "\"", 1);
                c->p++;
        }
        skip_blanks(c);
        if (*c->p && !strchr(",;+", *c->p)) {
                text_done(&t);
                return refuse_at(c, c->p, "behind the closing quote must stand a separator", e);
        }
        return text_finish(&t, &a->value, e);
}

static enum err parse_plain(struct cursor *c, struct ava *a, struct error *e)
{
        const char *start = c->p, *end;

        c->p += strcspn(c->p, ",;+=\"");
        if (*c->p == '=')
                return refuse_at(c, c->p, "a value with '=' must stand in quotes", e);
        if (*c->p == '"')
                return refuse_at(c, c->p, "a quote must begin the value and be doubled inside it", e);
        for (end = c->p; end > start && blank(end[-1]); end--)
                ;
        a->value = strndup(start, (size_t)(end - start));
        return a->value ? ERR_OK : error_no_memory(e);
}

/* {{…}} alone between separators. */
static bool stands_whole(const char *p, size_t *ret_len)
{
        const char *end = strncmp(p, "{{", 2) == 0 ? strstr(p, "}}") : NULL;

        if (!end)
                return false;
        *ret_len = (size_t)(end - p) + 2;
        for (end += 2; blank(*end); end++)
                ;
        return !*end || *end == ',' || *end == ';';
}

static enum err parse_whole(struct cursor *c, struct ava *a, size_t len, struct error *e)
{
        if (a->joined)
                return refuse_at(c, c->p, "a whole name cannot be part of an RDN", e);
        a->whole = true;
        a->key = strdup("");
        a->oid = strdup("");
        a->value = strndup(c->p, len);
        c->p += len;
        skip_blanks(c);
        return a->key && a->oid && a->value ? ERR_OK : error_no_memory(e);
}

static enum err parse_ava(struct cursor *c, struct ava *a, struct error *e)
{
        const char *value;
        size_t len;
        enum err r;

        if (stands_whole(c->p, &len))
                return parse_whole(c, a, len, e);
        r = parse_key(c, a, e);
        if (r)
                return r;
        skip_blanks(c);
        value = c->p;
        if (*c->p == '#')
                r = parse_hex(c, a, e);
        else if (*c->p == '"')
                r = parse_quoted(c, a, e);
        else
                r = parse_plain(c, a, e);
        if (r)
                return r;
        if (!a->hex && !*a->value)
                return refuse_at(c, value, "the value is empty", e);
        return ERR_OK;
}

static enum err append(struct name *n, struct ava *a, struct error *e)
{
        struct ava *avas;

        if (n->count >= NAME_AVAS_MAX)
                return error_set(e, ERR_TOO_LARGE, "A name has more than %d parts", NAME_AVAS_MAX);
        avas = realloc(n->avas, (n->count + 1) * sizeof *avas);
        if (!avas)
                return error_no_memory(e);
        n->avas = avas;
        n->avas[n->count++] = *a;
        *a = (struct ava){0};
        return ERR_OK;
}

enum err name_append(struct name *n, const char *key, const char *value, bool joined, struct error *e)
{
        const char *oid = oid_of_key(key);
        CLEANUP(ava_done)
        struct ava a = {
                .key = strdup(key), .value = strdup(value), .oid = strdup(oid ? oid : ""), .joined = joined};

        if (!oid)
                return error_set(e, ERR_PROFILE, "The key '%.60s' of a name is not known", key);
        return a.key && a.value && a.oid ? append(n, &a, e) : error_no_memory(e);
}

enum err name_splice(struct name *n, size_t at, struct name *with, struct error *e)
{
        CLEANUP(name_done) struct name out = {0};
        enum err r = ERR_OK;

        for (size_t i = 0; !r && i < at; i++)
                r = append(&out, &n->avas[i], e);
        for (size_t i = 0; !r && i < with->count; i++)
                r = append(&out, &with->avas[i], e);
        for (size_t i = at + 1; !r && i < n->count; i++)
                r = append(&out, &n->avas[i], e);
        if (r)
                return r;
        name_done(n);
        name_done(with);
        *n = out;
        out = (struct name){0};
        return ERR_OK;
}

static enum err check_text(const struct cursor *c, struct error *e)
{
        if (strlen(c->text) > NAME_TEXT_MAX)
                return error_set(e, ERR_TOO_LARGE, "A name is longer than %d octets", NAME_TEXT_MAX);
        if (!utf8_valid(str_view(c->text)))
                return error_set(e, ERR_PROFILE, "A name is not valid UTF-8");
        for (const char *p = c->text; *p; p++)
                if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
                        return refuse_at(c, p, "control characters have no place in a name", e);
        return ERR_OK;
}

enum err name_parse(const char *text, struct name *ret, struct error *e)
{
        CLEANUP(name_done) struct name n = {0};
        struct cursor c = {text, text};
        bool joined = false;
        enum err r = check_text(&c, e);

        if (r)
                return r;
        for (;;) {
                CLEANUP(ava_done) struct ava a = {.joined = joined};

                /* leading, trailing and doubled separators are tolerated, as Windows does; a '+' needs both
                 * sides */
                while (blank(*c.p) || (!joined && (*c.p == ',' || *c.p == ';')))
                        c.p++;
                if (!*c.p)
                        break;
                r = parse_ava(&c, &a, e);
                if (r == ERR_OK)
                        r = append(&n, &a, e);
                if (r)
                        return r;
                joined = *c.p == '+';
                if (*c.p)
                        c.p++;
        }
        if (joined)
                return refuse_at(&c, c.p, "behind '+' must stand a key and '='", e);
        if (n.count == 0)
                return refuse_at(&c, text, "it is empty", e);
        *ret = n;
        n = (struct name){0};
        return ERR_OK;
}

static bool ia5(const char *s)
{
        for (; *s; s++)
                if ((unsigned char)*s >= 0x80)
                        return false;
        return true;
}

static bool letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* X.680 §41.4 */
static bool printable(const char *s)
{
        for (; *s; s++) {
                bool digit = *s >= '0' && *s <= '9';

                if (!letter(*s) && !digit && !strchr(" '()+,-./:=?", *s))
                        return false;
        }
        return true;
}

/* The ASN.1 type of a value, or why it has none. */
static enum err ava_type(const struct ava *a, int *ret, struct error *e)
{
        const struct attribute *attribute = attribute_by_oid(a->oid);
        enum string_kind kind = attribute ? attribute->kind : STRING_DIRECTORY;
        size_t max = attribute && attribute->max ? attribute->max : 1024;
        size_t length = utf8_count(a->value, a->value + strlen(a->value));

        if (a->whole)
                return error_set(e, ERR_FAILED, "%s has no value yet", a->value);
        /* CertStrToName makes an OCTET STRING, which OpenSSL neither writes into a name nor reads from one */
        if (a->hex)
                return error_set(e, ERR_UNSUPPORTED,
                                 "%s=#… is a value of octets, which names cannot carry here; write text",
                                 a->key);
        if (!*a->value)
                return error_set(e, ERR_PROFILE, "%s is empty", a->key);
        if (length > max)
                return error_set(e, ERR_PROFILE, "%s='%.100s' has %zu characters; at most %zu fit (RFC 5280)",
                                 a->key, a->value, length, max);
        switch (kind) {
        case STRING_IA5:
                if (!ia5(a->value))
                        return error_set(e, ERR_PROFILE,
                                         "%s='%.100s' may hold ASCII characters only (IA5String)", a->key,
                                         a->value);
                *ret = V_ASN1_IA5STRING;
                return ERR_OK;
        case STRING_DOMAIN:
                *ret = ia5(a->value) ? V_ASN1_IA5STRING : V_ASN1_UTF8STRING;
                return ERR_OK;
        case STRING_COUNTRY:
                if (strlen(a->value) != 2 || !letter(a->value[0]) || !letter(a->value[1]))
                        return error_set(e, ERR_PROFILE, "%s='%.100s' must be a country code of two letters",
                                         a->key, a->value);
                *ret = V_ASN1_PRINTABLESTRING;
                return ERR_OK;
        case STRING_DIRECTORY:
                *ret = printable(a->value) ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING;
                return ERR_OK;
        }
        return error_set(e, ERR_FAILED, "%s has no string type", a->key);
}

enum err ava_check(const struct ava *a, struct error *e)
{
        int type = 0;

        return ava_type(a, &type, e);
}

static enum err add_entry(X509_NAME *name, const struct ava *a, struct error *e)
{
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *object = NULL;
        struct view v = str_view(a->value);
        int type = 0;
        enum err r = ava_type(a, &type, e);

        if (r)
                return r;
        object = OBJ_txt2obj(a->oid, /* no_name= */ 1);
        if (!object)
                return ossl_error(e, ERR_PROFILE, "%s is no object identifier", a->oid);
        if (X509_NAME_add_entry_by_OBJ(name, object, type, v.data, (int)v.len, -1, a->joined ? -1 : 0) != 1)
                return ossl_error(e, ERR_FAILED, "%s could not be put into the name", a->key);
        return ERR_OK;
}

enum err name_der(const struct name *n, struct bytes *ret, struct error *e)
{
        CLEANUP(x509_name_free_p) X509_NAME *name = X509_NAME_new();
        CLEANUP(ossl_free_p) unsigned char *der = NULL;
        int len;

        if (!name)
                return error_no_memory(e);
        for (size_t i = 0; i < n->count; i++) {
                enum err r = add_entry(name, &n->avas[i], e);

                if (r)
                        return r;
        }
        len = i2d_X509_NAME(name, &der);
        if (len <= 0)
                return ossl_error(e, ERR_FAILED, "The name could not be encoded");
        if (len > NAME_DER_MAX)
                return error_set(e, ERR_TOO_LARGE, "The name is larger than %d octets", NAME_DER_MAX);
        return bytes_copy(ret, der, (size_t)len, e);
}
