#include "policy/windows.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "policy/name.h"
#include "policy/profile.h"
#include "policy/san.h"
#include "policy/values.h"

static enum err number(const char *text, uint64_t max, uint64_t *ret, struct error *e)
{
        if (!parse_u64(text, max, ret))
                return error_set(e, ERR_PROFILE, "'%.60s' is not a number up to %llu", text,
                                 (unsigned long long)max);
        return ERR_OK;
}

static enum err copy(const char *text, char **ret, struct error *e)
{
        *ret = strdup(text);
        return *ret ? ERR_OK : error_no_memory(e);
}

enum err windows_key_usage(const char *text, char **ret, bool *ret_no_signature, struct error *e)
{
        struct text words = TEXT(256);
        uint64_t v = 0;
        enum err r = number(text, 255, &v, e);

        if (r)
                return r;
        if (!(v & 0xa0))
                return error_set(e, ERR_PROFILE,
                                 "%u must hold 32 (key encipherment) or 128 (digital signature)",
                                 (unsigned)v);
        if (v & 0x07)
                return error_set(e, ERR_PROFILE,
                                 "%u holds usages of a CA, which a client certificate does not get",
                                 (unsigned)v);
        /* the octet's highest bit is bit 0 of X.509 */
        for (unsigned i = 0; key_usage_names[i]; i++)
                if (v & 0x80u >> i)
                        text_addf(&words, "%s%s", words.len ? " " : "", key_usage_names[i]);
        *ret_no_signature = !(v & 0x80);
        return text_finish(&words, ret, e);
}

enum err windows_protection(const char *text, char **ret, struct error *e)
{
        uint64_t v = 0;
        enum err r = number(text, 1000000, &v, e);

        if (r)
                return r;
        if (v > POLICY_PROTECTION_USER_VERIFIED)
                return error_set(e, ERR_PROFILE, "%llu is no key storage provider; 0 to 4 are",
                                 (unsigned long long)v);
        return copy(v == POLICY_PROTECTION_DEFAULT ? "" : protection_names[v - 1], ret, e);
}

enum err windows_key_length(const char *text, char **ret, struct error *e)
{
        char name[16];
        uint64_t v = 0;
        enum err r = number(text, 65536, &v, e);

        if (r)
                return r;
        if (v == 1024)
                return error_set(e, ERR_PROFILE,
                                 "keys of 1024 bits are too weak and are not made; ask for 2048 or more");
        if (v != 2048 && v != 3072 && v != 4096)
                return error_set(e, ERR_PROFILE, "%u bits must be 2048, 3072 or 4096", (unsigned)v);
        (void)snprintf(name, sizeof name, "rsa-%u", (unsigned)v);
        return copy(name, ret, e);
}

enum err windows_retry_count(const char *text, char **ret, bool *ret_cut, struct error *e)
{
        enum { MOST = 30 };
        char value[16];
        uint64_t v = 0;
        enum err r = number(text, 1000000, &v, e);

        if (r)
                return r;
        *ret_cut = v > MOST;
        (void)snprintf(value, sizeof value, "%u", v > MOST ? (unsigned)MOST : (unsigned)v);
        return copy(value, ret, e);
}

enum err windows_hash(const struct strings *families, char **ret, bool *ret_sha1, struct error *e)
{
        bool sha1 = false, better = false;

        for (size_t i = 0; i < families->count; i++) {
                const char *family = families->items[i];

                if (strcasecmp(family, "SHA-1") == 0)
                        sha1 = true;
                /* SHA-2 is SHA-256 in practice; SHA-3 has no name in SCEP, and who allows it allows SHA-2 */
                else if (strcasecmp(family, "SHA-2") == 0 || strcasecmp(family, "SHA-3") == 0)
                        better = true;
                else
                        return error_set(e, ERR_PROFILE,
                                         "'%.60s' is no family of hashes; SHA-1, SHA-2 and SHA-3 are",
                                         family);
        }
        if (!sha1 && !better)
                return error_set(e, ERR_PROFILE, "it names no hash algorithm");
        *ret_sha1 = !better;
        return copy(better ? "sha-256" : "sha-1", ret, e);
}

enum err windows_validity(const char *text, const char *unit, char **ret, struct error *e)
{
        uint64_t v = 0;
        enum err r = number(text, 100000, &v, e);

        if (r)
                return r;
        if (v == 0)
                return copy("", ret, e);
        if (*unit && strcasecmp(unit, "Days") != 0 && strcasecmp(unit, "Months") != 0 &&
            strcasecmp(unit, "Years") != 0)
                return error_set(e, ERR_PROFILE, "'%.60s' is no unit; Days, Months and Years are", unit);
        if (asprintf(ret, "%u %s", (unsigned)v, *unit ? unit : "Days") < 0) {
                *ret = NULL;
                return error_no_memory(e);
        }
        return ERR_OK;
}

enum err windows_alternative_name(const char *type, const char *oid, const char *value, char **ret,
                                  struct error *e)
{
        struct text t = TEXT(SETTING_VALUE_MAX);
        const char *kind;
        uint64_t n = 0;

        if (!parse_u64(type, 100, &n))
                return error_set(e, ERR_PROFILE, "the AlternativeNameType '%.60s' is no number", type);
        kind = san_kind_of_number((unsigned)n);
        if (!kind)
                return san_number_refuse((unsigned)n, e);
        text_addf(&t, "%s:", kind);
        if (strcmp(kind, "other") == 0) {
                if (!oid || !oid_valid(oid)) {
                        text_done(&t);
                        return error_set(e, ERR_PROFILE,
                                         "an alternative name of type 1 has no valid object identifier");
                }
                text_addf(&t, "%s:", oid);
        }
        text_add(&t, value);
        return text_finish(&t, ret, e);
}

enum err windows_attestation(const char *text, bool *ret_wished, struct error *e)
{
        uint64_t v = 0;
        enum err r = number(text, 1000000, &v, e);

        if (r)
                return r;
        /* ignoring a demand would weaken what the administrator relies on */
        if (v > 1)
                return error_set(e, ERR_UNSUPPORTED, "attested requests come with a later version");
        *ret_wished = v == 1;
        return ERR_OK;
}

enum err windows_list(const char *text, const char *separators, struct strings *ret, struct error *e)
{
        CLEANUP(strings_done) struct strings list = {0};

        for (const char *p = text;; p++) {
                size_t n = strcspn(p, separators), start = strspn(p, " \t"), end = n;
                CLEANUP(free_p) char *part = NULL;

                while (end > start && (p[end - 1] == ' ' || p[end - 1] == '\t'))
                        end--;
                if (start < end) {
                        enum err r;

                        part = strndup(p + start, end - start);
                        r = part ? strings_add(&list, part, e) : error_no_memory(e);
                        if (r)
                                return r;
                }
                p += n;
                if (!*p)
                        break;
        }
        *ret = list;
        list = (struct strings){0};
        return ERR_OK;
}
