/*
 * Values as Windows' certificate CSPs and Intune's documents write them, turned into settings of
 * scepter.profile(5): numbers for key usage, key protection and alternative names, families of hashes, number
 * and unit of a validity. Each function answers ERR_PROFILE with a sentence that names the value and not the
 * place, which its caller knows. *ret: free(); "" where the value says nothing. Pure.
 */
#pragma once

#include "policy/settings.h"

/* The decimal value of keyUsage's first octet; 32, 128 or both must be in it. *ret_no_signature: TLS client
 * authentication will not go. */
MUST_CHECK enum err windows_key_usage(const char *text, char **ret, bool *ret_no_signature, struct error *e);
/* KeyProtection or KeyStorageProviderSetting, 0 to 4. */
MUST_CHECK enum err windows_protection(const char *text, char **ret, struct error *e);
/* Bits of an RSA key. */
MUST_CHECK enum err windows_key_length(const char *text, char **ret, struct error *e);
/* Polls; what is above 30 is cut to 30, as the CSP does: *ret_cut. */
MUST_CHECK enum err windows_retry_count(const char *text, char **ret, bool *ret_cut, struct error *e);
/* "SHA-1", "SHA-2", "SHA-3": the strongest of @families that SCEP has a name for. *ret_sha1: SHA-1 alone,
 * which needs Server.AllowLegacy. */
MUST_CHECK enum err windows_hash(const struct strings *families, char **ret, bool *ret_sha1, struct error *e);
/* "2" and "Years": Intune's ValidityPeriod and ValidityPeriodUnit, the CSP's ValidPeriodUnits and ValidPeriod
 * (whose names say the opposite). 0 leaves the choice to the CA. @unit may be "": days. */
MUST_CHECK enum err windows_validity(const char *number, const char *unit, char **ret, struct error *e);
/* AlternativeNameType and value; @oid: of type 1, may be NULL otherwise. Also as san_number_refuse() says. */
MUST_CHECK enum err windows_alternative_name(const char *type, const char *oid, const char *value, char **ret,
                                             struct error *e);
/* 0: none; 1: wished (*ret_wished); anything above demands what this program cannot give yet:
 * ERR_UNSUPPORTED. */
MUST_CHECK enum err windows_attestation(const char *text, bool *ret_wished, struct error *e);
/* @text cut at any of @separators, without blanks around the parts, without empty ones. ERR_TOO_LARGE. */
MUST_CHECK enum err windows_list(const char *text, const char *separators, struct strings *ret,
                                 struct error *e);
