/*
 * Revocation by CRL (RFC 5280 §5, §6.3): where a certificate says that its CRL lies, and what a CRL says
 * about it. OpenSSL judges scope, extensions, signature and dates. Any thread; no I/O.
 */
#pragma once

#include <openssl/x509.h>

#include "base/bytes.h"

enum { CRL_URLS_MAX = 8, CRL_REASON_MAX = 32, CRLS_MAX = 16 };

struct crl_urls {
        char *at[CRL_URLS_MAX];
        size_t n;
        bool other; /* it names places, none of which HTTP reaches */
};
void crl_urls_done(struct crl_urls *urls);

/* The http and https URLs of points that hold the whole CRL of the certificate's own issuer, in its order; of
 * more than CRL_URLS_MAX the first. */
MUST_CHECK enum err crl_urls(X509 *cert, struct crl_urls *ret, struct error *e);

enum crl_verdict {
        CRL_GOOD,
        CRL_REVOKED, /* also by a CRL that has expired: nothing makes up for that */
        CRL_STALE,   /* past its nextUpdate */
        CRL_EARLY,   /* its thisUpdate is to come */
        CRL_FOREIGN, /* no CRL, or not one that @issuer signed for this certificate */
};

struct crl_answer {
        enum crl_verdict verdict;
        int64_t this_update, next_update; /* seconds since the epoch; next_update 0: none */
        int64_t revoked_at;
        char reason[CRL_REASON_MAX]; /* "keyCompromise"; "" for none */
        const char *why;             /* CRL_FOREIGN: OpenSSL's words */
};

/* What came in one answer: more than one where a CA has one for each of its keys. */
struct crl_set {
        struct bytes at[CRLS_MAX];
        size_t n;
};
void crl_set_done(struct crl_set *set);
MUST_CHECK enum err crl_set_add(struct crl_set *set, struct view der, struct error *e);
/* As crl_check(). *ret: of one that says "revoked", or else of the one that says most; CRL_FOREIGN for none.
 */
MUST_CHECK enum err crl_set_check(const struct crl_set *set, X509 *cert, X509 *issuer, int64_t now,
                                  struct crl_answer *ret, struct error *e);
/* @der: as it was fetched. @issuer: of @cert, already trusted. */
MUST_CHECK enum err crl_check(struct view der, X509 *cert, X509 *issuer, int64_t now, struct crl_answer *ret,
                              struct error *e);
