#include "policy/csp.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "policy/profile.h"
#include "policy/values.h"
#include "policy/windows.h"

struct reading {
        enum node_branch branch;
        const struct settings *values;
        struct settings *out;
        struct strings *notes;
};

static enum err put(struct reading *q, const char *key, const char *value, struct error *e)
{
        enum err r = *value ? profile_check_setting(key, value, 0, e) : ERR_OK;

        return r || !*value ? r : settings_add(q->out, key, value, 0, e);
}

static enum err note(struct reading *q, const char *text, struct error *e)
{
        return q->notes->count < STRINGS_MAX ? strings_add(q->notes, text, e) : ERR_OK;
}

/* Takers: one for each value. @key: the setting it becomes, where it is one as it stands. */

static enum err take_text(struct reading *q, const char *value, const char *key, struct error *e)
{
        return put(q, key, value, e);
}

static enum err take_urls(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(strings_done) struct strings urls = {0};
        enum err r = windows_list(value, ";", &urls, e);

        if (!r && urls.count > PROFILE_URLS_MAX)
                return error_set(e, ERR_PROFILE, "at most %d URLs are taken", PROFILE_URLS_MAX);
        for (size_t i = 0; !r && i < urls.count; i++)
                r = put(q, key, urls.items[i], e);
        return r;
}

static enum err take_ekus(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(strings_done) struct strings oids = {0};
        enum err r = windows_list(value, "+", &oids, e);

        for (size_t i = 0; !r && i < oids.count; i++)
                r = put(q, key, oids.items[i], e);
        return r;
}

static enum err take_key_usage(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(free_p) char *words = NULL;
        bool no_signature = false;
        enum err r = windows_key_usage(value, &words, &no_signature, e);

        if (!r)
                r = put(q, key, words, e);
        if (!r && no_signature)
                r = note(q,
                         "KeyUsage asks for key encipherment alone; TLS client authentication needs digital "
                         "signature",
                         e);
        return r;
}

static enum err take_protection(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(free_p) char *name = NULL;
        enum err r = windows_protection(value, &name, e);

        if (!r && q->branch == BRANCH_MY_SCEP && strcmp(name, "user-verified") == 0)
                return error_set(e, ERR_PROFILE, "4 is no key protection of this CSP; 1 to 3 are");
        return r ? r : put(q, key, name, e);
}

static enum err take_retry_count(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(free_p) char *count = NULL;
        bool cut = false;
        enum err r = windows_retry_count(value, &count, &cut, e);

        if (!r)
                r = put(q, key, count, e);
        return !r && cut ? note(q, "RetryCount was cut to 30", e) : r;
}

static enum err take_key_length(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(free_p) char *name = NULL;
        enum err r = windows_key_length(value, &name, e);

        return r ? r : put(q, key, name, e);
}

/* "+" between the families by the CSP's documents; Intune writes ";". */
static enum err take_hash(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(strings_done) struct strings families = {0};
        CLEANUP(free_p) char *hash = NULL;
        bool sha1 = false;
        enum err r = windows_list(value, "+;", &families, e);

        if (!r)
                r = windows_hash(&families, &hash, &sha1, e);
        if (!r)
                r = put(q, key, hash, e);
        if (!r && sha1)
                r = put(q, "Server.AllowLegacy", "sha1", e);
        return !r && sha1 ? note(q, "HashAlgorithm names SHA-1 alone", e) : r;
}

/* type+value;type+value. The first + alone separates: values may hold more. */
static enum err take_alternative_names(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(strings_done) struct strings names = {0};
        enum err r = windows_list(value, ";", &names, e);

        for (size_t i = 0; !r && i < names.count; i++) {
                CLEANUP(free_p) char *entry = NULL;
                char *plus = strchr(names.items[i], '+');

                if (!plus || !plus[1])
                        return error_set(e, ERR_PROFILE, "'%.60s' is no type+value", names.items[i]);
                *plus = 0;
                r = windows_alternative_name(names.items[i], NULL, plus + 1, &entry, e);
                if (!r)
                        r = put(q, key, entry, e);
        }
        return r;
}

