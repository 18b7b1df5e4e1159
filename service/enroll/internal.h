/* Shared by the files of service/enroll alone. */
#pragma once

#include <systemd/sd-event.h>

#include "enrollment.h"
#include "facts/facts.h"
#include "link.h"
#include "revocation/check.h"
#include "rollover/look.h"
#include "scep-wire/ca-choice.h"
#include "scep-wire/exchange.h"
#include "store/store.h"
#include "work/workers.h"

/* A key that never had a certificate, and that the TPM does not know any more, is put here. */
#define KEY_LOST "key.lost.pem"

/* Who waits for an enrollment to have begun. */
struct waiter {
        struct enrollment_ops ops;
        struct waiter *next;
};

struct enrollment {
        struct daemon *d;
        struct certificate *certificate; /* NULL until it has begun */
        store_id id, profile;            /* profile: while it begins */
        struct enrollment *next;         /* of the daemon's "beginning" */
        struct waiter *waiters;
        uid_t owner;
        struct step *step; /* that is in a thread */
        bool busy;         /* a step is in a thread: its memory must stay */
        bool cancelled;    /* end after that step */
        bool abandoned;
        bool if_needed; /* enrollment_order.if_needed; unneeded: that is how it was */
        bool unneeded;
        bool committed;           /* "current" points to what was requested: only the record lacks it */
        bool adopting;            /* certificate is a candidate of adopt.c; */
        uint64_t tried;           /* its order */
        void (*ended)(void *ctx); /* enrollment_end() */
        void *ended_ctx;

        /* while it begins */
        struct profile stored; /* as the store has it */
        uint32_t needed;       /* facts: bits 1 << fact */
        struct facts_gather *gather;
        struct fact_values *facts;
        bool looked; /* at the profile, for a renewal: "stored" is there */
        bool accept; /* enrollment_renew(): what differs is taken */

        struct record record; /* this enrollment's own copy; the disk has it after each step */
        struct plan plan;
        struct revocation_found revoked; /* why it begins: enrollment_revoked(), enrollment_crl_refused() */
        struct rollover_found found;     /* the same: enrollment_next_ca() */
        bool replaces;                   /* and whether another certificate is asked for */
        bool have_plan;
        bool own_profile; /* a user's own */
        struct server_link link;
        struct secret challenge, pin; /* pin: of a user-verified key, as long as this runs */
        bool pin_later;               /* its owner's agent is asked for that */
        unsigned pin_tries;           /* after a wrong one: how many are left; 0: none, or not known */
        char *agent; /* path of the socket where a challenge is to be had; NULL: it need not be asked */
        struct agent_question *question;
        STACK_OF(X509) * anchors;

        struct ksp_key *key, *transport; /* transport: an RSA key that signs and receives for an EC key */
        uint64_t generation;
        struct ksp_key *old_key; /* of the certificate that is renewed, where it signs; old_cert: that */
        bool old_lost;           /* the TPM does not know that key any more: it signs nothing */
        bool key_lost;           /* the same of the key that was made for this request */
        X509 *old_cert;
        uint32_t caps_flags; /* of the last GetCACaps */
        uint64_t doubted;    /* of record.refused: by a 5xx, which counts if GetCACaps then answers */

        struct bytes caps_body, certs_body; /* of discover */
        char *answered_url;
        uint64_t passed_over;    /* bits: those of plan.urls that failed in the exchange of this attempt */
        int64_t clock_offset;    /* the server's clock minus ours, as it said last; 0: it did not */
        uint64_t retry_after;    /* seconds the server asked us to stay away for, last; 0: it did not */
        uint64_t caps_status;    /* HTTP; 0: no answer */
        uint8_t told_server[32]; /* digest of what tell_server() told last */
        struct ca_choice choice;
        bool have_choice;
        struct exchange exchange;

        X509 *signer;         /* whom the reply is encrypted to */
        struct bytes message; /* what is sent */
        uint8_t nonce[SCEP_NONCE_LEN];
        enum scep_type type;

        struct bytes issued[JOB_CERTS_MAX]; /* DER certificates of a SUCCESS */
        size_t n_issued;
        unsigned reply_notes;
        uint64_t held; /* bits: lines of record.old whose key a program has open */

        const char *stage; /* static: the step under way, for events */
        struct worker_job *job;
        sd_event_source *timer;
        enum err result; /* of the step in the thread */
        struct error error;
        struct error why;         /* what failed, while it is being recorded */
        struct error refused;     /* why the other way of a challenge was refused */
        bool reopens;             /* method_reopen() is due */
        struct error key_failure; /* of the key that was to sign, while a message is made */
};

/* Runs in a thread of the pool; @en->result and @en->error tell the end. steps.c */
MUST_CHECK enum err step_read(struct enrollment *en, struct error *e);
MUST_CHECK enum err step_begin(struct enrollment *en, struct error *e);
MUST_CHECK enum err step_key(struct enrollment *en, struct error *e);
MUST_CHECK enum err step_choose(struct enrollment *en, struct error *e);
MUST_CHECK enum err step_build(struct enrollment *en, struct error *e);
MUST_CHECK enum err step_poll(struct enrollment *en, struct error *e);
MUST_CHECK enum err step_install(struct enrollment *en, struct error *e);
/* Writes the failure into the record; @final: the request's secrets go too. */
enum err step_fail(struct enrollment *en, const struct error *why, bool final, struct error *e);

