/*
 * Steps of ca_choose(): 1. find the anchor the pin means; 2. judge each certificate: chained, expired or
 * stranger;
 * 3. refuse strangers that stand where an RA of this CA would; 4. choose recipient, signer and issuer.
 */
#include "scep-wire/ca-choice.h"

#include <openssl/err.h>
#include <string.h>

#include "base/parse.h"
#include "scep-wire/ca-certs.h"

enum verdict { CHAINED, EXPIRED, STRANGER };

/* What was found out about one certificate of the reply. */
struct judged {
        X509 *cert; /* borrowed */
        enum verdict verdict;
        bool ca;
        uint32_t usage;    /* UINT32_MAX: no key usage extension, any use */
        int error;         /* X509_V_ERR_… of one that is not chained */
        char culprit[128]; /* subject of the certificate the chain failed at */
};

struct hall {
        struct judged all[SCEP_CERTS_MAX];
        int n;
};

enum err ca_pin_parse(const char *hex, struct ca_pin *ret, struct error *e)
{
        struct ca_pin pin = {0};

        if (!hex_decode(hex, pin.digest, sizeof pin.digest, &pin.len) || (pin.len != 20 && pin.len != 32))
                return error_set(e, ERR_INVALID,
                                 "A thumbprint is 40 (SHA-1) or 64 (SHA-256) hexadecimal digits");
        *ret = pin;
        return ERR_OK;
}

bool ca_pin_matches(const struct ca_pin *pin, const X509 *cert)
{
        uint8_t digest[EVP_MAX_MD_SIZE];
        unsigned len = 0;

        if (pin->len != 20 && pin->len != 32)
                return false;
        return X509_digest(cert, pin->len == 20 ? EVP_sha1() : EVP_sha256(), digest, &len) == 1 &&
               len == pin->len && memcmp(digest, pin->digest, len) == 0;
}

static void digest_hex(const X509 *cert, const EVP_MD *md, char ret[2 * EVP_MAX_MD_SIZE + 1])
{
        uint8_t digest[EVP_MAX_MD_SIZE];
        unsigned len = 0;

        if (X509_digest(cert, md, digest, &len) != 1)
                len = 0;
        hex_encode((struct view){digest, len}, ret);
}

/* The certificate of the reply no other one of it issued; of several (a hostile or odd reply) any will do to
 * name. */
static X509 *top_of(const STACK_OF(X509) * certs)
{
        for (int i = 0; i < sk_X509_num(certs); i++) {
                X509 *cert = sk_X509_value(certs, i);
                bool issued_here = false;

                for (int j = 0; j < sk_X509_num(certs); j++)
                        issued_here |=
                                i != j && X509_check_issued(sk_X509_value(certs, j), cert) == X509_V_OK;
                if (!issued_here || X509_check_issued(cert, cert) == X509_V_OK)
                        return cert;
        }
        return sk_X509_value(certs, 0);
}

static enum err mismatch(const STACK_OF(X509) * certs, const struct ca_trust *trust, struct error *e)
{
        X509 *top = top_of(certs);
        char expected[2 * sizeof trust->pin.digest + 1], sha1[2 * EVP_MAX_MD_SIZE + 1],
                sha256[2 * EVP_MAX_MD_SIZE + 1];
        char subject[128], issuer[128];
        bool self = X509_NAME_cmp(X509_get_subject_name(top), X509_get_issuer_name(top)) == 0;

        hex_encode((struct view){trust->pin.digest, trust->pin.len}, expected);
        digest_hex(top, EVP_sha1(), sha1);
        digest_hex(top, EVP_sha256(), sha256);
        name_text(X509_get_subject_name(top), subject, sizeof subject);
        name_text(X509_get_issuer_name(top), issuer, sizeof issuer);
        (void)error_set(e, ERR_CA_MISMATCH,
                        "The server's CA does not lead to the pinned root: expected %s, found '%s' with "
                        "SHA-1 %s, SHA-256 %s%s%s%s",
                        *expected ? expected : "the root certificate of the profile", subject, sha1, sha256,
                        self ? "" : ", issued by '", self ? "" : issuer, self ? "" : "'");
        if (!self)
                return error_remedy(
                        e, ERR_CA_MISMATCH,
                        "The pin must be that of the root; give its certificate to the profile too "
                        "(RootCertificate= or the root certificate profile), for the server does not send "
                        "it.");
        return error_remedy(
                e, ERR_CA_MISMATCH,
                "If this is the right server, put the root's thumbprint into the profile: it may name an "
                "intermediate or a CA that was renewed since.");
}

