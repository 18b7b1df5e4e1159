/* PROFILE and CERT on the command line: a name, an id, or an object path. */
#pragma once

#include "cli/cli.h"

/* *ret: the object's path; free(). ERR_NOT_FOUND; ERR_INVALID where several have this name, which lists their
 * ids. */
MUST_CHECK enum err resolve_certificate(struct cli *cli, const char *word, char **ret, struct error *e);
MUST_CHECK enum err resolve_profile(struct cli *cli, const char *word, char **ret, struct error *e);
/* The pure part: picks from @list (objects with id, path and name) what @word names; @kind stands in the
 * errors. */
MUST_CHECK enum err resolve_in(const json_t *list, const char *kind, const char *word, char **ret,
                               struct error *e);
