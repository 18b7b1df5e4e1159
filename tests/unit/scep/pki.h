/* Keys and certificates for the tests of service/scep, made when asked for; and the captured exchanges. */
#pragma once

#include <dirent.h>
#include <time.h>

#include "test.h"

#include "base/ossl.h"

enum { PKI_NOW = 1800000000, PKI_DAY = 86400 };

/* RSA-2048, the same for the same number (0 to 7) within a program; borrowed. */
EVP_PKEY *pki_key(unsigned number);
EVP_PKEY *pki_ec_key(void);

struct pki_spec {
        const char *subject; /* CN */
        X509 *issuer;        /* NULL: self-signed */
        unsigned issuer_key;
        unsigned key;
        bool ec; /* the subject's key is P-256 */
        bool ca;
        uint32_t usage;  /* 0: no extension */
        int from, to;    /* days from PKI_NOW; 0, 0: -10 to 365 */
        long serial;     /* 0: 1 */
        const char *san; /* "IP:127.0.0.1"; NULL: none */
        const char *crl; /* "URI:http://pki/ca.crl"; NULL: none */
};
/* X509_free(). */
X509 *pki_cert(const struct pki_spec *spec);
/* DER of a name with one CN; free with bytes_done(). */
struct bytes pki_name(const char *cn);
/* DER of a degenerate SignedData. */
struct bytes pki_degenerate(X509 *const *certs, size_t n);
/* DER of a CRL that @issuer signed with the key of this number; empty. */
struct bytes pki_crl(const X509 *issuer, unsigned key);
/* The same with CRLs (DER) beside them. */
struct bytes pki_degenerate_crls(X509 *const *certs, size_t n, const struct bytes *crls, size_t n_crls);
STACK_OF(X509) * pki_stack(X509 *const *certs, size_t n);

/* A file below tests/data/scep/captured. */
struct bytes captured_read(const char *folder, const char *name);
/* Calls @each for every file whose name ends in @suffix. */
void captured_each(const char *suffix, void (*each)(const char *folder, const char *name));
/* A small deterministic generator for mutations. */
uint32_t mutate_next(uint32_t *state);
/* Changes, cuts, doubles or swaps octets of a copy of @in; bytes_done(). */
struct bytes mutate(struct view in, uint32_t *state);
