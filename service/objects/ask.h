/*
 * Asking a user's agents for the PIN that one of his certificates waits for (activity "waiting-for-user").
 * Nothing of it is on the disk: the certificate waits whether somebody is asked or not, and with the answer a
 * renewal begins as if the user had given it to Renew.
 *
 *  1. an enrollment ends for want of the PIN, or an agent registers while certificates wait
 *  2. the user's newest agent is asked; one question at a time for a user, the other certificates come next
 *  3. it declines, leaves or answers what is no PIN: the next older one; it says Cancelled, or nobody answers
 *     in time, or none is left: the certificate waits on
 *  4. a PIN: the enrollment goes on; where it was wrong, that is step 1 again, as long as tries are left
 *
 * An agent is asked once for each time that a certificate began to wait. Loop's thread only.
 */
#pragma once

#include "daemon/daemon.h"

/* How long somebody may take to answer. */
enum { ASK_SECONDS = 300 };

/* Why a question ends without its answer: argument of Agent.Cancel(). */
#define ASK_TIMEOUT    "timeout"
#define ASK_CANCELLED  "cancelled"
#define ASK_REMOVED    "removed"
#define ASK_SUPERSEDED "superseded" /* the PIN came from elsewhere, or something else begins */
#define ASK_STOPPED    "stopped"

/* Looks whom of this user's agents to ask for what. */
void ask_look(struct daemon *d, uid_t uid);
/* The enrollment of @certificate has just ended in "waiting-for-user": with @why, and so many tries left (0:
 * not known). Agents are asked once ask_look() comes. */
void ask_anew(struct certificate *certificate, const struct error *why, unsigned tries);
/* Somebody else than @uid's agent need not have the PIN: @uid has one to be asked. */
bool ask_can(const struct daemon *d, uid_t uid);
/* Ends the question about @certificate, if there is one, and tells the agent. false: there is none. */
bool ask_end(struct daemon *d, struct certificate *certificate, const char *reason);
/* The agent of this connection is none any more: the next one is asked what it was asked. */
void ask_without(struct daemon *d, const char *agent);
/* Before the bus goes. */
void ask_stop(struct daemon *d);