/* What is known of the transaction with @url, into the record; the next write takes it to the disk. @result
 * NULL: there was no answer. server.c */
struct result;
MUST_CHECK enum err record_transaction(struct enrollment *en, const char *url, const struct result *result,
                                       struct error *e);

/* It was kept aside, and a person accepts what differs: as after a reply. What still cannot be installed is a
 * refusal, and changes nothing. install.c */
MUST_CHECK enum err install_accepted(struct enrollment *en, X509 *cert, STACK_OF(X509) * chain,
                                     struct error *e);
/* accept.c: what lies in refused.pem; *ret_installed false: there is nothing. */
MUST_CHECK enum err accept_refused(struct enrollment *en, bool *ret_installed, struct error *e);
/* names.c: a renewal begins by reading its profile, where that is there and can be used. */
MUST_CHECK enum err step_look(struct enrollment *en, struct error *e);
/*
 * What the profile gives now into the record, which is not written. *ret_differ: it is not what the plan
 * says; *ret_before: what that is, and empty where the same difference is on record already. ERR_VARIABLE or
 * the code of a source that does not answer; the record is as it was then.
 */
MUST_CHECK enum err names_look(struct enrollment *en, struct strings *ret_before, bool *ret_differ,
                               struct error *e);
/* steps.c: the plan as an enrollment would make it now, from en->facts; without its anchor. */
MUST_CHECK enum err plan_of_profile(struct enrollment *en, const struct profile *profile, struct plan *ret,
                                    struct error *e);

/* The commit had happened when the daemon stopped: the record follows it. install.c */
MUST_CHECK enum err step_finish_install(struct enrollment *en, struct error *e);
/* follow.c: anchor.pem is what the certificate that was committed leads to. */
MUST_CHECK enum err follow_settle(struct enrollment *en, struct error *e);
/* adopt.c: the next candidate, reserved, or else a record for a new certificate. Loop. */
MUST_CHECK enum err adopt_next(struct enrollment *en, struct error *e);
/* The candidate came from one of the profile's Issuers. Threads of the pool. */
MUST_CHECK enum err adopt_fits(struct enrollment *en, bool *ret, struct error *e);
/* enrollment.c: id and record of a certificate that does not exist yet. */
MUST_CHECK enum err enrollment_new_record(struct enrollment *en, struct error *e);

/* The anchor that was chosen, or, before that, those of the profile. steps.c */
MUST_CHECK enum err resume_anchors(struct enrollment *en, struct error *e);

/* The record says where we are, on disk. */
MUST_CHECK enum err record_move(struct enrollment *en, enum life_event event, struct error *e);
/* It is installed: with consumers that follow it, or without. apply.c */
MUST_CHECK enum err record_installed(struct enrollment *en, struct error *e);
/* The private key that signs requests and opens replies. */
static inline struct ksp_key *request_key(const struct enrollment *en)
{
        if (en->exchange.signed_by_old)
                return en->old_key;
        return en->transport && !en->exchange.direct ? en->transport : en->key;
}
/* Its PIN, which was tried at the beginning; empty: it wants none. */
static inline struct view request_pin(const struct enrollment *en)
{
        return ksp_key_wants_pin(request_key(en)) ? secret_view(&en->pin) : (struct view){0};
}
/* On whose behalf the TPM works. */
static inline uid_t tpm_uid(const struct enrollment *en)
{
        return en->owner == NO_OWNER ? 0 : en->owner;
}
/* When the certificate that is there ends; 0: there is none that is of use, so that nothing else is waited
 * for. */
static inline uint64_t usable_until(const struct record *record)
{
        return record->current && !record->revoked_at ? record->not_after : 0;
}
/* What an earlier enrollment left: how it ended, and with what answer of the server. steps.c */
MUST_CHECK enum err record_clear_outcome(struct record *record, struct error *e);
/* steps.c: a new request replaces what an earlier one left, except its key. The record is not written. */
MUST_CHECK enum err request_forget(struct enrollment *en, struct error *e);
/* steps.c: the account that it was made for is not the one that has the uid now; keys/owners.h. */
MUST_CHECK enum err refuse_other_account(const char *id, const char *name, const char *login,
                                         struct error *e);
