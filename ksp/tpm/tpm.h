/*
 * One TPM 2.0 through ESYS: connection, storage parent, keys in a least-recently-used set of its object
 * slots. ESYS types stay below this header.
 *
 * Thread rule: an ESYS context is not thread-safe; all calls but tpm_new(), tpm_object_new() and the pure
 * ones happen inside the one exclusive place that queue.h gives. Every call may wait as long as the TPM
 * takes.
 *
 * Recovery: a lost transport, a reset TPM, or one that is full of our own objects, costs one more attempt
 * with a new context and freshly loaded keys; what fails then is told. No fault changes or removes a stored
 * key.
 */
#pragma once

#include <openssl/evp.h>

#include "ksp.h"

struct tpm;

/* A key as it is stored (TSS2 PRIVATE KEY) and, while it is loaded, its handle. */
struct tpm_object {
        uint32_t parent;              /* 0x40000001 or a persistent handle */
        struct bytes public, private; /* marshalled TPM2B_PUBLIC, TPM2B_PRIVATE */
        bool wants_pin;               /* its authorisation value is not empty */

        uint32_t handle;        /* ESYS_TR; valid in this connection alone */
        uint32_t under;         /* the parent it was loaded under last */
        uint64_t epoch;         /* of the connection it is loaded in; 0: not loaded */
        struct bytes context;   /* as the TPM saved it */
        uint64_t context_epoch; /* of the connection that it is of; 0: none */
        struct tpm_object *newer, *older;
};

void tpm_object_done(struct tpm_object *object); /* must not be loaded: tpm_unload() first */

/* No I/O. @sysroot: "" or, in tests, a directory that holds dev, sys. @tcti: NULL or "none": no TPM; "auto":
 * see tpm_choose(), at each connection. */
MUST_CHECK enum err tpm_new(const char *tcti, const char *sysroot, struct tpm **ret, struct error *e);
/* The password of the owner hierarchy, copied; it goes to the TPM encrypted alone. */
MUST_CHECK enum err tpm_set_owner_auth(struct tpm *tpm, struct view auth, struct error *e);
/* Flushes what is loaded. Takes NULL. */
void tpm_free(struct tpm *tpm);

/* Connects if need be. ERR_TPM_ABSENT tells why there is none; any other code is a fault. */
MUST_CHECK enum err tpm_ready(struct tpm *tpm, struct error *e);
void tpm_info(struct tpm *tpm, struct ksp_tpm *ret);
/* ERR_OK, ERR_KEY_NOT_SUPPORTED, or a fault. */
MUST_CHECK enum err tpm_supports(struct tpm *tpm, enum key_alg alg, struct error *e);

/* A key for signing and decryption that never leaves this TPM. Not loaded afterwards. @pin: empty, or what it
 * wants from then on, under the protection against dictionary attacks. */
MUST_CHECK enum err tpm_create(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *ret,
                               struct error *e);
/* The PIN of a key that wants one, for one use; ignored by others. ksp_run() says what comes of it. */
struct tpm_pin {
        struct view value;
        unsigned left; /* out: wrong ones, of anybody, before none is tried any more */
        bool tried;    /* out: it went to the TPM */
};
/* TPM2_RSA_Decrypt with scheme NULL: in^d mod n, left-padded to the modulus. @in has the modulus' size and is
 * below it; @out has the same size. */
MUST_CHECK enum err tpm_rsa(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin, struct view in,
                            uint8_t *out, struct error *e);
/* ECDSA over @hash, which has the order's size; *ret: DER ECDSA-Sig-Value. */
MUST_CHECK enum err tpm_ecdsa(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin,
                              struct view hash, struct bytes *ret, struct error *e);
/* TPM2_ECDH_ZGen. @point: X9.62, uncompressed, known to lie on the key's curve. *ret: x, left-padded to the
 * field. */
MUST_CHECK enum err tpm_ecdh(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin,
                             struct view point, struct secret *ret, struct error *e);
/* TPM2_ObjectChangeAuth: *ret is the private area under the PIN @fresh, of 4 to 32 octets. @object is as it
 * was, until tpm_replace(). */
MUST_CHECK enum err tpm_change_pin(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin,
                                   struct view fresh, struct bytes *ret, struct error *e);
/* Its private area is this one (taken over, emptied) from now on: what is loaded or saved of it goes. */
void tpm_replace(struct tpm *tpm, struct tpm_object *object, struct bytes *private);
/* TPM2_ReadPublic: KSP_* attribute bits as the TPM says. */
MUST_CHECK enum err tpm_attributes(struct tpm *tpm, struct tpm_object *object, unsigned *ret,
                                   struct error *e);
/* See KSP_USE_ATTEST. */
MUST_CHECK enum err tpm_attest(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin,
                               struct view qualifying, int dirfd, const char *name, struct evidence *ret,
                               struct error *e);
void tpm_unload(struct tpm *tpm, struct tpm_object *object);

/* Pure: what a stored public area says. ERR_KEY_NOT_SUPPORTED for a type this project does not use. */
MUST_CHECK enum err tpm_public_key(const struct tpm_object *object, enum key_alg *ret_alg, EVP_PKEY **ret,
                                   struct error *e);
/* Pure: whether a key that was made elsewhere has the attributes that tpm_rsa() and tpm_ecdsa() need;
 * ERR_KEY_NOT_SUPPORTED names the one that is missing. */
MUST_CHECK enum err tpm_usable(const struct tpm_object *object, struct error *e);

/* TSS2 PRIVATE KEY PEM (draft-bottomley-tpm2-keys), the form tpm2-openssl reads: type, emptyAuth, parent,
 * public, private. Pure. */
MUST_CHECK enum err tss2_pem_write(const struct tpm_object *object, struct bytes *ret, struct error *e);
/* ERR_KEY_DAMAGED: not of that form; ERR_KEY_NOT_SUPPORTED: a policy, importable or sealed data. */
MUST_CHECK enum err tss2_pem_read(struct view pem, struct tpm_object *ret, struct error *e);
/* The same without its armour. */
MUST_CHECK enum err tss2_der_read(struct view der, struct tpm_object *ret, struct error *e);

/*
 * @tcti, or for "auto" the kernel's resource manager with the lowest number, as "device:/dev/tpmrm0": a TPM
 * whose driver was bound again may have another one. "device:/dev/tpmrm0" where there is none. Lives as long
 * as @tcti and @ret do. Pure but for the file system.
 */
enum { TPM_CHOSEN_MAX = 40 };
const char *tpm_choose(const char *tcti, const char *sysroot, char ret[TPM_CHOSEN_MAX]);
/* Whether this machine has a TPM behind @tcti, without opening it: ERR_OK (try it), ERR_TPM_ABSENT with the
 * reason, ERR_TPM_PERMISSION, or ERR_TPM_FAILED (announced, but without a node). Pure but for the file
 * system. */
MUST_CHECK enum err tpm_presence(const char *tcti, const char *sysroot, struct error *e);
