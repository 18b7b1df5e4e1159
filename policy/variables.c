#include "policy/variables.h"

#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "policy/ldap-name.h"
#include "policy/profile.h"

/* Intune's lists of 2019 and later, user and device together. */
static const struct variable variables[] = {
        {"UserName", FACT_USER_NAME},
        {"UserPrincipalName", FACT_USER_PRINCIPAL_NAME},
        {"EmailAddress", FACT_EMAIL_ADDRESS},
        {"OnPrem_Distinguished_Name", FACT_DISTINGUISHED_NAME},
        {"OnPremisesSamAccountName", FACT_SAM_ACCOUNT_NAME},
        {"OnPremisesSecurityIdentifier", FACT_SECURITY_IDENTIFIER},
        {"Department", FACT_DEPARTMENT},
        {"AAD_Device_ID", FACT_AAD_DEVICE_ID},
        {"AzureADDeviceId", FACT_AAD_DEVICE_ID},
        {"DeviceId", FACT_DEVICE_ID},
        {"SerialNumber", FACT_SERIAL_NUMBER},
        {"Device_Serial", FACT_SERIAL_NUMBER},
        {"IMEINumber", FACT_IMEI},
        {"IMEI", FACT_IMEI},
        {"Device_IMEI", FACT_IMEI},
        {"MEID", FACT_MEID},
        {"WiFiMacAddress", FACT_WIFI_MAC_ADDRESS},
        {"DeviceName", FACT_DEVICE_NAME},
        {"FullyQualifiedDomainName", FACT_FULLY_QUALIFIED_DOMAIN_NAME},
};

_Static_assert(N_ELEMENTS(variables) <= 32, "a bit for each");

const struct variable *variable_at(size_t i)
{
        return i < N_ELEMENTS(variables) ? &variables[i] : NULL;
}

/* The row of this name, in any letter case and with blanks around it; N_ELEMENTS(variables): none. */
static size_t find_row(const char *name, size_t len)
{
        size_t i;

        while (len && *name == ' ') {
                name++;
                len--;
        }
        while (len && name[len - 1] == ' ')
                len--;
        for (i = 0; i < N_ELEMENTS(variables); i++)
                if (strlen(variables[i].name) == len && strncasecmp(variables[i].name, name, len) == 0)
                        break;
        return i;
}

/* Braces have no other use in a profile that was checked, so the text need not be tokenised for this. */
static uint32_t used_in(const char *text)
{
        uint32_t used = 0;

        for (const char *p = text; (p = strstr(p, "{{"));) {
                size_t len = strcspn(p += 2, "{}"), row = find_row(p, len);

                if (row < N_ELEMENTS(variables))
                        used |= UINT32_C(1) << row;
        }
        return used;
}

uint32_t variables_used(const struct profile *p)
{
        uint32_t used = p->subject ? used_in(p->subject) : 0;

        for (size_t i = 0; i < p->alternative_names.count; i++)
                used |= used_in(p->alternative_names.items[i]);
        return used;
}

uint32_t variables_needed(const struct profile *p)
{
        const uint32_t used = variables_used(p);
        uint32_t needed = 0;

        for (size_t i = 0; i < N_ELEMENTS(variables); i++)
                if (used & UINT32_C(1) << i)
                        needed |= UINT32_C(1) << variables[i].fact;
        return needed;
}

/* One piece of the text: static characters, or a variable. */
struct piece {
        const char *text;
        size_t len;
        bool variable;
        enum fact fact;
};

static enum err find_variable(struct piece *piece, const char *text, enum variables_place place,
                              struct error *e)
{
        const size_t row = find_row(piece->text, piece->len);

        if (row == N_ELEMENTS(variables))
                return error_set(e, ERR_PROFILE, "'%.200s': there is no variable {{%.*s}}", text,
                                 (int)(piece->len > 64 ? 64 : piece->len), piece->text);
        piece->fact = variables[row].fact;
        if (piece->fact == FACT_SECURITY_IDENTIFIER && place != VARIABLES_IN_URI)
                return error_set(e, ERR_PROFILE, "{{%s}} belongs into a uri: alternative name only",
                                 variables[row].name);
        return ERR_OK;
}

/* The piece at @p, which is not at the end. */
static enum err next_piece(const char *text, const char *p, enum variables_place place, struct piece *ret,
                           const char **ret_next, struct error *e)
{
        const char *forbidden = place == VARIABLES_IN_SUBJECT ? "{}" : "{}|;";
        const char *end;

        if (p[0] == '{' && p[1] == '{') {
                end = p + 2 + strcspn(p + 2, "{}");
                if (end[0] != '}' || end[1] != '}')
                        return error_set(e, ERR_PROFILE,
                                         "'%.200s': a variable is not closed with }} (character %zu)", text,
                                         utf8_count(text, p) + 1);
                *ret = (struct piece){.text = p + 2, .len = (size_t)(end - p) - 2, .variable = true};
                *ret_next = end + 2;
                return find_variable(ret, text, place, e);
        }
        *ret = (struct piece){.text = p, .len = strcspn(p, forbidden)};
        *ret_next = p + ret->len;
        if (**ret_next && !((*ret_next)[0] == '{' && (*ret_next)[1] == '{'))
                return error_set(e, ERR_PROFILE,
                                 "'%.200s': '%c' at character %zu has no place outside a variable", text,
                                 **ret_next, utf8_count(text, *ret_next) + 1);
        return ERR_OK;
}

