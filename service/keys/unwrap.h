/* The content key of an envelope that was wrapped by a password (RFC 5652 §6.2.4, RFC 3211 §2.3): the daemon
 * has the password, the worker the envelope. */
#pragma once

#include "base/secret.h"
#include "key/key.h"

/* @how with a salt and IV of its own, in *ret_octets, whose former content goes. @how is valid
 * (key_unwrap_valid()). */
MUST_CHECK enum err unwrap_copy(const struct key_unwrap *how, struct bytes *ret_octets,
                                struct key_unwrap *ret, struct error *e);
/* Blocks for the iterations' time: pool alone. ERR_INVALID: @how or @wrapped. ERR_REPLY: another password. */
MUST_CHECK enum err password_unwrap(struct view password, const struct key_unwrap *how, struct view wrapped,
                                    struct secret *ret, struct error *e);
