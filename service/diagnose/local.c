/* What can be seen on this machine alone: where keys can be, the challenge, the certificate and its dates. */
#include <string.h>

#include "findings.h"
#include "policy/check.h"
#include "revocation/path.h"

static enum diagnose_code tpm_fault(enum err code)
{
        switch (code) {
        case ERR_TPM_ABSENT:
                return DIAGNOSE_KEYS_TPM_ABSENT;
        case ERR_TPM_LOCKED_OUT:
                return DIAGNOSE_KEYS_TPM_LOCKED_OUT;
        case ERR_TPM_PERMISSION:
                return DIAGNOSE_KEYS_TPM_PERMISSION;
        case ERR_TPM_OWNER_AUTH:
                return DIAGNOSE_KEYS_TPM_OWNER;
        case ERR_TPM_FULL:
                return DIAGNOSE_KEYS_TPM_FULL;
        case ERR_TPM_RESET:
                return DIAGNOSE_KEYS_TPM_RESET;
        default:
                return DIAGNOSE_KEYS_TPM_FAILED;
        }
}

static void say_software(struct findings *f, bool host_secret)
{
        if (host_secret)
                findings_say(f, DIAGNOSE_KEYS_SOFTWARE, NULL, "Keys are kept in software, encrypted on disk");
        else
                findings_say(f, DIAGNOSE_KEYS_HOST_SECRET, NULL, "The host secret is not there");
}

void findings_keys(struct findings *f, const struct plan *plan, const struct ksp_tpm *tpm, bool host_secret)
{
        const enum policy_protection wanted = plan ? plan->protection : POLICY_PROTECTION_TPM_PREFERRED;
        const enum key_alg alg = plan ? (enum key_alg)plan->algorithm : KEY_ALG_RSA_2048;
        const bool preferred = wanted == POLICY_PROTECTION_TPM_PREFERRED;
        const enum err seen = tpm->state == KSP_TPM_READY ? ERR_OK : tpm->why.code;

        if (wanted == POLICY_PROTECTION_SOFTWARE) {
                say_software(f, host_secret);
        } else if (seen == ERR_OK && tpm->algs[alg]) {
                findings_say(f, DIAGNOSE_KEYS_TPM, NULL, "The TPM (%s %s) makes %s keys", tpm->manufacturer,
                             tpm->firmware, key_alg_name(alg));
                if (tpm->in_lockout)
                        findings_say(f, DIAGNOSE_KEYS_TPM_LOCKOUT, NULL,
                                     "The TPM is in lockout for at most %u s more", tpm->lockout_seconds);
        } else if (seen == ERR_OK && !preferred) {
                findings_say(f, DIAGNOSE_KEYS_NOT_SUPPORTED, NULL, "The TPM makes no %s keys",
                             key_alg_name(alg));
        } else if (seen == ERR_OK || (seen == ERR_TPM_ABSENT && preferred)) {
                findings_say(f, DIAGNOSE_KEYS_FALL_BACK, NULL, "%s",
                             seen ? tpm->why.message : "The TPM does not make keys of this kind");
                say_software(f, host_secret);
        } else {
                findings_say(f, tpm_fault(seen), tpm->why.remedy, "%s", tpm->why.message);
        }
}

static bool is_printable_string(struct view v)
{
        for (size_t i = 0; i < v.len; i++) {
                const char c = (char)v.data[i];
                const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

                if (!alnum && (!c || !strchr(" '()+,-./:=?", c)))
                        return false;
        }
        return true;
}

void findings_challenge(struct findings *f, const struct plan *plan, struct view challenge, uint64_t since,
                        uint64_t now)
{
        enum { NDES_KEEPS = 3600 };

        if (plan->challenge == CHALLENGE_NONE && !challenge.len)
                findings_say(f, DIAGNOSE_CHALLENGE_NONE, NULL, "The profile has no challenge");
        else if (!challenge.len)
                findings_say(f, DIAGNOSE_CHALLENGE_NEEDED, NULL, "No challenge is waiting");
        else if (!is_printable_string(challenge))
                findings_say(f, DIAGNOSE_CHALLENGE_CHARACTERS, NULL,
                             "A challenge of %zu octets is waiting, with characters NDES does not take",
                             challenge.len);
        else if (since && now > since + NDES_KEEPS)
                findings_say(f, DIAGNOSE_CHALLENGE_OLD, NULL,
                             "The challenge has been waiting for %llu minutes",
                             (unsigned long long)(now - since) / 60);
        else
                findings_say(f, DIAGNOSE_CHALLENGE_READY, NULL, "A challenge of %zu octets is waiting",
                             challenge.len);
}

