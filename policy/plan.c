#include "policy/plan.h"

#include <stddef.h>
#include <string.h>

#include "base/ossl.h"
#include "policy/issuers.h"
#include "policy/san.h"
#include "policy/servers.h"
#include "policy/values.h"

#define M(name) offsetof(struct plan, name)
#define ENUM_FIELD(k, m, list)                                                                               \
        {                                                                                                    \
                .key = k, .type = FIELD_ENUM, .offset = M(m), .names = list                                  \
        }
#define BOOL_FIELD(k, m)                                                                                     \
        {                                                                                                    \
                .key = k, .type = FIELD_BOOL, .offset = M(m)                                                 \
        }
#define NUMBER_FIELD(k, m, least, most)                                                                      \
        {                                                                                                    \
                .key = k, .type = FIELD_NUMBER, .offset = M(m), .min = least, .max = most                    \
        }
#define HEX_FIELD(k, m, most)                                                                                \
        {                                                                                                    \
                .key = k, .type = FIELD_HEX, .offset = M(m), .max = most                                     \
        }
#define TEXT_FIELD(k, m, most)                                                                               \
        {                                                                                                    \
                .key = k, .type = FIELD_TEXT, .offset = M(m), .max = most                                    \
        }

static const struct field fields[] = {
        HEX_FIELD("subject", subject, NAME_DER_MAX),
        HEX_FIELD("san", san, SAN_DER_MAX),
        {.key = "keyUsage", .type = FIELD_FLAGS, .offset = M(key_usage), .names = key_usage_names},
        {.key = "extendedKeyUsage",
         .type = FIELD_LIST,
         .offset = M(extended_key_usage),
         .items = 32,
         .max = OID_TEXT_MAX,
         .wrong = oid_wrong},
        ENUM_FIELD("algorithm", algorithm, algorithm_names),
        {.key = "protection",
         .type = FIELD_ENUM,
         .offset = M(protection),
         .min = POLICY_PROTECTION_TPM,
         .names = protection_names},
        BOOL_FIELD("allowDowngrade", allow_downgrade),
        BOOL_FIELD("reuseKey", reuse_key),
        ENUM_FIELD("hash", hash, hash_names),
        {.key = "allowLegacy", .type = FIELD_FLAGS, .offset = M(allow_legacy), .names = legacy_names},
        {.key = "url",
         .type = FIELD_LIST,
         .offset = M(urls),
         .max = PROFILE_URL_MAX,
         .items = PROFILE_URLS_MAX,
         .quiet = true,
         .wrong = url_wrong},
        TEXT_FIELD("caIdentifier", ca_identifier, 256),
        ENUM_FIELD("suffix", suffix, suffix_names),
        {.key = "requireCaps", .type = FIELD_WORDS, .offset = M(require_caps), .names = capability_names},
        {.key = "proxy",
         .type = FIELD_TEXT,
         .offset = M(proxy),
         .max = 512,
         .quiet = true,
         .wrong = proxy_wrong},
        BOOL_FIELD("followRollover", follow_rollover),
        ENUM_FIELD("challenge", challenge, challenge_kind_names),
        BOOL_FIELD("challengeReusable", challenge_reusable),
        {.key = "thumbprint",
         .type = FIELD_HEX,
         .offset = M(thumbprint),
         .max = 32,
         .wrong = thumbprint_wrong},
        HEX_FIELD("anchor", anchor, 32),
        {.key = "validity", .type = FIELD_VALIDITY, .offset = M(validity)},
        {.key = "templateName",
         .type = FIELD_TEXT,
         .offset = M(template_name),
         .max = 256,
         .wrong = template_wrong},
        TEXT_FIELD("issuers", issuers, ISSUERS_MAX),
        NUMBER_FIELD("threshold", threshold, 1, 99),
        NUMBER_FIELD("retryCount", retry_count, 0, 30),
        NUMBER_FIELD("retryDelay", retry_delay, 1, 1440),
        {.key = "pendingLimit",
         .type = FIELD_DURATION,
         .offset = M(pending_limit),
         .min = 3600,
         .max = 90 * 86400},
        ENUM_FIELD("method", method, renewal_method_names),
        ENUM_FIELD("afterExpiry", after_expiry, after_expiry_names),
        BOOL_FIELD("user", user),
        BOOL_FIELD("denyLocal", deny_local),
};
_Static_assert(N_ELEMENTS(fields) <= 64, "a bit for each");

static const struct table table = {fields, N_ELEMENTS(fields)};

void plan_done(struct plan *plan)
{
        record_done(&table, plan);
        *plan = (struct plan){0};
}

static enum err subject_der(const struct profile *p, const struct facts *facts, struct bytes *ret,
                            struct error *e)
{
        CLEANUP(name_done) struct name name = {0};
        enum err r = name_parse(p->subject, &name, e);

        if (r == ERR_OK)
                r = name_expand(&name, facts, e);
        if (r == ERR_OK)
                r = name_der(&name, ret, e);
        return r ? error_context(e, r, "Subject.Name") : ERR_OK;
}

static enum err copy_text(char **ret, const char *text, struct error *e)
{
        *ret = text ? strdup(text) : NULL;
        return !text || *ret ? ERR_OK : error_no_memory(e);
}

static enum err copy_lists(const struct profile *p, struct plan *plan, struct error *e)
{
        enum err r = strings_copy(&plan->extended_key_usage, &p->extended_key_usage, e);

