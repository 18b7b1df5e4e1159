/*
 * The vocabulary of SCEP: attribute OIDs, message types, status and failInfo numbers (RFC 8894 §3.2.1), each
 * with the words people read. Tables and look-ups only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* RFC 8894 §3.2.1, Table 2, and the two that ride along. */
#define SCEP_OID_MESSAGE_TYPE    "2.16.840.1.113733.1.9.2"
#define SCEP_OID_PKI_STATUS      "2.16.840.1.113733.1.9.3"
#define SCEP_OID_FAIL_INFO       "2.16.840.1.113733.1.9.4"
#define SCEP_OID_SENDER_NONCE    "2.16.840.1.113733.1.9.5"
#define SCEP_OID_RECIPIENT_NONCE "2.16.840.1.113733.1.9.6"
#define SCEP_OID_TRANSACTION_ID  "2.16.840.1.113733.1.9.7"
#define SCEP_OID_FAIL_INFO_TEXT  "1.3.6.1.5.5.7.24.1"
#define SCEP_OID_MS_ERROR        "1.3.6.1.4.1.311.21.33" /* szOID_ENROLL_SCEP_ERROR: an HRESULT in decimal */

enum {
        SCEP_NONCE_LEN = 16,
        SCEP_TRANSACTION_LEN = 40, /* what we send: 40 lower-case hex digits */
        SCEP_CERTS_MAX = 16,       /* certificates in one message */
        SCEP_CRLS_MAX = 16,        /* CRLs in one message */
        SCEP_BODY_MAX = 1024 * 1024,
        SCEP_CRL_BODY_MAX = 3 * 1024 * 1024, /* of a reply to GetCRL */
        SCEP_TEXT_MAX = 256,                 /* failInfoText as it is kept */
};

enum scep_type { /* messageType, Table 3 */
                 SCEP_CERT_REP = 3,
                 SCEP_RENEWAL_REQ = 17,
                 SCEP_PKCS_REQ = 19,
                 SCEP_CERT_POLL = 20,
                 SCEP_GET_CRL = 22,
};

enum scep_status { /* pkiStatus, Table 4 */
                   SCEP_SUCCESS = 0,
                   SCEP_FAILURE = 2,
                   SCEP_PENDING = 3,
};

enum scep_fail {                      /* failInfo, Table 5 */
                 SCEP_FAIL_NONE = -1, /* the reply names none */
                 SCEP_BAD_ALG = 0,
                 SCEP_BAD_MESSAGE_CHECK = 1,
                 SCEP_BAD_REQUEST = 2,
                 SCEP_BAD_TIME = 3,
                 SCEP_BAD_CERT_ID = 4,
};

/* What was taken from a server but deserves to be told. Bits. */
enum scep_note {
        SCEP_NOTE_DES3 = 1 << 0,
        SCEP_NOTE_DES = 1 << 1,
        SCEP_NOTE_SHA1 = 1 << 2,
        SCEP_NOTE_SIGNING_TIME = 1 << 3, /* more than 15 minutes from our clock */
        SCEP_NOTE_FAIL_INFO_ABSENT = 1 << 4,
        SCEP_NOTES_ALL = (1 << 5) - 1,
};

/* Message types, status and failInfo that exist; false for any other number. */
bool scep_request_type_valid(int64_t type);
bool scep_status_valid(int64_t status);
bool scep_fail_valid(int64_t fail);
const char *scep_status_name(enum scep_status status); /* "SUCCESS" */
const char *scep_fail_name(enum scep_fail fail);       /* "badRequest" */
const char *scep_fail_meaning(enum scep_fail fail);    /* one sentence for people, without full stop */
const char *scep_fail_remedy(enum scep_fail fail);
/* One sentence for one bit of enum scep_note. */
const char *scep_note_text(enum scep_note note);
/* "E_INVALIDARG" and so on, for HRESULTs NDES is known to send; NULL for others. */
const char *scep_hresult_name(uint32_t hresult);
const char *scep_hresult_remedy(uint32_t hresult); /* NULL: the failInfo says as much */
