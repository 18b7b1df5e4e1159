/* What the variables of a profile stand for. */
#pragma once

#include "cli/cli.h"

/*
 * Asks the service to resolve the profile at @path, for @user (NULL: the caller). *ret: an object with
 * "variables" (name: value), "subjectName" and "alternativeName" (a list); json_decref().
 */
MUST_CHECK enum err variables_resolve(struct cli *cli, const char *path, const char *user, json_t **ret,
                                      struct error *e);
/* For people: one line each. */
MUST_CHECK enum err variables_print(struct cli *cli, const json_t *resolved, struct error *e);
