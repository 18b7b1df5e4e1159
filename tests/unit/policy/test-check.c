/* policy/check: certificates a CA might answer with. */
#include "test.h"

#include <stdio.h>
#include <time.h>

#include "base/ossl.h"
#include "facts.h"
#include "policy/check.h"
#include "policy/san.h"

enum { DAY = 86400 };
static const int64_t NOW = 1800000000;

struct issue {
        const char *subject, *san, *eku, *ku;
        int64_t from, to; /* relative to NOW */
        long serial;
        EVP_PKEY *key, *ca_key;
        X509 *ca;
        const EVP_MD *md;
        bool is_ca;
};

static void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
        X509V3_CTX ctx;
        X509_EXTENSION *ext;

        if (!value)
                return;
        X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
        ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        assert_non_null(ext);
        X509_add_ext(cert, ext, -1);
        X509_EXTENSION_free(ext);
}

static X509 *issue(const struct issue *i)
{
        X509 *cert = X509_new();
        X509_NAME *name = X509_NAME_new();

        X509_set_version(cert, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(cert), i->serial);
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(NOW + i->from));
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(NOW + i->to));
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)i->subject, -1, -1, 0);
        X509_set_subject_name(cert, name);
        X509_set_issuer_name(cert, i->ca ? X509_get_subject_name(i->ca) : name);
        X509_set_pubkey(cert, i->key);
        add_ext(cert, i->ca ? i->ca : cert, NID_basic_constraints, i->is_ca ? "critical,CA:TRUE" : NULL);
        add_ext(cert, i->ca ? i->ca : cert, NID_subject_alt_name, i->san);
        add_ext(cert, i->ca ? i->ca : cert, NID_ext_key_usage, i->eku);
        add_ext(cert, i->ca ? i->ca : cert, NID_key_usage, i->ku);
        assert_true(X509_sign(cert, i->ca_key ? i->ca_key : i->key, i->md ? i->md : EVP_sha256()) > 0);
        X509_NAME_free(name);
        return cert;
}

struct world {
        EVP_PKEY *root_key, *sub_key, *key, *other_key;
        X509 *root, *sub, *stranger;
        STACK_OF(X509) * chain;
        struct plan plan;
        struct bytes spki;
};

static void plan_for(struct plan *ret)
{
        static const char *const given[][2] = {
                {"Profile.Name", "p"},
                {"Server.Url", "https://a/b"},
                {"Server.CaThumbprint", "0123456789abcdef0123456789abcdef01234567"},
                {"Key.Algorithm", "ec-p256"},
                {"Subject.Name", "CN=pc1"},
                {"Subject.AlternativeName", "dns:pc1.x"},
                {"Subject.AlternativeName", "email:a@b"},
                {"Subject.ExtendedKeyUsage", "1.3.6.1.5.5.7.3.2"},
                {"Subject.Validity", "30 days"}};
        struct fake_facts fake = {0};
        const struct facts facts = {&fake, fake_get};
        struct error e = {0};
        struct settings s = {0};
        struct profile p = {0};

        for (size_t i = 0; i < N_ELEMENTS(given); i++)
                expect_ok(settings_add(&s, given[i][0], given[i][1], 0, &e));
        expect_ok(profile_from_settings(&s, false, &p, &e));
        expect_ok(plan_make(&(struct plan_input){&p, &facts, POLICY_PROTECTION_SOFTWARE, "pc1"}, ret, &e));
        profile_done(&p);
        settings_done(&s);
}

static int make_world(void **state)
{
        struct world *w = calloc(1, sizeof *w);
        struct error e = {0};

        w->root_key = EVP_EC_gen("P-256");
        w->sub_key = EVP_EC_gen("P-256");
        w->key = EVP_EC_gen("P-256");
        w->other_key = EVP_EC_gen("P-256");
        w->root = issue(&(struct issue){.subject = "root",
                                        .key = w->root_key,
                                        .from = -999 * DAY,
                                        .to = 999 * DAY,
                                        .serial = 1,
                                        .is_ca = true});
        w->sub = issue(&(struct issue){.subject = "sub",
                                       .key = w->sub_key,
                                       .ca = w->root,
                                       .ca_key = w->root_key,
                                       .from = -99 * DAY,
                                       .to = 99 * DAY,
                                       .serial = 2,
                                       .is_ca = true});
        w->stranger = issue(&(struct issue){.subject = "root",
                                            .key = w->other_key,
                                            .from = -999 * DAY,
                                            .to = 999 * DAY,
                                            .serial = 1,
                                            .is_ca = true});
        w->chain = sk_X509_new_null();
        sk_X509_push(w->chain, w->sub);
        plan_for(&w->plan);
        expect_ok(spki_der(w->key, &w->spki, &e));
        *state = w;
        return 0;
}

