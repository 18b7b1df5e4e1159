/* service/scep/wire/ca-choice: every order of every set, and what is refused. */
#include "pki.h"

#include <stdio.h>

#include "base/parse.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/ca-choice.h"

enum {
        ROOT,
        ISSUING,
        SIGN_RA,
        ENC_RA,
        BOTH_RA,
        OTHER_ROOT,
        STRAY,
        OLD_SIGN_RA,
        OLD_ENC_RA,
        EXPIRED_ENC,
        EC_RA,
        OLD_ISSUING,
        UNDER_OLD,
        PLAIN_RA,
        FUTURE_RA,
        REKEYED_RA,
        _CERTS
};

static X509 *certs[_CERTS];

#define CA_USE (KU_KEY_CERT_SIGN | KU_CRL_SIGN)

static int make(void **state)
{
        (void)state;
        certs[ROOT] = pki_cert(&(struct pki_spec){
                .subject = "Root", .key = 0, .ca = true, .usage = CA_USE, .from = -900, .to = 900});
        certs[ISSUING] = pki_cert(&(struct pki_spec){.subject = "Issuing",
                                                     .issuer = certs[ROOT],
                                                     .issuer_key = 0,
                                                     .key = 1,
                                                     .ca = true,
                                                     .usage = CA_USE});
        certs[SIGN_RA] = pki_cert(&(struct pki_spec){.subject = "RA",
                                                     .issuer = certs[ISSUING],
                                                     .issuer_key = 1,
                                                     .key = 2,
                                                     .usage = KU_DIGITAL_SIGNATURE,
                                                     .serial = 11});
        certs[ENC_RA] = pki_cert(&(struct pki_spec){.subject = "RA",
                                                    .issuer = certs[ISSUING],
                                                    .issuer_key = 1,
                                                    .key = 3,
                                                    .usage = KU_KEY_ENCIPHERMENT,
                                                    .serial = 12});
        certs[BOTH_RA] = pki_cert(&(struct pki_spec){.subject = "RA2",
                                                     .issuer = certs[ISSUING],
                                                     .issuer_key = 1,
                                                     .key = 2,
                                                     .usage = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
                                                     .serial = 13});
        certs[OTHER_ROOT] =
                pki_cert(&(struct pki_spec){.subject = "Other", .key = 4, .ca = true, .usage = CA_USE});
        certs[STRAY] = pki_cert(&(struct pki_spec){.subject = "Stray",
                                                   .issuer = certs[OTHER_ROOT],
                                                   .issuer_key = 4,
                                                   .key = 5,
                                                   .usage = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT});
        certs[OLD_SIGN_RA] = pki_cert(&(struct pki_spec){.subject = "RA",
                                                         .issuer = certs[ISSUING],
                                                         .issuer_key = 1,
                                                         .key = 5,
                                                         .usage = KU_DIGITAL_SIGNATURE,
                                                         .from = -300,
                                                         .to = 30,
                                                         .serial = 9});
        certs[OLD_ENC_RA] = pki_cert(&(struct pki_spec){.subject = "RA",
                                                        .issuer = certs[ISSUING],
                                                        .issuer_key = 1,
                                                        .key = 6,
                                                        .usage = KU_KEY_ENCIPHERMENT,
                                                        .from = -300,
                                                        .to = 30,
                                                        .serial = 10});
        certs[EXPIRED_ENC] = pki_cert(&(struct pki_spec){.subject = "Expired RA",
                                                         .issuer = certs[ISSUING],
                                                         .issuer_key = 1,
                                                         .key = 3,
                                                         .usage = KU_KEY_ENCIPHERMENT,
                                                         .from = -300,
                                                         .to = -1,
                                                         .serial = 14});
        certs[EC_RA] = pki_cert(&(struct pki_spec){.subject = "EC RA",
                                                   .issuer = certs[ISSUING],
                                                   .issuer_key = 1,
                                                   .ec = true,
                                                   .usage = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
                                                   .serial = 15});
        certs[OLD_ISSUING] = pki_cert(&(struct pki_spec){.subject = "Old issuing",
                                                         .issuer = certs[ROOT],
                                                         .issuer_key = 0,
                                                         .key = 6,
                                                         .ca = true,
                                                         .usage = CA_USE,
                                                         .from = -300,
                                                         .to = -1});
        certs[UNDER_OLD] = pki_cert(&(struct pki_spec){.subject = "RA under old",
                                                       .issuer = certs[OLD_ISSUING],
                                                       .issuer_key = 6,
                                                       .key = 2,
                                                       .usage = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
                                                       .serial = 16});
        certs[PLAIN_RA] = pki_cert(&(struct pki_spec){
                .subject = "Plain RA", .issuer = certs[ISSUING], .issuer_key = 1, .key = 5, .serial = 17});
        certs[FUTURE_RA] = pki_cert(&(struct pki_spec){.subject = "Future RA",
                                                       .issuer = certs[ISSUING],
                                                       .issuer_key = 1,
                                                       .key = 5,
                                                       .usage = KU_KEY_ENCIPHERMENT,
                                                       .from = 1,
                                                       .to = 30,
                                                       .serial = 18});
        /* by the name of our CA, signed by another key: the CA was renewed, the RA not */
        certs[REKEYED_RA] = pki_cert(&(struct pki_spec){.subject = "RA",
                                                        .issuer = certs[ISSUING],
                                                        .issuer_key = 7,
                                                        .key = 5,
                                                        .usage = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
                                                        .serial = 19});
        return 0;
}