/* Step 1. Borrowed; NULL: none. */
static X509 *find_anchor(const STACK_OF(X509) * certs, const struct ca_trust *trust)
{
        for (int i = 0; i < sk_X509_num(trust->anchors); i++)
                if (ca_pin_matches(&trust->pin, sk_X509_value(trust->anchors, i)))
                        return sk_X509_value(trust->anchors, i);
        for (int i = 0; i < sk_X509_num(certs); i++)
                if (ca_pin_matches(&trust->pin, sk_X509_value(certs, i)))
                        return sk_X509_value(certs, i);
        return NULL;
}

static bool is_time_error(int error)
{
        return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
}

static enum err judge(X509_STORE *store, const STACK_OF(X509) * certs, time_t now, X509 *cert,
                      struct judged *j, X509 **ret_anchor, struct error *e)
{
        CLEANUP(x509_store_ctx_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        CLEANUP(x509_stack_free_p)
        STACK_OF(X509) *untrusted = X509_chain_up_ref((STACK_OF(X509) *)(uintptr_t)certs);
        X509 *at;

        if (!ctx || !untrusted || !X509_STORE_CTX_init(ctx, store, cert, untrusted))
                return ossl_error(e, ERR_FAILED, "A certificate chain could not be checked");
        X509_STORE_CTX_set_time(ctx, 0, now);
        /* The pin is the trust, be it a root or a CA below one. */
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
        *j = (struct judged){.cert = cert, .ca = X509_check_ca(cert) > 0, .usage = X509_get_key_usage(cert)};
        if (X509_verify_cert(ctx) == 1) {
                STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

                *ret_anchor = sk_X509_value(chain, sk_X509_num(chain) - 1);
        } else {
                j->error = X509_STORE_CTX_get_error(ctx);
                j->verdict = is_time_error(j->error) ? EXPIRED : STRANGER;
                at = X509_STORE_CTX_get_current_cert(ctx);
                name_text(X509_get_subject_name(at ? at : cert), j->culprit, sizeof j->culprit);
        }
        ERR_clear_error();
        return ERR_OK;
}

/* Step 2. @ret_anchor: the anchor the last chained one led to (with several anchors and no pin); may live in
 * the store alone, so it is up-ref'ed. */
static enum err judge_all(const STACK_OF(X509) * certs, const struct ca_trust *trust, X509 *pinned,
                          struct hall *hall, X509 **ret_anchor, struct error *e)
{
        CLEANUP(x509_store_free_p) X509_STORE *store = X509_STORE_new();
        X509 *anchor = NULL;
        bool ok = store != NULL;

