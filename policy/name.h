/*
 * Distinguished names as Windows' CertStrToName writes them: first RDN in the text is first in the DER,
 * separators , and ; between RDNs, + inside one, "" inside quotes for a quote, backslash an ordinary
 * character. The text is tokenised first and its variables are expanded per value afterwards (variables.h),
 * so a value can never open an RDN of its own. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"

enum { NAME_TEXT_MAX = 4096, NAME_AVAS_MAX = 64, NAME_DER_MAX = 16384, OID_TEXT_MAX = 128 };

struct ava {
        char *oid;   /* dotted */
        char *key;   /* as it was written: for messages */
        char *value; /* without quotes; "" where octets stand */
        struct bytes octets;
        bool hex;    /* the value is octets, to become an OCTET STRING */
        bool joined; /* belongs to the RDN of the one before it (+) */
        /* One variable where a key would stand: its value is a sequence of RDNs, which name_expand() puts in
         * this place. key and oid are "". */
        bool whole;
};

struct name {
        struct ava *avas;
        size_t count;
};

/* ERR_PROFILE names the character (counted from 1) that does not fit. A variable may stand for a whole
 * sequence of RDNs; which may is not judged here. *ret: name_done(). */
MUST_CHECK enum err name_parse(const char *text, struct name *ret, struct error *e);
void name_done(struct name *n);
/* Appends key and value, as they are. ERR_PROFILE: the key is not known. */
MUST_CHECK enum err name_append(struct name *n, const char *key, const char *value, bool joined,
                                struct error *e);
/* Puts the parts of @with, which is empty then, in the place of part @at. */
MUST_CHECK enum err name_splice(struct name *n, size_t at, struct name *with, struct error *e);
/* A value by itself, as name_der() judges it. */
MUST_CHECK enum err ava_check(const struct ava *a, struct error *e);
/*
 * DER of X509_NAME: PrintableString where the value allows it, else UTF8String; E IA5String; DC IA5String
 * where the value allows it, else UTF8String; C two PrintableString letters. ERR_UNSUPPORTED for #hex, whose
 * OCTET STRING OpenSSL cannot carry in a name. ERR_PROFILE where a value does not fit its type or is longer
 * than RFC 5280 appendix A allows.
 */
MUST_CHECK enum err name_der(const struct name *n, struct bytes *ret, struct error *e);

/* "1.3.6.1" of at most OID_TEXT_MAX characters, arcs without leading zeros, the first two in range. */
bool oid_valid(const char *text);