/* Both halves are judged together where both are there: take_validity(). */
static enum err take_validity_unit(struct reading *q, const char *value, const char *key, struct error *e)
{
        CLEANUP(free_p) char *validity = NULL;

        (void)q;
        (void)key;
        return windows_validity("1", value, &validity, e);
}

static enum err take_validity(struct reading *q, const char *value, const char *key, struct error *e)
{
        const char *unit = settings_get(q->values, "ValidPeriod");
        CLEANUP(free_p) char *validity = NULL;
        enum err r = windows_validity(value, unit ? unit : "", &validity, e);

        return r ? r : put(q, key, validity, e);
}

static enum err take_attestation(struct reading *q, const char *value, const char *key, struct error *e)
{
        bool wished = false;
        enum err r = windows_attestation(value, &wished, e);

        (void)key;
        return !r && wished ? note(q, "AttestPrivateKey: the request is made without an attestation", e) : r;
}

/* Of Windows Hello alone; the CSP ignores it otherwise too. */
static enum err take_hello(struct reading *q, const char *value, const char *key, struct error *e)
{
        char text[128];

        if (!*value)
                return ERR_OK;
        (void)snprintf(text, sizeof text, "%s is of Windows Hello and was set aside", key);
        return note(q, text, e);
}

/* Windows fails where none of these keys is on the device: setting the list aside would weaken that. */
static enum err take_key_identifiers(struct reading *q, const char *value, const char *key, struct error *e)
{
        (void)q;
        if (!*value)
                return ERR_OK;
        return error_set(e, ERR_UNSUPPORTED, "%s binds the request to a key of Entra ID, which is not here",
                         key);
}

static const struct value {
        const char *name;
        enum err (*take)(struct reading *q, const char *value, const char *key, struct error *e);
        const char *key;
        bool required;
} csp_values[] = {
        {"ServerURL", take_urls, "Server.Url", true},
        {"EKUMapping", take_ekus, "Subject.ExtendedKeyUsage", true},
        {"KeyUsage", take_key_usage, "Subject.KeyUsage", true},
        {"SubjectName", take_text, "Subject.Name", true},
        {"KeyProtection", take_protection, "Key.Protection", false},
        {"RetryDelay", take_text, "Renewal.RetryDelay", false},
        {"RetryCount", take_retry_count, "Renewal.RetryCount", false},
        {"TemplateName", take_text, "Subject.TemplateName", false},
        {"KeyLength", take_key_length, "Key.Algorithm", true},
        {"HashAlgorithm", take_hash, "Subject.Hash", true},
        {"CAThumbprint", take_text, "Server.CaThumbprint", true},
        {"SubjectAlternativeNames", take_alternative_names, "Subject.AlternativeName", false},
        {"ValidPeriod", take_validity_unit, NULL, false},
        {"ValidPeriodUnits", take_validity, "Subject.Validity", false},
        {"ContainerName", take_hello, "ContainerName", false},
        {"CustomTextToShowInPrompt", take_hello, "CustomTextToShowInPrompt", false},
        {"AADKeyIdentifierList", take_key_identifiers, "AADKeyIdentifierList", false},
        {"AttestPrivateKey", take_attestation, NULL, false},
};

static const struct value *find_value(const char *name)
{
        for (size_t i = 0; i < N_ELEMENTS(csp_values); i++)
                if (strcmp(csp_values[i].name, name) == 0)
                        return &csp_values[i];
        return NULL;
}

enum err csp_check_value(enum node_branch branch, const char *name, const char *value, struct error *e)
{
        CLEANUP(settings_done) struct settings out = {0};
        CLEANUP(strings_done) struct strings notes = {0};
        const struct settings none = {0};
        struct reading q = {branch, &none, &out, &notes};
        const struct value *known = find_value(name);
        enum err r;

        if (!known)
                return error_set(e, ERR_NOT_FOUND, "There is no such value");
        r = known->take(&q, value, known->key, e);
        return r ? error_context(e, r, "%s", name) : ERR_OK;
}

