/*
 * The state directory (scepter.state(5)): plain files, each written whole. The rename of "current" is what
 * makes a generation the installed one. Thread rule: functions on one certificate or profile belong to
 * whoever works on it (one at a time); different ones may be worked on side by side.
 *
 *      anchors/<owner>/<sha256>.pem
 *      attestation/key.pem (ksp.h, KSP_USE_ATTEST)
 *      syncml/<owner>/<sha256 of its key>, and beside it .challenge
 *      profiles/<id>/{profile.json, root.pem, ca-bundle.pem, client-cert.pem, client-key.pem, challenge}
 *      certificates/<id>/{record.json, events.jsonl, anchor.pem, refused.pem, current -> generations/<n>}
 *      certificates/<id>/{next-anchor.pem, followed-anchor.pem} (rollover/trust.h)
 *      certificates/<id>/generations/<n>/{key.pem, transport.pem, challenge, request.der, cert.pem,
 * chain.pem}
 */
#pragma once

#include <openssl/x509.h>

#include "base/file.h"
#include "policy/settings.h"
#include "record.h"

enum { ID_LEN = 32, STORE_FILE_MAX = 1024 * 1024 };
typedef char store_id[ID_LEN + 1]; /* 128 random bits, lower-case hex */

struct store;

MUST_CHECK enum err store_open(const char *path, struct store **ret, struct error *e);
void store_close(struct store *store); /* takes NULL */
MUST_CHECK enum err store_new_id(store_id ret, struct error *e);

enum store_kind { STORE_PROFILES, STORE_CERTIFICATES };
/* Every directory that is named by an id; others are passed over. */
MUST_CHECK enum err store_each(struct store *store, enum store_kind kind,
                               enum err (*each)(void *ctx, const char *id, struct error *e), void *ctx,
                               struct error *e);
/* Removes the object and all its files; a missing one is a success. */
MUST_CHECK enum err store_remove(struct store *store, enum store_kind kind, const char *id, struct error *e);

MUST_CHECK enum err store_record_read(struct store *store, const char *id, struct record *ret,
                                      struct error *e);
/* Makes the directory if need be. */
MUST_CHECK enum err store_record_write(struct store *store, const char *id, const struct record *record,
                                       struct error *e);
/* events.jsonl: octets of the file, and of one line with its newline. */
enum { STORE_EVENTS_MAX = 256 * 1024, STORE_EVENT_MAX = 16 * 1024 };
/* Makes room for one more line: where there is little left, the older half of the lines goes, at once or not
 * at all. To be called before store_event_add(), which is short. */
MUST_CHECK enum err store_events_trim(struct store *store, const char *id, struct error *e);
/* One line of JSON, without its newline, at the end. */
MUST_CHECK enum err store_event_add(struct store *store, const char *id, const char *line, struct error *e);
/* The newest lines, at most STORE_EVENTS_MAX octets; the last may be half a line. ERR_NOT_FOUND. Any thread.
 */
MUST_CHECK enum err store_events_read(struct store *store, const char *id, struct bytes *ret,
                                      struct error *e);

/* Directory of a generation, made if @create. *ret_fd: the caller's. */
MUST_CHECK enum err store_generation(struct store *store, const char *id, uint64_t n, bool create,
                                     int *ret_fd, struct error *e);
/* The commit: "current" points to generation @n, durably. The generation's files must be complete and
 * synchronised (file_write() does that). */
MUST_CHECK enum err store_commit(struct store *store, const char *id, uint64_t n, struct error *e);
/* What "current" points to; 0: nothing. */
MUST_CHECK enum err store_current(struct store *store, const char *id, uint64_t *ret, struct error *e);
MUST_CHECK enum err store_generation_remove(struct store *store, const char *id, uint64_t n, struct error *e);

/* The directory of the attestation key, STORE_ATTESTER in it, made if need be; *ret_fd: the caller's. */
#define STORE_ATTESTER "key.pem"
MUST_CHECK enum err store_attestation(struct store *store, int *ret_fd, struct error *e);

/* The directory of a certificate or profile, for the files of the KSP in it; *ret_fd: the caller's.
 * ERR_NOT_FOUND. */
MUST_CHECK enum err store_directory(struct store *store, enum store_kind kind, const char *id, int *ret_fd,
                                    struct error *e);
