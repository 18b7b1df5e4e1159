/*
 * The key socket: applications use keys here, each with his own credentials, none with the TPM's. A
 * connection asks one thing after another or several at once; TPM keys are answered from the TPM's thread,
 * software keys from the pool. Loop's thread only.
 */
#pragma once

#include "daemon/daemon.h"
#include "users.h"

struct key_server;

/* Listens (listen.h), and lets in at once, unless key_groups_are_awaited(). */
MUST_CHECK enum err key_server_new(struct daemon *d, struct key_server **ret, struct error *e);
/* Lets in who waits. Takes NULL. */
void key_server_open(struct key_server *server);
/* Who has a key of it open just now. */
void key_server_users(const struct key_server *server, const struct certificate *certificate,
                      struct key_users *ret);
/* Whether somebody has this key of it open. */
bool key_server_holds(const struct key_server *server, const struct certificate *certificate,
                      const uint8_t key_id[20]);
/* Closes what is open and waits for what is at work. Takes NULL. */
void key_server_free(struct key_server *server);