static int end_world(void **state)
{
        struct world *w = *state;

        EVP_PKEY_free(w->root_key);
        EVP_PKEY_free(w->sub_key);
        EVP_PKEY_free(w->key);
        EVP_PKEY_free(w->other_key);
        sk_X509_free(w->chain);
        X509_free(w->root);
        X509_free(w->sub);
        X509_free(w->stranger);
        plan_done(&w->plan);
        bytes_done(&w->spki);
        free(w);
        return 0;
}

static struct issue good(const struct world *w)
{
        return (struct issue){.subject = "pc1",
                              .san = "DNS:PC1.x,email:a@b",
                              .eku = "clientAuth",
                              .ku = "digitalSignature",
                              .from = -60,
                              .to = 30 * DAY,
                              .serial = 100,
                              .key = w->key,
                              .ca_key = w->sub_key,
                              .ca = w->sub};
}

struct verdict {
        enum check_verdict verdict;
        size_t notes;
        const char *says;
};

static void judge(struct world *w, const struct issue *i, const struct check_input *change,
                  struct verdict wanted)
{
        struct error e = {0};
        struct check_result result = {0};
        X509 *cert = issue(i);
        struct check_input in = *change;

        in.plan = &w->plan;
        in.cert = cert;
        in.spki = bytes_view(&w->spki);
        expect_ok(certificate_check(&in, &result, &e));
        if (result.verdict != wanted.verdict || (wanted.notes && result.n_deviations != wanted.notes) ||
            (wanted.says && (!result.n_deviations || !strstr(result.deviations[0].text, wanted.says))) ||
            (!wanted.says && result.n_deviations))
                fail_msg("%s, %zu deviations, first '%s'; wanted %s '%s'", check_verdict_name(result.verdict),
                         result.n_deviations, result.n_deviations ? result.deviations[0].text : "",
                         check_verdict_name(wanted.verdict), wanted.says ? wanted.says : "");
        for (size_t k = 0; k < result.n_deviations; k++) /* the worst first, and it is the verdict */
                assert_true(k ? result.deviations[k].verdict <= result.deviations[k - 1].verdict
                              : result.deviations[k].verdict == result.verdict);
        switch (result.verdict) {
        case CHECK_ACCEPTED:
                assert_int_equal(e.code, ERR_OK);
                break;
        case CHECK_WAIT:
                assert_int_equal(e.code, ERR_PENDING);
                break;
        case CHECK_KEPT:
        case CHECK_REFUSED:
                assert_int_equal(e.code, ERR_CERTIFICATE_REFUSED);
                assert_true(e.message[0] && e.remedy[0]);
                break;
        }
        check_result_done(&result);
        X509_free(cert);
}

static void accepted(void **state)
{
        struct world *w = *state;
        const struct check_input in = {
                .chain = w->chain, .anchor = w->root, .now = NOW, .clock_trusted = true};
        struct check_input at = in;
        struct issue i = good(w);

        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 0, NULL});
        i.from = 14 * 60; /* the CA's clock is ahead */
        i.to = 31 * DAY;
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 0, NULL});
        i = good(w);
        i.subject = "pc1.rewritten";
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 1, "CN = pc1.rewritten"});
        i = good(w);
        i.eku = "clientAuth,emailProtection";
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 1, "1.3.6.1.5.5.7.3.4"});
        i = good(w);
        i.to = 20 * DAY;
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 1, "20 days"});
        i = good(w);
        i.ku = "keyAgreement";
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 1, "digitalSignature"});
        i = good(w);
        i.ku = NULL;
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 0, NULL});
        i = good(w);
        i.san = "DNS:pc1.x,email:a@b,IP:10.0.0.1";
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 1, "10.0.0.1"});
        i = good(w);
        i.md = EVP_sha1();
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 1, "SHA-1"});
        i = good(w); /* pinned below the root */
        at.anchor = w->sub;
        at.chain = NULL;
        judge(w, &i, &at, (struct verdict){CHECK_ACCEPTED, 0, NULL});
        i.subject = "pc1\n\x1b[31m\xc3\xbc";
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 1, "changed the subject"});
}

