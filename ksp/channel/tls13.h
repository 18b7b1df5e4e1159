/*
 * What a TLS 1.3 client signs in its CertificateVerify (RFC 8446 §4.4.3), as far as it crosses the key
 * channel. A worker sends the transcript hash and the scheme alone; the daemon puts the input together again,
 * so that a granted key can sign nothing else: no TLS 1.2, no server's CertificateVerify, no certificate, no
 * message. Pure.
 */
#pragma once

#include "base/bytes.h"
#include "key/key.h"

enum {
        TLS13_TRANSCRIPT_MAX = 48, /* SHA-384; the other cipher suites have SHA-256 */
        TLS13_CONTEXT = 64 + 33 + 1,
        TLS13_INPUT_MAX = TLS13_CONTEXT + TLS13_TRANSCRIPT_MAX,
};

struct tls13_input {
        uint8_t octets[TLS13_INPUT_MAX];
        size_t len;
};

/* 64 blanks, "TLS 1.3, client CertificateVerify", 0, the hash. false: no cipher suite has such a hash. */
MUST_CHECK bool tls13_input_make(struct view transcript, struct tls13_input *ret);
/* The other way: the hash in @input, borrowed. false: it is not that of a client's CertificateVerify. */
MUST_CHECK bool tls13_input_transcript(struct view input, struct view *ret);

/* SignatureScheme (RFC 8446 §4.2.3) from how a signature is made, and back: rsa_pss_rsae_* with a salt as
 * long as the digest, ecdsa_secp256r1_sha256, ecdsa_secp384r1_sha384. false: there is none. */
MUST_CHECK bool tls13_scheme_of(const struct key_sign *how, uint16_t *ret);
MUST_CHECK bool tls13_scheme_sign(uint16_t scheme, struct key_sign *ret);