/* A transaction id where the record has none. */
MUST_CHECK enum err request_identify(struct enrollment *en, struct error *e);
/* challenge.c: one that was given; ERR_CHALLENGE_NEEDED: the plan wants one and none is there. */
MUST_CHECK enum err take_challenge(struct enrollment *en, struct error *e);
/* Before the record says "requesting": whoever goes on after a crash has to find it. */
MUST_CHECK enum err keep_challenge(struct enrollment *en, struct error *e);
/* A file, a credential or an agent has one whenever it is needed: its profile lies in profiles.d. */
bool challenge_comes_by_itself(const struct enrollment *en);
/* Into en->challenge. ERR_CHALLENGE_NEEDED with en->agent: that is to be asked, in the loop. */
MUST_CHECK enum err challenge_fetch(struct enrollment *en, struct error *e);
/* pin.c: the plan makes user-verified keys, and the request is not made yet. */
bool pin_is_asked(const struct enrollment *en);
/* The request is, or was, signed with a key that wants the PIN, and its reply comes to that. */
bool pin_signs(const struct enrollment *en);
/* ERR_PIN_NEEDED, with who is to do what. */
MUST_CHECK enum err pin_needed(const struct enrollment *en, struct error *e);
/* Only the owner can go on. */
bool pin_is_why(const struct enrollment *en, const struct error *why);
/* Before the key: with a PIN, a key that nothing was asked for with is made anew, and the PIN of a renewal is
 * that of the key it replaces, by a try that counts. @fd: the generation. */
MUST_CHECK enum err pin_prepare(struct enrollment *en, int fd, struct error *e);
/* methods.c: the way of this request, into the record; whether none is left after it; the next one, after a
 * refusal that en->why tells; key and certificate of the generation that is renewed, into en. */
MUST_CHECK enum err method_choose(struct enrollment *en, uint32_t caps, enum scep_method *ret,
                                  struct error *e);
bool method_is_last(struct enrollment *en);
/* What to tell of the refusal @why of the last way: what a challenge's first way was refused for, too. */
struct error method_refusals(struct enrollment *en, const struct error *why);
/* What was refused by HTTP alone, for all ways of a first request, is no word of the CA: they are open again.
 */
MUST_CHECK enum err method_reopen(struct enrollment *en, struct error *e);
MUST_CHECK enum err step_next_method(struct enrollment *en, struct error *e);
MUST_CHECK enum err method_load_old(struct enrollment *en, struct error *e);
/* Sets en->old_lost; a TPM that does not work just now is an error, and no reason to take another way. */
MUST_CHECK enum err method_look_at_old(struct enrollment *en, struct error *e);
/* steps.c: the key that was lost stays in its directory under KEY_LOST; the next attempt makes a new one. */
MUST_CHECK enum err key_put_aside(const struct enrollment *en, struct error *e);
/* challenge and request.der of the generation that was requested. */
MUST_CHECK enum err request_files_remove(struct enrollment *en, struct error *e);

/* enrollment.c, for the loop: a step in a thread and then @next; the end with a failure; whether the last
 * step failed (and then the failure is on its way); what is on the disk onto the bus. */
void enrollment_step(struct enrollment *en, enum err (*run)(struct enrollment *en, struct error *e),
                     void (*next)(struct enrollment *en));
void enrollment_fail(struct enrollment *en, const struct error *why);
bool enrollment_failed(struct enrollment *en);
void enrollment_publish(struct enrollment *en, const char *progress);
void enrollment_forget_exchange(struct enrollment *en);
/* What only the plan is made from. */
void enrollment_forget_sources(struct enrollment *en);
void enrollment_free(struct enrollment *en);
/* cancel.c: en->cancelled, and no step is in a thread any more. */
void enrollment_end_cancelled(struct enrollment *en);
/* NULL: no memory. */
struct enrollment *enrollment_new(struct daemon *d);
/* After a step: the key is there, now the server. */
void enrollment_next_discover(struct enrollment *en);
/* The enrollment of a certificate that is here, with a copy of its record. ERR_BUSY. */
MUST_CHECK enum err enrollment_take(struct daemon *d, struct certificate *certificate,
                                    struct enrollment **ret, struct error *e);
/* resume.c: the plan, key and files of the record that @en holds a copy of. */
MUST_CHECK enum err step_resume(struct enrollment *en, struct error *e);
void enrollment_resumed(struct enrollment *en);
/* Adds one who waits; and tells them all: @certificate or @failure. A waiter may start the next enrollment.
 */
MUST_CHECK enum err wait_for_begin(struct enrollment *en, const struct enrollment_ops *ops, struct error *e);
void tell_waiters(struct waiter *waiters, struct certificate *certificate, const struct error *failure);
/* server.c: GetCACaps and GetCACert, then what follows. */
void enrollment_discover(struct enrollment *en);
/* pending.c: the CA answered PENDING; the wait until the next poll; whether a failure is only a poll's, which
 * then is on its way to the record. */
struct result_http;
void enrollment_pending(struct enrollment *en, const struct result_http *http);
void enrollment_wait(struct enrollment *en);
/* @run, a step that puts on record what was found out beside the request that waits, and then the wait goes
 * on. Nobody else may write the record meanwhile: @en's copy of it is what its next step writes. ERR_BUSY: it
 * does not wait just now. */
MUST_CHECK enum err enrollment_note(struct enrollment *en,
                                    enum err (*run)(struct enrollment *en, struct error *e), struct error *e);
bool enrollment_still_pending(struct enrollment *en, const struct error *why);
