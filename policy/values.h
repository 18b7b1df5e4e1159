/* What single values of a profile must look like. Each function answers what is wrong, as the end of the
 * sentence "it …" ("is no URL"), or NULL. Names of enums beside them. Pure. */
#pragma once

#include <stdbool.h>

const char *url_wrong(const char *value);
const char *proxy_wrong(const char *value);
const char *thumbprint_wrong(const char *value);
const char *challenge_wrong(const char *value);
const char *path_wrong(const char *value);
const char *group_wrong(const char *value);
const char *oid_wrong(const char *value);
const char *subject_wrong(const char *value);
const char *alternative_name_wrong(const char *value);
const char *template_wrong(const char *value);

extern const char *const profile_type_names[];
extern const char *const protection_names[]; /* from POLICY_PROTECTION_TPM on */
extern const char *const algorithm_names[];
extern const char *const hash_names[];
extern const char *const renewal_method_names[];
extern const char *const after_expiry_names[];
extern const char *const suffix_names[];
extern const char *const key_usage_names[];
extern const char *const legacy_names[];
extern const char *const origin_names[];
extern const char *const capability_names[];
extern const char *const challenge_kind_names[];
