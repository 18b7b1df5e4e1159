/*
 * Whether libcrypto still has what the service needs. Where it finds no memory while it makes the algorithms
 * of an operation for the first time, those that are missing then are missing until the process ends
 * (OpenSSL 3.0 to 3.5: ossl_method_construct() marks the operation as made), and each later request would
 * fail for them.
 */
#pragma once

#include "daemon/daemon.h"

/* Something has failed. Where that may come of it, all algorithms are asked for; what is missing is logged,
 * and the service ends, to be started anew. Takes a fraction of a millisecond. Loop's thread. */
void intact_look(struct daemon *d, const struct error *why);