static int drop(void **state)
{
        (void)state;
        for (int i = 0; i < _CERTS; i++)
                X509_free(certs[i]);
        return 0;
}

static struct ca_pin pin_of(X509 *cert, size_t len)
{
        struct ca_pin pin = {.len = len};

        if (len)
                assert_true(X509_digest(cert, len == 20 ? EVP_sha1() : EVP_sha256(), pin.digest, NULL));
        return pin;
}

/* Runs @check on every order of @set. */
static void permute(int *set, int n, int at, void (*check)(const int *set, int n, const void *ctx),
                    const void *ctx)
{
        if (at == n) {
                check(set, n, ctx);
                return;
        }
        for (int i = at; i < n; i++) {
                int kept = set[at];

                set[at] = set[i];
                set[i] = kept;
                permute(set, n, at + 1, check, ctx);
                set[i] = set[at];
                set[at] = kept;
        }
}

struct want {
        const char *name;
        int set[8], n;
        int anchor; /* held by the daemon; -1: none */
        int pin;
        size_t pin_len;
        enum err err;
        int recipient, signer, issuer, signers;
        const char *says; /* in the message */
};

static const struct want wants[] = {
        {"one-ca", {ROOT}, 1, ROOT, ROOT, 20, ERR_OK, ROOT, ROOT, ROOT, 1, NULL},
        {"one-ca/bare-thumbprint", {ROOT}, 1, -1, ROOT, 32, ERR_OK, ROOT, ROOT, ROOT, 1, NULL},
        {"one-issuing/root-held", {ISSUING}, 1, ROOT, ROOT, 20, ERR_OK, ISSUING, ISSUING, ISSUING, 1, NULL},
        {"one-ra-with-anchor",
         {SIGN_RA},
         1,
         ISSUING,
         ISSUING,
         20,
         ERR_OK,
         SIGN_RA,
         SIGN_RA,
         ISSUING,
         1,
         NULL},
        {"ca-chain", {ROOT, ISSUING}, 2, -1, ROOT, 20, ERR_OK, ISSUING, ISSUING, ISSUING, 2, NULL},
        {"one-ra", {ISSUING, BOTH_RA}, 2, ROOT, ROOT, 32, ERR_OK, BOTH_RA, BOTH_RA, ISSUING, 2, NULL},
        {"ndes", {SIGN_RA, ENC_RA, ISSUING}, 3, ROOT, ROOT, 20, ERR_OK, ENC_RA, SIGN_RA, ISSUING, 3, NULL},
        {"ndes/with-root",
         {SIGN_RA, ENC_RA, ISSUING, ROOT},
         4,
         -1,
         ROOT,
         20,
         ERR_OK,
         ENC_RA,
         SIGN_RA,
         ISSUING,
         4,
         NULL},
        {"ndes/pin-of-issuing",
         {SIGN_RA, ENC_RA, ISSUING},
         3,
         -1,
         ISSUING,
         20,
         ERR_OK,
         ENC_RA,
         SIGN_RA,
         ISSUING,
         3,
         NULL},
        {"no-pin/anchor-file",
         {SIGN_RA, ENC_RA, ISSUING},
         3,
         ROOT,
         -1,
         0,
         ERR_OK,
         ENC_RA,
         SIGN_RA,
         ISSUING,
         3,
         NULL},
        {"two-generations",
         {SIGN_RA, ENC_RA, OLD_SIGN_RA, OLD_ENC_RA, ISSUING},
         5,
         ROOT,
         ROOT,
         20,
         ERR_OK,
         ENC_RA,
         SIGN_RA,
         ISSUING,
         5,
         NULL},
        {"only-signer-ra", {SIGN_RA, ISSUING}, 2, ROOT, ROOT, 20, ERR_OK, ISSUING, SIGN_RA, ISSUING, 2, NULL},
        {"no-usage-is-any",
         {PLAIN_RA, ISSUING},
         2,
         ROOT,
         ROOT,
         20,
         ERR_OK,
         PLAIN_RA,
         PLAIN_RA,
         ISSUING,
         2,
         NULL},
        {"explicit-before-any",
         {PLAIN_RA, ENC_RA, ISSUING},
         3,
         ROOT,
         ROOT,
         20,
         ERR_OK,
         ENC_RA,
         PLAIN_RA,
         ISSUING,
         3,
         NULL},
        {"stranger-dropped", {ROOT, STRAY}, 2, -1, ROOT, 20, ERR_OK, ROOT, ROOT, ROOT, 1, NULL},
        {"stranger-pair-dropped",
         {SIGN_RA, ENC_RA, ISSUING, STRAY, OTHER_ROOT},
         5,
         ROOT,
         ROOT,
         20,
         ERR_OK,
         ENC_RA,
         SIGN_RA,
         ISSUING,
         3,
         NULL},
        {"expired-not-needed",
         {SIGN_RA, ENC_RA, EXPIRED_ENC, ISSUING},
         4,
         ROOT,
         ROOT,
         20,
         ERR_OK,
         ENC_RA,
         SIGN_RA,
         ISSUING,
         3,
         NULL},

        {"wrong-pin",
         {SIGN_RA, ENC_RA, ISSUING},
         3,
         ROOT,
         OTHER_ROOT,
         20,
         ERR_CA_MISMATCH,
         .says = "SHA-256"},
        {"wrong-pin/root-sent", {ROOT}, 1, -1, OTHER_ROOT, 32, ERR_CA_MISMATCH, .says = "'CN=Root'"},
        {"pin-right/root-nowhere",
         {SIGN_RA, ENC_RA, ISSUING},
         3,
         -1,
         ROOT,
         20,
         ERR_CA_MISMATCH,
         .says = "issued by 'CN=Root'"},
        {"other-ca", {STRAY, OTHER_ROOT}, 2, ROOT, ROOT, 20, ERR_CA_MISMATCH, .says = "'CN=Other'"},
        {"other-ca/no-pin",
         {STRAY, OTHER_ROOT},
         2,
         ROOT,
         -1,
         0,
         ERR_CA_MISMATCH,
         .says = "root certificate of the profile"},
        {"nothing-held", {ROOT}, 1, -1, -1, 0, ERR_CA_MISMATCH, .says = "SHA-1"},
        {"expired-ra",
         {SIGN_RA, EXPIRED_ENC, ISSUING},
         3,
         ROOT,
         ROOT,
         20,
         ERR_CA_EXPIRED,
         .says = "Expired RA"},
        {"future-ra",
         {SIGN_RA, FUTURE_RA, ISSUING},
         3,
         ROOT,
         ROOT,
         20,
         ERR_CA_EXPIRED,
         .says = "not valid yet"},
        {"expired-intermediate",
         {UNDER_OLD, OLD_ISSUING},
         2,
         ROOT,
         ROOT,
         20,
         ERR_CA_EXPIRED,
         .says = "Old issuing"},
        {"rekeyed-ca",
         {REKEYED_RA, ISSUING},
         2,
         ROOT,
         ROOT,
         20,
         ERR_CA_MISMATCH,
         .says = "not issued by its present CA"},
        {"ec-recipient", {EC_RA, ISSUING}, 2, ROOT, ROOT, 20, ERR_UNSUPPORTED, .says = "later step"},
};

