/*
 * Variables of Intune profiles: {{DeviceName}} and its kin, written in any letter case. Their values come
 * from the caller through a table of functions; a missing value fails the whole, with the variable's name,
 * because half a subject is worse than none. What a value holds never becomes syntax: it is put in after the
 * text was tokenised.
 */
#pragma once

#include "policy/name.h"

enum { VARIABLE_VALUE_MAX = 512 };

enum fact {
        FACT_USER_NAME,
        FACT_USER_PRINCIPAL_NAME,
        FACT_EMAIL_ADDRESS,
        FACT_DISTINGUISHED_NAME,
        FACT_SAM_ACCOUNT_NAME,
        FACT_SECURITY_IDENTIFIER, /* "S-1-5-21-…"; the tag: URI of KB5014754 is built here */
        FACT_DEPARTMENT,
        FACT_AAD_DEVICE_ID,
        FACT_DEVICE_ID,
        FACT_SERIAL_NUMBER,
        FACT_IMEI,
        FACT_MEID,
        FACT_WIFI_MAC_ADDRESS,
        FACT_DEVICE_NAME,
        FACT_FULLY_QUALIFIED_DOMAIN_NAME,
        _FACT_MAX
};

/* "serial number of the machine" and so on: how an error speaks of it. */
const char *fact_text(enum fact fact);
/* true: the fact is about a person, so that device profiles have no value for it unless enrolled for a user.
 */
bool fact_of_user(enum fact fact);

struct facts {
        void *ctx;
        /*
         * *ret: the value, free(). ERR_NOT_FOUND: this machine or user has none (which fails the expansion
         * with the variable's name); any other error passes unchanged, e.g. a source that does not answer
         * now.
         */
        enum err (*get)(void *ctx, enum fact fact, char **ret, struct error *e);
};

enum variables_place { VARIABLES_IN_SUBJECT, VARIABLES_IN_ALTERNATIVE_NAME, VARIABLES_IN_URI };

/* The text without values: known variables, no stray braces; in alternative names none of { } | ; in static
 * text; the security identifier in a URI alone. */
MUST_CHECK enum err variables_check(const char *text, enum variables_place place, struct error *e);
/* true: nothing but one variable. */
bool variables_alone(const char *text);
/* *ret: free(). ERR_VARIABLE names the variable without a value. */
MUST_CHECK enum err variables_expand(const char *text, enum variables_place place, const struct facts *facts,
                                     char **ret, struct error *e);
/* Every value of the name, in place. */
MUST_CHECK enum err name_expand(struct name *n, const struct facts *facts, struct error *e);
/* Firmware vendors' "To Be Filled By O.E.M." and the like, which many machines share. */
bool serial_is_placeholder(const char *serial);
