/* A key service for the PKCS#11 module's fuzz target: a thread of this process, keys of OpenSSL, the frames
 * of ksp/channel; and, as far as it is told to, answers that no service gives. */
#pragma once

#include "base/bytes.h"

enum { SERVED_KEYS = 5, SERVED_ODD = 4 /* certificates over keys that Scepter does not make */ };

/* Once for the process; the socket's path goes to SCEPTER_KEYS. */
void pkcs11_server_start(void);
/* From now on: about @damage of 256 answers are damaged, as @seed leads to; @odd: certificates are those of
 * keys that nobody asked for. Nothing may be under way. */
void pkcs11_server_set(uint32_t seed, uint8_t damage, bool odd);
/* CKA_ID of a key (20 octets), borrowed. */
const uint8_t *pkcs11_server_id(unsigned key);
/* The PIN that the last of them wants. */
extern const char pkcs11_server_pin[];
/* What was encrypted to an RSA key (PKCS#1), the point of an EC key; borrowed. */
struct view pkcs11_server_input(unsigned key);
