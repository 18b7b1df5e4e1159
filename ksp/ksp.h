/*
 * The key storage provider: keys in the TPM or in software behind one interface. Nothing of tpm2-tss shows
 * here.
 *
 * A key at rest is one file: a TPM key is TSS2 PRIVATE KEY PEM (readable by tpm2-openssl), a software key is
 * PKCS#8 PEM encrypted with the host secret. No call exports a private half.
 *
 * Thread rule: every function may be called from any thread. Calls marked "blocks" wait for the TPM
 * (milliseconds on a simulator, up to minutes for a key on a slow chip) and do not belong into an event loop;
 * ksp_submit() does. At the TPM, sign and decrypt go before create, uids take turns, and one create per uid
 * is in flight.
 */
#pragma once

#include <openssl/evp.h>
#include <sys/types.h>

#include "base/secret.h"
#include "evidence.h"
#include "key/key.h"

struct ksp;
struct ksp_key; /* counts references */

struct ksp_config {
        const char *tcti;        /* NULL or "none": this machine has no TPM; "auto": the kernel's */
        struct view host_secret; /* empty: missing, and software keys say so; copied */
        struct view owner_auth;  /* the TPM's owner password; empty: not given; copied */
};

/* Always succeeds where memory suffices: a TPM that is absent or failing is told by ksp_tpm() and by each
 * use. */
MUST_CHECK enum err ksp_open(const struct ksp_config *config, struct ksp **ret, struct error *e);
/* All keys must be released and all submitted operations done. Takes NULL. */
void ksp_close(struct ksp *ksp);

enum ksp_tpm_state { KSP_TPM_READY, KSP_TPM_ABSENT, KSP_TPM_FAILING };

struct ksp_tpm {
        enum ksp_tpm_state state;
        struct error why; /* not READY: code, sentence, remedy */
        char manufacturer[8], vendor[20], firmware[24], parent[16];
        unsigned revision, slots; /* slots: transient objects the chip holds for us */
        bool in_lockout;
        unsigned lockout_counter, lockout_max, lockout_interval; /* interval: seconds for one count to go */
        unsigned lockout_seconds;                                /* at most, until a lockout ends; 0: none */
        bool algs[_KEY_ALG_MAX];                                 /* what this TPM makes */
};
/* Asks the TPM afresh; blocks. Never fails: a failure is the answer. */
void ksp_tpm(struct ksp *ksp, struct ksp_tpm *ret);
const char *ksp_tpm_state_name(enum ksp_tpm_state state); /* "ready", "absent", "failing" */
/* Since when the TPM has been at the present command (CLOCK_MONOTONIC, microseconds), 0: idle; *ret_limit:
 * how long this one may take. A command over its limit never comes back (a TCTI read has no time-out). */
uint64_t ksp_busy_since(struct ksp *ksp, uint64_t *ret_limit);

/*
 * The PIN of a user-verified key (key_pin_check()) goes to the TPM encrypted alone (a salted HMAC session),
 * as the key's authorisation value; the TPM counts wrong ones towards its lockout, which stops every key of
 * every program that has such a value.
 */
struct ksp_spec {
        enum key_alg alg;
        enum key_protection protection; /* not DEFAULT */
        uid_t uid;                      /* on whose behalf: for the queue */
        bool no_downgrade; /* a renewal of a TPM key: absent is a failure even where software is allowed */
        struct view pin;   /* USER_VERIFIED alone, and there needed */
};

/*
 * Makes a key by the table of design.md §4; blocks. @ret_reason (free()): why the key is where it is, one
 * sentence. Worth handling: ERR_TPM_ABSENT, ERR_TPM_FAILED and kin (retry later, never software),
 * ERR_KEY_NOT_SUPPORTED, ERR_HOST_SECRET, ERR_PIN_NEEDED. The key is in memory only until ksp_key_save().
 */
MUST_CHECK enum err ksp_create(struct ksp *ksp, const struct ksp_spec *spec, struct ksp_key **ret,
                               char **ret_reason, struct error *e);
