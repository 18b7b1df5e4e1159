/*
 * One worker process and the daemon's end of its stream: connected to as systemd starts them, or exec'd on a
 * socketpair for tests and the lab. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "work/workers.h"

struct worker_process {
        int fd;                 /* -1: none */
        pid_t pid;              /* 0: not ours, or reaped */
        sd_event_source *child; /* NULL: not ours */
};

#define NO_PROCESS ((struct worker_process){.fd = -1})

/* *ret keeps its address until it is ended or moved. */
MUST_CHECK enum err worker_process_start(const struct workers_config *config, enum job_kind kind,
                                         struct worker_process *ret, struct error *e);
/* The process lives and its stream is open, as far as can be seen without reading. */
bool worker_process_alive(const struct worker_process *process);
/* *from is empty afterwards. */
void worker_process_move(struct worker_process *to, struct worker_process *from);
/* Ends it if it still runs; the loop reaps it. Takes an empty one. */
void worker_process_end(struct worker_process *process);
