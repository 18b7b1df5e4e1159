/*
 * scepter-pkcs11.so: the keys of the key socket by PKCS#11 2.40. Shared by the files of ksp/pkcs11 alone.
 *
 * The standard's functions have no context, so the module has one global state (module.c). Every function of
 * these headers is called with its lock held, from the functions of api.c, which are the only ones that take
 * it: a request at the key socket is waited for under it. Nothing is ever printed.
 */
#pragma once

#define CRYPTOKI_GNU 1
#include <p11-kit/pkcs11.h>

#include "base/ossl.h"
#include "channel/client.h"

enum {
        DEVICE_SLOT = 0, /* a user's: his uid + 1 */
        RAW_MAX = KEY_MODULUS_MAX,
        LABEL_MAX = 64,
        SECRET_ID_MAX = 64,
        RSA_MIN = 2048,
        RSA_MAX = 4096,
};

/* One generation of a certificate: its key and what belongs to it. It stays as long as the module is
 * initialized, so that handles keep the generation they were found for. */
struct identity {
        struct identity *next;
        struct channel_entry entry;
        ck_slot_id_t slot;
        bool current;   /* the last listing had it: its label leads here */
        bool gone;      /* it was looked for by its id, and is no more */
        bool chained;   /* the certificates above it are objects already */
        X509 *cert;     /* NULL until it is needed: identity_details() */
        bool wants_pin; /* known as the certificate is */
        struct bytes der;
        struct channel_key *key; /* NULL until it is used: identity_key() */
};

struct object {
        ck_object_handle_t handle;
        ck_object_class_t class;
        ck_slot_id_t slot;
        struct identity *identity; /* NULL: a CA's certificate, or a secret that was derived */

        X509 *cert; /* a CA's */
        struct bytes der;
        uint8_t id[SECRET_ID_MAX]; /* KEY_ID_LEN octets, a CA's; a secret's as it was wished */
        size_t id_len;
        char label[LABEL_MAX + 1];

        struct secret value; /* a derived secret; gone with its session */
        ck_session_handle_t session;
        ck_key_type_t type;
        bool readable;
};

enum operation_kind { OPERATION_NONE, OPERATION_SIGN, OPERATION_DECRYPT };

/* What a session is doing. */
struct operation {
        enum operation_kind kind;
        struct identity *identity;
        struct key_sign sign;
        struct key_decrypt decrypt;
        uint8_t oaep_label[FRAME_LABEL_MAX];
        enum key_digest hash; /* made here of what is signed; NONE: taken as it is */
        size_t input_min, input_max;
        size_t result_len; /* of a signature; of a plaintext at most */
        EVP_MD_CTX *md;    /* hash: since the first part */
        bool updated;      /* parts came: one call cannot do all of it any more */
        struct secret pin; /* of a key that wants one: since it was verified */
        uint8_t data[RAW_MAX];
        size_t len;
};

struct session {
        struct session *next;
        ck_session_handle_t handle;
        ck_slot_id_t slot;
        bool read_write;
        struct operation operation;
        ck_object_handle_t *found; /* NULL: no search is active */
        size_t n_found, next_found;
};

struct slot {
        ck_slot_id_t id;
        bool logged_in;
};

struct module {
        bool initialized;
        pid_t pid; /* who initialized it */
        struct channel_client *client;
        OSSL_LIB_CTX *libctx; /* our own: the program's may lead back to us. NULL until it is needed */

        bool reachable; /* the key service answered the last time */
        struct slot *slots;
        size_t n_slots;
        struct identity *identities;
        struct object **objects; /* ascending handles */
        size_t n_objects, objects_size, n_secrets;
        ck_object_handle_t last_object;
        struct session *sessions;
        ck_session_handle_t last_session;
};

/* module.c */
ck_rv_t module_initialize(struct module *m, const struct ck_c_initialize_args *args);
ck_rv_t module_finalize(struct module *m);
ck_rv_t module_libctx(struct module *m);
ck_rv_t rv_of(enum err r);

/* slots.c */
struct slot *slot_find(struct module *m, ck_slot_id_t id);
ck_slot_id_t slot_of(const struct channel_entry *entry);
bool slot_add(struct module *m, ck_slot_id_t id);
ck_rv_t slot_list(struct module *m, bool present, ck_slot_id_t *list, unsigned long *count);
ck_rv_t slot_info(struct module *m, ck_slot_id_t id, struct ck_slot_info *ret);
ck_rv_t token_info(struct module *m, ck_slot_id_t id, struct ck_token_info *ret);
/* Pads with blanks, as PKCS#11 wants its texts. */
void put_text(unsigned char *to, size_t size, const char *text);

