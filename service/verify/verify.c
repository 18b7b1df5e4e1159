#include "verify/verify.h"

#include <stdio.h>

#include "base/ossl.h"
#include "base/parse.h"

const char *verdict_name(enum verdict verdict)
{
        static const char *const names[] = {
                [VERDICT_PROVED] = "proved", [VERDICT_FAILED] = "failed", [VERDICT_OPEN] = "open"};

        return names[verdict];
}

/* The work on one bundle. */
struct verifying {
        const struct bundle *bundle;
        const struct known *known;
        X509 *certificate;
        uint8_t qualifying[EVIDENCE_HASH_LEN];
        struct report *report;
};

static void PRINTF_LIKE(4, 5)
        tell(struct report *report, const char *check, enum verdict verdict, const char *fmt, ...)
{
        struct finding *finding = &report->findings[report->count++];
        va_list ap;

        finding->check = check;
        finding->verdict = verdict;
        va_start(ap, fmt);
        (void)vsnprintf(finding->text, sizeof finding->text, fmt, ap);
        va_end(ap);
}

/* @proved: the sentence where nothing failed. */
static void tell_result(struct report *report, const char *check, enum err r, const struct error *e,
                        const char *proved)
{
        tell(report, check, r ? VERDICT_FAILED : VERDICT_PROVED, "%s", r ? e->message : proved);
}

static void check_key(struct verifying *v)
{
        struct error e = {0};
        enum err r = evidence_key(&v->bundle->evidence, X509_get0_pubkey(v->certificate), &e);

        tell_result(v->report, "key", r, &e, "The certificate is for the key that is attested");
}

static void check_origin(struct verifying *v)
{
        struct error e = {0};

        tell_result(v->report, "origin", evidence_origin(&v->bundle->evidence, &e), &e,
                    "By its attributes, the key was made by its TPM and cannot leave it");
}

static void check_attester(struct verifying *v)
{
        struct error e = {0};

        tell_result(v->report, "attester", evidence_attester(&v->bundle->evidence, &e), &e,
                    "By its attributes, the attestation key signs only what its own TPM made");
}

static void check_certified(struct verifying *v)
{
        struct error e = {0};

        tell_result(v->report, "certified", evidence_certified(&v->bundle->evidence, v->qualifying, &e), &e,
                    "The attestation key has signed that the key lies in the same TPM");
}

static void check_created(struct verifying *v)
{
        struct error e = {0};
        enum err r = evidence_created(&v->bundle->evidence, v->qualifying, &e);

        tell_result(v->report, "created", r, &e,
                    evidence_siblings(&v->bundle->evidence)
                            ? "The attestation key has signed that it was made below the same storage key"
                            : "The attestation key has signed below which storage key it was made");
}

static void check_nonce(struct verifying *v)
{
        const struct bytes *nonce = v->known->nonce;

        if (!nonce)
                tell(v->report, "nonce", VERDICT_OPEN,
                     "When it was made: compare the nonce with one that you have given (--nonce)");
        else if (!view_equal(bytes_view(nonce), bytes_view(&v->bundle->nonce)))
                tell(v->report, "nonce", VERDICT_FAILED, "The bundle was made for another nonce");
        else
                tell(v->report, "nonce", VERDICT_PROVED, "The bundle was made for this nonce");
}

static void check_name(struct verifying *v)
{
        uint8_t name[EVIDENCE_NAME_LEN];
        struct error e = {0};
        enum err r = evidence_name(&v->bundle->evidence, name, &e);

        if (!r)
                hex_encode((struct view){name, sizeof name}, v->report->attester);
        if (!r && !v->known->attester) {
                tell(v->report, "name", VERDICT_OPEN,
                     "Whether the attestation key is a TPM's: whoever makes one up in software makes all of "
                     "the "
                     "above up, so compare its name with one that you know (--attester)");
                return;
        }
        if (!r && !view_equal((struct view){name, sizeof name},
                              (struct view){v->known->attester, EVIDENCE_NAME_LEN}))
                r = error_set(&e, ERR_EVIDENCE, "The attestation key is another than the one that is named");
        tell_result(v->report, "name", r, &e, "The attestation key is the one that is named");
}

OSSL_CLEANUP(X509_STORE, store_free, X509_STORE_free)

static enum err parse_all(const struct cert_list *list, STACK_OF(X509) * *ret, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = sk_X509_new_null();

        if (!certs)
                return error_no_memory(e);
        for (size_t i = 0; i < list->count; i++) {
                X509 *cert = NULL;
                enum err r = x509_parse(bytes_view(&list->items[i]), &cert, e);

                if (r)
                        return r;
                if (!sk_X509_push(certs, cert)) {
                        X509_free(cert);
                        return error_no_memory(e);
                }
        }
        *ret = STEAL(certs);
        return ERR_OK;
}

static bool is_its_own_issuer(X509 *cert)
{
        return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
}

