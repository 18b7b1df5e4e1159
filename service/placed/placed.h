/*
 * Profiles that root places as files (scepter.profile(5)): at the start, and when the directory changes, each
 * becomes a profile, an edited one changes it, and one that is gone takes it along, its certificates staying
 * as those of any removed profile. A device's profile whose challenge needs nobody is enrolled at once.
 * Loop's thread.
 */
#pragma once

#include "daemon/daemon.h"

struct placed;

MUST_CHECK enum err placed_start(struct daemon *d, struct error *e);
/* Before the bus goes; and once pool and workers are gone. */
void placed_stop(struct daemon *d);
void placed_end(struct daemon *d);
/* Whether a profile with this location was placed as a file: its sources of challenges count. */
bool is_placed(const char *location);
