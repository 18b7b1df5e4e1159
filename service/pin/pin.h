/*
 * Tries of a PIN, counted by the daemon, per key: in the file "pin-tries" of its generation, written before a
 * try goes to the TPM and removed after a right one. Whoever kills the daemon in between has used up his try.
 * After PIN_TRIES wrong ones none is taken for PIN_REST; the TPM's own counter, which is everybody's, is
 * looked at by ksp.h, which keeps one try away from its lockout.
 *
 * Thread rule: any thread of the pool; blocks as ksp_run() does.
 */
#pragma once

#include "ksp.h"

enum { PIN_TRIES = 5, PIN_REST = 24 * 3600 };

struct pin_guard; /* one for all keys: two tries at once are two tries */

MUST_CHECK enum err pin_guard_new(struct pin_guard **ret, struct error *e);
void pin_guard_free(struct pin_guard *guard); /* takes NULL */

/*
 * ksp_run() of an operation with a PIN. @dirfd: the key's generation; @name: of its certificate, for what is
 * told; @now: seconds since the epoch. Of a PIN: ERR_PIN_NEEDED, ERR_INVALID (no PIN is of that form),
 * ERR_TPM_WRONG_AUTH (with the tries that are left), ERR_PIN_LOCKED (with the time), ERR_TPM_LOCKED_OUT. A
 * key that wants no PIN is not counted. op->tries: left after a wrong one, by both counters.
 */
enum err pin_run(struct pin_guard *guard, int dirfd, const char *name, uint64_t now, struct ksp_op *op);
/* Whether @pin is the key's, by a signature of nothing in particular; the same answers. *ret_left: set with
 * ERR_TPM_WRONG_AUTH alone. */
MUST_CHECK enum err pin_verify(struct pin_guard *guard, int dirfd, const char *name, uint64_t now,
                               struct ksp_key *key, uid_t uid, struct view pin, unsigned *ret_left,
                               struct error *e);
/* How many wrong ones our own count still allows at @now. */
MUST_CHECK enum err pin_left(struct pin_guard *guard, int dirfd, uint64_t now, unsigned *ret,
                             struct error *e);
/*
 * Gives op->key the PIN op->data instead of op->pin, which is tried as pin_run() does; its file in @dirfd is
 * replaced as ksp_key_replace() says. One at a time for a key. ERR_UNSUPPORTED: it has none.
 */
MUST_CHECK enum err pin_change(struct pin_guard *guard, int dirfd, const char *name, uint64_t now,
                               struct ksp_op *op, struct error *e);
