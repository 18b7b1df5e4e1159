/* The one table of settings, and the checks that need more than one of them. */
#include "policy/profile.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "policy/issuers.h"
#include "policy/name.h"
#include "policy/san.h"
#include "policy/values.h"

#define M(name) offsetof(struct profile, name)
#define TEXT_FIELD(k, m, limit, check)                                                                       \
        {                                                                                                    \
                .key = k, .type = FIELD_TEXT, .offset = M(m), .max = limit, .wrong = check                   \
        }
#define ENUM_FIELD(k, m, list, def)                                                                          \
        {                                                                                                    \
                .key = k, .type = FIELD_ENUM, .offset = M(m), .names = list, .unset = def                    \
        }
#define BOOL_FIELD(k, m)                                                                                     \
        {                                                                                                    \
                .key = k, .type = FIELD_BOOL, .offset = M(m), .unset = "no"                                  \
        }
#define NUMBER_FIELD(k, m, least, most, def)                                                                 \
        {                                                                                                    \
                .key = k, .type = FIELD_NUMBER, .offset = M(m), .min = least, .max = most, .unset = def      \
        }
#define PATH_FIELD(k, m)                                                                                     \
        {                                                                                                    \
                .key = k, .type = FIELD_TEXT, .offset = M(m), .max = 1000, .wrong = path_wrong, .file = true \
        }
#define DOCUMENT_FIELD(k, m, limit)                                                                          \
        {                                                                                                    \
                .key = k, .type = FIELD_TEXT, .offset = M(m), .max = limit, .document = true                 \
        }

/* The order is that of the INI file. Bounds of RetryCount and Threshold: ClientCertificateInstall CSP. */
static const struct field fields[] = {
        TEXT_FIELD("Profile.Name", name, PROFILE_NAME_MAX, NULL),
        ENUM_FIELD("Profile.Type", type, profile_type_names, "device"),
        {.key = "Server.Url",
         .type = FIELD_LIST,
         .offset = M(urls),
         .max = PROFILE_URL_MAX,
         .items = PROFILE_URLS_MAX,
         .quiet = true,
         .wrong = url_wrong},
        PATH_FIELD("Server.RootCertificate", root_certificate),
        {.key = "Server.CaThumbprint",
         .type = FIELD_HEX,
         .offset = M(thumbprint),
         .max = 32,
         .wrong = thumbprint_wrong},
        {.key = "Server.Challenge",
         .type = FIELD_TEXT,
         .offset = M(challenge),
         .max = 1000,
         .quiet = true,
         .wrong = challenge_wrong},
        BOOL_FIELD("Server.ChallengeReusable", challenge_reusable),
        TEXT_FIELD("Server.CaIdentifier", ca_identifier, 256, NULL),
        ENUM_FIELD("Server.PkiClientSuffix", pki_client_suffix, suffix_names, "auto"),
        {.key = "Server.RequireCaps",
         .type = FIELD_WORDS,
         .offset = M(require_caps),
         .names = capability_names},
        {.key = "Server.AllowLegacy", .type = FIELD_FLAGS, .offset = M(allow_legacy), .names = legacy_names},
        {.key = "Server.Proxy",
         .type = FIELD_TEXT,
         .offset = M(proxy),
         .max = 512,
         .quiet = true,
         .wrong = proxy_wrong},
        PATH_FIELD("Server.CaBundle", ca_bundle),
        PATH_FIELD("Server.ClientCertificate", client_certificate),
        BOOL_FIELD("Server.FollowRollover", follow_rollover),
        {.key = "Server.PendingLimit",
         .type = FIELD_DURATION,
         .offset = M(pending_limit),
         .min = 3600,
         .max = 90 * 86400,
         .unset = "7d"},
        {.key = "Key.Protection",
         .type = FIELD_ENUM,
         .offset = M(protection),
         .min = POLICY_PROTECTION_TPM,
         .names = protection_names},
        ENUM_FIELD("Key.Algorithm", algorithm, algorithm_names, "rsa-2048"),
        BOOL_FIELD("Key.ReuseAtRenewal", reuse_at_renewal),
        BOOL_FIELD("Key.AllowDowngrade", allow_downgrade),
        {.key = "Key.Groups", .type = FIELD_WORDS, .offset = M(groups), .max = 64, .wrong = group_wrong},
        TEXT_FIELD("Subject.Name", subject, NAME_TEXT_MAX, NULL),
        {.key = "Subject.AlternativeName",
         .type = FIELD_LIST,
         .offset = M(alternative_names),
         .max = 2048,
         .items = 32,
         .wrong = alternative_name_wrong},
        {.key = "Subject.KeyUsage", .type = FIELD_FLAGS, .offset = M(key_usage), .names = key_usage_names},
        {.key = "Subject.ExtendedKeyUsage",
         .type = FIELD_LIST,
         .offset = M(extended_key_usage),
         .max = OID_TEXT_MAX,
         .items = 32,
         .wrong = oid_wrong},
        ENUM_FIELD("Subject.Hash", hash, hash_names, "sha-256"),
        {.key = "Subject.Validity", .type = FIELD_VALIDITY, .offset = M(validity)},
        TEXT_FIELD("Subject.TemplateName", template_name, 256, template_wrong),
        NUMBER_FIELD("Renewal.Threshold", threshold, 1, 99, "20"),
        ENUM_FIELD("Renewal.Method", method, renewal_method_names, "auto"),
        NUMBER_FIELD("Renewal.RetryCount", retry_count, 0, 30, "3"),
        NUMBER_FIELD("Renewal.RetryDelay", retry_delay, 1, 1440, "5"),
        ENUM_FIELD("Renewal.AfterExpiry", after_expiry, after_expiry_names, "renew"),
        {.key = "Document.Origin",
         .type = FIELD_ENUM,
         .offset = M(origin),
         .names = origin_names,
         .unset = "ini",
         .document = true},
        DOCUMENT_FIELD("Document.Issuers", issuers, ISSUERS_MAX),
        DOCUMENT_FIELD("Document.ModelName", model_name, 256),
        DOCUMENT_FIELD("Document.LogicalName", logical_name, 256),
        DOCUMENT_FIELD("Document.Version", version, 64),
};
_Static_assert(sizeof(enum policy_protection) == sizeof(unsigned),
               "record.c reaches every enum as an unsigned");