enum err variables_check(const char *text, enum variables_place place, struct error *e)
{
        struct piece piece;

        for (const char *p = text; *p;) {
                enum err r = next_piece(text, p, place, &piece, &p, e);

                if (r)
                        return r;
        }
        return ERR_OK;
}

bool variables_alone(const char *text)
{
        struct piece piece;
        const char *next;

        return *text && next_piece(text, text, VARIABLES_IN_URI, &piece, &next, NULL) == ERR_OK &&
               piece.variable && !*next;
}

static enum err get_value(const struct piece *piece, const struct facts *facts, char **ret, struct error *e)
{
        CLEANUP(free_p) char *value = NULL;
        struct error why = {0};
        const char *wrong;
        enum err r = facts->get(facts->ctx, piece->fact, &value, &why);

        if (r == ERR_NOT_FOUND) {
                (void)error_set(e, ERR_VARIABLE, "{{%.*s}} has no value: %s", (int)piece->len, piece->text,
                                why.message);
                return strcmp(why.remedy, err_default_remedy(r)) == 0
                               ? ERR_VARIABLE
                               : error_remedy(e, ERR_VARIABLE, "%s", why.remedy);
        }
        if (r) {
                (void)error_copy(e, &why);
                return error_context(e, r, "{{%.*s}}", (int)piece->len, piece->text);
        }
        fact_trim(value);
        wrong = fact_unusable(piece->fact, value);
        if (wrong)
                return error_set(e, ERR_VARIABLE, "{{%.*s}} has no value: the %s %s", (int)piece->len,
                                 piece->text, fact_text(piece->fact), wrong);
        *ret = STEAL(value);
        return ERR_OK;
}

enum err variables_expand(const char *text, enum variables_place place, const struct facts *facts, char **ret,
                          struct error *e)
{
        CLEANUP(text_done) struct text out = TEXT(NAME_TEXT_MAX);
        struct piece piece;

        for (const char *p = text; *p;) {
                CLEANUP(free_p) char *value = NULL;
                enum err r = next_piece(text, p, place, &piece, &p, e);

                if (r)
                        return r;
                if (!piece.variable) {
                        text_add_n(&out, piece.text, piece.len);
                        continue;
                }
                r = get_value(&piece, facts, &value, e);
                if (r)
                        return r;
                /* KB5014754: the service adds the tag, so administrators write the variable alone */
                if (piece.fact == FACT_SECURITY_IDENTIFIER)
                        text_add(&out, "tag:microsoft.com,2022-09-14:sid:");
                text_add(&out, value);
        }
        return text_finish(&out, ret, e);
}

static bool is_name(const char *text)
{
        struct piece piece;
        const char *next;

        return variables_alone(text) &&
               next_piece(text, text, VARIABLES_IN_SUBJECT, &piece, &next, NULL) == ERR_OK &&
               piece.fact == FACT_DISTINGUISHED_NAME;
}

enum err name_check_whole(const struct ava *a, struct error *e)
{
        if (!a->whole || is_name(a->value))
                return ERR_OK;
        return error_set(e, ERR_PROFILE,
                         "%s is one value and no whole name: write a key before it, such as CN=%s", a->value,
                         a->value);
}

/* The directory's name of a user, as the parts it has. */
static enum err expand_whole(struct name *n, size_t at, const char *value, struct error *e)
{
        CLEANUP(name_done) struct name parts = {0};
        enum err r = name_check_whole(&n->avas[at], e);

        if (r == ERR_OK)
                r = name_parse_ldap(value, &parts, e);

        return r ? r : name_splice(n, at, &parts, e);
}

enum err name_expand(struct name *n, const struct facts *facts, struct error *e)
{
        for (size_t i = 0; i < n->count; i++) {
                CLEANUP(free_p) char *value = NULL;
                size_t before = n->count;
                enum err r = variables_expand(n->avas[i].value, VARIABLES_IN_SUBJECT, facts, &value, e);

                if (r)
                        return *n->avas[i].key ? error_context(e, r, "%s", n->avas[i].key) : r;
                if (n->avas[i].whole) {
                        r = expand_whole(n, i, value, e);
                        if (r)
                                return r;
                        i += n->count - before; /* what came in is no text with variables */
                        continue;
                }
                free(n->avas[i].value);
                n->avas[i].value = STEAL(value);
        }
        return ERR_OK;
}