static void check_choice(const int *set, int n, const void *ctx)
{
        const struct want *w = ctx;
        X509 *list[8], *held = w->anchor >= 0 ? certs[w->anchor] : NULL;
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *reply = NULL;
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *anchors = held ? pki_stack(&held, 1) : NULL;
        CLEANUP(ca_choice_done) struct ca_choice choice = {0};
        const struct ca_trust trust = {.pin = pin_of(w->pin >= 0 ? certs[w->pin] : NULL, w->pin_len),
                                       .anchors = anchors,
                                       .now = PKI_NOW};
        struct error e = {0};

        for (int i = 0; i < n; i++)
                list[i] = certs[set[i]];
        reply = pki_stack(list, (size_t)n);
        if (w->err) {
                expect_err(ca_choose(reply, &trust, &choice, &e), w->err);
                if (!strstr(e.message, w->says))
                        fail_msg("%s: '%s' is not in: %s", w->name, w->says, e.message);
                assert_null(choice.signers);
                return;
        }
        expect_ok(ca_choose(reply, &trust, &choice, &e));
        if (choice.recipient != certs[w->recipient] || choice.signer != certs[w->signer] ||
            choice.issuer != certs[w->issuer])
                fail_msg("%s: another certificate was chosen", w->name);
        assert_int_equal(sk_X509_num(choice.signers), w->signers);
        assert_ptr_equal(sk_X509_value(choice.signers, 0), choice.signer);
        assert_int_equal((int)choice.dropped, n - w->signers);
        assert_non_null(choice.anchor);
}

