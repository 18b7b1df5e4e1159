/* Objects of the service as JSON. */
#pragma once

#include "cli/cli.h"

/* All properties of one interface of @path, keys lower-first. ERR_NOT_FOUND: there is no such object (for
 * this caller). *ret: json_decref(). */
MUST_CHECK enum err object_properties(struct cli *cli, const char *path, const char *interface, json_t **ret,
                                      struct error *e);
/* The same for a certificate and a profile, with "id" and "path"; a certificate's owner and lastError are
 * objects. */
MUST_CHECK enum err object_certificate(struct cli *cli, const char *path, json_t **ret, struct error *e);
MUST_CHECK enum err object_profile(struct cli *cli, const char *path, json_t **ret, struct error *e);
/* All profiles the caller may see, as an array of such objects, sorted by name. */
MUST_CHECK enum err object_profiles(struct cli *cli, json_t **ret, struct error *e);
/* All certificates: id, path, name, health, activity, notBefore, notAfter, renewAt. @name: those with this
 * name alone; may be NULL. Goes through the pages of ListCertificates. */
MUST_CHECK enum err object_certificates(struct cli *cli, const char *name, json_t **ret, struct error *e);
/* The last part of @path. */
const char *object_id(const char *path);