/* Writes the key's file, mode 0600, atomically. */
MUST_CHECK enum err ksp_key_save(struct ksp_key *key, int dirfd, const char *name, struct error *e);
/* Reads a key's file; does not talk to the TPM. Worth handling: ERR_NOT_FOUND, ERR_KEY_DAMAGED,
 * ERR_HOST_SECRET. */
MUST_CHECK enum err ksp_load(struct ksp *ksp, int dirfd, const char *name, struct ksp_key **ret,
                             struct error *e);
/*
 * Takes over the one private key that stands in @pem, alone or among certificates: PKCS#8 without a
 * passphrase as a software key, TSS2 PRIVATE KEY as a TPM key of this or another TPM, which shows when it is
 * used. Does not talk to the TPM; in memory only until ksp_key_save(). @pem stays the caller's, who wipes it.
 * ERR_INVALID: no such key, or two; ERR_KEY_NOT_SUPPORTED; ERR_HOST_SECRET.
 */
MUST_CHECK enum err ksp_import(struct ksp *ksp, struct view pem, struct ksp_key **ret, struct error *e);
/* Unloads the key if it is loaded here and removes its file. A missing file is a success. */
MUST_CHECK enum err ksp_delete(struct ksp *ksp, struct ksp_key *key, int dirfd, const char *name,
                               struct error *e);
/* Calls @each for every key file in the directory, by name; other files are passed over. @each returns ERR_OK
 * to go on. */
MUST_CHECK enum err ksp_list(int dirfd,
                             enum err (*each)(void *ctx, const char *name, bool in_tpm, struct error *e),
                             void *ctx, struct error *e);

struct ksp_key *ksp_key_ref(struct ksp_key *key);
void ksp_key_unref(struct ksp_key *key); /* takes NULL */
static inline void ksp_key_unref_p(struct ksp_key **key)
{
        ksp_key_unref(*key);
}

/* The public half (OpenSSL's default provider), borrowed. */
EVP_PKEY *ksp_key_public(const struct ksp_key *key);
enum key_alg ksp_key_alg(const struct ksp_key *key);
bool ksp_key_in_tpm(const struct ksp_key *key);
bool ksp_key_wants_pin(const struct ksp_key *key);
const uint8_t *ksp_key_id(const struct ksp_key *key); /* KEY_ID_LEN octets */

/* TPMA_OBJECT, TPM 2.0 Part 2 §8.3, the part that tells where a key was born and whether it can leave. */
enum {
        KSP_FIXED_TPM = 1 << 0,
        KSP_FIXED_PARENT = 1 << 1,
        KSP_SENSITIVE_DATA_ORIGIN = 1 << 2,
        KSP_NO_DA = 1 << 3,
        KSP_SIGN = 1 << 4,
        KSP_DECRYPT = 1 << 5,
        KSP_USER_WITH_AUTH = 1 << 6,
};
struct ksp_key_info {
        enum key_alg alg;
        bool in_tpm;
        unsigned attributes; /* of a TPM key, as the TPM reports them (ReadPublic); 0 for software */
        char parent[16];     /* "0x40000001" */
};
/* Loads a TPM key and reads its attributes back; blocks. */
MUST_CHECK enum err ksp_describe(struct ksp_key *key, struct ksp_key_info *ret, struct error *e);
/* "fixedTPM" and so on for one bit. */
const char *ksp_attribute_name(unsigned bit);

/* @data: a hash of how->digest, or see KEY_DIGEST_NONE. *ret: PKCS#1 octets or DER ECDSA-Sig-Value. Blocks.
 * This and the next two are for keys without a PIN: ERR_PIN_NEEDED where there is one, see ksp_run(). */
MUST_CHECK enum err ksp_sign(struct ksp_key *key, uid_t uid, const struct key_sign *how, struct view data,
                             struct bytes *ret, struct error *e);
/* RSA; unpadded in constant time. A bad padding is ERR_INVALID; of a software key with PKCS#1 v1.5 it may
 * also be ERR_OK and octets that depend on key and data and say nothing: OpenSSL's implicit rejection (3.2
 * on), which gives nobody an oracle. Blocks. */
