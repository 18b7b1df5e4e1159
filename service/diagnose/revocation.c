/* What the CRLs say about the certificate and those that issued it. Pure. */
#include "findings.h"

#include <openssl/err.h>
#include <stdio.h>

#include "base/ossl.h"

enum { WHO = 320 };

/* "'CN=device'", "The CA 'CN=Issuing'" */
static void name_of(const struct crl_subject *of, char ret[WHO])
{
        CLEANUP(free_p) char *name = NULL;

        if (x509_name_text(X509_get_subject_name(of->cert), &name, NULL))
                ERR_clear_error();
        (void)snprintf(ret, WHO, "%s'%.300s'", of->is_ca ? "The CA " : "", name ? name : "?");
}

void findings_crl_unnamed(struct findings *f, const struct crl_subject *of, bool other_places,
                          const struct error *refused)
{
        char who[WHO];

        name_of(of, who);
        findings_say(f, DIAGNOSE_REVOCATION_UNNAMED, NULL, "%s names %s%s%s", who,
                     other_places ? "no CRL by http, only by other ways" : "no CRL", refused ? "; " : "",
                     refused ? refused->message : "");
}

void findings_crl_unreachable(struct findings *f, const struct crl_subject *of, const struct error *why)
{
        char who[WHO];

        name_of(of, who);
        findings_say(f, DIAGNOSE_REVOCATION_UNREACHABLE, NULL, "%s: %s", who, why->message);
}

void findings_crl(struct findings *f, const struct crl_subject *of, const char *from,
                  const struct crl_answer *answer)
{
        char who[WHO], since[FINDING_DATE], until[FINDING_DATE];

        name_of(of, who);
        finding_date((uint64_t)answer->this_update, since);
        finding_date((uint64_t)answer->next_update, until);
        switch (answer->verdict) {
        case CRL_GOOD:
                findings_say(f, DIAGNOSE_REVOCATION_OK, NULL, "%s is not in the CRL of %s%s%s (%s)", who,
                             since, answer->next_update ? ", the next comes by " : "",
                             answer->next_update ? until : "", from);
                return;
        case CRL_REVOKED:
                finding_date((uint64_t)answer->revoked_at, since);
                findings_say(f, of->is_ca ? DIAGNOSE_REVOCATION_CA_REVOKED : DIAGNOSE_REVOCATION_REVOKED,
                             NULL, "%s was revoked at %s%s%s (%s)", who, since,
                             *answer->reason ? ", reason " : "", answer->reason, from);
                return;
        case CRL_STALE:
                findings_say(f, DIAGNOSE_REVOCATION_STALE, NULL, "%s: a new CRL was due by %s at %s", who,
                             until, from);
                return;
        case CRL_EARLY:
                findings_say(f, DIAGNOSE_REVOCATION_EARLY, NULL, "%s: the CRL begins at %s (%s)", who, since,
                             from);
                return;
        case CRL_FOREIGN:
                findings_say(f, DIAGNOSE_REVOCATION_FOREIGN, NULL, "%s: %s: %s", who, from, answer->why);
                return;
        }
}
