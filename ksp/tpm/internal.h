/* Shared by the files of ksp/tpm alone: the connection and the errors of ESYS. */
#pragma once

#include <tss2/tss2_esys.h>

#include "tpm.h"

struct tpm {
        char *tcti, *sysroot;
        TSS2_TCTI_CONTEXT *transport;
        ESYS_CONTEXT *esys; /* NULL: not connected */
        uint64_t epoch;     /* counts connections, from 1 */

        ESYS_TR persistent_parent; /* 0x81000001 or what a file names; ESYS_TR_NONE: not looked up */
        uint32_t persistent_handle;
        bool persistent_counts;     /* a wrong password for it counts towards the lockout (no noDA) */
        uint32_t refused_handle;    /* the persistent parent that has a password: it is asked once. 0: none */
        TPMS_CONTEXT *owner_parent; /* saved context of the primary under the owner hierarchy */
        struct secret owner_auth;   /* the owner hierarchy's password; empty: not given */
        TSS2_RC last;               /* of tpm_fault(), for tpm_mend() */

        struct tpm_object newest; /* ring of loaded keys, newest first */
        unsigned loaded, slots;
        unsigned contexts; /* keys with a saved context */
};

/* Where the storage root key is made persistent (TCG provisioning guidance). */
#define TPM_SRK UINT32_C(0x81000001)

static inline void esys_free_p(void *p)
{
        Esys_Free(*(void **)p);
}

/* What a caller does about a response code beside telling it. */
enum tpm_cure {
        TPM_CURE_NONE,
        TPM_CURE_RECONNECT, /* the transport or the ESYS context is unusable */
        TPM_CURE_RELOAD,    /* the TPM lost its objects (reset) */
        TPM_CURE_EVICT,     /* no free slot */
};
enum tpm_cure tpm_cure(TSS2_RC rc);
/* "The TPM could not <what> (<decoded>)", with the code and remedy the table knows. Never ERR_OK. */
enum err tpm_error(struct error *e, TSS2_RC rc, const char *what);
/*
 * The same where the TPM may be asked for details (how long a lockout lasts), and kept for tpm_mend(), which
 * does what can be done about it: a new connection, all our objects flushed. true: another attempt may go
 * better. *done: the cures that were taken for one piece of work, 0 at first; none is taken twice.
 */
enum err tpm_fault(struct tpm *tpm, TSS2_RC rc, const char *what, struct error *e);
bool tpm_mend(struct tpm *tpm, unsigned *done);
/* The response code without its layer and without the position of the argument at fault. */
TSS2_RC tpm_rc_base(TSS2_RC rc);

/* connection.c */
void tpm_disconnect(struct tpm *tpm);
/* One capability property (TPM2_PT_*); 0 where the TPM does not say. */
uint32_t tpm_property(struct tpm *tpm, TPM2_PT property);
/* parent.c: the storage parent of new keys, or the one a stored key names, as a handle to be returned with
 * tpm_parent_put(). */
MUST_CHECK enum err tpm_parent_get(struct tpm *tpm, uint32_t handle, ESYS_TR *ret, struct error *e);
void tpm_parent_put(struct tpm *tpm, ESYS_TR parent);
/* What Esys_Load() or Esys_Create() said of the parent at @handle, or of a key that is not its child. */
enum err tpm_parent_fault(struct tpm *tpm, uint32_t handle, TSS2_RC rc, const char *what, struct error *e);
/* Whether a key fits beside its parent; ERR_TPM_FULL where others hold what the TPM has. */
MUST_CHECK enum err tpm_parent_room(struct tpm *tpm, struct error *e);
/* A storage key as the TCG's provisioning guidance has it, for P-256 or RSA-2048. */
TPM2B_PUBLIC tpm_storage_template(bool ecc);
/* attester.c: the attestation key as it is kept: PEM of the key, as of others, and of its creation. */
struct tpm_attester {
        struct tpm_object object;
        struct bytes creation, ticket; /* marshalled TPMS_CREATION_DATA, TPMT_TK_CREATION */
};
void tpm_attester_done(struct tpm_attester *attester); /* must not be loaded: tpm_unload() first */
MUST_CHECK enum err tpm_attester_save(const struct tpm_attester *attester, int dirfd, const char *name,
                                      struct error *e);
