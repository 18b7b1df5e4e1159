/*
 * What documents made: one instance for each enrollment or root a server named, in memory and on disk. Loop's
 * thread only.
 */
#pragma once

#include "daemon/daemon.h"
#include "policy/answer.h"
#include "policy/nodes.h"

struct instance {
        struct stored_instance stored;
        struct instance *next;
};

struct instances;

/* Reads them all. *ret: instances_free(). */
MUST_CHECK enum err instances_load(struct store *store, struct instances **ret, struct error *e);
void instances_free(struct instances *instances); /* takes NULL */
/* Goes on with what was under way when the daemon stopped. */
void instances_resume(struct daemon *d);

struct instance *instances_first(struct instances *instances);
/* NULL: there is none. */
struct instance *instance_find(struct instances *instances, uid_t owner, const char *key);
/* Disk first, then memory: a new one, or the new content of @existing; *stored becomes the list's own. */
MUST_CHECK enum err instance_put(struct daemon *d, struct instance *existing, struct stored_instance *stored,
                                 struct instance **ret, struct error *e);
/* The entry alone, and its challenge. */
MUST_CHECK enum err instance_drop(struct daemon *d, struct instance *instance, struct error *e);
/* Its profile, as long as there is one; and the certificate made from it for its owner. NULL: none. */
struct profile_entry *instance_profile(struct daemon *d, const struct stored_instance *stored);
struct certificate *instance_certificate(struct daemon *d, const struct stored_instance *stored);
/* true: another instance of the owner has the same root, which must stay. */
bool instance_root_shared(struct daemon *d, const struct stored_instance *stored);

/*
 * Removes what the instance made: the request under way is cancelled, certificate, key and profile go, and a
 * root that no other instance has. The instance stays. @done comes in this call or in a later turn.
 */
void instance_remove(struct daemon *d, const struct stored_instance *stored,
                     void (*done)(void *ctx, const struct error *failure), void *ctx);

/* What has ended since the server was answered last, of the device and of @user (NO_OWNER: nobody): each is
 * told once. The older CSP and the agent's dialect have no such alert and are read instead. */
MUST_CHECK enum err instances_take_alerts(struct daemon *d, uid_t user, struct answer_alerts *ret,
                                          struct error *e);
