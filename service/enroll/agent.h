/*
 * Challenge=socket:PATH: an agent listens there, fetches a challenge when the service connects, and writes
 * it; the end of the stream ends it, and a line end behind it does not count. Who connects tells whose it is
 * by its own address, as systemd does for credentials: an abstract name RANDOM/scepter/ID/NAME with id and
 * name of the certificate (getpeername(2)). Nothing is written to the agent. Loop's thread.
 */
#pragma once

#include "daemon/daemon.h"

enum { AGENT_SECONDS = 30 };

struct agent_question;
/* @challenge: emptied by whoever keeps it; empty with @failure. */
typedef void agent_answered(void *ctx, struct secret *challenge, const struct error *failure);

/* @answered is called once, later; ERR_FILE_REFUSED and the like where nobody can be asked. *ret is valid
 * until then. */
MUST_CHECK enum err agent_ask(struct daemon *d, const char *path, const char *id, const char *name,
                              agent_answered *answered, void *ctx, struct agent_question **ret,
                              struct error *e);
/* @answered will not be called. Takes NULL. */
void agent_question_free(struct agent_question *question);
