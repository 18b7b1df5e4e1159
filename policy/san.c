#include "policy/san.h"

#include <string.h>
#include <strings.h>

#include "base/ossl.h"
#include "policy/san-kinds.h"

/* certenroll.h, AlternativeNameType: the words of entries, and the kinds nobody writes. */
static const struct kind {
        const char *name;
        unsigned number;
        enum san_kind kind;
} kinds[] = {
        {"dns", 3, SAN_DNS}, {"email", 2, SAN_EMAIL}, {"upn", 11, SAN_UPN},
        {"uri", 7, SAN_URI}, {"ip", 8, SAN_IP},       {"dirname", 5, SAN_DIRNAME},
        {"rid", 9, SAN_RID}, {"guid", 10, SAN_GUID},  {"other", 1, SAN_OTHER},
};
static const struct {
        unsigned number;
        const char *is;
} refused_kinds[] = {
        {0, "0 (unknown), which names nothing"},
        {4, "4 (X.400 address), which is not supported"},
        {6, "6 (EDI party name), which is not supported"},
};

/* An entry taken apart. */
struct entry {
        const struct kind *kind;
        char oid[OID_TEXT_MAX + 1]; /* of "other:" */
        const char *value;          /* inside the entry */
};

static bool entry_split(const char *entry, struct entry *ret)
{
        size_t n = strcspn(entry, ":");

        *ret = (struct entry){0};
        for (size_t i = 0; entry[n] && i < N_ELEMENTS(kinds); i++)
                if (strlen(kinds[i].name) == n && strncasecmp(kinds[i].name, entry, n) == 0)
                        ret->kind = &kinds[i];
        if (!ret->kind)
                return false;
        ret->value = entry + n + 1;
        if (ret->kind->kind == SAN_OTHER) {
                n = strcspn(ret->value, ":");
                if (!ret->value[n] || n >= sizeof ret->oid)
                        return false;
                memcpy(ret->oid, ret->value, n);
                ret->value += n + 1;
                if (!oid_valid(ret->oid))
                        return false;
        }
        return *ret->value;
}

bool san_entry_known(const char *entry)
{
        struct entry split;

        return entry_split(entry, &split);
}

const char *san_kind_of_number(unsigned number)
{
        for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
                if (kinds[i].number == number)
                        return kinds[i].name;
        return NULL;
}

enum err san_number_refuse(unsigned number, struct error *e)
{
        for (size_t i = 0; i < N_ELEMENTS(refused_kinds); i++)
                if (refused_kinds[i].number == number)
                        return error_set(e, ERR_UNSUPPORTED, "The alternative name is of type %s",
                                         refused_kinds[i].is);
        return error_set(e, ERR_PROFILE,
                         "The alternative name is of type %u, which does not exist; 1 to 11 do", number);
}

/* The braces around a GUID are no variable's: "{8c1b…}", and "{{{DeviceId}}}". *ret: free(). */
static enum err without_braces(const char *value, char **ret, struct error *e)
{
        size_t len = strlen(value);
        bool braces =
                len > 2 && value[0] == '{' && value[len - 1] == '}' && (value[1] != '{' || value[2] == '{');

        *ret = braces ? strndup(value + 1, len - 2) : strdup(value);
        return *ret ? ERR_OK : error_no_memory(e);
}

static enum variables_place place_of(const struct entry *entry)
{
        return entry->kind->kind == SAN_URI ? VARIABLES_IN_URI : VARIABLES_IN_ALTERNATIVE_NAME;
}

static enum err expand_directory_name(const char *value, const struct facts *facts, GENERAL_NAME **ret,
                                      struct error *e)
{
        CLEANUP(name_done) struct name name = {0};
        CLEANUP(bytes_done) struct bytes der = {0};
        enum err r = variables_check(value, VARIABLES_IN_ALTERNATIVE_NAME, e);

        if (r == ERR_OK)
                r = name_parse(value, &name, e);
        if (r == ERR_OK)
                r = name_expand(&name, facts, e);
        if (r == ERR_OK)
                r = name_der(&name, &der, e);
        return r ? r : san_directory_name(bytes_view(&der), ret, e);
}

static enum err general_name(const struct entry *entry, const struct facts *facts, GENERAL_NAME **ret,
                             struct error *e)
{
        CLEANUP(free_p) char *text = NULL, *value = NULL;
        enum err r;

        if (entry->kind->kind == SAN_DIRNAME)
                return expand_directory_name(entry->value, facts, ret, e);
        if (entry->kind->kind == SAN_GUID) {
                r = without_braces(entry->value, &text, e);
                if (r)
                        return r;
        }
        r = variables_expand(text ? text : entry->value, place_of(entry), facts, &value, e);
        return r ? r : san_general_name(entry->kind->kind, entry->oid, value, ret, e);
}

static enum err split_or_refuse(const char *text, struct entry *ret, struct error *e)
{
        if (entry_split(text, ret))
                return ERR_OK;
        return error_set(e, ERR_PROFILE,
                         "the kind of the alternative name is not known, or its value is missing");
}

/* What can be said of a directory name that waits for its variables. */
static enum err check_directory_name(const char *value, struct error *e)
{
        CLEANUP(name_done) struct name name = {0};
        enum err r = variables_check(value, VARIABLES_IN_ALTERNATIVE_NAME, e);

        if (r == ERR_OK)
                r = name_parse(value, &name, e);
        for (size_t i = 0; r == ERR_OK && i < name.count; i++) {
                r = variables_check(name.avas[i].value, VARIABLES_IN_SUBJECT, e);
                if (r == ERR_OK)
                        r = name_check_whole(&name.avas[i], e);
        }
        return r;
}

enum err san_entry_check(const char *text, struct error *e)
{
        CLEANUP(free_p) char *value = NULL;
        CLEANUP(general_name_free_p) GENERAL_NAME *name = NULL;
        struct entry entry;
        enum err r = split_or_refuse(text, &entry, e);

        if (r)
                return r;
        if (!strstr(entry.value, "{{"))
                return general_name(&entry, /* facts= */ NULL, &name, e);
        if (entry.kind->kind == SAN_DIRNAME)
                return check_directory_name(entry.value, e);
        if (entry.kind->kind != SAN_GUID)
                return variables_check(entry.value, place_of(&entry), e);
        r = without_braces(entry.value, &value, e);
        return r ? r : variables_check(value, place_of(&entry), e);
}

bool san_entry_only_variables(const char *text)
{
        CLEANUP(name_done) struct name name = {0};
        struct entry entry;

        if (!entry_split(text, &entry))
                return false;
        if (entry.kind->kind != SAN_DIRNAME)
                return variables_alone(entry.value);
        if (name_parse(entry.value, &name, NULL))
                return false;
        for (size_t i = 0; i < name.count; i++)
                if (!variables_alone(name.avas[i].value))
                        return false;
        return true;
}

static enum err add_entry(GENERAL_NAMES *names, const char *text, const struct facts *facts, struct error *e)
{
        CLEANUP(general_name_free_p) GENERAL_NAME *name = NULL;
        struct entry entry;
        enum err r = split_or_refuse(text, &entry, e);

        if (r == ERR_OK)
                r = general_name(&entry, facts, &name, e);
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
