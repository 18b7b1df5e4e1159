/*
 * The signature of a TLS 1.3 client (FRAME_TLS_SIGN): the daemon hashes and signs an input that it built
 * itself around the transcript hash (channel/tls13.h). Blocks as ksp_sign() does.
 */
#pragma once

#include "ksp.h"

/* @scheme: a SignatureScheme that fits the key; ERR_INVALID otherwise, and for a transcript hash of no cipher
 * suite. *ret: what goes into the CertificateVerify. */
MUST_CHECK enum err tls_sign(struct ksp_key *key, uid_t uid, uint16_t scheme, struct view transcript,
                             struct bytes *ret, struct error *e);
