/*
 * The PKCS#10 request (RFC 2986) with what NDES reads from it: names, key usage, challenge, wished validity.
 * Daemon alone: it holds the challenge.
 */
#pragma once

#include "base/ossl.h"
#include "base/secret.h"

enum {
        REQUEST_MAX = 256 * 1024,
        REQUEST_CHALLENGE_MAX = 64 * 1024, /* Intune's are kilobytes; PKCS#9's bound of 255 is nobody's */
        REQUEST_EKU_MAX = 32,
        REQUEST_TEMPLATE_MAX = 256,
};

struct request_spec {
        struct view subject; /* DER Name; may be an empty SEQUENCE if there are alternative names */
        struct view san;     /* DER GeneralNames; empty: none. Critical where the subject is empty (RFC 5280
                                §4.2.1.6) */
        uint32_t key_usage;  /* KU_DIGITAL_SIGNATURE and kin; 0: no extension */
        const char *const *eku; /* dotted OIDs */
        size_t n_eku;
        /* Enrolment name-value pairs ValidityPeriod (unit) and ValidityPeriodUnits (number); NULL: none. */
        const char *validity_unit; /* "Days", "Months", "Years" */
        unsigned validity_number;
        /* The CA's template ([MS-WCCE] §2.2.2.7.7): a dotted OID is named in certificateTemplate, any other
         * text (UTF-8, at most REQUEST_TEMPLATE_MAX characters of the BMP) in enrollCerttype; NULL: neither.
         */
        const char *template_name;
        struct view challenge; /* secret; UTF-8; empty: none */
        EVP_PKEY *key;         /* may live in a provider; blocks while it signs */
        const char *digest;    /* "SHA256" */
};

/*
 * *ret: DER, signed. It holds the challenge, so it is a secret until it stands in an envelope.
 * ERR_INVALID names what of the spec is malformed. ERR_FAILED: the key did not sign.
 */
MUST_CHECK enum err request_build(const struct request_spec *spec, struct secret *ret, struct error *e);