        if (r == ERR_OK)
                r = strings_copy(&plan->require_caps, &p->require_caps, e);
        if (r == ERR_OK)
                r = copy_text(&plan->ca_identifier, p->ca_identifier, e);
        if (r == ERR_OK)
                r = copy_text(&plan->proxy, p->proxy, e);
        if (r == ERR_OK)
                r = copy_text(&plan->template_name, p->template_name, e);
        if (r == ERR_OK)
                r = copy_text(&plan->issuers, p->issuers, e);
        if (r == ERR_OK && p->thumbprint.len)
                r = bytes_copy(&plan->thumbprint, p->thumbprint.data, p->thumbprint.len, e);
        return r;
}

enum err plan_make(const struct plan_input *in, struct plan *ret, struct error *e)
{
        const struct profile *p = in->profile;
        CLEANUP(plan_done)
        struct plan plan = {
                .key_usage = profile_key_usage(p),
                .algorithm = p->algorithm,
                .protection = p->protection ? p->protection : in->default_protection,
                .allow_downgrade = p->allow_downgrade,
                .reuse_key = p->reuse_at_renewal,
                .hash = p->hash,
                .allow_legacy = p->allow_legacy,
                .suffix = p->pki_client_suffix,
                .follow_rollover = p->follow_rollover,
                .challenge = profile_challenge_kind(p),
                .challenge_reusable = p->challenge_reusable,
                .validity = p->validity,
                .threshold = p->threshold,
                .retry_count = p->retry_count,
                .retry_delay = p->retry_delay,
                .pending_limit = p->pending_limit,
                .method = p->method,
                .after_expiry = p->after_expiry,
                .user = p->type == PROFILE_USER,
        };
        enum err r;

        if (plan.protection == POLICY_PROTECTION_DEFAULT)
                return error_set(e, ERR_INVALID, "There is no default for the protection of keys");
        r = subject_der(p, in->facts, &plan.subject, e);
        if (r == ERR_OK)
                r = san_der(&p->alternative_names, in->facts, &plan.san, e);
        if (r == ERR_OK)
                r = servers_order(p, in->device_id, &plan.urls, e);
        if (r == ERR_OK)
                r = copy_lists(p, &plan, e);
        if (r)
                return r;
        *ret = plan;
        plan = (struct plan){0};
        return ERR_OK;
}

enum err plan_to_pairs(const struct plan *plan, struct settings *ret, struct error *e)
{
        CLEANUP(settings_done) struct settings out = {0};

        for (size_t i = 0; i < table.count; i++) {
                enum err r = record_get(&fields[i], plan, &out, e);

                if (r)
                        return r;
        }
        *ret = out;
        out = (struct settings){0};
        return ERR_OK;
}

/* @der is one whole value of the kind @d2i reads, and nothing behind it. */
static bool is_name(const struct bytes *der)
{
        const unsigned char *p = der->data;
        CLEANUP(x509_name_free_p) X509_NAME *name = der->len ? d2i_X509_NAME(NULL, &p, (long)der->len) : NULL;

        return name && p == der->data + der->len;
}

static bool is_general_names(const struct bytes *der)
{
        const unsigned char *p = der->data;
        CLEANUP(general_names_free_p)
        GENERAL_NAMES *names = der->len ? d2i_GENERAL_NAMES(NULL, &p, (long)der->len) : NULL;

        return der->len == 0 || (names && p == der->data + der->len);
}

enum err plan_from_pairs(const struct settings *in, struct plan *ret, struct error *e)
{
        CLEANUP(plan_done) struct plan plan = {0};
        uint64_t given = 0;

        for (size_t i = 0; i < in->count; i++) {
                const struct setting *s = &in->items[i];
                enum err r = record_set(&table, &plan, &given, s->key, s->value, s->line, e);

                if (r)
                        return error_context(e, r, "The plan");
        }
        if (!is_name(&plan.subject) || !is_general_names(&plan.san) || plan.urls.count == 0 ||
            plan.protection == POLICY_PROTECTION_DEFAULT || plan.threshold == 0 || plan.retry_delay == 0 ||
            plan.pending_limit == 0 || (plan.anchor.len && plan.anchor.len != 32))
                return error_set(e, ERR_PROFILE, "The plan is not whole: a value is missing or damaged");
        *ret = plan;
        plan = (struct plan){0};
        return ERR_OK;
}

static bool same(const struct bytes *a, const struct bytes *b)
{
        return view_equal(bytes_view(a), bytes_view(b));
}

const char *plan_differs(const struct plan *a, const struct plan *b)
{
        if (!same(&a->subject, &b->subject))
                return "subject";
        if (!same(&a->san, &b->san))
                return "alternative names";
        if (a->key_usage != b->key_usage)
                return "key usage";
        if (!strings_equal(&a->extended_key_usage, &b->extended_key_usage))
                return "extended key usage";
        if ((a->template_name || b->template_name) &&
            (!a->template_name || !b->template_name || strcmp(a->template_name, b->template_name) != 0))
                return "template";
        if (a->algorithm != b->algorithm)
                return "key algorithm";
        if (a->protection != b->protection)
                return "key protection";
        /* with a pin, which anchor it will be shows only when the server has answered */
        if (!same(&a->thumbprint, &b->thumbprint) ||
            (!same(&a->anchor, &b->anchor) && (!a->thumbprint.len || (a->anchor.len && b->anchor.len))))
                return "anchor";
        return NULL;
}

bool plan_pairs_stop(const struct settings *pairs)
{
        const char *after = settings_get(pairs, "afterExpiry");

        return after && strcmp(after, after_expiry_names[AFTER_EXPIRY_STOP]) == 0;
}

bool plan_pairs_follow(const struct settings *pairs)
{
        const char *follow = settings_get(pairs, "followRollover");

        return follow && strcmp(follow, "yes") == 0;
}
