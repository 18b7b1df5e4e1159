/*
 * The values below Install/ of Windows' SCEP CSPs become the settings of a profile (facts: ClientCertificate-
 * Install CSP; the older CertificateStore CSP has the same with other spellings, which policy/nodes.h
 * unifies). Pure.
 */
#pragma once

#include "policy/nodes.h"
#include "policy/settings.h"

/* One value alone, when it is written: ERR_PROFILE with what is wrong, ERR_UNSUPPORTED where
 * it demands what this version has not. */
MUST_CHECK enum err csp_check_value(enum node_branch branch, const char *name, const char *value,
                                    struct error *e);
/* ERR_PROFILE names every value that Enroll needs and that is not there. */
MUST_CHECK enum err csp_check_required(const struct settings *values, bool have_challenge, struct error *e);
/*
 * All of them, when Enroll is executed. @values: names of the newer CSP. @id: the server's name of the
 * instance, decoded; the profile is called so. *ret, *ret_notes: the caller's.
 */
MUST_CHECK enum err csp_settings(enum node_branch branch, const struct settings *values, const char *id,
                                 bool user, struct settings *ret, struct strings *ret_notes, struct error *e);
/* The name of a profile from what a server called it: bounded, no '/', no '.' or '-' first. */
void profile_name_from(const char *id, char ret[], size_t size);