/* sessions.c */
ck_rv_t session_open(struct module *m, ck_slot_id_t slot, ck_flags_t flags, ck_session_handle_t *ret);
struct session *session_find(struct module *m, ck_session_handle_t handle);
ck_rv_t session_info(struct module *m, const struct session *s, struct ck_session_info *ret);
void session_close(struct module *m, struct session *s);
void sessions_close(struct module *m, ck_slot_id_t slot, bool all);
ck_rv_t session_login(struct module *m, struct session *s, ck_user_type_t user, struct view pin);
ck_rv_t session_logout(struct module *m, const struct session *s);
/* In a child, where they are all zeroes: what was going on has no PIN any more. */
void sessions_forget_pins(struct module *m);

/* objects.c */
/* Asks what there is; objects of new generations are added. */
ck_rv_t objects_refresh(struct module *m);
/* The certificates above every current one of the slot. */
ck_rv_t objects_chains(struct module *m, ck_slot_id_t slot);
/* A generation that is no longer current, by its key's id. */
ck_rv_t objects_by_id(struct module *m, const uint8_t id[KEY_ID_LEN]);
struct object *object_find(struct module *m, ck_object_handle_t handle);
ck_rv_t object_add_secret(struct module *m, const struct session *s, struct secret *value, ck_key_type_t type,
                          bool readable, struct object **ret);
ck_rv_t object_destroy(struct module *m, const struct object *o);
void objects_forget_secrets(struct module *m);
void objects_end_session(struct module *m, ck_session_handle_t session);
void objects_free(struct module *m);
ck_rv_t identity_details(struct module *m, struct identity *identity);
ck_rv_t identity_key(struct module *m, struct identity *identity);

/* attributes.c */
ck_rv_t attributes_read(struct module *m, struct object *o, struct ck_attribute *template, unsigned long n);
/* *ret: whether it has all of these. Fails where the service that would have to be asked does not answer. */
ck_rv_t attributes_match(struct module *m, struct object *o, const struct ck_attribute *template,
                         unsigned long n, bool *ret);

/* find.c */
ck_rv_t find_begin(struct module *m, struct session *s, const struct ck_attribute *template, unsigned long n);
ck_rv_t find_next(struct session *s, ck_object_handle_t *ret, unsigned long max, unsigned long *count);
ck_rv_t find_end(struct session *s);

/* mechanisms.c */
ck_rv_t mechanism_list(ck_mechanism_type_t *list, unsigned long *count);
ck_rv_t mechanism_info(ck_mechanism_type_t type, struct ck_mechanism_info *ret);
/* Fills what @mechanism says of a signature or a decryption with a key of this kind and of @size octets (the
 * modulus; the order of the curve). */
ck_rv_t mechanism_operation(const struct ck_mechanism *mechanism, bool rsa, size_t size,
                            enum operation_kind kind, struct operation *ret);

/* operations.c: the key, its mechanism, and the end of what a session does. */
/* The generation that a handle of a private key belongs to, with its details; else what the standard answers.
 */
ck_rv_t private_key(struct module *m, const struct session *s, ck_object_handle_t handle,
                    struct identity **ret);
ck_rv_t operation_begin(struct module *m, struct session *s, enum operation_kind kind,
                        const struct ck_mechanism *mechanism, ck_object_handle_t key);
/* The PIN for what is going on, and for nothing else (§4.9, CKA_ALWAYS_AUTHENTICATE). */
ck_rv_t operation_login(struct module *m, struct session *s, struct view pin);
/* It cannot go on without its PIN. */
bool operation_waits(const struct operation *operation);
/* That this is going on, and has its PIN; a call that comes without ends it (§5.11), but for @length, which
 * asks for no more than that: GnuTLS then logs in and asks again. */
ck_rv_t operation_ready(struct operation *operation, enum operation_kind kind, bool length);
void operation_end(struct operation *operation);

/* sign.c */
ck_rv_t sign_update(struct module *m, struct session *s, const unsigned char *part, unsigned long len);
/* @data: NULL with @len 0 for what was given in parts. */
ck_rv_t sign_final(struct module *m, struct session *s, unsigned char *signature,
                   unsigned long *signature_len);
ck_rv_t sign_once(struct module *m, struct session *s, const unsigned char *data, unsigned long len,
                  unsigned char *signature, unsigned long *signature_len);

/* decrypt.c, derive.c */
ck_rv_t decrypt_once(struct module *m, struct session *s, const unsigned char *in, unsigned long in_len,
                     unsigned char *out, unsigned long *out_len);
ck_rv_t derive(struct module *m, const struct session *s, const struct ck_mechanism *mechanism,
               ck_object_handle_t base, const struct ck_attribute *template, unsigned long n,
               ck_object_handle_t *ret);
