/*
 * The vocabulary of events: what can happen to a certificate, under which name and number, and what is told
 * of it. One table serves events.jsonl, the journal and scepter-events(7). Pure.
 *
 * Names, MESSAGE_IDs and the meaning of fields are an interface: they are never used for something else.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

enum event_kind {
        EVENT_PROFILE_ACCEPTED,
        EVENT_PROFILE_ADOPTED,
        EVENT_PROFILE_CHANGED,
        EVENT_CA_CAPS,
        EVENT_CA_CERTS,
        EVENT_REQUEST_GENERATED,
        EVENT_PENDING,
        EVENT_RETRY,
        EVENT_SERVER_SKIPPED,
        EVENT_CERT_ISSUED,
        EVENT_CERT_REFUSED,
        EVENT_CERT_INSTALLED,
        EVENT_ENROL_FAILED,
        EVENT_ENROL_CANCELLED,
        EVENT_CERT_REMOVED,
        EVENT_RENEW_DUE,
        EVENT_NAMES_DIFFER,
        EVENT_RENEW_REFUSED,
        EVENT_CHALLENGE_NEEDED,
        EVENT_PIN_NEEDED,
        EVENT_CERT_REVOKED,
        EVENT_CRL_REFUSED,
        EVENT_CERT_APPLIED,
        EVENT_APPLY_FAILED,
        EVENT_CA_NEXT,
        EVENT_CA_NEXT_REFUSED,
        EVENT_CA_FOLLOWED,
        _EVENT_MAX
};

/* What an event may tell beside time, event, certificate, name, profile and message, which all have. */
enum event_field {
        EVENT_SCOPE,
        EVENT_KEY_PROTECTION,
        EVENT_KEY_ALGORITHM,
        EVENT_EXTENDED_KEY_USAGE,
        EVENT_URL,
        EVENT_HTTP_STATUS,
        EVENT_CAPABILITIES,
        EVENT_FINGERPRINTS,
        EVENT_ANCHOR,
        EVENT_NEXT_ANCHOR,
        EVENT_EXCHANGE,
        EVENT_TRANSACTION,
        EVENT_ATTEMPT,
        EVENT_ATTEMPTS,
        EVENT_NEXT_AT,
        EVENT_THUMBPRINT,
        EVENT_SERIAL,
        EVENT_SUBJECT,
        EVENT_NAMES,
        EVENT_NEW_NAMES,
        EVENT_NOT_AFTER,
        EVENT_RENEW_AT,
        EVENT_THRESHOLD,
        EVENT_METHOD,
        EVENT_REVOKED_AT,
        EVENT_REASON,
        EVENT_CONSUMER,
        EVENT_STAGE,
        EVENT_PKI_STATUS,
        EVENT_FAIL_INFO,
        EVENT_HRESULT,
        EVENT_HRESULT_NAME,
        EVENT_ERROR,
        EVENT_REMEDY,
        _EVENT_FIELD_MAX
};

enum event_shape {
        EVENT_TEXT,
        EVENT_NUMBER,
        EVENT_LIST, /* words with a blank between; an array in JSON */
};

const char *event_name(enum event_kind kind); /* "CERT_INSTALLED" */
/* 32 lower-case hexadecimal digits, for the journal and its catalog. */
const char *event_message_id(enum event_kind kind);
/* As syslog(3) numbers it. */
int event_priority(enum event_kind kind);
/* The number of Windows' event that says the same, 0: there is none. @stage: where an enrollment failed, NULL
 * for other events. */
unsigned event_windows(enum event_kind kind, const char *stage);

const char *event_field_name(enum event_field field);    /* "notAfter" */
const char *event_field_journal(enum event_field field); /* "SCEPTER_NOT_AFTER" */
enum event_shape event_field_shape(enum event_field field);

/* @fields: bits 1 << field that an event tells. The first it lacks, or has and should not; _EVENT_FIELD_MAX:
 * none. */
enum event_field event_lacks(enum event_kind kind, uint64_t fields);
enum event_field event_exceeds(enum event_kind kind, uint64_t fields);
