/* What lies in the state directory at the start, into the model. */
#pragma once

#include "daemon.h"

/* Before the loop runs. One damaged file does not keep the others from being served: it is told. */
MUST_CHECK enum err load_state(struct daemon *d, struct error *e);
