/* From GetCACaps and GetCACert: what the server can do, and whom it is. */
#include <openssl/err.h>
#include <string.h>

#include "findings.h"
#include "policy/check.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/exchange.h"
#include "scep-wire/next-ca.h"
#include "scep-wire/problem.h"

enum { SOON_SECONDS = 30 * 86400, NAME_TEXT = 160 };

static uint32_t required(const struct plan *plan)
{
        uint32_t flags = 0;

        for (size_t i = 0; plan && i < plan->require_caps.count; i++)
                flags |= caps_word(plan->require_caps.items[i], strlen(plan->require_caps.items[i]));
        return flags;
}

void findings_caps(struct findings *f, const struct probe_answer *answer, const struct server_view *view)
{
        const struct plan *plan = view->plan;
        const struct exchange_plan wanted = {.digest = SCEP_SHA256,
                                             .require = required(plan),
                                             .allow_des = plan && plan->allow_legacy & LEGACY_DES,
                                             .allow_sha1 = plan && plan->allow_legacy & LEGACY_SHA1,
                                             .method = SCEP_CHALLENGE};
        struct exchange_plan anything = wanted;
        struct exchange exchange;
        struct scep_caps caps = {0};
        struct error e = {0};
        const unsigned before = f->faults;

        if (answer->problem == HTTP_PAGE) {
                findings_say(f, DIAGNOSE_URL_PORTAL, NULL, "GetCACaps: %s",
                             answer->message ? answer->message : "a web page");
                return;
        }
        if (!answer->asked || answer->name || !answer->body.len) {
                findings_say(f, DIAGNOSE_CAPS_NONE, NULL, "GetCACaps: %s",
                             answer->message ? answer->message : "an empty list");
        } else if (caps_parse(answer->body, &caps, &e)) {
                findings_say(f, DIAGNOSE_URL_PORTAL, NULL, "GetCACaps: %s", e.message);
                return;
        }
        anything.require = 0;
        if (exchange_fix(&anything, &caps, &exchange, &e))
                findings_say(f, DIAGNOSE_CAPS_WEAK, NULL, "%s", e.message);
        else if (exchange_fix(&wanted, &caps, &exchange, &e))
                findings_say(f, DIAGNOSE_CAPS_REQUIRED, NULL, "%s", e.message);
        if (!caps.text[0])
                return;
        if (!(caps.flags & SCEP_CAP_AES))
                findings_say(f, DIAGNOSE_CAPS_NO_AES, NULL, "AES is not listed");
        if (!(caps.flags & SCEP_CAP_POST))
                findings_say(f, DIAGNOSE_CAPS_NO_POST, NULL, "POSTPKIOperation is not listed");
        if (!(caps.flags & SCEP_CAP_RENEWAL))
                findings_say(f, DIAGNOSE_CAPS_NO_RENEWAL, NULL, "Renewal is not listed");
        if (f->faults == before)
                findings_say(f, DIAGNOSE_CAPS_OK, NULL, "The server lists %s", caps.text);
}

static bool weak_signature(const X509 *cert)
{
        int digest = NID_undef, key = NID_undef;

        return X509_get_signature_info((X509 *)(uintptr_t)cert, &digest, &key, NULL, NULL) == 1 &&
               (digest == NID_sha1 || digest == NID_md5 || key == NID_rsassaPss);
}

/* Dates and signatures of those certificates that requests depend on. */
static void look_at(struct findings *f, const X509 *cert, int64_t now)
{
        int64_t before = 0, after = 0;
        char name[NAME_TEXT], date[FINDING_DATE];

        (void)name_text(X509_get_subject_name(cert), name, sizeof name);
        if (weak_signature(cert) && X509_self_signed((X509 *)(uintptr_t)cert, 0) != 1)
                findings_say(f, DIAGNOSE_CA_WEAK, NULL, "'%s' is signed with SHA-1 or RSASSA-PSS", name);
        if (certificate_dates(cert, &before, &after, NULL) || after - now > SOON_SECONDS)
                return;
        finding_date((uint64_t)after, date);
        findings_say(f, DIAGNOSE_CA_EXPIRES, NULL, "'%s' ends at %s", name, date);
}

static enum diagnose_code choice_fault(enum err code)
{
        switch (code) {
        case ERR_CA_EXPIRED:
                return DIAGNOSE_CA_EXPIRED;
        case ERR_UNSUPPORTED:
                return DIAGNOSE_CA_NO_RECIPIENT;
        default:
                return DIAGNOSE_CA_MISMATCH;
        }
}

static void tell_choice(struct findings *f, const struct ca_choice *choice, int64_t now)
{
        char recipient[NAME_TEXT], issuer[NAME_TEXT];

        findings_say(f, DIAGNOSE_CA_OK, NULL, "Requests go to '%s'; '%s' issues",
                     name_text(X509_get_subject_name(choice->recipient), recipient, sizeof recipient),
                     name_text(X509_get_subject_name(choice->issuer), issuer, sizeof issuer));
        look_at(f, choice->recipient, now);
        if (X509_cmp(choice->signer, choice->recipient) != 0)
                look_at(f, choice->signer, now);
        if (X509_cmp(choice->issuer, choice->recipient) != 0)
                look_at(f, choice->issuer, now);
}

void findings_ca(struct findings *f, const struct probe_answer *answer, const struct server_view *view)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        struct ca_trust trust = {.anchors = view->anchors, .now = (time_t)view->now};
        struct ca_choice choice = {0};
        struct error e = {0};
        enum err r;

        if (!answer->asked || answer->name)
                return; /* the URL was told already */
        if (ca_certs_parse(answer->body, &certs, &e)) {
                findings_say(f, DIAGNOSE_CA_UNREADABLE, NULL, "%s", e.message);
                return;
        }
        if (view->plan && view->plan->thumbprint.len &&
            view->plan->thumbprint.len <= sizeof trust.pin.digest) {
                trust.pin.len = view->plan->thumbprint.len;
                memcpy(trust.pin.digest, view->plan->thumbprint.data, trust.pin.len);
        }
        if (!view->plan) { /* of a URL alone nothing is known that it should lead to */
                for (int i = 0; i < sk_X509_num(certs); i++)
                        look_at(f, sk_X509_value(certs, i), view->now);
                findings_say(f, DIAGNOSE_CA_OK, NULL, "GetCACert has %d certificates", sk_X509_num(certs));
                return;
        }
        if (!trust.pin.len && sk_X509_num(view->anchors) <= 0) {
                findings_say(f, DIAGNOSE_PROFILE_NO_ROOT, NULL,
                             "There is nothing to compare the server's CA with");
                return;
        }
        r = ca_choose_followed(certs, &trust, view->followed, &choice, &e);
        if (r) {
                findings_say(f, choice_fault(r), r == ERR_CA_MISMATCH ? NULL : e.remedy, "%s", e.message);
                return;
        }
        tell_choice(f, &choice, view->now);
        ca_choice_done(&choice);
        ERR_clear_error();
}
