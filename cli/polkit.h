/* polkit's question for a password at the terminal, where no agent of a desktop asks it. */
#pragma once

#include <sys/types.h>

/* Starts pkttyagent for this process, as systemctl does, and waits until it is registered; it asks only where
 * nobody else would. 0: there is no need (root), no terminal, or no pkttyagent. */
pid_t polkit_agent_start(void);
/* Takes 0. */
void polkit_agent_stop(pid_t pid);
