/* What stands in the files that a profile names, however they came. */
#pragma once

#include <openssl/x509.h>

#include "client-certificate.h"
#include "policy/settings.h"

enum { NAMED_FILE_MAX = 256 * 1024 };

struct named_files {
        X509 *root;
        struct secret bundle, challenge;
        struct client_certificate client;
};
void named_files_done(struct named_files *files);

/* @named: key and value as the profile has them (profile_file_values()); @content: the caller's, who wipes
 * it. ERR_PROFILE and ERR_INVALID name the key; ERR_UNSUPPORTED: no such key. Any thread. */
MUST_CHECK enum err named_files_take(struct named_files *files, struct ksp *ksp, const struct setting *named,
                                     struct view content, struct error *e);
