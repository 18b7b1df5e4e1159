/*
 * The accounts that users' certificates were made for. A uid that was given to somebody else since
 * (userdel(8) and useradd(8) do) has no right to what the account before had: such a certificate belongs to
 * root alone from then on, is not renewed, and belongs to its owner again where the account has its old name
 * again. An account that is gone changes nothing until another one has its uid. "alice", "alice@contoso.com"
 * and "CONTOSO\Alice" are one name: name services differ in that.
 *
 * groups.h looks, at the times and in the thread that its header says.
 */
#pragma once

#include "daemon/daemon.h"

struct owner_list {
        struct owner_account *items;
        size_t n;
};

void owners_done(struct owner_list *list);
/* Each account that a certificate in the model was made for, once. False: no memory. Loop's thread. */
bool owners_collect(const struct daemon *d, struct owner_list *ret);
/* Blocks as the name services do: pool. False where one of them did not answer. */
bool owners_ask(struct owner_list *list);
/* Takes what was answered over into the model, and tells what is new. Loop's thread. */
void owners_settle(struct daemon *d, const struct owner_list *list);

/* Whether both are names of one account. */
bool owners_same_login(const char *one, const char *other);