        if (ok && pinned)
                ok = X509_STORE_add_cert(store, pinned) == 1;
        for (int i = 0; ok && !pinned && i < sk_X509_num(trust->anchors); i++)
                ok = X509_STORE_add_cert(store, sk_X509_value(trust->anchors, i)) == 1;
        if (!ok)
                return ossl_error(e, ERR_FAILED, "The trust anchors could not be loaded");
        for (int i = 0; i < sk_X509_num(certs); i++) {
                enum err r = judge(store, certs, trust->now, sk_X509_value(certs, i), &hall->all[hall->n++],
                                   &anchor, e);

                if (r)
                        return r;
        }
        if (pinned)
                anchor = pinned;
        if (anchor && !X509_up_ref(anchor))
                return ossl_error(e, ERR_FAILED, "A trust anchor could not be kept");
        *ret_anchor = anchor;
        return ERR_OK;
}

/* Later validity first; then the encoding decides, so that the order in the reply never does. */
static bool better(const struct judged *a, const struct judged *b)
{
        int newer;

        if (!b)
                return true;
        /* A certificate that says what it is for goes before one that says nothing. */
        if ((a->usage == UINT32_MAX) != (b->usage == UINT32_MAX))
                return b->usage == UINT32_MAX;
        newer = ASN1_TIME_compare(X509_get0_notBefore(a->cert), X509_get0_notBefore(b->cert));
        if (newer > 0)
                return true;
        return newer == 0 && X509_cmp(a->cert, b->cert) < 0;
}

static const struct judged *best(const struct hall *hall, enum verdict verdict, bool ca, uint32_t usage)
{
        const struct judged *found = NULL;

        for (int i = 0; i < hall->n; i++) {
                const struct judged *j = &hall->all[i];

                if (j->verdict == verdict && j->ca == ca && (j->usage & usage) && better(j, found))
                        found = j;
        }
        return found;
}

/* The CA lowest in the tree: it issues no other CA of the reply. */
static const struct judged *leafmost_ca(const struct hall *hall)
{
        const struct judged *found = NULL;

        for (int i = 0; i < hall->n; i++) {
                const struct judged *ca = &hall->all[i];
                bool above = false;

                if (ca->verdict != CHAINED || !ca->ca)
                        continue;
                for (int k = 0; k < hall->n; k++)
                        above |= k != i && hall->all[k].ca && hall->all[k].verdict == CHAINED &&
                                 X509_check_issued(ca->cert, hall->all[k].cert) == X509_V_OK;
                if (!above && better(ca, found))
                        found = ca;
        }
        return found;
}

static enum err expired(const struct judged *j, struct error *e)
{
        char subject[128];

        return error_set(e, ERR_CA_EXPIRED, "The server's certificate '%s' cannot be used: '%s' %s",
                         name_text(X509_get_subject_name(j->cert), subject, sizeof subject), j->culprit,
                         j->error == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not valid yet");
}

/* A stranger by the name of a CA we trust: the RA certificates were not re-issued after the CA got a new key.
 */
static bool claims_our_ca(const struct hall *hall, const struct judged *j, X509 *anchor)
{
        const X509_NAME *issuer = X509_get_issuer_name(j->cert);

        if (X509_NAME_cmp(issuer, X509_get_subject_name(anchor)) == 0)
                return true;
        for (int i = 0; i < hall->n; i++)
                if (hall->all[i].verdict == CHAINED && hall->all[i].ca &&
                    X509_NAME_cmp(issuer, X509_get_subject_name(hall->all[i].cert)) == 0)
                        return true;
        return false;
}

/* Steps 3 and 4 for one role: an RA with one of @usages, in that order, else the CA. */
static enum err choose_role(const struct hall *hall, X509 *anchor, const struct judged *ca,
                            const uint32_t usages[2], const struct judged **ret, struct error *e)
{
        const struct judged *found = NULL, *late, *stranger;
        char subject[128];

        for (int i = 0; i < 2 && !found; i++)
                if (usages[i])
                        found = best(hall, CHAINED, false, usages[i]);
        if (found) {
                *ret = found;
                return ERR_OK;
        }
        late = best(hall, EXPIRED, false, usages[0] | usages[1]);
        if (late)
                return expired(late, e);
        stranger = best(hall, STRANGER, false, usages[0] | usages[1]);
        if (stranger && claims_our_ca(hall, stranger, anchor)) {
                (void)error_set(e, ERR_CA_MISMATCH,
                                "The server's RA certificate '%s' was not issued by its present CA: %s",
                                name_text(X509_get_subject_name(stranger->cert), subject, sizeof subject),
                                X509_verify_cert_error_string(stranger->error));
                return error_remedy(
                        e, ERR_CA_MISMATCH,
                        "Re-issue both RA certificates of the server under the renewed CA, then restart it "
                        "(NDES: iisreset).");
        }
        if (!ca)
                return error_set(e, ERR_CA_MISMATCH,
                                 "None of the server's certificates has the key usage its part needs");
        *ret = ca;
        return ERR_OK;
}

/* The CA that issued @cert: of the reply, or the anchor; the certificate itself where it is a CA. */
static X509 *issuer_of(const struct hall *hall, const struct judged *j, X509 *anchor)
{
        if (j->ca)
                return j->cert;
        for (int i = 0; i < hall->n; i++)
                if (hall->all[i].verdict == CHAINED &&
                    X509_check_issued(hall->all[i].cert, j->cert) == X509_V_OK)
                        return hall->all[i].cert;
        return anchor;
}

static enum err keep(STACK_OF(X509) * signers, X509 *cert, struct error *e)
{
        if (!X509_up_ref(cert))
                return ossl_error(e, ERR_FAILED, "A certificate could not be kept");
        if (!sk_X509_push(signers, cert)) {
                X509_free(cert);
                return error_no_memory(e);
        }
        return ERR_OK;
}

static enum err settle(const struct hall *hall, X509 *anchor, struct ca_choice *choice, struct error *e)
{
        static const uint32_t for_signing[2] = {KU_DIGITAL_SIGNATURE, 0},
                              for_encryption[2] = {KU_KEY_ENCIPHERMENT, KU_DATA_ENCIPHERMENT};
        const struct judged *ca = leafmost_ca(hall), *signer = NULL, *recipient = NULL;
        enum err r = ERR_OK;

