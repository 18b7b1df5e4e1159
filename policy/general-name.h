/* One GeneralName of a certificate: how people read it, in the words of the profile, and whether two are the
 * same. Names come from strangers: what is printed is cut and holds no NUL, but is not scrubbed. */
#pragma once

#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stddef.h>

/* "CN = a, O = b" */
void directory_name_text(const X509_NAME *name, char *ret, size_t size);
/* "dns:host", "guid:8c1b1d3e-…", "other:1.2.3:text"; of a value that is no text "other:1.2.3:#0401…" (DER).
 */
void general_name_text(const GENERAL_NAME *name, char *ret, size_t size);
/*
 * As RFC 5280 §7 compares: host names and the host of an e-mail address or URI without regard to case,
 * directory names as X.500 does. User principal names without regard to case or string type, as the directory
 * does; other names as text where both are text.
 */
bool general_name_same(const GENERAL_NAME *a, const GENERAL_NAME *b);
