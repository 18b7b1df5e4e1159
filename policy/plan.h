/*
 * The plan: everything an enrollment needs, fixed once from profile, machine facts and the daemon's default,
 * and used unchanged for every attempt and renewal. It is a record of texts and octets, so the store can keep
 * it as JSON.
 */
#pragma once

#include "policy/profile.h"
#include "policy/variables.h"

struct plan {
        struct bytes subject; /* DER X509_NAME */
        struct bytes san;     /* DER GeneralNames; empty: none */
        unsigned key_usage;   /* enum key_usage */
        struct strings extended_key_usage;
        enum policy_algorithm algorithm;
        enum policy_protection protection; /* never POLICY_PROTECTION_DEFAULT */
        bool allow_downgrade, reuse_key;
        enum policy_hash hash;
        unsigned allow_legacy; /* enum legacy */
        struct strings urls;   /* in the order to try them: servers_order() */
        char *ca_identifier;   /* NULL: none; the message asks with an empty one */
        enum suffix_mode suffix;
        struct strings require_caps;
        char *proxy;
        bool follow_rollover;
        enum challenge_kind challenge;
        bool challenge_reusable;
        struct bytes thumbprint; /* 20 octets: SHA-1 of the root; 32: SHA-256; empty: the anchor alone pins */
        /* SHA-256 of the anchor's DER. Set by the service once it knows the anchor; empty before. */
        struct bytes anchor;
        struct validity validity;
        char *template_name;
        char *issuers; /* issuers.h; NULL: any the anchor vouches for */
        unsigned threshold, retry_count, retry_delay;
        uint64_t pending_limit; /* seconds */
        enum renewal_method method;
        enum after_expiry after_expiry;
        bool user; /* the key belongs to a user */
        /* Servers on loopback and link-local addresses are out of reach. Set by the service, for a user's own
         * profile. */
        bool deny_local;
};

struct plan_input {
        const struct profile *profile;
        const struct facts *facts;                 /* the variables' values */
        enum policy_protection default_protection; /* where the profile names none */
        const char *device_id;                     /* a stable name of this machine: servers_order() */
};

/* ERR_VARIABLE where a variable has no value, ERR_UNSUPPORTED where the profile asks for what this version
 * cannot encode. */
MUST_CHECK enum err plan_make(const struct plan_input *in, struct plan *ret, struct error *e);
void plan_done(struct plan *plan);

/* The plan as (key, text) pairs, octets in hexadecimal, and back; every bound is checked again. Keys are
 * stable: they stand in the store. */
MUST_CHECK enum err plan_to_pairs(const struct plan *plan, struct settings *ret, struct error *e);
MUST_CHECK enum err plan_from_pairs(const struct settings *in, struct plan *ret, struct error *e);

/* Subject (RFC 4514), where it has one, and alternative names ("dns:host"), valid UTF-8. *ret:
 * strings_done(). */
MUST_CHECK enum err plan_names(const struct plan *plan, struct strings *ret, struct error *e);
/* Subject or alternative names are others. */
bool plan_names_differ(const struct plan *a, const struct plan *b);

/* Whether a plan in pairs is not renewed once its certificate has expired. */
bool plan_pairs_stop(const struct settings *pairs);
/* Whether it follows its CA to the next one. */
bool plan_pairs_follow(const struct settings *pairs);
/* NULL, or what differs so that a certificate must be enrolled anew: "subject", "alternative names", "key
 * usage", "extended key usage", "template", "key algorithm", "key protection", "anchor". The text is static.
 */
const char *plan_differs(const struct plan *a, const struct plan *b);
