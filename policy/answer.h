/*
 * The SyncML answer of the device: own SyncHdr, a Status for the header and for each command in order,
 * Results for each Get that found something. An escaping writer, no XML library: the daemon links none.
 */
#pragma once

#include <stdint.h>

#include "policy/command.h"

/* Status codes of OMA DM that an executor uses (facts §6.2). */
enum status_code {
        STATUS_OK = 200,
        STATUS_ACCEPTED = 202,      /* Exec or Add of an enrollment: the result comes later */
        STATUS_AUTHENTICATED = 212, /* header */
        STATUS_CANCELLED = 214,
        STATUS_NOT_EXECUTED = 215, /* a previous command failed */
        STATUS_ROLLED_BACK = 216,  /* in an Atomic that failed */
        STATUS_BAD_REQUEST = 400,
        STATUS_FORBIDDEN = 403,
        STATUS_NOT_FOUND = 404,
        STATUS_NOT_ALLOWED = 405, /* e.g. write to a read-only node */
        STATUS_NOT_SUPPORTED = 406,
        STATUS_INCOMPLETE = 412, /* data is missing */
        STATUS_TOO_LARGE = 413,
        STATUS_UNSUPPORTED_FORMAT = 415,
        STATUS_ALREADY_EXISTS = 418,
        STATUS_DEVICE_FULL = 420,
        STATUS_PERMISSION_DENIED = 425,
        STATUS_COMMAND_FAILED = 500,
        STATUS_ATOMIC_FAILED = 507,
        STATUS_ROLLBACK_FAILED = 516,
};

/* "accepted for processing" and so on; NULL for a number that is none of the above. */
const char *status_text(unsigned code);

struct command_result {
        unsigned code;      /* enum status_code */
        char *data;         /* of a Get: what Results carries; NULL: no Results */
        const char *format; /* of data; NULL: "chr". Static. */
        char *reason;       /* a sentence for people who read the answer; NULL: none */
};

void command_result_done(struct command_result *result);

/* What the device has to say on its own account: a generic alert (1226) about an enrollment that a document
 * began and that has ended since. [CCI] */
struct answer_alert {
        char *source;   /* LocURI of the instance */
        int32_t result; /* HRESULT; 0: a certificate is installed */
};
struct answer_alerts {
        struct answer_alert *items;
        size_t count;
};

/* Takes over nothing: @source is copied. */
MUST_CHECK enum err answer_alerts_add(struct answer_alerts *alerts, const char *source, int32_t result,
                                      struct error *e);
void answer_alerts_done(struct answer_alerts *alerts);

enum { ANSWER_MAX = 2 * 1024 * 1024, ANSWER_ALERTS_MAX = 64 };

/*
 * @results: one per item of @c, in its order (those of Status, Results and the end of an Atomic are not
 * looked at).
 * @alerts: may be NULL. @message_id: this answer's own number. *ret: free(). ERR_INVALID where @c is no
 * SyncML or a code is unknown.
 */
MUST_CHECK enum err answer_write(const struct commands *c, const struct command_result *results,
                                 const struct answer_alerts *alerts, unsigned message_id, char **ret,
                                 struct error *e);
