/* Shared by the files of service/objects alone. */
#pragma once

#include "bus-server/server.h"
#include "bus/introspection.h"
#include "bus/write.h"
#include "objects.h"
#include "policy/command.h"

enum { OBJECT_PATH_MAX = 80 };

extern const struct bus_interface manager_interface, profile_interface, certificate_interface;

/* What a certificate's or profile's handler gets: the server hands over one pointer. */
struct manager {
        struct daemon *d;
};

void certificate_path(const char *id, char ret[OBJECT_PATH_MAX]);
void profile_path(const char *id, char ret[OBJECT_PATH_MAX]);
void describe_certificate_object(struct daemon *d, struct certificate *certificate,
                                 char path[OBJECT_PATH_MAX], struct bus_object *ret);
void describe_profile_object(struct daemon *d, struct profile_entry *profile, char path[OBJECT_PATH_MAX],
                             struct bus_object *ret);
/* The tree, and the daemon it shows. Objects of one kind are handed to handlers with the daemon by this pair.
 */
struct handle {
        struct daemon *d;
        struct certificate *certificate;
        struct profile_entry *profile;
};
/* Valid until the next call: the server uses an object at once. */
struct handle *tree_handle(struct daemon *d, struct certificate *certificate, struct profile_entry *profile);

/* tpm-status.c: what the TPM last said of itself, and of a few of our keys. */
struct tpm_view {
        struct ksp_tpm tpm;
        unsigned keys, keys_lost; /* tried; not usable */
        struct error lost;        /* of the first that is not */
        struct error hangs;       /* a command has gone on for long */
};
/* What keeps the TPM, or a key in it, from working; NULL: nothing. */
const struct error *tpm_view_trouble(const struct tpm_view *view);
/* "ready", "absent", or the name of the trouble's error. */
const char *tpm_view_state(const struct tpm_view *view);
/* @refresh: the TPM is asked again, in a thread, and the answer is told by PropertiesChanged, always, since
 * "checked" (a count) is new. Borrowed until the next turn of the loop. */
const struct tpm_view *tpm_status_get(struct daemon *d, bool refresh);
uint64_t tpm_status_checked(const struct daemon *d);

/* profile.c; takes NULL */
void shown_profile_free(struct shown_profile *shown);
extern const char *const profile_property_names[];

/* The object at @path, for whoever may see it; used at once, as by the server. */
bool tree_find(struct daemon *d, const char *path, struct bus_object *ret);

/* authority.c: root, and whom polkit lets. @ctx: the daemon. */
void authorise(void *ctx, struct bus_call *call, const char *action, const struct bus_object *object,
               bus_authorised *done);

/* manager.c */
bool certificate_visible(const struct bus_call *call, const struct certificate *certificate);

/* events.c: those that were, and those that come. */
MUST_CHECK enum err manager_get_events(void *object, struct bus_call *call, struct error *e);
MUST_CHECK enum err manager_follow_events(void *object, struct bus_call *call, struct error *e);

/* intake.c: a document becomes a profile. Answers the call itself, later. */
MUST_CHECK enum err manager_add_profile(void *object, struct bus_call *call, struct error *e);
/* Whether AddProfile's arguments ask for a profile of the caller's own. */
MUST_CHECK enum err add_profile_is_own(struct bus_call *call, bool *ret, struct error *e);
/* Starts a parse job for a memfd of the caller's; @done as for workers. */
MUST_CHECK enum err parse_start(struct daemon *d, int fd, const char *format, uid_t owner, worker_done *done,
                                void *ctx, struct error *e);

/* syncml.c: a document is executed. Answers the call itself, later. */
MUST_CHECK enum err manager_apply_syncml(void *object, struct bus_call *call, struct error *e);
/* diagnose.c */
MUST_CHECK enum err manager_diagnose(void *object, struct bus_call *call, struct error *e);
void diagnosing_stop(struct daemon *d);
/* enroll.c */
MUST_CHECK enum err manager_enroll(void *object, struct bus_call *call, struct error *e);
/* Whether this caller sees this profile (NULL: there is none), and may enroll for @user (NULL: himself);
 * authority.c has asked who may enroll at all. */
MUST_CHECK enum err enroll_permitted(const struct bus_call *call, const struct profile_entry *profile,
                                     const char *user, struct error *e);
/* Whose certificate it becomes where no user is named. */
uid_t enroll_owner(const struct bus_call *call, const struct profile_entry *profile);
/* enroll.c: of the option "pin"; ERR_NOT_A_MEMFD, ERR_INVALID. */
MUST_CHECK enum err pin_read(int fd, struct secret *ret, struct error *e);
/* agents.c */
MUST_CHECK enum err manager_register_agent(void *object, struct bus_call *call, struct error *e);
MUST_CHECK enum err manager_unregister_agent(void *object, struct bus_call *call, struct error *e);
/* change-pin.c */
MUST_CHECK enum err certificate_change_pin(void *object, struct bus_call *call, struct error *e);
/* attest.c: Certificate.Attest */
MUST_CHECK enum err certificate_attest(void *object, struct bus_call *call, struct error *e);
/* resolve.c: Profile.Resolve */
MUST_CHECK enum err profile_resolve(void *object, struct bus_call *call, struct error *e);

/* A call that is answered later, with the daemon. */
struct later {
        struct daemon *d;
        struct bus_call *call;
};
/* Answers with the error and lets the call go. */
void later_fail(struct later *later, const struct error *e);

/* remove.c: ERR_BUSY, and how to end it. */
MUST_CHECK enum err request_is_running(const struct certificate *certificate, struct error *e);