static void kept(void **state)
{
        struct world *w = *state;
        const struct check_input in = {
                .chain = w->chain, .anchor = w->root, .now = NOW, .clock_trusted = true};
        struct issue i = good(w);

        i.eku = NULL;
        judge(w, &i, &in, (struct verdict){CHECK_KEPT, 1, "1.3.6.1.5.5.7.3.2 is missing"});
        i = good(w);
        i.san = "DNS:pc1.x";
        judge(w, &i, &in, (struct verdict){CHECK_KEPT, 1, "email:a@b is missing"});
        i.san = NULL;
        i.eku = "serverAuth";
        i.subject = "else";
        judge(w, &i, &in, (struct verdict){CHECK_KEPT, 5, "is missing"});
}

/* Every kind of alternative name is compared, and spoken of in the profile's words. */
static void kinds(void **state)
{
        static const struct {
                const char *asked, *issued;
        } cases[] = {
                {"ip:192.0.2.1", "IP:192.0.2.1"},
                {"ip:2001:db8::1", "IP:2001:db8::1"},
                {"rid:1.2.840.113549", "RID:1.2.840.113549"},
                {"upn:jane@corp.example", "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:Jane@CORP.example"},
                {"guid:00112233-4455-6677-8899-aabbccddeeff",
                 "DER:3021a01f06092b0601040182371901a012041033221100554477668899aabbccddeeff"},
                {"other:1.2.3.4:text", "otherName:1.2.3.4;UTF8:text"},
                {"uri:https://a.example/x", "URI:https://A.example/x"},
                {"email:a@b.example", "email:a@B.example"},
        };
        struct world *w = *state;
        const struct check_input in = {
                .chain = w->chain, .anchor = w->root, .now = NOW, .clock_trusted = true};
        const struct bytes kept = w->plan.san;

        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct strings entries = {0};
                struct error e = {0};
                struct issue issued = good(w);

                expect_ok(strings_add(&entries, cases[i].asked, &e));
                expect_ok(san_der(&entries, NULL, &w->plan.san, &e));
                issued.san = cases[i].issued;
                judge(w, &issued, &in, (struct verdict){CHECK_ACCEPTED, 0, NULL});
                issued.san = NULL;
                judge(w, &issued, &in, (struct verdict){CHECK_KEPT, 1, cases[i].asked});
                strings_done(&entries);
                bytes_done(&w->plan.san);
        }
        w->plan.san = kept;
        struct issue added = good(w);

        added.san = "DNS:pc1.x,email:a@b,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@b";
        judge(w, &added, &in, (struct verdict){CHECK_ACCEPTED, 1, "alternative name upn:a@b"});
}

/* 6.4 Issuers: none of them is worth a note. */
static void issuers(void **state)
{
        struct world *w = *state;
        const struct check_input in = {
                .chain = w->chain, .anchor = w->root, .now = NOW, .clock_trusted = true};
        struct issue i = good(w);

        w->plan.issuers = strdup("CN=other; DC=x | CN=SUB");
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 0, NULL});
        free(w->plan.issuers);
        w->plan.issuers = strdup("CN=other; DC=x");
        judge(w, &i, &in,
              (struct verdict){CHECK_ACCEPTED, 1, "'CN = sub' is none of those the profile names"});
        free(w->plan.issuers);
        w->plan.issuers = NULL;
}

