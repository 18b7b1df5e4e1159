/*
 * What the programs that read what strangers send have in common. One job comes over the stream, one result
 * goes back, and the process ends. Steps: 1. initialise the libraries; 2. close the sandbox; 3. read the job;
 * 4. do it; 5. send the result. They log nothing: what went wrong is in the result.
 *
 * PROGRAM [--fd N] [--weak-workers]
 * Exit status: 0 a result was sent, also that of a failure; 1 none could be; 2 usage.
 */
#pragma once

#include "sandbox/sandbox.h"
#include "worker/protocol.h"

struct worker {
        const char *program;
        enum sandbox_kind sandbox; /* SANDBOX_PARSE does JOB_PARSE alone, SANDBOX_NETWORK all others */
        /* Everything a library wants from the file system or the kernel, before both are out of reach. */
        enum err (*prepare)(struct error *e);
        /* *ret: the encoded result, which is wiped. *http: what the server said last, told of a failure.
         * @fd: the stream, to ask for a granted operation. */
        enum err (*work)(int fd, const struct job *job, struct bytes *ret, struct result_http *http,
                         struct error *e);
};

/* A program's whole main(): its exit status. */
int worker_main(const struct worker *worker, int argc, char **argv);
