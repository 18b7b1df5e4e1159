/*
 * The groups in the Groups= of profiles, and their gids: who may use a device's keys beside root. The rights
 * are those of the profile as it stands now, not of the plan its certificate was made by: an edit counts at
 * once, also for keys that are open, whatever the certificate is doing; and a certificate whose profile was
 * removed is root's alone.
 *
 * The name services are asked in a thread of its own, never on behalf of a peer: at the start, when a profile
 * comes or changes, or a user's certificate comes, when /etc/group or passwd does, every five minutes
 * besides, and sooner where they did not answer. The accounts of users' certificates are asked for with them:
 * owners.h. A group that is gone loses its right then; what does not answer changes nothing. Loop's thread
 * only, but for the last.
 */
#pragma once

#include "daemon/daemon.h"
#include "policy/profile.h"

struct key_groups;

/* After load_state(). Begins to ask where a profile names groups, or a user has a certificate. */
MUST_CHECK enum err key_groups_new(struct daemon *d, struct key_groups **ret, struct error *e);
/* Waits for the name services' last answer. Takes NULL. */
void key_groups_free(struct key_groups *groups);
/* Whether the first answers are still to come. Then key_server_open() is called with them, or after 5 s. */
bool key_groups_are_awaited(const struct key_groups *groups);
/* A profile came or changed. Takes NULL. */
void key_groups_look(struct key_groups *groups);
/* Those that may use the key of @certificate now; how many. */
unsigned key_groups_of(const struct daemon *d, const struct certificate *certificate,
                       gid_t ret[PROFILE_GROUPS_MAX]);

/* That a profile's groups are there: ERR_PROFILE otherwise, or what the name services' failure is. Blocks as
 * these do: pool. */
MUST_CHECK enum err key_groups_check(const struct strings *names, struct error *e);