/* One after the other, whoever is trusted; a root at the end is its own. */
static enum err check_links(X509 *cert, STACK_OF(X509) * chain, struct error *e)
{
        for (int i = 0; i < sk_X509_num(chain); i++) {
                X509 *issuer = sk_X509_value(chain, i);

                if (X509_verify(cert, X509_get0_pubkey(issuer)) != 1)
                        return ossl_error(e, ERR_EVIDENCE,
                                          "Certificate %d of the chain has not issued the one before", i + 1);
                cert = issuer;
        }
        if (is_its_own_issuer(cert) && X509_verify(cert, X509_get0_pubkey(cert)) != 1)
                return ossl_error(e, ERR_EVIDENCE, "The root at the end of the chain has not signed itself");
        return ERR_OK;
}

static enum err check_path(X509 *cert, STACK_OF(X509) * chain, STACK_OF(X509) * roots, time_t now,
                           struct error *e)
{
        CLEANUP(store_free_p) X509_STORE *store = X509_STORE_new();
        CLEANUP(x509_store_ctx_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();

        for (int i = 0; store && i < sk_X509_num(roots); i++)
                if (X509_STORE_add_cert(store, sk_X509_value(roots, i)) != 1)
                        return ossl_error(e, ERR_FAILED, "An authority could not be used");
        if (!store || !ctx || X509_STORE_CTX_init(ctx, store, cert, chain) != 1)
                return error_no_memory(e);
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
        X509_STORE_CTX_set_time(ctx, 0, now);
        if (X509_verify_cert(ctx) != 1)
                return error_set(e, ERR_EVIDENCE, "%s",
                                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
        return ERR_OK;
}

static void check_chain(struct verifying *v)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = NULL;
        struct error e = {0};
        enum err r = parse_all(&v->bundle->chain, &chain, &e);

        if (!r)
                r = check_links(v->certificate, chain, &e);
        tell_result(v->report, "chain", r, &e,
                    sk_X509_num(chain) > 0 ? "Each certificate of the chain has issued the one before it"
                                           : "There is no issuer in the bundle");
        if (r)
                return;
        if (!v->known->authorities) {
                tell(v->report, "authority", VERDICT_OPEN,
                     "Whether you trust who issued the certificate: no authority was named (--ca)");
                return;
        }
        r = check_path(v->certificate, chain, v->known->authorities, v->known->now, &e);
        tell(v->report, "authority", r ? VERDICT_FAILED : VERDICT_PROVED,
             r ? "The certificate does not lead to an authority that was named: %s"
               : "The certificate leads to an authority that was named%s",
             r ? e.message : "");
}

static enum err endorsement_paths(struct verifying *v, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = NULL;
        enum err r = parse_all(&v->bundle->evidence.endorsement, &certs, e);

        if (!r)
                r = parse_all(&v->bundle->evidence.endorsement_chain, &chain, e);
        for (int i = 0; !r && v->known->makers && i < sk_X509_num(certs); i++)
                r = check_path(sk_X509_value(certs, i), chain, v->known->makers, v->known->now, e);
        return r;
}

static void check_endorsement(struct verifying *v)
{
        static const char check[] = "endorsement";
        struct error e = {0};
        enum err r = endorsement_paths(v, &e);

        if (r) {
                tell(v->report, check, VERDICT_FAILED, "A TPM's own certificate does not hold: %s",
                     e.message);
        } else if (!v->bundle->evidence.endorsement.count) {
                tell(v->report, check, v->known->makers ? VERDICT_FAILED : VERDICT_OPEN,
                     "Who made the TPM: the bundle has no certificate of the TPM itself");
        } else if (!v->known->makers) {
                tell(v->report, check, VERDICT_OPEN,
                     "Who made the TPM: there is a certificate of it, but no maker was named (--ek-ca)");
        } else {
                tell(v->report, check, VERDICT_PROVED,
                     "A maker of TPMs that was named has made a TPM with the "
                     "endorsement key of the bundle");
        }
        if (v->bundle->evidence.endorsement.count)
                tell(v->report, "same-tpm", VERDICT_OPEN,
                     "Whether that endorsement key and the attestation key are in one TPM: this takes a "
                     "challenge "
                     "that the TPM answers, see scepter-attest(7)");
}

static void verify(struct verifying *v)
{
        static void (*const checks[])(struct verifying *) = {
                check_key,   check_origin, check_attester, check_certified,  check_created,
                check_nonce, check_name,   check_chain,    check_endorsement};

        for (size_t i = 0; i < N_ELEMENTS(checks); i++)
                checks[i](v);
}

void verify_text(struct view text, const struct known *known, struct report *ret)
{
        CLEANUP(bundle_done) struct bundle bundle = {0};
        CLEANUP(x509_free_p) X509 *certificate = NULL;
        struct verifying v = {.bundle = &bundle, .known = known, .report = ret};
        struct error e = {0};
        enum err r = bundle_read(text, &bundle, &e);

        *ret = (struct report){.consistent = true};
        if (!r)
                r = x509_parse(bytes_view(&bundle.certificate), &certificate, &e);
        if (!r)
                r = evidence_qualifying(bytes_view(&bundle.certificate), bytes_view(&bundle.nonce),
                                        v.qualifying, &e);
        if (r) {
                tell(ret, "bundle", VERDICT_FAILED, "%s", e.message);
        } else {
                v.certificate = certificate;
                verify(&v);
        }
        for (size_t i = 0; i < ret->count; i++)
                ret->consistent = ret->consistent && ret->findings[i].verdict != VERDICT_FAILED;
        ret->proved = ret->consistent && known->attester;
}
