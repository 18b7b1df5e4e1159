/*
 * The life of a certificate: which event leads from which activity to which, in one table. An absent arrow is
 * a refusal. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum activity {
        ACTIVITY_IDLE,
        ACTIVITY_REQUESTING,
        ACTIVITY_PENDING, /* the CA's administrator has to approve */
        ACTIVITY_NEEDS_CHALLENGE,
        ACTIVITY_WAITING_FOR_USER, /* for the PIN of its key */
        ACTIVITY_INSTALLING,
        ACTIVITY_APPLY_PENDING, /* it is installed, and a consumer has not taken it yet */
        ACTIVITY_FAILED,
        ACTIVITY_REMOVING,
        _ACTIVITY_MAX
};

enum life_event {
        LIFE_ENROLL,          /* somebody asks for a certificate */
        LIFE_RENEW,           /* the date of the renewal, or of another attempt, has come */
        LIFE_PENDING,         /* the CA answered PENDING */
        LIFE_ISSUED,          /* a certificate came and was checked */
        LIFE_INSTALLED,       /* "current" points to it */
        LIFE_APPLY,           /* the same, or later, and consumers follow it that have not taken it */
        LIFE_APPLIED,         /* they have */
        LIFE_FALL_BACK,       /* the service stopped before "current" pointed to it: the last safe point */
        LIFE_NEEDS_CHALLENGE, /* the CA wants a challenge that is not there */
        LIFE_CHALLENGE,       /* it came */
        LIFE_FAIL,
        LIFE_CANCEL,
        LIFE_REMOVE,
        LIFE_NEEDS_USER, /* only the key's owner can go on: it wants a PIN */
        _LIFE_MAX
};

enum health { HEALTH_NONE, HEALTH_VALID, HEALTH_EXPIRING, HEALTH_EXPIRED, HEALTH_REVOKED, _HEALTH_MAX };

/* What the health of a certificate follows from; seconds since the epoch, 0: none. */
struct health_dates {
        uint64_t not_before, not_after, renew_at, revoked_at;
};

const char *activity_name(enum activity activity); /* "needs-challenge" */
bool activity_from_name(const char *name, enum activity *ret);
const char *life_event_name(enum life_event event);
const char *health_name(enum health health);
/* Work is under way that a restart of the daemon takes up again. */
bool activity_is_running(enum activity activity);
/* Nothing is requested, and nothing has failed: the certificate, if there is one, is what it should be. */
bool activity_is_at_rest(enum activity activity);

/* ERR_BUSY with a sentence where there is no such arrow. */
MUST_CHECK enum err lifecycle_next(enum activity from, enum life_event event, enum activity *ret,
                                   struct error *e);

/* From dates alone; all 0: NONE. One that has expired is that, whether it was revoked or not. */
enum health health_of(const struct health_dates *dates, uint64_t now);
/* The number Windows' CSP gives: 1 success, 2 pending, 16 failed, 32 unknown. */
int32_t csp_status(enum activity activity, enum health health);
