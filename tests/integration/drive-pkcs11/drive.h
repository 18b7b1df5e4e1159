/*
 * drive-pkcs11 calls a PKCS#11 module as a program of others would, and says what is wrong with an answer. It
 * knows the standard's header and OpenSSL, nothing of Scepter. A case ends the process at the first wrong
 * answer; it prints on standard error.
 */
#pragma once

#define CRYPTOKI_GNU 1
#include <openssl/x509.h>
#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stddef.h>

enum { BUFFER = 4096, LABELS = 65 };

struct drive {
        struct ck_function_list *p11;
        const char *token, *label, *certificate, *pin; /* of the command line; NULL: not given */

        /* drive_open() */
        ck_slot_id_t slot;
        ck_session_handle_t session;
        ck_object_handle_t key, public, cert; /* of @label */
        X509 *x509;                           /* what @certificate holds */
        EVP_PKEY *pkey;                       /* its key, borrowed */
        bool rsa;
        size_t size; /* of the modulus; of the order of the curve */
};

/* Ends the process with the sentence, unless @good. */
void drive_check(bool good, const char *file, int line, const char *what);
void drive_want(ck_rv_t got, ck_rv_t wanted, const char *file, int line, const char *what);
#define CHECK(x)       drive_check((x), __FILE__, __LINE__, #x)
#define WANT(call, rv) drive_want((call), (rv), __FILE__, __LINE__, #call)
#define OK(call)       WANT(call, CKR_OK)

/* C_Initialize, the slot of the token, a session, and the three objects of the label. */
void drive_open(struct drive *d);
void drive_close(struct drive *d);
ck_slot_id_t drive_slot(const struct drive *d, const char *token);
/* How many there are; the first @max of them in @ret. */
unsigned long drive_find(const struct drive *d, ck_session_handle_t session, struct ck_attribute *template,
                         unsigned long n, ck_object_handle_t *ret, unsigned long max);
/* The one object of this class and label; 0: there is none. */
ck_object_handle_t drive_object(const struct drive *d, ck_object_class_t class, const char *label);
/* The attribute's length, its value in @ret of BUFFER octets. */
unsigned long drive_get(const struct drive *d, ck_object_handle_t object, ck_attribute_type_t type,
                        unsigned char *ret);

/* A signature by @mechanism over @data, checked with OpenSSL by the key of @pkey. */
ck_rv_t drive_sign(const struct drive *d, ck_session_handle_t session, ck_object_handle_t key,
                   struct ck_mechanism *mechanism, const unsigned char *data, unsigned long len,
                   unsigned char *signature, unsigned long *signature_len);
/* By what hashes with SHA-256 and has no parameters. */
struct ck_mechanism drive_simple(bool rsa);
bool drive_verify_simple(EVP_PKEY *pkey, const unsigned char *data, size_t len,
                         const unsigned char *signature, size_t signature_len);
/* r and s in DER. @ret: BUFFER octets. The length. */
size_t drive_der(const unsigned char *signature, size_t len, unsigned char *ret);

/* The cases. arguments.c */
void case_uninitialized(struct drive *d);
void case_initialize(struct drive *d);
void case_handles(struct drive *d);
void case_slots(struct drive *d);
void case_sessions(struct drive *d);
/* objects.c */
void case_find(struct drive *d);
void case_attributes(struct drive *d);
void case_five(struct drive *d);
/* sign.c */
void case_sign(struct drive *d);
void case_lengths(struct drive *d);
void case_parts(struct drive *d);
void case_pss(struct drive *d);
void case_wrong(struct drive *d);
/* secrets.c */
void case_decrypt(struct drive *d);
void case_derive(struct drive *d);
/* pins.c */
void case_pin(struct drive *d);
void case_pin_wrong(struct drive *d);
void case_pin_none(struct drive *d);
void case_pin_fork(struct drive *d);
/* life.c */
void case_threads(struct drive *d);
void case_fork(struct drive *d);
void case_absent(struct drive *d);
void case_ending(struct drive *d);
void case_unlocked(struct drive *d);
void case_many(struct drive *d);
void case_talk(struct drive *d);
