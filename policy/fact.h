/*
 * Facts: what a variable of a profile stands for, and which values each of them may have. Where values come
 * from is none of this layer's business (service/facts); whoever has one settles it here first, so that a
 * serial number of a firmware that fills nothing in, or a MAC address in another spelling, is judged in one
 * place. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum { FACT_VALUE_MAX = 512 };

enum fact {
        FACT_USER_NAME,
        FACT_USER_PRINCIPAL_NAME,
        FACT_EMAIL_ADDRESS,
        FACT_DISTINGUISHED_NAME,
        FACT_SAM_ACCOUNT_NAME,
        FACT_SECURITY_IDENTIFIER, /* "S-1-5-21-…"; the tag: URI of KB5014754 is built by the expansion */
        FACT_DEPARTMENT,
        FACT_AAD_DEVICE_ID,
        FACT_DEVICE_ID,
        FACT_SERIAL_NUMBER,
        FACT_IMEI,
        FACT_MEID,
        FACT_WIFI_MAC_ADDRESS, /* 12 upper-case hexadecimal digits */
        FACT_DEVICE_NAME,      /* up to the first dot */
        FACT_FULLY_QUALIFIED_DOMAIN_NAME,
        _FACT_MAX
};

/* "serial number of the machine" and so on: how an error speaks of it. */
const char *fact_text(enum fact fact);
/* true: the fact is about a person, so that a device has no value for it; the security identifier alone
 * belongs to both. */
bool fact_of_user(enum fact fact);

/* NULL, or why no fact may have this value, as the end of a sentence: "is empty", "is a placeholder …". */
const char *fact_unusable(enum fact fact, const char *value);
/*
 * What a source gave becomes the one spelling that certificates have, in place: no blanks around it, a device
 * name without its domain, a MAC address without separators. NULL, or why it is no value of this fact.
 */
const char *fact_settle(enum fact fact, char *value);
/* Without blanks around it, in place. */
void fact_trim(char *value);
/* Firmware vendors' "To Be Filled By O.E.M." and the like, which many machines share. */
bool serial_is_placeholder(const char *serial);

struct facts {
        void *ctx;
        /*
         * *ret: the value, free(). ERR_NOT_FOUND: this machine or user has none, and @e says why (which fails
         * the expansion with the variable's name); any other error passes, e.g. a source that does not answer
         * now.
         */
        enum err (*get)(void *ctx, enum fact fact, char **ret, struct error *e);
};