_Static_assert(N_ELEMENTS(fields) <= 64, "profile.given has a bit for each");

static const struct table table = {fields, N_ELEMENTS(fields)};

void profile_done(struct profile *p)
{
        record_done(&table, p);
        *p = (struct profile){0};
}

bool profile_key_known(const char *key, bool *ret_repeatable)
{
        const struct field *f = table_find(&table, key);

        if (!f || f->document)
                return false;
        if (ret_repeatable)
                *ret_repeatable = f->type == FIELD_LIST;
        return true;
}

enum err profile_check_setting(const char *key, const char *value, unsigned line, struct error *e)
{
        struct profile scratch = {0};

        return record_check(&table, &scratch, key, value, line, e);
}

/* Where a setting stood, for a sentence about it. */
static unsigned line_of(const struct settings *in, const char *key)
{
        for (size_t i = 0; i < in->count; i++)
                if (strcmp(in->items[i].key, key) == 0)
                        return in->items[i].line;
        return 0;
}

static enum err missing(const char *key, struct error *e)
{
        return error_set(e, ERR_PROFILE, "%s is missing", key);
}

static enum err at(const struct settings *in, const char *key, enum err r, struct error *e)
{
        unsigned line = line_of(in, key);

        return line ? error_context(e, r, "%s (line %u)", key, line) : error_context(e, r, "%s", key);
}

/* Its variables exist, and what needs none fits. */
static enum err check_subject(const struct name *name, struct error *e)
{
        enum err r = ERR_OK;

        for (size_t i = 0; r == ERR_OK && i < name->count; i++) {
                r = variables_check(name->avas[i].value, VARIABLES_IN_SUBJECT, e);
                if (r == ERR_OK)
                        r = name_check_whole(&name->avas[i], e);
                if (r == ERR_OK && !strstr(name->avas[i].value, "{{"))
                        r = ava_check(&name->avas[i], e);
        }
        return r;
}

static enum err check_texts(const struct settings *in, const struct profile *p, struct error *e)
{
        CLEANUP(name_done) struct name name = {0};
        enum err r = name_parse(p->subject, &name, e);