static void table(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(wants); i++) {
                int set[8];

                memcpy(set, wants[i].set, sizeof set);
                permute(set, wants[i].n, 0, check_choice, &wants[i]);
        }
}

static void pins(void **state)
{
        struct ca_pin pin;
        struct error e = {0};

        (void)state;
        expect_ok(ca_pin_parse("DE AD:be:ef 00112233445566778899AABBCCDDEEFF", &pin, &e));
        assert_int_equal(pin.len, 20);
        expect_ok(ca_pin_parse("0000000000000000000000000000000000000000000000000000000000000000", &pin, &e));
        assert_int_equal(pin.len, 32);
        expect_err(ca_pin_parse("", &pin, &e), ERR_INVALID);
        expect_err(ca_pin_parse("00112233445566778899aabbccddeeff", &pin, &e), ERR_INVALID); /* MD5 */
        expect_err(ca_pin_parse("xx", &pin, &e), ERR_INVALID);
        pin = pin_of(certs[ROOT], 20);
        assert_true(ca_pin_matches(&pin, certs[ROOT]));
        assert_false(ca_pin_matches(&pin, certs[ISSUING]));
        pin.len = 0;
        assert_false(ca_pin_matches(&pin, certs[ROOT]));
}

static void bounds(void **state)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *none = sk_X509_new_null();
        X509 *many[SCEP_CERTS_MAX + 1];
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *over = NULL;
        struct ca_choice choice = {0};
        const struct ca_trust trust = {.pin = pin_of(certs[ROOT], 20), .now = PKI_NOW};
        struct error e;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(many); i++)
                many[i] = certs[ROOT];
        over = pki_stack(many, N_ELEMENTS(many));
        expect_err(ca_choose(none, &trust, &choice, &e), ERR_REPLY);
        expect_err(ca_choose(over, &trust, &choice, &e), ERR_REPLY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(pins),
                                           cmocka_unit_test(bounds)};

        return cmocka_run_group_tests(tests, make, drop);
}
