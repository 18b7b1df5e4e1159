/* Waiting for what the service tells. */
#pragma once

#include "cli/cli.h"

/* From now on signals about the caller's own objects come, too. */
MUST_CHECK enum err watch_subscribe(struct cli *cli, struct error *e);
/* Waits for a signal that was matched, or for a minute: anything may have changed then. *ret_moved: the
 * service left the bus or came to it, and knows nothing of a subscription. */
MUST_CHECK enum err watch_signal(struct cli *cli, bool *ret_moved, struct error *e);
/* The same, subscribed anew where the service moved. */
MUST_CHECK enum err watch_wait(struct cli *cli, struct error *e);
