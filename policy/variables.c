#include "policy/variables.h"

#include <string.h>
#include <strings.h>

#include "base/parse.h"

static const struct {
        const char *text;
        bool user;
} fact_table[_FACT_MAX] = {
        [FACT_USER_NAME] = {"login name of the user", true},
        [FACT_USER_PRINCIPAL_NAME] = {"principal name of the user (user@domain)", true},
        [FACT_EMAIL_ADDRESS] = {"e-mail address of the user", true},
        [FACT_DISTINGUISHED_NAME] = {"distinguished name of the user in the directory", true},
        [FACT_SAM_ACCOUNT_NAME] = {"account name of the user in the directory", true},
        [FACT_SECURITY_IDENTIFIER] = {"security identifier (SID) in the directory", true},
        [FACT_DEPARTMENT] = {"department of the user", true},
        [FACT_AAD_DEVICE_ID] = {"Entra device id of the machine", false},
        [FACT_DEVICE_ID] = {"Intune device id of the machine", false},
        [FACT_SERIAL_NUMBER] = {"serial number of the machine", false},
        [FACT_IMEI] = {"IMEI of the modem", false},
        [FACT_MEID] = {"MEID of the modem", false},
        [FACT_WIFI_MAC_ADDRESS] = {"permanent MAC address of the Wi-Fi adapter", false},
        [FACT_DEVICE_NAME] = {"static host name of the machine", false},
        [FACT_FULLY_QUALIFIED_DOMAIN_NAME] = {"fully qualified name of the machine in its domain", false},
};

/* Intune's lists of 2019 and later, user and device together. */
static const struct {
        const char *name;
        enum fact fact;
} variables[] = {
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

const char *fact_text(enum fact fact)
{
        return fact_table[fact].text;
}

bool fact_of_user(enum fact fact)
{
        return fact_table[fact].user;
}

bool serial_is_placeholder(const char *serial)
{
        static const char *const placeholders[] = {
                "To Be Filled By O.E.M.",
                "To be filled by O.E.M",
                "Default string",
                "None",
                "System Serial Number",
                "Not Specified",
                "Not Applicable",
                "N/A",
                "Unknown",
                "Chassis Serial Number",
                "Serial Number",
                "0123456789",
                "123456789",
                "INVALID",
                "Empty",
        };

        if (strspn(serial, "0 .-") == strlen(serial))
                return true;
        for (size_t i = 0; i < N_ELEMENTS(placeholders); i++)
                if (strcasecmp(placeholders[i], serial) == 0)
                        return true;
        return false;
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
        const char *name = piece->text;
        size_t len = piece->len;

        while (len && *name == ' ') {
                name++;
                len--;
        }
        while (len && name[len - 1] == ' ')
                len--;
        for (size_t i = 0; i < N_ELEMENTS(variables); i++) {
                if (strlen(variables[i].name) != len || strncasecmp(variables[i].name, name, len) != 0)
                        continue;
                piece->fact = variables[i].fact;
                if (piece->fact == FACT_SECURITY_IDENTIFIER && place != VARIABLES_IN_URI)
                        return error_set(e, ERR_PROFILE, "{{%s}} belongs into a uri: alternative name only",
                                         variables[i].name);
                return ERR_OK;
        }
        return error_set(e, ERR_PROFILE, "'%.200s': there is no variable {{%.*s}}", text,
                         (int)(len > 64 ? 64 : len), name);
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
                                         (size_t)(p - text) + 1);
                *ret = (struct piece){.text = p + 2, .len = (size_t)(end - p) - 2, .variable = true};
                *ret_next = end + 2;
                return find_variable(ret, text, place, e);
        }
        *ret = (struct piece){.text = p, .len = strcspn(p, forbidden)};
        *ret_next = p + ret->len;
        if (**ret_next && !((*ret_next)[0] == '{' && (*ret_next)[1] == '{'))
                return error_set(e, ERR_PROFILE,
                                 "'%.200s': '%c' at character %zu has no place outside a variable", text,
                                 **ret_next, (size_t)(*ret_next - text) + 1);
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

/* What the source gave, without blanks around it. */
static void trim(char *value)
{
        size_t start = strspn(value, " \t\n"), len = strlen(value);

        while (len > start && strchr(" \t\n", value[len - 1]))
                len--;
        memmove(value, value + start, len - start);
        value[len - start] = 0;
}

static enum err no_value(const struct piece *piece, const char *why, struct error *e)
{
        (void)error_set(e, ERR_VARIABLE, "{{%.*s}} has no value: the %s %s", (int)piece->len, piece->text,
                        fact_text(piece->fact), why);
        return ERR_VARIABLE;
}

static enum err get_value(const struct piece *piece, const struct facts *facts, char **ret, struct error *e)
{
        CLEANUP(free_p) char *value = NULL;
        enum err r = facts->get(facts->ctx, piece->fact, &value, e);

        if (r == ERR_NOT_FOUND)
                return no_value(piece, "is not known here", e);
        if (r)
                return error_context(e, r, "{{%.*s}}", (int)piece->len, piece->text);
        trim(value);
        if (!*value)
                return no_value(piece, "is empty", e);
        if (strlen(value) > VARIABLE_VALUE_MAX || !utf8_valid(str_view(value)))
                return no_value(piece, "is too long or not UTF-8", e);
        for (const char *p = value; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return no_value(piece, "holds control characters", e);
        if (piece->fact == FACT_SERIAL_NUMBER && serial_is_placeholder(value))
                return no_value(piece, "is a placeholder of the firmware that many machines share", e);
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

enum err name_expand(struct name *n, const struct facts *facts, struct error *e)
{
        for (size_t i = 0; i < n->count; i++) {
                char *value;
                enum err r = variables_expand(n->avas[i].value, VARIABLES_IN_SUBJECT, facts, &value, e);

                if (r)
                        return error_context(e, r, "%s", n->avas[i].key);
                free(n->avas[i].value);
                n->avas[i].value = value;
        }
        return ERR_OK;
}
