/*
 * Who may use which key for what: the one place that decides, from a peer's credentials (applications on the
 * key socket) or from a grant (a worker on its stream, whose credentials are never looked at).
 */
#pragma once

#include "channel/frame.h"
#include "ksp.h"

enum { GROUPS_MAX = 64 };

/* The other end of a connection to the key socket, as the kernel says (SO_PEERCRED, SO_PEERGROUPS). */
struct key_peer {
        uid_t uid;
        gid_t gid, groups[GROUPS_MAX];
        unsigned n_groups;
        bool root; /* uid 0 or the daemon's own */
};

/* What a key belongs to. */
struct key_owner {
        uid_t uid;           /* (uid_t)-1: the device */
        const gid_t *groups; /* groups that may use a device key */
        unsigned n_groups;
};

enum { GRANT_TLS_SIGNATURES = 4 }; /* a job's connections: a server that closes each costs one a request */

/* A worker's rights: @uses operations in all with what receives the reply, FRAME_DECRYPT or FRAME_DERIVE as
 * the key is, FRAME_UNWRAP with the password; @tls_uses operations FRAME_TLS_SIGN with @tls. */
struct key_grant {
        struct ksp_key *key;    /* NULL: none */
        bool derives;           /* it is an EC key */
        struct secret password; /* empty: none */
        uid_t uid;              /* for the TPM's queue */
        unsigned uses;
        struct ksp_key *tls; /* NULL: none */
        unsigned tls_uses;
};

/* Who asks: exactly one of the two. */
struct key_access {
        const struct key_peer *peer;
        struct key_grant *grant;
};

/*
 * A user's key is his and root's; a device key is root's and its groups'; what a peer may not use does not
 * exist: ERR_NOT_FOUND; FRAME_TLS_SIGN and FRAME_UNWRAP are for workers: ERR_KEY_DENIED. A grant is good for
 * the operations it names, and is counted down: ERR_KEY_DENIED otherwise. @owner: NULL where there is no such
 * key, and with a grant, which holds its key itself.
 */
MUST_CHECK enum err access_decide(const struct key_access *who, const struct key_owner *owner,
                                  enum frame_type operation, struct error *e);
