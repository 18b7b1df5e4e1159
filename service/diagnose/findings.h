/*
 * The interpretation of what was seen, step by step: each function says what it finds to a sink. Nothing is
 * changed and nothing is asked of anybody; server.c may take a few signature checks, local.c disk and TPM.
 */
#pragma once

#include "base/ossl.h"
#include "codes.h"
#include "keys/users.h"
#include "ksp.h"
#include "policy/plan.h"
#include "revocation/crl.h"
#include "scep-wire/caps.h"
#include "store/store.h"
#include "worker/protocol.h"

struct findings {
        /* @remedy: "" where the table has none; valid for the call alone. */
        void (*found)(void *ctx, const struct diagnose_row *row, const char *observed, const char *remedy);
        void *ctx;
        unsigned faults;
};

/* @remedy NULL: the table's. What came from strangers is scrubbed here. */
void findings_say(struct findings *f, enum diagnose_code code, const char *remedy, const char *fmt, ...)
        PRINTF_LIKE(4, 5);

/* network.c. true: GetCACaps or GetCACert answered, so that server.c has something to look at. */
bool findings_network(struct findings *f, const struct result_probed *probed);

/* server.c. What the server offers, against what the plan wants; @plan NULL: of a URL alone. */
struct server_view {
        const struct plan *plan;
        const STACK_OF(X509) * anchors; /* NULL: nothing is held */
        int64_t now;
        const STACK_OF(X509) * followed; /* rollover/trust.h; NULL: none */
};
void findings_caps(struct findings *f, const struct probe_answer *caps, const struct server_view *view);
void findings_ca(struct findings *f, const struct probe_answer *certs, const struct server_view *view);

/* request.c: from the record of the certificate's last transaction. */
void findings_request(struct findings *f, const struct record *record);

/* local.c */
void findings_keys(struct findings *f, const struct plan *plan, const struct ksp_tpm *tpm, bool host_secret);
/* @since: when the challenge was put there, 0: there is none. */
void findings_challenge(struct findings *f, const struct plan *plan, struct view challenge, uint64_t since,
                        uint64_t now);
void findings_renewal(struct findings *f, const struct record *record, uint64_t now);
/* The stored certificate, its key and its chain, read from the disk; blocks. *ret_path: the certificate, its
 * issuers and the anchor in this order, or NULL; sk_X509_pop_free(). */
void findings_certificate(struct findings *f, struct store *store, struct ksp *ksp, const char *id,
                          const struct record *record, uint64_t now, STACK_OF(X509) * *ret_path);

/* revocation.c. Of @cert, which is the certificate itself or (@is_ca) one that issued it. */
struct crl_subject {
        X509 *cert;
        bool is_ca;
};
/* Nothing was fetched: the certificate names no place, or none that HTTP reaches. @refused: why its server
 * gave none; NULL: it was not asked. */
void findings_crl_unnamed(struct findings *f, const struct crl_subject *of, bool other_places,
                          const struct error *refused);
void findings_crl_unreachable(struct findings *f, const struct crl_subject *of, const struct error *why);
/* @from: an URL, or "GetCRL at" one. */
void findings_crl(struct findings *f, const struct crl_subject *of, const char *from,
                  const struct crl_answer *answer);
/* consumers.c */
void findings_consumers(struct findings *f, const struct key_users *users);

/* applied.c. What is configured in consumers.d; blocks on the disk. @own: the daemon's uid. */
struct config;
void findings_applied(struct findings *f, const struct config *config, uid_t own, const char *id,
                      const struct record *record);

/* "2026-11-21 19:03 UTC" */
enum { FINDING_DATE = 32 };
void finding_date(uint64_t at, char ret[FINDING_DATE]);
