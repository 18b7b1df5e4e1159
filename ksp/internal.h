/* Shared by ksp.c and use.c alone: what the store and its keys are. */
#pragma once

#include <stdatomic.h>

#include "ksp.h"
#include "tpm/queue.h"
#include "tpm/tpm.h"

struct ksp {
        struct tpm *tpm; /* inside the queue's exclusive place alone */
        struct tpm_queue *queue;
        struct secret host_secret;
};

struct ksp_key {
        atomic_uint references;
        struct ksp *ksp;
        enum key_alg alg;
        EVP_PKEY *public;
        uint8_t id[KEY_ID_LEN];
        EVP_PKEY *soft;           /* software keys */
        struct tpm_object object; /* TPM keys: soft is NULL */
};
