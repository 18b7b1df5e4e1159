/*
 * The kinds of alternative names: what a value of each must look like, and the GeneralName it becomes. Which
 * kind an entry names, and what its variables stand for, is san.h's.
 */
#pragma once

#include <openssl/x509v3.h>

#include "base/bytes.h"

#define SAN_OID_UPN  "1.3.6.1.4.1.311.20.2.3"
#define SAN_OID_GUID "1.3.6.1.4.1.311.25.1" /* szOID_NTDS_REPLICATION */

enum { SAN_GUID_LEN = 16 };

enum san_kind {
        SAN_DNS,
        SAN_EMAIL,
        SAN_UPN,
        SAN_URI,
        SAN_IP,
        SAN_DIRNAME, /* its value is a whole name and not built here: san_directory_name() */
        SAN_RID,
        SAN_GUID,
        SAN_OTHER, /* needs an OID */
        _SAN_KIND_MAX
};

/* *ret: GENERAL_NAME_free(). @oid is for SAN_OTHER alone, and valid. ERR_PROFILE says why @value is none. */
MUST_CHECK enum err san_general_name(enum san_kind kind, const char *oid, const char *value,
                                     GENERAL_NAME **ret, struct error *e);
/* The same of a DER X509_NAME. */
MUST_CHECK enum err san_directory_name(struct view name, GENERAL_NAME **ret, struct error *e);
