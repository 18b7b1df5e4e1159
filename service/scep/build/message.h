/*
 * The pkiMessage that goes out: EnvelopedData to one recipient inside SignedData with the SCEP attributes
 * (RFC 8894 §3). Always DER; the OID of an RSA signature is always rsaEncryption. Daemon alone.
 */
#pragma once

#include "base/ossl.h"
#include "scep-wire/exchange.h"

enum { MESSAGE_MAX = 512 * 1024 };

struct message_spec {
        enum scep_type type;     /* one of those that are sent */
        struct view data;        /* as the type has it: PKCS#10 holds the challenge, is not kept */
        X509 *recipient;         /* chained to the pin by ca_choose(); exactly this one */
        enum scep_cipher cipher; /* SCEP_DES only where the profile allows it by name */
        X509 *signer;            /* self-signed (signer_build()) or the old certificate */
        EVP_PKEY *key;           /* the signer's; may live in a provider; blocks while it signs */
        enum scep_digest digest;
        const char *transaction; /* PrintableString, 1 to 128 characters */
};

/* 40 lower-case hex digits of 160 random bits, never a hash of a key: NDES answers a known one with the old
 * certificate. */
MUST_CHECK enum err transaction_new(char ret[SCEP_TRANSACTION_LEN + 1], struct error *e);
/* DER IssuerAndSubject of a poll (RFC 8894 §3.3.3): the name of the CA and the subject asked for. */
MUST_CHECK enum err poll_data_build(const X509 *issuer, struct view subject, struct bytes *ret,
                                    struct error *e);
/* DER IssuerAndSerialNumber of GetCRL (RFC 8894 §3.3.4): the certificate whose revocation is asked for. */
MUST_CHECK enum err crl_data_build(const X509 *cert, struct bytes *ret, struct error *e);
/*
 * *ret: what travels. @ret_nonce: the senderNonce a reply must repeat; fresh for every message.
 * ERR_UNSUPPORTED: the recipient's key is not RSA. ERR_INVALID: the spec. ERR_FAILED: key or
 * OpenSSL.
 */
MUST_CHECK enum err message_build(const struct message_spec *spec, uint8_t ret_nonce[SCEP_NONCE_LEN],
                                  struct bytes *ret, struct error *e);
/* Whether a message of message_build() is encrypted to @recipient. ERR_CONFIG: it is damaged. */
MUST_CHECK enum err message_is_for(struct view message, X509 *recipient, bool *ret, struct error *e);
