/*
 * The exchange: which digest, cipher, HTTP method and message type one enrollment uses, fixed from the plan
 * and the server's capabilities (design §5.4) before anything is built, and recorded. Pure.
 */
#pragma once

#include "scep-wire/caps.h"
#include "scep-wire/names.h"

enum scep_digest { SCEP_SHA1, SCEP_SHA256, SCEP_SHA384, SCEP_SHA512, _SCEP_DIGEST_MAX };
enum scep_cipher { SCEP_AES128, SCEP_DES3, SCEP_DES, _SCEP_CIPHER_MAX };
/* CHALLENGE_DIRECT: for an EC key, which then signs the message itself; with CHALLENGE a transport key does.
 */
enum scep_method {
        SCEP_AUTO,
        SCEP_RENEWAL,
        SCEP_SIGNED_PKCSREQ,
        SCEP_CHALLENGE,
        SCEP_CHALLENGE_DIRECT,
        _SCEP_METHOD_MAX
};

/* Names OpenSSL takes ("SHA256", "AES-128-CBC"), and those people read ("SHA-256", "AES-128"). */
const char *scep_digest_ossl(enum scep_digest digest);
const char *scep_digest_name(enum scep_digest digest);
const char *scep_cipher_ossl(enum scep_cipher cipher);
const char *scep_cipher_name(enum scep_cipher cipher);
/* "renewal", "signed-pkcsreq", "challenge", as profiles have them; and "challenge-direct". */
const char *scep_method_name(enum scep_method method);
bool scep_method_from_name(const char *name, enum scep_method *ret); /* false: unknown */
/* "sha-256", "SHA256" and so on. false: unknown. */
bool scep_digest_from_name(const char *name, enum scep_digest *ret);

struct exchange_plan {
        enum scep_digest digest;    /* what the profile prefers */
        uint32_t require;           /* RequireCaps=, flags */
        bool allow_des, allow_sha1; /* AllowLegacy= */
        bool has_certificate;       /* there is an old certificate that can sign */
        enum scep_method method;
};

struct exchange {
        enum scep_digest digest;
        enum scep_cipher cipher;
        enum scep_type type;
        bool post;
        bool signed_by_old; /* the message is signed with the old certificate */
        bool with_challenge;
        bool direct; /* CHALLENGE_DIRECT */
};

/*
 * AES-128 where listed, else 3DES without asking; single DES only where nothing better is listed and it is
 * allowed. The plan's digest where listed, else SHA-256, else SHA-512; SHA-1 only where allowed. SCEPStandard
 * implies. ERR_SERVER_ALGORITHM: the server lists only what may not be sent, or lacks a required word.
 * ERR_INVALID: a renewal is asked for without a certificate.
 */
MUST_CHECK enum err exchange_fix(const struct exchange_plan *plan, const struct scep_caps *caps,
                                 struct exchange *ret, struct error *e);
