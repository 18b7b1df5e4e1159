/*
 * The vocabulary of keys: algorithms, schemes, digests, protection. Shared by ksp.h, the key channel and the
 * OpenSSL provider; no state, no I/O.
 */
#pragma once

#include "base/bytes.h"

/* Windows' KeyProtection numbers (ClientCertificateInstall CSP); 0: the document says nothing. */
enum key_protection {
        KEY_PROTECTION_DEFAULT = 0,
        KEY_PROTECTION_TPM = 1,           /* TPM or fail */
        KEY_PROTECTION_TPM_PREFERRED = 2, /* TPM if present, else software */
        KEY_PROTECTION_SOFTWARE = 3,
        KEY_PROTECTION_USER_VERIFIED = 4, /* TPM and the user's PIN, else fail */
};

enum key_alg {
        KEY_ALG_RSA_2048,
        KEY_ALG_RSA_3072,
        KEY_ALG_RSA_4096,
        KEY_ALG_EC_P256,
        KEY_ALG_EC_P384,
        _KEY_ALG_MAX
};

/* The digest that made the octets to sign. NONE: the octets are taken as they are (for RSA PKCS#1 a ready
 * DigestInfo, for ECDSA any string, cut or padded to the order's size as FIPS 186-4 §6.4 says). */
enum key_digest {
        KEY_DIGEST_NONE,
        KEY_DIGEST_SHA1,
        KEY_DIGEST_SHA224,
        KEY_DIGEST_SHA256,
        KEY_DIGEST_SHA384,
        KEY_DIGEST_SHA512,
        KEY_DIGEST_SHA3_256,
        KEY_DIGEST_SHA3_384,
        KEY_DIGEST_SHA3_512,
        _KEY_DIGEST_MAX
};

enum key_scheme { KEY_SCHEME_RSA_PKCS1, KEY_SCHEME_RSA_PSS, KEY_SCHEME_ECDSA, _KEY_SCHEME_MAX };
enum key_padding { KEY_PADDING_RSA_PKCS1, KEY_PADDING_RSA_OAEP, _KEY_PADDING_MAX };

struct key_sign {
        enum key_scheme scheme;
        enum key_digest digest;
        enum key_digest mgf1; /* PSS alone */
        uint16_t salt_len;    /* PSS alone, octets */
};

struct key_decrypt {
        enum key_padding padding;
        enum key_digest digest, mgf1; /* OAEP alone */
        struct view label;            /* OAEP alone, borrowed */
};

/* What wraps a content key by a password (RFC 3211): a block cipher in CBC mode. */
enum key_kek { KEY_KEK_AES128, KEY_KEK_AES192, KEY_KEK_AES256, KEY_KEK_DES3, _KEY_KEK_MAX };

struct key_unwrap {
        struct view salt;    /* of PBKDF2, borrowed; 1 to KEY_SALT_MAX octets */
        uint32_t iterations; /* 1 to KEY_ITERATIONS_MAX */
        enum key_digest prf; /* HMAC with SHA-1, SHA-256, SHA-384 or SHA-512 */
        enum key_kek kek;
        struct view iv; /* of the KEK's cipher, borrowed */
};

enum {
        KEY_SALT_MAX = 128,
        KEY_ITERATIONS_MAX = 100000, /* of whoever sends: about 30 ms */
        KEY_WRAPPED_MAX = 256,
        KEY_POINT_MAX = 1 + 2 * 48, /* P-384 */
        KEY_MODULUS_MAX = 512,      /* RSA-4096 */
        KEY_HASH_MAX = 64,          /* SHA-512 */
        KEY_DIGEST_INFO_MAX = 512,
        KEY_PIN_MIN = 4,
        KEY_PIN_MAX = 32, /* the authorisation value of every TPM */
        KEY_ID_LEN = 20,  /* CKA_ID: SHA-1 of the public key */
};

bool key_alg_is_rsa(enum key_alg alg);
unsigned key_alg_bits(enum key_alg alg);
/* "rsa-2048", "ec-p256"; "tpm", "tpm-preferred", "software", "user-verified", "default". */
const char *key_alg_name(enum key_alg alg);
bool key_alg_from_name(const char *name, enum key_alg *ret);
const char *key_protection_name(enum key_protection protection);
bool key_protection_from_name(const char *name, enum key_protection *ret);

/* Of the KEK's cipher: octets of its key and of a block; OpenSSL's name ("AES-128-CBC"). */
size_t key_kek_len(enum key_kek kek);
size_t key_kek_block(enum key_kek kek);
const char *key_kek_cipher(enum key_kek kek);
/* Whether each member is within its bounds and @wrapped is what such a cipher can have made: two blocks at
 * least. */
bool key_unwrap_valid(const struct key_unwrap *how, size_t wrapped);

/* Octets of a digest; 0 for NONE. */
size_t key_digest_len(enum key_digest digest);
/* OpenSSL's name ("SHA256"), NULL for NONE. */
const char *key_digest_name(enum key_digest digest);
/* Takes the spellings OpenSSL passes to providers: SHA256, SHA2-256, sha-256. */
bool key_digest_from_name(const char *name, enum key_digest *ret);
/* The DER in front of the hash in a DigestInfo (RFC 8017 §9.2, notes); empty for NONE. */
struct view key_digest_info_prefix(enum key_digest digest);
/* Length and content of a PIN: octets as they were typed. ERR_INVALID. */
MUST_CHECK enum err key_pin_check(struct view pin, struct error *e);
