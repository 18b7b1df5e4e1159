/*
 * The record of one certificate: what is known of it, what is under way, and the plan it is renewed by. It
 * stands in certificates/<id>/record.json, written whole and atomically; this file knows its JSON, not its
 * place.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "policy/settings.h"

enum { RECORD_VERSION = 1, RECORD_MAX = 256 * 1024 };
#define NO_OWNER   ((uid_t)-1) /* the device */
#define LOST_OWNER ((uid_t)-2) /* keys/owners.h: root alone; never in a record */

struct record {
        char *name, *profile; /* profile: its id, "" once it was removed */
        uint64_t owner;       /* uid; NO_OWNER: the device */
        char *owner_name;
        struct settings plan; /* policy/plan.h's pairs */
        /* What the profile would name it when it was looked at last, where that is not what the plan says. */
        struct strings new_names;

        char *activity; /* enroll/lifecycle.h's name */
        uint64_t activity_since;
        uint64_t current;   /* generation that is installed, 0: none */
        uint64_t requested; /* generation that is being requested, 0: none */

        /* of the current generation */
        uint64_t not_before, not_after, renew_at;
        uint64_t revoked_at;  /* when its CA, or one above that, revoked it; 0: not, as far as is known */
        uint64_t crl_refused; /* the generation of which it was told that there is no CRL of it to be had */
        char *subject, *serial, *thumbprint; /* RFC 4514; lower-case hex; SHA-1, lower-case hex */
        char *key_id, *key_algorithm, *key_protection, *key_reason, *key_parent;
        struct strings key_attributes, deviations;
        char *respondent;
        struct strings old; /* generations that were replaced and are kept: old.h */

        /* of the request under way */
        char *transaction, *nonce,
                *request_url; /* nonce: hex; url: where the message goes, suffix included */
        bool request_post;
        char *exchange; /* for people: "AES-128, SHA-256, POST" */
        char *next_key_id, *next_key_algorithm, *next_key_protection, *next_key_reason, *next_key_parent;
        struct strings next_key_attributes;
        uint64_t pending_since, polls, next_poll;
        bool renewing;    /* it renews the current generation */
        char *method;     /* scep-wire/exchange.h's name of the way it takes; "": not chosen yet */
        uint64_t refused; /* ways that were refused this time: bits 1 << enum scep_method */

        char *error_name, *error_message, *error_remedy; /* of the last failure; "" after a success */
        uint64_t attempts, status;                       /* status: the number of Windows' CSP */
        uint64_t retry_at;                               /* when it is tried again by itself; 0: not */
        /* Its consumers: when they are tried, 0: all have it; and why they have not, "" where nothing failed.
         */
        uint64_t apply_at, apply_attempts;
        char *apply_error, *apply_message, *apply_remedy;
        char *renewed_by; /* the way the last renewal took */
        bool direct;      /* the server took a challenge with a message that the EC key signed itself */

        /* The last transaction of the enrollment that runs or ended; last_time 0: it came to none. What the
         * server did not say is "" or 0. */
        char *last_url;
        uint64_t last_time, last_http_status, last_hresult; /* hresult: of NDES */
        char *last_pki_status, *last_fail_info;             /* "FAILURE", "badRequest" */
        char *last_stage; /* the step of enroll/enrollment.h it failed at; "": it did not */
};

/* Every text is "" rather than NULL afterwards. */
MUST_CHECK enum err record_new(struct record *ret, struct error *e);
void record_done_p(struct record *record);
MUST_CHECK enum err record_to_json(const struct record *record, char **ret, struct error *e);
/* ERR_CONFIG: not ours, damaged, or of a version that is not read any more. */
MUST_CHECK enum err record_from_json(struct view json, struct record *ret, struct error *e);
/* Replaces one text. */
MUST_CHECK enum err record_set_text(char **text, const char *value, struct error *e);
