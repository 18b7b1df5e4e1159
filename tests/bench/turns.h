/*
 * How a signer is timed: a program lives as long as the bench and takes a turn whenever it is told to, so
 * that all paths meet the same noise. Between its turns it holds nothing in the TPM, whose slots are few.
 */
#pragma once

#include "base/bytes.h"

enum { TURN_DIGEST_LEN = 32, TURN_SIGNATURE_MAX = 512 };

struct signer {
        void *ctx;
        /* Makes the key ready, and puts it away again: not timed. */
        enum err (*load)(void *ctx, struct error *e);
        void (*unload)(void *ctx);
        /* One signature over @digest (a SHA-256 hash, another one each time); timed. */
        enum err (*sign)(void *ctx, const uint8_t digest[TURN_DIGEST_LEN], struct error *e);
};

/*
 * Says "ready", then reads milliseconds from standard input, a line each, signs for as long and answers
 * "<signatures> <nanoseconds>"; until end of file. The exit status for main().
 */
int turns_serve(const struct signer *signer);
/* Prints the error; the exit status for main(). */
int turns_fail(const struct error *e);
