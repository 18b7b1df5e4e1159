/*
 * The client's end of the key channel, for applications (ksp.so, scepter-pkcs11.so). It connects when it is
 * first needed, and again after the daemon was restarted or this process forked: a child speaks with its own
 * credentials and is judged anew, and its keys are opened again by their id, so a program that loaded a
 * certificate keeps the key that belongs to it (design: a handle is bound to a generation).
 *
 * Thread rule: any thread; one request at a time per client (a mutex), as the TPM is serial anyway.
 * Waiting: a request ends after 120 s at the latest with ERR_TIMEOUT (a TPM command may take 90 s).
 */
#pragma once

#include "channel/frame.h"

struct channel_client;
struct channel_key;

/* No I/O yet. @path: the socket; copied. */
MUST_CHECK enum err channel_client_new(const char *path, struct channel_client **ret, struct error *e);
/* All its keys must be closed. Takes NULL. */
void channel_client_free(struct channel_client *client);

/* What there is for this process, current generations alone. */
struct channel_entry {
        char label[FRAME_LABEL_MAX + 1]; /* the certificate's name */
        uint8_t id[KEY_ID_LEN];
        bool device;
        uid_t owner;    /* where it is not the device's */
        bool wants_pin; /* of channel_describe() alone */
};
/* Calls @each for one after the other, in a stable order; it must not use the client; @entry is borrowed for
 * the call. */
MUST_CHECK enum err channel_list(struct channel_client *client,
                                 enum err (*each)(void *ctx, const struct channel_entry *entry,
                                                  struct error *e),
                                 void *ctx, struct error *e);
/* The certificate of any generation that exists, by its key's id: @index 0, with *ret_entry (may be NULL)
 * saying whose it is; from 1 on the certificates above it. ERR_NOT_FOUND: there is none (any more). */
MUST_CHECK enum err channel_describe(struct channel_client *client, const uint8_t id[KEY_ID_LEN],
                                     uint64_t index, struct channel_entry *ret_entry,
                                     struct bytes *ret_certificate, struct error *e);

/* By certificate name or id (@label), else, where that is NULL, by key id. Worth handling: ERR_NOT_FOUND,
 * ERR_NO_SERVICE. */
MUST_CHECK enum err channel_key_open(struct channel_client *client, const char *label, const uint8_t *id,
                                     struct channel_key **ret, struct error *e);
void channel_key_close(struct channel_key *key);

/* Borrowed until the key is closed. The certificate is empty where the generation has none yet. */
struct view channel_key_spki(const struct channel_key *key);
struct view channel_key_certificate(const struct channel_key *key);

/*
 * Whether the key's user gives his PIN for each use: @pin below, empty for other keys. Worth handling:
 * ERR_PIN_NEEDED, ERR_INVALID (no PIN is of that form), ERR_TPM_WRONG_AUTH (a try is used up),
 * ERR_PIN_LOCKED, ERR_TPM_LOCKED_OUT (none was). It is sent once: where no answer came, it may have been
 * tried.
 */
bool channel_key_wants_pin(const struct channel_key *key);
/* Whether it is the right one; the same errors. A right one here is right in the uses that follow. */
MUST_CHECK enum err channel_key_verify(struct channel_key *key, struct view pin, struct error *e);

MUST_CHECK enum err channel_key_sign(struct channel_key *key, const struct key_sign *how, struct view data,
                                     struct view pin, struct bytes *ret, struct error *e);
/* @point: X9.62, uncompressed. *ret: the x coordinate of the shared point. */
MUST_CHECK enum err channel_key_derive(struct channel_key *key, struct view point, struct view pin,
                                       struct secret *ret, struct error *e);
MUST_CHECK enum err channel_key_decrypt(struct channel_key *key, const struct key_decrypt *how,
                                        struct view data, struct view pin, struct secret *ret,
                                        struct error *e);
