/*
 * What the daemon knows in memory: a short summary of each certificate and profile, found by id. Everything
 * else is read from the disk when it is asked for, so that ten thousand certificates cost little. Loop's
 * thread only.
 */
#pragma once

#include "enroll/lifecycle.h"
#include "store/store.h"
#include "work/schedule.h"

struct enrollment;
struct apply;
struct ksp_key;
struct pin_question;

/* Of a generation that was replaced. */
struct old_key {
        uint64_t generation;
        uint8_t key_id[20];
};

struct certificate {
        store_id id, profile; /* profile: "" once it was removed */
        char *name, *owner_name;
        uid_t account; /* that it was made for; NO_OWNER: the device */
        uid_t owner;   /* the same, or LOST_OWNER */
        enum activity activity;
        uint64_t activity_since;
        const char *progress; /* static; "": none */
        uint64_t current, requested;
        uint64_t not_before, not_after, renew_at, retry_at, revoked_at;
        uint8_t key_id[20];
        bool unanswered;     /* its last attempt or poll failed because no server answered */
        bool has_key, stops; /* stops: it is not renewed once it has expired */
        bool follows;        /* its CA to the next one */

        struct old_key *old; /* n_old of them */
        size_t n_old;
        uint64_t order;                  /* position in lists; grows, never 0 */
        struct enrollment *enrollment;   /* while it runs */
        uint64_t renewed_by_hand;        /* when, last; 0: never */
        struct schedule_entry look;      /* enroll/due.h */
        enum health told;                /* what the bus heard of its health last */
        uint64_t check_at;               /* when its CRLs are looked at; 0: not set yet */
        struct revocation_check *check;  /* while they are */
        uint64_t crl_refused;            /* the generation of which it was told that it has none; 0: none */
        uint64_t follow_at;              /* when what its CA announces is looked at; 0: not set yet */
        struct rollover_look *following; /* while it is */
        uint32_t refusal_told;           /* of what it announces: a digest of the last one told; 0: none */
        struct pin_question *question;   /* objects/ask.h: while its owner's agent is asked for its PIN */
        uint64_t asked;                  /* newest agent that was, since it began to wait */
        unsigned pin_tries;              /* that its TPM had left then; 0: not known */
        uint64_t put_off;                /* its renewal or attempt is not before; 0: when its date says */
        uint64_t apply_at;               /* when its consumers are tried; 0: they have it */
        struct apply *apply;             /* enroll/apply.h: while they are */
        bool apply_again;                /* a consumer changed meanwhile */
        bool noting;                     /* enrollment only puts on record what was found out beside it */
        struct afterwards *afterwards;   /* what waits for that; enroll/afterwards.h */
        bool changing_pin;               /* of its key, in a thread */
        bool leaving;                    /* its files are being deleted just now */
        struct record *details;          /* of model_details(); NULL: not in memory */
        struct ksp_key *key; /* of generation key_generation, once somebody used it; see model_key() */
        uint64_t key_generation;
        struct certificate *next_in_bucket;
};

static inline enum health certificate_health(const struct certificate *c, uint64_t now)
{
        return health_of(&(struct health_dates){c->not_before, c->not_after, c->renew_at, c->revoked_at},
                         now);
}

struct profile_entry {
        store_id id;
        char *name;
        uid_t owner;    /* NO_OWNER: root placed it */
        bool managed;   /* placed by root for its owner, who may use and not remove it */
        bool for_users; /* Type=user */
        char *location;
        struct strings groups; /* whose members may use the keys of its certificates */
        struct profile_entry *next;
};

struct model;

MUST_CHECK enum err model_new(struct store *store, struct model **ret, struct error *e);
void model_free(struct model *model); /* takes NULL */

struct certificate *model_find(struct model *model, const char *id);
/* The certificate of this name that @uid may use: his own first, then the device's. NULL: none, or two. */
struct certificate *model_find_name(struct model *model, const char *name, uid_t uid, bool all);
/* *ret_generation: the one that the key is of, current or kept. */
struct certificate *model_find_key(struct model *model, const uint8_t key_id[20], uint64_t *ret_generation);
/* The one made from this profile for this owner; NULL: none yet. */
struct certificate *model_find_origin(struct model *model, const char *profile, uid_t owner);
/* The first whose order is above @order, in ascending order; NULL: the end. */
struct certificate *model_next(struct model *model, uint64_t order);

/* A new certificate from its record, and an existing one brought up to date with it. */
MUST_CHECK enum err model_add(struct model *model, const char *id, const struct record *record,
                              struct certificate **ret, struct error *e);
/* Takes it from its owner, and gives it back: keys/owners.h says when. */
void model_estrange(struct certificate *certificate, bool lost);
MUST_CHECK enum err model_update(struct certificate *certificate, const struct record *record,
                                 struct error *e);
void model_remove(struct model *model, struct certificate *certificate);
unsigned model_count(const struct model *model, uid_t owner);

/* The record, read from the disk when it is not in memory; borrowed until the next turn of the loop. NULL: it
 * could not be read. */
const struct record *model_details(struct model *model, struct certificate *certificate);
/* The key of the current generation, loaded once and shared by all who use it; borrowed. */
struct ksp;
MUST_CHECK enum err model_key(struct model *model, struct ksp *ksp, struct certificate *certificate,
                              struct ksp_key **ret, struct error *e);
/* That of any generation that is kept; *ret: ksp_key_unref(). */
MUST_CHECK enum err model_any_key(struct model *model, struct ksp *ksp, struct certificate *certificate,
                                  uint64_t generation, struct ksp_key **ret, struct error *e);
/* Frees records that were read for showing. */
void model_forget_details(struct model *model);

MUST_CHECK enum err model_add_profile(struct model *model, const char *id,
                                      const struct stored_profile *profile, struct profile_entry **ret,
                                      struct error *e);
/* Its settings are others now. */
MUST_CHECK enum err model_change_profile(struct profile_entry *entry, const struct stored_profile *profile,
                                         struct error *e);
void model_remove_profile(struct model *model, struct profile_entry *profile);
struct profile_entry *model_find_profile(struct model *model, const char *id);
/* By name and owner. */
struct profile_entry *model_profile_named(struct model *model, const char *name, uid_t owner);
struct profile_entry *model_profiles(struct model *model); /* the first; NULL: none */
