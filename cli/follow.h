/* scepter events --follow: what comes through the pipe of FollowEvents, line by line. */
#pragma once

#include "cli/cli.h"

/*
 * Prints what was (@past, a list) and what comes from @fd, each event as a line of text or of JSON, until the
 * user has enough (SIGINT, SIGTERM, or nobody reads the output any more), or, where @one certificate is
 * followed, that was removed: ERR_OK. ERR_NO_SERVICE: the service ended.
 */
MUST_CHECK enum err follow_run(struct cli *cli, const json_t *past, int fd, bool one, struct error *e);