static void refused(void **state)
{
        struct world *w = *state;
        const struct check_input in = {
                .chain = w->chain, .anchor = w->root, .now = NOW, .clock_trusted = true};
        struct check_input change = in;
        struct issue i = good(w);

        i.key = w->other_key;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 1, "another public key"});
        i = good(w);
        i.ca_key = w->other_key;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 1, "does not chain"});
        i = good(w);
        change.anchor = w->stranger;
        judge(w, &i, &change, (struct verdict){CHECK_REFUSED, 1, "does not chain"});
        change = in;
        change.chain = NULL;
        judge(w, &i, &change, (struct verdict){CHECK_REFUSED, 1, "does not chain"});
        i.from = 16 * 60;
        i.to = 31 * DAY;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 1, "becomes valid only at"});
        i = good(w);
        i.from = -40 * DAY;
        i.to = -1;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 1, "expired"});
        i.to = -50 * DAY;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 0, "ends before"});
        i = good(w); /* the worst finding stands first */
        i.eku = NULL;
        i.ca_key = w->other_key;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 2, "does not chain"});
        i = good(w);
        i.ca = NULL;
        i.ca_key = NULL;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 1, "does not chain"});
}

static void renewals(void **state)
{
        struct world *w = *state;
        struct check_input in = {.chain = w->chain, .anchor = w->root, .now = NOW, .clock_trusted = true};
        struct issue old = good(w), i = good(w);

        old.to = 10 * DAY;
        old.serial = 50;
        in.previous = issue(&old);
        judge(w, &i, &in, (struct verdict){CHECK_ACCEPTED, 0, NULL});
        i.serial = 50;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 1, "same serial"});
        i.serial = 51;
        i.from = -29 * DAY;
        i.to = 10 * DAY;
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 1, "renews nothing"});
        X509_free(in.previous);
}

static void clocks(void **state)
{
        struct world *w = *state;
        const struct check_input in = {
                .chain = w->chain, .anchor = w->root, .now = 0, .clock_trusted = false};
        struct issue i = good(w);

        judge(w, &i, &in, (struct verdict){CHECK_WAIT, 1, "becomes valid only at"});
        i.ca_key = w->other_key; /* no clock makes this right */
        judge(w, &i, &in, (struct verdict){CHECK_REFUSED, 2, "does not chain"});
}

/* Each deviation with its class, whatever the verdict; of too many, the least go. */
static void all_at_once(void **state)
{
        static const char *const wanted[] = {"refused: it expired", "kept: the alternative name",
                                             "kept: the extended key usage", "note: It is valid for",
                                             "note: The CA changed the subject"};
        struct world *w = *state;
        struct check_input in = {.plan = &w->plan,
                                 .spki = bytes_view(&w->spki),
                                 .chain = w->chain,
                                 .anchor = w->root,
                                 .now = NOW,
                                 .clock_trusted = true};
        struct check_result result = {0};
        struct error e = {0};
        struct issue i = good(w);
        char san[1024] = "DNS:a0.x";

        i.to = -30;
        i.eku = NULL;
        i.san = "DNS:pc1.x";
        i.subject = "else";
        in.cert = issue(&i);
        expect_ok(certificate_check(&in, &result, &e));
        assert_int_equal(result.n_deviations, N_ELEMENTS(wanted));
        for (size_t k = 0; k < N_ELEMENTS(wanted); k++) {
                char text[640];

                snprintf(text, sizeof text, "%s: %s", check_class_name(result.deviations[k].verdict),
                         result.deviations[k].text);
                if (strncmp(text, wanted[k], strlen(wanted[k])) != 0)
                        fail_msg("'%s', not '%s'", text, wanted[k]);
        }
        check_result_done(&result);
        X509_free((X509 *)in.cert);

        for (int n = 1; n < 30; n++)
                sprintf(san + strlen(san), ",DNS:a%d.x", n);
        i.san = san;
        in.cert = issue(&i);
        expect_ok(certificate_check(&in, &result, &e));
        assert_int_equal(result.n_deviations, CHECK_DEVIATIONS_MAX);
        assert_int_equal(result.deviations[0].verdict, CHECK_REFUSED);
        assert_int_equal(result.deviations[1].verdict, CHECK_KEPT);
        check_result_done(&result);
        X509_free((X509 *)in.cert);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(accepted), cmocka_unit_test(all_at_once), cmocka_unit_test(kept),
                cmocka_unit_test(kinds),    cmocka_unit_test(issuers),     cmocka_unit_test(refused),
                cmocka_unit_test(renewals), cmocka_unit_test(clocks),
        };

        return cmocka_run_group_tests_name("check", tests, make_world, end_world);
}
