/*
 * What the daemon keeps of one certificate, read with the rights of the daemon's user and believed only once
 * it was parsed: root writes nothing that it has not read as a certificate or a key.
 */
#pragma once

#include "base/ossl.h"
#include "policy/consumer.h"

struct state {
        char *name;
        bool device; /* of the device, not of a user */
        uint64_t generation;
        char key_id[41];                          /* CKA_ID, hexadecimal */
        char fingerprint[65];                     /* of the certificate, SHA-256 */
        struct bytes content[_CONSUMER_FILE_MAX]; /* PEM or text; KEY is empty where the key is no TPM's */
};

/* ERR_NOT_FOUND: there is no such certificate; ERR_CONFIG: what is there is not what the daemon writes. */
MUST_CHECK enum err state_read(const char *directory, const char *id, struct state *ret, struct error *e);
void state_done(struct state *state);
