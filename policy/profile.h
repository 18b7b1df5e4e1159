/*
 * The profile: what an administrator or a management service asks for, as typed and bounded values. Every
 * reader (INI, SyncML, the daemon's own store) produces settings; one table turns them into this struct and
 * back, so a value means the same wherever it came from. Pure: no I/O, no machine facts.
 */
#pragma once

#include "policy/record.h"

enum profile_type { PROFILE_DEVICE, PROFILE_USER };
/* A file; CertificateRequest in the Enroll node of CertificateStore; nodes of ClientCertificateInstall. */
enum profile_origin { ORIGIN_INI, ORIGIN_SYNCML, ORIGIN_CSP };
/* Windows' KeyProtection numbers. */
enum policy_protection {
        POLICY_PROTECTION_DEFAULT = 0, /* the daemon's DefaultKeyProtection decides */
        POLICY_PROTECTION_TPM = 1,
        POLICY_PROTECTION_TPM_PREFERRED = 2,
        POLICY_PROTECTION_SOFTWARE = 3,
        POLICY_PROTECTION_USER_VERIFIED = 4,
};
enum policy_algorithm { POLICY_RSA_2048, POLICY_RSA_3072, POLICY_RSA_4096, POLICY_EC_P256, POLICY_EC_P384 };
enum policy_hash { POLICY_SHA_1, POLICY_SHA_256, POLICY_SHA_384, POLICY_SHA_512 };
enum renewal_method { RENEWAL_AUTO, RENEWAL_RENEWALREQ, RENEWAL_SIGNED_PKCSREQ, RENEWAL_CHALLENGE };
enum after_expiry { AFTER_EXPIRY_RENEW, AFTER_EXPIRY_ENROLL, AFTER_EXPIRY_STOP };
enum suffix_mode { SUFFIX_AUTO, SUFFIX_YES, SUFFIX_NO };

/* Bits of X.509 keyUsage by their number in RFC 5280 §4.2.1.3. The two that make a CA cannot be asked for. */
enum key_usage {
        KEY_USAGE_DIGITAL_SIGNATURE = 1 << 0,
        KEY_USAGE_NON_REPUDIATION = 1 << 1,
        KEY_USAGE_KEY_ENCIPHERMENT = 1 << 2,
        KEY_USAGE_DATA_ENCIPHERMENT = 1 << 3,
        KEY_USAGE_KEY_AGREEMENT = 1 << 4,
};
enum legacy { LEGACY_DES = 1 << 0, LEGACY_SHA1 = 1 << 1 };
enum challenge_kind { CHALLENGE_NONE, CHALLENGE_ASK, CHALLENGE_FILE, CHALLENGE_CREDENTIAL, CHALLENGE_SOCKET };

enum {
        PROFILE_URL_MAX = 2048,
        PROFILE_URLS_MAX = 8,
        PROFILE_GROUPS_MAX = 8,
        PROFILE_NAME_MAX = 200,
        PROFILE_INI_MAX = 256 * 1024
};

struct profile {
        char *name;
        enum profile_type type;
        /* [Server] */
        struct strings urls;
        char *root_certificate;  /* a path as it was written, or NULL */
        struct bytes thumbprint; /* 20 (SHA-1) or 32 (SHA-256) octets, or none */
        char *challenge; /* "ask", "file:…", "credential:…", "socket:…" or NULL: profile_challenge_kind() */
        bool challenge_reusable;
        char *ca_identifier;
        enum suffix_mode pki_client_suffix;
        struct strings require_caps;
        unsigned allow_legacy; /* enum legacy */
        char *proxy, *ca_bundle, *client_certificate;
        bool follow_rollover;
        uint64_t pending_limit; /* seconds */
        /* [Key] */
        enum policy_protection protection;
        enum policy_algorithm algorithm;
        bool reuse_at_renewal, allow_downgrade;
        struct strings groups;
        /* [Subject] */
        char *subject;
        struct strings alternative_names;  /* "dns:…" and so on: san.h */
        unsigned key_usage;                /* enum key_usage; 0: profile_key_usage() */
        struct strings extended_key_usage; /* dotted OIDs */
        enum policy_hash hash;
        struct validity validity;
        char *template_name;
        /* [Renewal] */
        unsigned threshold; /* percent of life that REMAINS */
        enum renewal_method method;
        unsigned retry_count, retry_delay; /* polls; minutes between them */
        enum after_expiry after_expiry;
        /* [Document]: from documents only */
        enum profile_origin origin;
        char *issuers; /* which CAs the certificate may come from: issuers.h */
        char *model_name, *logical_name,
                *version; /* (model, logical) is the identity, version its content's hash */

        uint64_t given; /* which rows of the table were set, and do not stand at their default */
};

/*
 * The struct from its settings, each checked, then the whole: required keys, an anchor (@have_anchor: one
 * came with the document), combinations that cannot be. *ret is the caller's, profile_done(). ERR_PROFILE
 * names key, value and line.
 */
MUST_CHECK enum err profile_from_settings(const struct settings *in, bool have_anchor, struct profile *ret,
                                          struct error *e);
void profile_done(struct profile *p);

/* One setting alone, for readers that want to say where it stood. */
MUST_CHECK enum err profile_check_setting(const char *key, const char *value, unsigned line, struct error *e);
/* true: @key ("Server.Url") is a setting of the INI file. @ret_repeatable may be NULL. */
bool profile_key_known(const char *key, bool *ret_repeatable);
/*
 * Canonical settings in the table's order. @defaults: also those nobody set (for showing); without: what
 * profile_from_settings() needs to make the same struct again (for storing). *ret is the caller's,
 * settings_done().
 */
MUST_CHECK enum err profile_to_settings(const struct profile *p, bool defaults, struct settings *ret,
                                        struct error *e);
/* The same one by one; each() may stop with an error, which comes back. */
MUST_CHECK enum err profile_each_setting(const struct profile *p, bool defaults,
                                         enum err (*each)(void *ctx, const char *key, const char *value,
                                                          struct error *e),
                                         void *ctx, struct error *e);
/* The profile as an INI file: what was set, canonical, in the table's order. Document-only settings are left
 * out. *ret: free(). */
MUST_CHECK enum err profile_write_ini(const struct profile *p, char **ret, struct error *e);
/*
 * Which (key, value) pairs name something outside the document: a path, or a file:, credential: or socket:
 * challenge. The caller decides whether such values may be honoured (design: only from root's own files, or
 * with the content passed beside). Paths may be relative here. *ret: settings_done().
 */
MUST_CHECK enum err profile_file_values(const struct profile *p, struct settings *ret, struct error *e);

enum challenge_kind profile_challenge_kind(const struct profile *p);
/* What stands behind "file:", "credential:", "socket:"; NULL for the other kinds. Borrowed. */
const char *profile_challenge_source(const struct profile *p);
/* The bits to ask for: the profile's, or digitalSignature (and keyEncipherment with RSA). */
unsigned profile_key_usage(const struct profile *p);
/* true: subject and alternative names consist of variables alone, as a user's own profile must. */
bool profile_only_variables(const struct profile *p);
