/* Makes CertReps as servers send them, well-formed and otherwise, with OpenSSL's CMS and none of our code. */
#pragma once

#include "pki.h"

enum rep_content { REP_ENVELOPE, REP_ABSENT, REP_ONE_OCTET, REP_JUNK, REP_PLAIN_SIGNED, REP_AS_IT_IS };

struct rep {
        const char *type, *status, *fail, *text, *ms_error, *transaction; /* NULL: the attribute is absent */
        struct view nonce;                                                /* recipientNonce; empty: absent */
        enum rep_content content;
        X509 *recipient;      /* of the envelope */
        const char *password; /* the envelope is for who knows it instead; NULL: no */
        int iterations;       /* of that; 0: OpenSSL's */
        struct view payload;  /* what is enveloped */
        const char *cipher;   /* NULL: AES-128-CBC; "DES-CBC" loads the legacy provider */
        const char *digest;   /* NULL: SHA256 */
        X509 *signer;
        EVP_PKEY *signer_key;
        bool carry;            /* the signer's certificate stands in the reply */
        bool ber;              /* indefinite lengths */
        bool odd_content_type; /* eContentType other than id-data */
        time_t signing_time;   /* 0: now */
};

/* The envelope alone; bytes_done(). */
struct bytes rep_envelope(const struct rep *rep);
/* bytes_done(). REP_AS_IT_IS: the payload is the content. */
struct bytes rep_make(const struct rep *rep);
