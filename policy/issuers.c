#include "policy/issuers.h"

#include <openssl/err.h>
#include <string.h>

#include "base/ossl.h"
#include "policy/name.h"

#define OID_CN "2.5.4.3"

/* One of several names that a separator parts. */
struct piece {
        const char *text;
        size_t len;
};

/* The piece at or behind *at, which moves behind it; false: there is none. Quotes hide separators. */
static bool next_piece(const char **at, struct piece *ret)
{
        const char *p = *at + strspn(*at, "|\r\n \t");
        bool quoted = false;

        if (!*p)
                return false;
        for (*at = p; **at && (quoted || !strchr("|\r\n", **at)); (*at)++)
                quoted ^= **at == '"';
        *ret = (struct piece){p, (size_t)(*at - p)};
        return true;
}

static enum err parse_piece(const struct piece *piece, struct name *ret, struct error *e)
{
        CLEANUP(free_p) char *text = strndup(piece->text, piece->len);
        CLEANUP(name_done) struct name name = {0};
        enum err r = text ? name_parse(text, &name, e) : error_no_memory(e);

        for (size_t i = 0; r == ERR_OK && i < name.count; i++)
                if (name.avas[i].hex)
                        r = error_set(e, ERR_UNSUPPORTED,
                                      "%s=#... is a value of octets, which names cannot carry here",
                                      name.avas[i].key);
        if (r)
                return r;
        *ret = name;
        name = (struct name){0};
        return ERR_OK;
}

enum err issuers_check(const char *text, struct error *e)
{
        const char *at = text;
        struct piece piece;
        size_t n = 0;

        if (strlen(text) > ISSUERS_MAX)
                return error_set(e, ERR_TOO_LARGE, "The issuers are longer than %d octets", ISSUERS_MAX);
        while (next_piece(&at, &piece)) {
                CLEANUP(name_done) struct name name = {0};
                enum err r = parse_piece(&piece, &name, e);

                n++;
                if (r)
                        return error_context(e, r, "Issuer %zu (from character %zu on)", n,
                                             (size_t)(piece.text - text) + 1);
        }
        return n ? ERR_OK : error_set(e, ERR_PROFILE, "The issuers are empty");
}

/* Parts of a name between two ends; the parts of one RDN stay together. */
struct range {
        const struct name *name;
        size_t from, to;
};

/* Any string type will do: OpenSSL compares a canonical form. */
static bool add_part(X509_NAME *to, const struct ava *a, bool joined)
{
        CLEANUP(asn1_object_free_p) ASN1_OBJECT *object = OBJ_txt2obj(a->oid, /* no_name= */ 1);

        return object &&
               X509_NAME_add_entry_by_OBJ(to, object, V_ASN1_UTF8STRING, (const unsigned char *)a->value, -1,
                                          -1, joined ? -1 : 0) == 1;
}

static size_t rdn_begin(const struct range *range, size_t last)
{
        while (last > range->from && range->name->avas[last].joined)
                last--;
        return last;
}

static bool is(const struct range *range, bool reversed, const X509_NAME *issuer)
{
        CLEANUP(x509_name_free_p) X509_NAME *name = X509_NAME_new();
        const struct ava *avas = range->name->avas;
        bool ok = name != NULL;

        if (!reversed) {
                for (size_t i = range->from; ok && i < range->to; i++)
                        ok = add_part(name, &avas[i], avas[i].joined);
        } else {
                for (size_t end = range->to; ok && end > range->from;) {
                        size_t begin = rdn_begin(range, end - 1);

                        for (size_t i = begin; ok && i < end; i++)
                                ok = add_part(name, &avas[i], i > begin);
                        end = begin;
                }
        }
        ok = ok && X509_NAME_cmp(name, issuer) == 0;
        ERR_clear_error();
        return ok;
}

static bool is_either_way(const struct range *range, const X509_NAME *issuer)
{
        return is(range, false, issuer) || is(range, true, issuer);
}

static bool is_cn(const struct ava *a)
{
        return strcmp(a->oid, OID_CN) == 0;
}

/* The end of the name that begins at @from, where names begin (or else end) with their CN. */
static size_t name_end(const struct name *all, size_t from, bool cn_first)
{
        size_t i = from + 1;

        for (; i < all->count; i++) {
                bool now = is_cn(&all->avas[i]), before = is_cn(&all->avas[i - 1]);

                if (!all->avas[i].joined && (cn_first ? now && !before : before && !now))
                        break;
        }
        return i;
}

static bool one_of(const struct name *all, bool cn_first, const X509_NAME *issuer)
{
        for (size_t from = 0, to; from < all->count; from = to) {
                struct range range = {all, from, 0};

                to = range.to = name_end(all, from, cn_first);
                if (is_either_way(&range, issuer))
                        return true;
        }
        return false;
}

static bool piece_matches(const struct name *all, const X509_NAME *issuer)
{
        const struct range whole = {all, 0, all->count};

        if (is_either_way(&whole, issuer))
                return true;
        if (is_cn(&all->avas[0]) && one_of(all, /* cn_first= */ true, issuer))
                return true;
        return is_cn(&all->avas[all->count - 1]) && one_of(all, /* cn_first= */ false, issuer);
}

bool issuers_match(const char *text, const X509_NAME *issuer)
{
        const char *at = text;
        struct piece piece;

        if (issuers_check(text, NULL))
                return false;
        while (next_piece(&at, &piece)) {
                CLEANUP(name_done) struct name name = {0};

                if (parse_piece(&piece, &name, NULL))
                        return false;
                if (piece_matches(&name, issuer))
                        return true;
        }
        return false;
}
