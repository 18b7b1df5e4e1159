/*
 * The text "Issuers" of a document: which CAs a certificate may come from. Each is a name as Windows'
 * functions print it, "CN=FourthCoffee CA; DC=fourthcoffee; DC=local", with the leaf first or last; several
 * stand behind each other, with | or a line end between them or with nothing: then each begins with its CN,
 * or ends with it. Names are compared as sequences of RDNs in either direction, their values as X.500 does
 * (caseIgnoreMatch: no case, runs of blanks as one, whatever the string type), never as text. Pure.
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/error.h"

enum { ISSUERS_MAX = 4096 };

/* ERR_PROFILE names the issuer and the character that does not fit, ERR_UNSUPPORTED a value of octets
 * (#hex). */
MUST_CHECK enum err issuers_check(const char *text, struct error *e);
/* true: @issuer is one of them. What issuers_check() refuses holds nobody. */
bool issuers_match(const char *text, const X509_NAME *issuer);