        if (r == ERR_OK)
                r = check_subject(&name, e);
        if (r)
                return at(in, "Subject.Name", r, e);
        for (size_t i = 0; i < p->alternative_names.count; i++) {
                r = san_entry_check(p->alternative_names.items[i], e);
                if (r)
                        return at(in, "Subject.AlternativeName", r, e);
        }
        r = p->issuers ? issuers_check(p->issuers, e) : ERR_OK;
        return r ? at(in, "Document.Issuers", r, e) : ERR_OK;
}

/* TLS client authentication needs TLS; and a proxy with https would be shown the certificate as well. */
static enum err check_client(const struct settings *in, const struct profile *p, struct error *e)
{
        if (!p->client_certificate)
                return ERR_OK;
        for (size_t i = 0; i < p->urls.count; i++) {
                if (strncasecmp(p->urls.items[i], "https:", 6) != 0) {
                        (void)error_set(e, ERR_PROFILE,
                                        "Server.ClientCertificate (line %u) needs https in every Server.Url",
                                        line_of(in, "Server.ClientCertificate"));
                        return error_remedy(
                                e, ERR_PROFILE,
                                "Write https:// in Url=, or take ClientCertificate= out of the profile.");
                }
        }
        if (p->proxy && strncasecmp(p->proxy, "https:", 6) == 0) {
                (void)error_set(
                        e, ERR_PROFILE,
                        "Server.ClientCertificate (line %u) is not used through a Server.Proxy with https",
                        line_of(in, "Server.ClientCertificate"));
                return error_remedy(
                        e, ERR_PROFILE,
                        "Use a proxy with http://: what passes through it to the server is TLS all the "
                        "same.");
        }
        return ERR_OK;
}

static enum err check_whole(const struct settings *in, const struct profile *p, bool have_anchor,
                            struct error *e)
{
        static const unsigned useful =
                KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT | KEY_USAGE_KEY_AGREEMENT;
        enum err r;

        if (!p->name)
                return missing("Profile.Name", e);
        if (strchr(p->name, '/') || p->name[0] == '.' || p->name[0] == '-')
                return error_set(e, ERR_PROFILE,
                                 "Profile.Name='%s': a name has no '/' and does not begin with . or -",
                                 p->name);
        if (p->urls.count == 0)
                return missing("Server.Url", e);
        if (!p->subject)
                return missing("Subject.Name", e);
        if (!p->root_certificate && p->thumbprint.len == 0 && !have_anchor) {
                (void)error_set(e, ERR_PROFILE,
                                "Neither Server.RootCertificate nor Server.CaThumbprint is set");
                return error_remedy(e, ERR_PROFILE,
                                    "Name the root certificate of the CA, or its thumbprint: without one "
                                    "the server cannot be told from an impostor.");
        }
        if (p->protection == POLICY_PROTECTION_USER_VERIFIED && p->type != PROFILE_USER)
                return error_set(e, ERR_PROFILE, "Key.Protection='user-verified' needs Profile.Type=user");
        if (p->groups.count && p->type != PROFILE_DEVICE)
                return error_set(e, ERR_PROFILE,
                                 "Key.Groups is for device profiles; a user's key is the user's alone");
        if (p->groups.count > PROFILE_GROUPS_MAX)
                return error_set(e, ERR_PROFILE, "Key.Groups (line %u) names more than %d groups",
                                 line_of(in, "Key.Groups"), PROFILE_GROUPS_MAX);
        if (p->key_usage && !(p->key_usage & useful))
                return error_set(e, ERR_PROFILE,
                                 "Subject.KeyUsage (line %u): it needs digitalSignature, keyEncipherment "
                                 "or keyAgreement",
                                 line_of(in, "Subject.KeyUsage"));
        if (p->hash == POLICY_SHA_1 && !(p->allow_legacy & LEGACY_SHA1))
                return error_set(e, ERR_PROFILE, "Subject.Hash='sha-1' needs Server.AllowLegacy=sha1");
        if (p->challenge_reusable && !p->challenge)
                return error_set(e, ERR_PROFILE, "Server.ChallengeReusable=yes needs Server.Challenge");
        if (p->method == RENEWAL_CHALLENGE && !p->challenge)
                return error_set(e, ERR_PROFILE, "Renewal.Method='challenge' needs Server.Challenge");
        r = check_client(in, p, e);
        return r ? r : check_texts(in, p, e);
}

enum err profile_from_settings(const struct settings *in, bool have_anchor, struct profile *ret,
                               struct error *e)
{
        CLEANUP(profile_done) struct profile p = {0};
        enum err r;