enum err csp_check_required(const struct settings *values, bool have_challenge, struct error *e)
{
        struct text missing = TEXT(512);
        CLEANUP(free_p) char *names = NULL;
        enum err r;

        for (size_t i = 0; i < N_ELEMENTS(csp_values); i++) {
                const char *value = settings_get(values, csp_values[i].name);

                if (csp_values[i].required && (!value || !*value))
                        text_addf(&missing, "%s%s", missing.len ? ", " : "", csp_values[i].name);
        }
        if (!have_challenge)
                text_addf(&missing, "%sChallenge", missing.len ? ", " : "");
        if (!missing.len) {
                text_done(&missing);
                return ERR_OK;
        }
        r = text_finish(&missing, &names, e);
        return r ? r : error_set(e, ERR_PROFILE, "Enroll needs values that are missing: %s", names);
}

void profile_name_from(const char *id, char ret[], size_t size)
{
        (void)snprintf(ret, size, "%s", id);
        utf8_scrub(ret, size);
        for (char *p = ret; *p; p++)
                if (*p == '/' || (unsigned char)*p < ' ' || *p == 0x7f ||
                    (p == ret && (*p == '.' || *p == '-')))
                        *p = '_';
}

/* Windows Hello takes one size and one family [CCI]. */
static enum err check_hello(const struct settings *out, struct error *e)
{
        const char *protection = settings_get(out, "Key.Protection");

        if (!protection || strcmp(protection, "user-verified") != 0)
                return ERR_OK;
        if (strcmp(settings_get(out, "Key.Algorithm"), "rsa-2048") != 0)
                return error_set(e, ERR_PROFILE, "KeyLength must be 2048 with KeyProtection 4");
        if (strcmp(settings_get(out, "Subject.Hash"), "sha-256") != 0)
                return error_set(e, ERR_PROFILE, "HashAlgorithm must be SHA-2 with KeyProtection 4");
        return ERR_OK;
}

static enum err put_all(struct reading *q, const char *id, bool user, struct error *e)
{
        /* Windows renews by a new request with a new challenge (facts §2.8) */
        const char *const fixed[][2] = {{"Profile.Type", user ? "user" : "device"},
                                        {"Server.Challenge", "ask"},
                                        {"Renewal.Method", "challenge"},
                                        {"Document.Origin", "csp"}};
        char name[PROFILE_NAME_MAX + 1], model[256 + 1];
        enum err r = ERR_OK;

        profile_name_from(id, name, sizeof name);
        (void)snprintf(model, sizeof model, "%s", id);
        utf8_scrub(model, sizeof model);
        r = put(q, "Profile.Name", name, e);
        for (size_t i = 0; !r && i < N_ELEMENTS(fixed); i++)
                r = put(q, fixed[i][0], fixed[i][1], e);
        return r ? r : put(q, "Document.ModelName", model, e);
}

enum err csp_settings(enum node_branch branch, const struct settings *values, const char *id, bool user,
                      struct settings *ret, struct strings *ret_notes, struct error *e)
{
        CLEANUP(settings_done) struct settings out = {0};
        CLEANUP(strings_done) struct strings notes = {0};
        CLEANUP(profile_done) struct profile checked = {0};
        struct reading q = {branch, values, &out, &notes};
        enum err r = csp_check_required(values, /* have_challenge= */ true, e);

        for (size_t i = 0; !r && i < N_ELEMENTS(csp_values); i++) {
                const char *value = settings_get(values, csp_values[i].name);

                if (!value)
                        continue;
                r = csp_values[i].take(&q, value, csp_values[i].key, e);
                if (r)
                        return error_context(e, r, "%s", csp_values[i].name);
        }
        if (!r)
                r = check_hello(&out, e);
        if (!r)
                r = put_all(&q, id, user, e);
        if (!r)
                r = profile_from_settings(&out, /* have_anchor= */ false, &checked, e);
        if (r)
                return r;
        *ret = out;
        *ret_notes = notes;
        out = (struct settings){0};
        notes = (struct strings){0};
        return ERR_OK;
}