/* ERR_NOT_FOUND, ERR_KEY_DAMAGED. */
MUST_CHECK enum err tpm_attester_load(int dirfd, const char *name, struct tpm_attester *ret, struct error *e);
/* create.c: a new one, which is a sibling of new keys. Not loaded afterwards. */
MUST_CHECK enum err tpm_attester_create(struct tpm *tpm, struct tpm_attester *ret, struct error *e);
/* endorsement.c: certificates that the TPM's maker put into NV. */
MUST_CHECK enum err tpm_endorsement(struct tpm *tpm, struct cert_list *ret, struct cert_list *ret_chain,
                                    struct error *e);
/* session.c: salted, unbound, encrypting the first parameter both ways; to be flushed. One slot for a moment.
 */
TSS2_RC tpm_session(struct tpm *tpm, ESYS_TR *ret);
/*
 * pin.c: the authorisation of one command on a key that wants a PIN. Begin before the key is loaded (it needs
 * a slot of its own), give once it is; end in any case. ERR_PIN_NEEDED, ERR_PIN_LOCKED, ERR_TPM_LOCKED_OUT.
 */
MUST_CHECK enum err tpm_pin_begin(struct tpm *tpm, struct tpm_pin *pin, ESYS_TR *ret_session,
                                  struct error *e);
TSS2_RC tpm_pin_give(struct tpm *tpm, ESYS_TR key, struct view pin);
void tpm_pin_end(struct tpm *tpm, ESYS_TR key, ESYS_TR session);
/* What the TPM said of it, as tpm_fault() does. */
enum err tpm_pin_fault(struct tpm *tpm, struct tpm_pin *pin, TSS2_RC rc, const char *what, struct error *e);
/* owner.c: a session that proves the owner's password and encrypts, to be flushed. */
TSS2_RC tpm_owner_session(struct tpm *tpm, ESYS_TR *ret);
/* trouble.c: seconds until the lockout ends, at most; 0: there is none, or the TPM does not tell. */
uint32_t tpm_lockout_seconds(struct tpm *tpm);
/* Which parent new keys get: 0x40000001, or 0x81000001 where the owner hierarchy has a password. */
MUST_CHECK enum err tpm_parent_choose(struct tpm *tpm, uint32_t *ret, struct error *e);
/* context.c: of a key that is loaded and about to be flushed, where there is none yet; a failure is silent.
 */
void tpm_context_save(struct tpm *tpm, struct tpm_object *object);
void tpm_context_drop(struct tpm *tpm, struct tpm_object *object);
/* false: there is none that the TPM takes (any more). */
bool tpm_context_load(struct tpm *tpm, struct tpm_object *object, ESYS_TR *ret);
/* objects.c */
MUST_CHECK enum err tpm_object_load(struct tpm *tpm, struct tpm_object *object, ESYS_TR *ret,
                                    struct error *e);
/* A command of another file on a loaded key, in the session that it wants (@pin NULL: none), with a second
 * attempt where a cure may help. */
MUST_CHECK enum err tpm_use(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin,
                            TSS2_RC (*command)(struct tpm *tpm, ESYS_TR key, ESYS_TR session, void *ctx),
                            void *ctx, const char *what, struct error *e);
/* Free slots. Two where a key is loaded or made: its parent takes one meanwhile. */
void tpm_make_room(struct tpm *tpm, unsigned slots);
void tpm_evict_all(struct tpm *tpm);
void tpm_forget_all(struct tpm *tpm);
/* The TPM was reset: what we had loaded is gone, and its handles are given to others. */
void tpm_lost_all(struct tpm *tpm);
