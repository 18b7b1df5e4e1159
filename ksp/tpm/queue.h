/*
 * The one exclusive place where the TPM is used, and its queue: sign and decrypt before create, uids in turn.
 * The TPM's thread works the queue off; a caller who waits anyway and finds the place free works in his own
 * thread, which saves two changes of thread per signature.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct tpm_queue;

enum tpm_class { TPM_CLASS_USE, TPM_CLASS_CREATE, _TPM_CLASS_MAX };

struct tpm_job {
        enum tpm_class class;
        uid_t uid;
        void (*run)(struct tpm_job *job); /* exclusively; the job may be freed in it when it was submitted */
        struct tpm_job *next;             /* the queue's */
};

MUST_CHECK enum err tpm_queue_new(struct tpm_queue **ret, struct error *e);
/* Works off what is queued, ends the thread. Takes NULL. */
void tpm_queue_free(struct tpm_queue *queue);

/* Returns at once; @job->run happens in the TPM's thread. */
void tpm_queue_submit(struct tpm_queue *queue, struct tpm_job *job);
/* Returns when @job->run has returned. */
void tpm_queue_run(struct tpm_queue *queue, struct tpm_job *job);
/* See ksp_busy_since(). */
uint64_t tpm_queue_busy_since(struct tpm_queue *queue, uint64_t *ret_limit);
