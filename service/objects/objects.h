/* The daemon's objects on the bus. Everything about D-Bus is in this folder, but what
 * facts/ asks other services. Loop's thread only. */
#pragma once

#include <openssl/x509.h>

#include "daemon/daemon.h"

/* Connects to the system bus and takes the name. */
MUST_CHECK enum err objects_start(struct daemon *d, void (*lost)(void *ctx), void *ctx, struct error *e);
void objects_stop(struct daemon *d);
/* Calls that still waited for a thread; after the pool is gone. */
void readings_stop(struct daemon *d);

/* To be called when the new state is on the disk. */
void objects_certificate_added(struct daemon *d, struct certificate *certificate);
void objects_certificate_changed(struct daemon *d, struct certificate *certificate);
/* Before the certificate leaves the model. */
void objects_certificate_removed(struct daemon *d, struct certificate *certificate);

/* Asks the TPM for the first time; before objects_start(). */
MUST_CHECK enum err tpm_status_new(struct daemon *d, struct error *e);
void tpm_status_free(struct daemon *d);
/* Something of the TPM has failed: what it says of itself now is asked for, and told where it is new. */
void tpm_status_refresh(struct daemon *d);
/* Goes on with a removal that had begun when the daemon stopped. */
MUST_CHECK enum err certificate_remove_rest(struct daemon *d, struct certificate *certificate,
                                            struct error *e);

/* profiles.c. Takes a profile that was read from a document into store and model. @root, @bundle, @client,
 * @challenge: what came beside it, or empty. *ret: borrowed. ERR_EXISTS: its name is taken. */
struct intake {
        struct settings settings;
        struct strings notes;
        uid_t owner;
        bool managed; /* what a user's own profile may not, it may */
        const char
                *location;  /* where it came from: a LocURI, or "profiles.d/NAME"; NULL: given over the bus */
        const char *digest; /* of a file in profiles.d and of what it names; NULL */
        X509 *root;
        struct view bundle, challenge;
        struct view client; /* PEM: certificates; client_key: of the first, NULL: none */
        struct ksp_key *client_key;
};
/* The one profile of a document that was read; ERR_DOCUMENT: none, or several. */
struct commands;
struct command;
MUST_CHECK enum err intake_one_profile(const struct commands *commands, struct command **ret,
                                       struct error *e);
MUST_CHECK enum err profile_take(struct daemon *d, const struct intake *in, struct profile_entry **ret,
                                 struct error *e);
/* The same profile under its id, with other settings; of @in's files the challenge, and where it has a digest
 * all, replace what is there. *ret_old: as
 * it was, stored_profile_done(). */
MUST_CHECK enum err profile_change(struct daemon *d, struct profile_entry *profile, const struct intake *in,
                                   struct stored_profile *ret_old, struct error *e);
/* Puts back what profile_change() gave. */
MUST_CHECK enum err profile_restore(struct daemon *d, struct profile_entry *profile,
                                    const struct stored_profile *old, struct error *e);
/* Removes a profile from disk, bus and memory; its certificates are not looked at. */
MUST_CHECK enum err profile_forget(struct daemon *d, struct profile_entry *profile, struct error *e);

/* remove.c: the files go in a thread, then the objects. @done(ctx, NULL) at the end. */
MUST_CHECK enum err certificate_remove(struct daemon *d, struct certificate *certificate,
                                       void (*done)(void *ctx, const struct error *failure), void *ctx,
                                       struct error *e);