/* Other files in it ("challenge", "ca-bundle.pem"). Reading: ERR_NOT_FOUND. */
MUST_CHECK enum err store_file_write(struct store *store, enum store_kind kind, const char *id,
                                     const char *name, mode_t mode, struct view v, struct error *e);
MUST_CHECK enum err store_file_read(struct store *store, enum store_kind kind, const char *id,
                                    const char *name, struct secret *ret, struct error *e);
/* When it was written, seconds since the epoch; 0: it is not there. */
uint64_t store_file_time(struct store *store, enum store_kind kind, const char *id, const char *name);
MUST_CHECK enum err store_file_remove(struct store *store, enum store_kind kind, const char *id,
                                      const char *name, struct error *e);

/* PEM in the directory of a certificate ("anchor.pem", "refused.pem") or a profile ("root.pem"). */
MUST_CHECK enum err store_pem_write(struct store *store, enum store_kind kind, const char *id,
                                    const char *name, X509 *cert, struct error *e);
MUST_CHECK enum err store_pem_read(struct store *store, enum store_kind kind, const char *id,
                                   const char *name, X509 **ret, struct error *e);

/* @owner: a uid or NO_OWNER. *ret_known (may be NULL): it was there already. */
MUST_CHECK enum err store_anchor_add(struct store *store, uid_t owner, X509 *cert, bool *ret_known,
                                     struct error *e);
/* All anchors of the owner and of the device. *ret: sk_X509_pop_free(). */
MUST_CHECK enum err store_anchors(struct store *store, uid_t owner, STACK_OF(X509) * *ret, struct error *e);

/* ERR_OK also where it is not there. @digest: SHA-256, lower-case hex. */
MUST_CHECK enum err store_anchor_remove(struct store *store, uid_t owner, const char *digest,
                                        struct error *e);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err store_anchor_read(struct store *store, uid_t owner, const char *digest, X509 **ret,
                                      struct error *e);

/* What a management service made under one LocURI. */
struct stored_instance {
        uint64_t owner;         /* NO_OWNER: below ./Device */
        char *key;              /* policy/nodes.h */
        char *name;             /* as the server wrote it */
        char *profile;          /* id of the profile it became, "" for none */
        char *anchor;           /* digest of the root it is, "" for none */
        struct settings values; /* below Install/, without the challenge */
        bool due;               /* its enrollment has to be begun */
        bool leaving;           /* what it made has to be removed */
        bool awaited;           /* the server has still to be told how its enrollment ended */
};
MUST_CHECK enum err stored_instance_settle(struct stored_instance *instance, struct error *e);
MUST_CHECK enum err stored_instance_copy(const struct stored_instance *from, struct stored_instance *ret,
                                         struct error *e);
void stored_instance_done(struct stored_instance *instance);
MUST_CHECK enum err store_instance_write(struct store *store, const struct stored_instance *instance,
                                         struct error *e);
/* The challenge too. */
MUST_CHECK enum err store_instance_remove(struct store *store, const struct stored_instance *instance,
                                          struct error *e);
/* All of all owners; what @each gets is its own. One that is damaged is passed over. */
MUST_CHECK enum err store_instances_each(struct store *store,
                                         enum err (*each)(void *ctx, struct stored_instance *instance,
                                                          struct error *e),
                                         void *ctx, struct error *e);
/* Empty @challenge: removes it. Reading: ERR_NOT_FOUND. */
MUST_CHECK enum err store_instance_challenge(struct store *store, const struct stored_instance *instance,
                                             struct view challenge, struct error *e);
MUST_CHECK enum err store_instance_challenge_read(struct store *store, const struct stored_instance *instance,
                                                  struct secret *ret, struct error *e);

/* A profile: its settings (policy/profile.h), and where it came from. Challenges are never kept here. */
struct stored_profile {
        uint64_t owner; /* NO_OWNER: root placed it */
        bool managed;   /* root placed it for this owner alone: it is not his own */
        struct settings settings;
        struct strings notes;
        char *location; /* LocURI of a SyncML profile, "profiles.d/NAME", "" otherwise */
        char *digest;   /* of a file in profiles.d, with what it names: SHA-256, hex; "" otherwise */
};
MUST_CHECK enum err store_profile_write(struct store *store, const char *id,
                                        const struct stored_profile *profile, struct error *e);
MUST_CHECK enum err store_profile_read(struct store *store, const char *id, struct stored_profile *ret,
                                       struct error *e);
void stored_profile_done(struct stored_profile *profile);