        if (hall->n == 1) {
                signer = recipient = &hall->all[0]; /* one for all, whatever its key usage says */
        } else {
                r = choose_role(hall, anchor, ca, for_encryption, &recipient, e);
                if (!r)
                        r = choose_role(hall, anchor, ca, for_signing, &signer, e);
        }
        if (!r && !EVP_PKEY_is_a(X509_get0_pubkey(recipient->cert), "RSA")) {
                (void)error_set(
                        e, ERR_UNSUPPORTED,
                        "The server's certificate for encryption has no RSA key; the password recipient "
                        "such a server needs belongs to a later step of scepter");
                return error_remedy(e, ERR_UNSUPPORTED,
                                    "Use a server with an RSA certificate for encryption.");
        }
        if (!r)
                r = keep(choice->signers, signer->cert, e);
        for (int i = 0; !r && i < hall->n; i++) {
                if (hall->all[i].verdict != CHAINED)
                        choice->dropped++;
                else if (hall->all[i].cert != signer->cert)
                        r = keep(choice->signers, hall->all[i].cert, e);
        }
        if (r)
                return r;
        choice->signer = signer->cert;
        choice->recipient = recipient->cert;
        choice->issuer = issuer_of(hall, recipient, anchor);
        X509_up_ref(choice->signer);
        X509_up_ref(choice->recipient);
        X509_up_ref(choice->issuer);
        return ERR_OK;
}

enum err ca_choose(const STACK_OF(X509) * certs, const struct ca_trust *trust, struct ca_choice *ret,
                   struct error *e)
{
        CLEANUP(ca_choice_done) struct ca_choice choice = {.signers = sk_X509_new_null()};
        struct hall hall = {.n = 0};
        const struct judged *late = NULL;
        X509 *pinned = NULL;
        bool chained = false;
        enum err r;

        if (!choice.signers)
                return error_no_memory(e);
        if (sk_X509_num(certs) < 1 || sk_X509_num(certs) > SCEP_CERTS_MAX)
                return error_set(e, ERR_REPLY, "The server gave %d certificates, and 1 to %d are expected",
                                 sk_X509_num(certs), SCEP_CERTS_MAX);
        if (trust->pin.len) {
                pinned = find_anchor(certs, trust);
                if (!pinned)
                        return mismatch(certs, trust, e);
        }
        r = judge_all(certs, trust, pinned, &hall, &choice.anchor, e);
        if (r)
                return r;
        for (int i = 0; i < hall.n; i++) {
                chained |= hall.all[i].verdict == CHAINED;
                if (hall.all[i].verdict == EXPIRED && !late)
                        late = &hall.all[i];
        }
        if (!chained)
                return late ? expired(late, e) : mismatch(certs, trust, e);
        r = settle(&hall, choice.anchor, &choice, e);
        if (r)
                return r;
        *ret = choice;
        choice = (struct ca_choice){0};
        return ERR_OK;
}

void ca_choice_done(struct ca_choice *choice)
{
        X509_free(choice->anchor);
        X509_free(choice->recipient);
        X509_free(choice->signer);
        X509_free(choice->issuer);
        sk_X509_pop_free(choice->signers, X509_free);
        *choice = (struct ca_choice){0};
}
