#include "policy/ldap-name.h"

#include <string.h>

#include "base/parse.h"

static enum err refuse(const char *text, const char *problem, struct error *e)
{
        return error_set(e, ERR_PROFILE, "The directory's name '%.200s' %s", text, problem);
}

/* One value: ends at an unescaped separator. Blanks that are not escaped do not count at its ends. */
static enum err parse_value(const char *whole, const char **text, char **ret, struct error *e)
{
        struct text t = TEXT(NAME_TEXT_MAX);
        const char *p = *text;
        size_t kept = 0; /* up to the last octet that is no bare blank */
        enum err r;

        while (*p && !strchr(",;+", *p)) {
                uint8_t octet = (uint8_t)*p++;
                bool escaped = octet == '\\';

                if (escaped) {
                        const char digits[] = {p[0], p[0] ? p[1] : (char)0, 0};
                        size_t n = 0;

                        if (!*p) {
                                text_done(&t);
                                return refuse(whole, "ends with a backslash", e);
                        }
                        if (hex_decode(digits, &octet, 1, &n) && n == 1)
                                p += 2;
                        else
                                octet = (uint8_t)*p++;
                }
                if (octet == 0) {
                        text_done(&t);
                        return refuse(whole, "holds a NUL", e);
                }
                text_add_n(&t, (const char *)&octet, 1);
                if (escaped || octet != ' ')
                        kept = t.len;
        }
        *text = p;
        r = text_finish(&t, ret, e);
        if (r)
                return r;
        (*ret)[kept] = 0;
        return ERR_OK;
}

/* The key is judged by the table that profiles use: "key=x" is parsed as one. */
static enum err parse_ava(const char *whole, const char **text, bool joined, struct name *to, struct error *e)
{
        const char *p = *text;
        size_t n = strcspn(p, "=,;+");
        CLEANUP(free_p) char *key = NULL, *value = NULL;
        enum err r;

        if (p[n] != '=' || n == 0)
                return refuse(whole, "has a part without a key", e);
        key = strndup(p, n);
        if (!key)
                return error_no_memory(e);
        p += n + 1;
        p += strspn(p, " ");
        if (*p == '#')
                return refuse(whole, "holds a value of octets", e);
        r = parse_value(whole, &p, &value, e);
        if (r)
                return r;
        if (!*value || !utf8_valid(str_view(value)))
                return refuse(whole, "holds an empty value or one that is not UTF-8", e);
        *text = p;
        return name_append(to, key, value, joined, e);
}

enum err name_parse_ldap(const char *text, struct name *ret, struct error *e)
{
        CLEANUP(name_done) struct name n = {0};
        const char *p = text;
        bool joined = false;

        if (strlen(text) > NAME_TEXT_MAX)
                return error_set(e, ERR_TOO_LARGE, "A name is longer than %d octets", NAME_TEXT_MAX);
        for (;;) {
                enum err r;

                p += strspn(p, " ");
                r = parse_ava(text, &p, joined, &n, e);
                if (r)
                        return r;
                if (!*p)
                        break;
                joined = *p++ == '+';
        }
        *ret = n;
        n = (struct name){0};
        return ERR_OK;
}
