/*
 * Is an issued certificate what the plan asked for? The daemon asks before it installs; nothing here does I/O
 * or looks at the clock (the caller says what time it is and whether the clock can be believed).
 */
#pragma once

#include <openssl/x509.h>

#include "policy/plan.h"

/* From best to worst: the worst finding decides. */
enum check_verdict {
        CHECK_ACCEPTED, /* install; deviations are notes */
        CHECK_KEPT,     /* an EKU or an alternative name is missing: keep it aside, a person may accept it */
        CHECK_WAIT,     /* the clock cannot be right: ask again when it is */
        CHECK_REFUSED,  /* wrong key, wrong chain, expired, or a renewal that renewed nothing */
};

enum { CHECK_DEVIATIONS_MAX = 16, CHECK_NOT_BEFORE_AHEAD = 15 * 60 };

struct check_input {
        const struct plan *plan;
        X509 *cert;
        struct view spki;       /* DER SubjectPublicKeyInfo of the key that was made */
        STACK_OF(X509) * chain; /* candidates for the way to the anchor; may be NULL */
        X509 *anchor;
        int64_t now;        /* seconds since the epoch */
        bool clock_trusted; /* false: a date that does not fit makes CHECK_WAIT, not CHECK_REFUSED */
        X509 *previous;     /* the certificate this one renews, or NULL */
};

/* One way in which it is not what was asked for, and what would become of it for that alone. */
struct deviation {
        enum check_verdict verdict; /* CHECK_ACCEPTED: a note */
        char *text;                 /* a sentence for people, valid UTF-8 */
};

struct check_result {
        enum check_verdict verdict;
        struct deviation deviations[CHECK_DEVIATIONS_MAX]; /* all at once, the worst first */
        size_t n_deviations;
};

/*
 * @e is filled with ERR_CERTIFICATE_REFUSED and the reason where the verdict is REFUSED or KEPT, with
 * ERR_PENDING where it is WAIT; the function itself answers ERR_OK for every verdict and fails only where it
 * could not judge. *ret: check_result_done().
 */
MUST_CHECK enum err certificate_check(const struct check_input *in, struct check_result *ret,
                                      struct error *e);
void check_result_done(struct check_result *r);
const char *check_verdict_name(enum check_verdict verdict);
/* "note", "kept", "wait", "refused": what stands before a deviation's text. */
const char *check_class_name(enum check_verdict verdict);
/* notBefore and notAfter in seconds since the epoch. ERR_REPLY where a date cannot be read. */
MUST_CHECK enum err certificate_dates(const X509 *cert, int64_t *ret_not_before, int64_t *ret_not_after,
                                      struct error *e);