void findings_renewal(struct findings *f, const struct record *record, uint64_t now)
{
        char date[FINDING_DATE], next[FINDING_DATE];

        if (!record->current || !record->renew_at) {
                findings_say(f, DIAGNOSE_RENEWAL_NONE, NULL, "There is nothing to renew");
                return;
        }
        finding_date(record->renew_at, date);
        if (now < record->renew_at) {
                findings_say(f, DIAGNOSE_RENEWAL_OK, NULL, "The renewal is due at %s", date);
                return;
        }
        finding_date(record->retry_at, next);
        findings_say(f, DIAGNOSE_RENEWAL_DUE, NULL, "The renewal was due at %s%s%s", date,
                     record->retry_at ? "; the next attempt is at " : "", record->retry_at ? next : "");
}

/* true: it is the key of the certificate. */
static bool look_at_key(struct findings *f, struct store *store, struct ksp *ksp, const char *id,
                        const struct record *record, X509 *cert)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        CLEANUP(close_p) int fd = -1;
        struct ksp_key_info info;
        struct error e = {0};
        enum err r = store_generation(store, id, record->current, false, &fd, &e);

        if (!r)
                r = ksp_load(ksp, fd, "key.pem", &key, &e);
        if (!r)
                r = ksp_describe(key, &info, &e);
        if (r) {
                /* A TPM that does not work just now has lost nothing. */
                const bool lost = r == ERR_NOT_FOUND || r == ERR_KEY_DAMAGED || r == ERR_KEY_FOREIGN ||
                                  r == ERR_TPM_CLEARED || r == ERR_HOST_SECRET;

                findings_say(f, lost ? DIAGNOSE_CERTIFICATE_KEY_LOST : DIAGNOSE_CERTIFICATE_KEY_UNUSABLE,
                             e.remedy, "%s", e.message);
                return false;
        }
        if (EVP_PKEY_eq(X509_get0_pubkey(cert), ksp_key_public(key)) == 1)
                return true;
        findings_say(f, DIAGNOSE_CERTIFICATE_KEY_MISMATCH, NULL,
                     "Certificate and key do not belong together");
        return false;
}

void findings_certificate(struct findings *f, struct store *store, struct ksp *ksp, const char *id,
                          const struct record *record, uint64_t now, STACK_OF(X509) * *ret_path)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = sk_X509_new_null();
        CLEANUP(x509_free_p) X509 *cert = NULL;
        CLEANUP(x509_free_p) X509 *anchor = NULL;
        const unsigned before = f->faults;
        char date[FINDING_DATE];
        struct error e = {0};

        if (!record->current) {
                findings_say(f, DIAGNOSE_CERTIFICATE_NONE, NULL, "No certificate is installed");
                return;
        }
        if (!chain || store_pem_read(store, STORE_CERTIFICATES, id, "current/cert.pem", &cert, &e)) {
                findings_say(f, DIAGNOSE_CERTIFICATE_UNREADABLE, NULL, "%s", e.message);
                return;
        }
        (void)look_at_key(f, store, ksp, id, record, cert);
        path_read_chain(store, id, chain);
        if (store_pem_read(store, STORE_CERTIFICATES, id, "anchor.pem", &anchor, &e))
                findings_say(f, DIAGNOSE_CERTIFICATE_CHAIN, NULL, "%s", e.message);
        else
                *ret_path = path_to(cert, chain, anchor);
        if (anchor && !*ret_path)
                findings_say(f, DIAGNOSE_CERTIFICATE_CHAIN, NULL,
                             "The stored chain does not lead to the anchor");
        finding_date(record->not_after <= now ? record->not_after : record->not_before, date);
        if (record->not_after <= now)
                findings_say(f, DIAGNOSE_CERTIFICATE_EXPIRED, NULL, "It expired at %s", date);
        else if (record->not_before > now)
                findings_say(f, DIAGNOSE_CERTIFICATE_EARLY, NULL, "It begins at %s", date);
        for (size_t i = 0; i < record->deviations.count; i++) {
                const char *deviation = record->deviations.items[i], *colon = strstr(deviation, ": ");

                /* "note: …": what it weighs is told here by the code */
                findings_say(f, DIAGNOSE_CERTIFICATE_DEVIATES, NULL, "%s", colon ? colon + 2 : deviation);
        }
        finding_date(record->not_after, date);
        if (f->faults == before)
                findings_say(f, DIAGNOSE_CERTIFICATE_OK, NULL, "'%s' is valid until %s", record->subject,
                             date);
}