MUST_CHECK enum err ksp_decrypt(struct ksp_key *key, uid_t uid, const struct key_decrypt *how,
                                struct view data, struct secret *ret, struct error *e);
/* EC: the shared secret of ECDH with @point, the other side's public key (X9.62, uncompressed), which is
 * ERR_INVALID where it does not lie on the key's curve. *ret: the x coordinate, as long as the field. Blocks.
 */
MUST_CHECK enum err ksp_derive(struct ksp_key *key, uid_t uid, struct view point, struct secret *ret,
                               struct error *e);

/*
 * The same for an event loop. TPM keys only: software keys are for a thread of the caller. @done runs in the
 * TPM's thread (or, out of memory, at once) and must not block; op, its data and how stay valid until then.
 * Exactly one of signature, plain, file, error is filled, by result.
 */
enum ksp_use { KSP_USE_SIGN, KSP_USE_DECRYPT, KSP_USE_DERIVE, KSP_USE_CHANGE_PIN, KSP_USE_ATTEST };
/*
 * KSP_USE_ATTEST: evidence that the key lies in the TPM. op->data: EVIDENCE_HASH_LEN octets, which the
 * statements are qualified with. The attestation key is the file @name in @dirfd, mode 0600; it is made where
 * there is none, or none that the TPM knows, so this takes its turn among what creates keys.
 * ERR_KEY_NOT_SUPPORTED: a software key.
 */
struct ksp_attest {
        int dirfd;
        const char *name;
        struct evidence evidence; /* out: evidence_done() */
};
struct ksp_op {
        struct ksp_key *key; /* a reference is held */
        uid_t uid;
        enum ksp_use use; /* anything but a signature, a file or evidence ends up in @plain */
        struct ksp_attest *attest;
        struct key_sign sign;
        struct key_decrypt decrypt;
        struct view data; /* CHANGE_PIN: the new one */
        struct view pin;  /* where ksp_key_wants_pin() */
        void (*done)(struct ksp_op *op);

        enum err result;
        struct bytes signature;
        struct secret plain;
        struct bytes file; /* CHANGE_PIN: for ksp_key_replace() */
        struct error error;
        unsigned tries; /* with a PIN: how many wrong ones, of anybody, are left before none is tried */
        bool tried;     /* the PIN went to the TPM */
};
void ksp_submit(struct ksp_op *op);
/*
 * The same in the caller's thread, for any key; blocks. @done is not called. Of a PIN: ERR_PIN_NEEDED,
 * ERR_TPM_WRONG_AUTH (the TPM has counted it), ERR_PIN_LOCKED (one more wrong PIN would lock the TPM, so it
 * was not tried), ERR_TPM_LOCKED_OUT (it is locked). A PIN is tried once: where its answer was lost, that is
 * the error.
 */
enum err ksp_run(struct ksp_op *op);

/*
 * The end of KSP_USE_CHANGE_PIN, which leaves the key as it was (ERR_UNSUPPORTED: it has no PIN; ERR_INVALID:
 * the new one is none): op->file, @file here, takes the place of the key's file, at once and durably, and
 * then all who hold @key, or what the TPM has loaded of it, have the new PIN. Who goes on with a copy of the
 * old file, which the TPM takes for ever, has the old one. One at a time for a file; blocks. After an error
 * the old PIN holds, or, where only the disk's last word is missing, the new one.
 */
MUST_CHECK enum err ksp_key_replace(struct ksp_key *key, int dirfd, const char *name, struct view file,
                                    struct error *e);

/* Which way a setting leads; pure, for ksp_create() and its test. @tpm: ERR_OK, ERR_TPM_ABSENT,
 * ERR_KEY_NOT_SUPPORTED, or any other code: a fault. */
enum ksp_place { KSP_IN_TPM, KSP_IN_SOFTWARE, KSP_REFUSED };
enum ksp_place ksp_decide(enum key_protection protection, enum err tpm, bool no_downgrade);
