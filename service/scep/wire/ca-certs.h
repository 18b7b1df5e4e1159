/*
 * Certificates and CRLs as SCEP carries them: one DER certificate, or a degenerate SignedData, BER or DER
 * (RFC 8894 §3.4, §4.2), told apart by content, never by Content-Type. Pure; nothing is trusted here.
 */
#pragma once

#include "base/ossl.h"
#include "scep-wire/names.h"

/*
 * The body of GetCACert. *ret: 1 to SCEP_CERTS_MAX certificates, duplicates dropped; the caller's.
 * ERR_REPLY says what it was instead: a web page, nothing, another CMS type, more certificates, trailing
 * octets.
 */
MUST_CHECK enum err ca_certs_parse(struct view body, STACK_OF(X509) * *ret, struct error *e);
/* What stands in an opened CertRep: a degenerate SignedData alone, without signers and content, and nothing
 * behind it. */
MUST_CHECK enum err degenerate_parse(struct view body, STACK_OF(X509) * *ret, struct error *e);
/* The same of a CertRep to GetCRL. *ret: 1 to SCEP_CRLS_MAX CRLs in its order; the caller's, by
 * sk_X509_CRL_pop_free(). Certificates beside them are passed over. ERR_REPLY also where there is no CRL. */
MUST_CHECK enum err degenerate_crls_parse(struct view body, STACK_OF(X509_CRL) * *ret, struct error *e);
/* The same in an answer to GetNextCACert. */
MUST_CHECK enum err next_certs_parse(struct view body, STACK_OF(X509) * *ret, struct error *e);
/* "CN=…, O=…" cut to @size, for messages; UTF-8. Returns @text. */
const char *name_text(const X509_NAME *name, char *text, size_t size);