        for (size_t i = 0; i < in->count; i++) {
                const struct setting *s = &in->items[i];

                r = record_set(&table, &p, &p.given, s->key, s->value, s->line, e);
                if (r)
                        return r;
        }
        r = record_defaults(&table, &p, p.given, e);
        if (r)
                return r;
        r = check_whole(in, &p, have_anchor, e);
        if (r)
                return r;
        *ret = p;
        p = (struct profile){0};
        return ERR_OK;
}

enum err profile_to_settings(const struct profile *p, bool defaults, struct settings *ret, struct error *e)
{
        CLEANUP(settings_done) struct settings out = {0};

        for (size_t i = 0; i < table.count; i++) {
                enum err r;

                if (!defaults && !(p->given & UINT64_C(1) << i))
                        continue;
                r = record_get(&fields[i], p, &out, e);
                if (r)
                        return r;
        }
        *ret = out;
        out = (struct settings){0};
        return ERR_OK;
}

enum err profile_each_setting(const struct profile *p, bool defaults,
                              enum err (*each)(void *ctx, const char *key, const char *value,
                                               struct error *e),
                              void *ctx, struct error *e)
{
        CLEANUP(settings_done) struct settings all = {0};
        enum err r = profile_to_settings(p, defaults, &all, e);

        for (size_t i = 0; r == ERR_OK && i < all.count; i++)
                r = each(ctx, all.items[i].key, all.items[i].value, e);
        return r;
}

enum err profile_write_ini(const struct profile *p, char **ret, struct error *e)
{
        CLEANUP(settings_done) struct settings all = {0};
        CLEANUP(text_done) struct text t = TEXT(PROFILE_INI_MAX);
        const char *section = "";
        size_t section_len = 0;
        enum err r = profile_to_settings(p, /* defaults= */ false, &all, e);

        if (r)
                return r;
        for (size_t i = 0; i < all.count; i++) {
                const char *key = all.items[i].key;
                size_t n = strcspn(key, ".");

                if (table_find(&table, key)->document)
                        continue;
                if (n != section_len || strncmp(key, section, n) != 0)
                        text_addf(&t, "%s[%.*s]\n", *section ? "\n" : "", (int)n, key);
                section = key;
                section_len = n;
                text_addf(&t, "%s=%s\n", key + n + 1, all.items[i].value);
        }
        return text_finish(&t, ret, e);
}

enum err profile_file_values(const struct profile *p, struct settings *ret, struct error *e)
{
        CLEANUP(settings_done) struct settings out = {0};
        enum err r = ERR_OK;

        for (size_t i = 0; r == ERR_OK && i < table.count; i++)
                if (fields[i].file)
                        r = record_get(&fields[i], p, &out, e);
        if (r == ERR_OK && profile_challenge_source(p))
                r = settings_add(&out, "Server.Challenge", p->challenge, 0, e);
        if (r)
                return r;
        *ret = out;
        out = (struct settings){0};
        return ERR_OK;
}

enum challenge_kind profile_challenge_kind(const struct profile *p)
{
        size_t n = p->challenge ? strcspn(p->challenge, ":") : 0;

        for (int i = CHALLENGE_ASK; challenge_kind_names[i]; i++)
                if (n == strlen(challenge_kind_names[i]) &&
                    strncmp(p->challenge, challenge_kind_names[i], n) == 0)
                        return (enum challenge_kind)i;
        return CHALLENGE_NONE;
}

const char *profile_challenge_source(const struct profile *p)
{
        if (profile_challenge_kind(p) < CHALLENGE_FILE)
                return NULL;
        return p->challenge + strcspn(p->challenge, ":") + 1;
}

unsigned profile_key_usage(const struct profile *p)
{
        if (p->key_usage)
                return p->key_usage;
        if (p->algorithm >= POLICY_EC_P256)
                return KEY_USAGE_DIGITAL_SIGNATURE;
        return KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT;
}

bool profile_only_variables(const struct profile *p)
{
        CLEANUP(name_done) struct name name = {0};

        if (name_parse(p->subject, &name, NULL))
                return false;
        for (size_t i = 0; i < name.count; i++)
                if (!variables_alone(name.avas[i].value))
                        return false;
        for (size_t i = 0; i < p->alternative_names.count; i++)
                if (!san_entry_only_variables(p->alternative_names.items[i]))
                        return false;
        return true;
}
