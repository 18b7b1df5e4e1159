/* policy/plan: fixed once, stored as pairs, compared. */
#include "test.h"

#include "base/parse.h"
#include "facts.h"
#include "policy/plan.h"

static void profile_make(struct profile *ret, const char *key, const char *value)
{
        static const char *const given[][2] = {
                {"Profile.Name", "p"},
                {"Profile.Type", "device"},
                {"Server.Url", "https://a/b"},
                {"Server.Url", "https://c/d"},
                {"Server.CaThumbprint", "0123456789abcdef0123456789abcdef01234567"},
                {"Server.CaIdentifier", "ca 1"},
                {"Server.Challenge", "ask"},
                {"Server.RequireCaps", "AES"},
                {"Server.PendingLimit", "36h"},
                {"Key.Algorithm", "ec-p256"},
                {"Subject.Name", "CN={{DeviceName}},O=x"},
                {"Subject.AlternativeName", "dns:{{DeviceName}}"},
                {"Subject.ExtendedKeyUsage", "1.3.6.1.5.5.7.3.2"},
                {"Subject.Validity", "2 years"},
                {"Subject.TemplateName", "t"},
                {"Renewal.Threshold", "33"}};
        struct error e = {0};
        struct settings s = {0};

        for (size_t i = 0; i < N_ELEMENTS(given); i++)
                if (!key || strcmp(given[i][0], key) != 0)
                        expect_ok(settings_add(&s, given[i][0], given[i][1], 0, &e));
        if (key)
                expect_ok(settings_add(&s, key, value, 0, &e));
        expect_ok(profile_from_settings(&s, false, ret, &e));
        settings_done(&s);
}

static void plan_of(struct plan *ret, const char *key, const char *value)
{
        struct fake_facts fake = {.values = {[FACT_DEVICE_NAME] = "pc1"}};
        const struct facts facts = {&fake, fake_get};
        struct error e = {0};
        struct profile p = {0};

        profile_make(&p, key, value);
        expect_ok(
                plan_make(&(struct plan_input){&p, &facts, POLICY_PROTECTION_TPM_PREFERRED, "pc1"}, ret, &e));
        profile_done(&p);
}

static void round_trip(void **state)
{
        struct error e = {0};
        struct plan plan = {0}, again = {0};
        struct settings s = {0}, t = {0};

        (void)state;
        plan_of(&plan, NULL, NULL);
        assert_int_equal(plan.protection, POLICY_PROTECTION_TPM_PREFERRED);
        assert_int_equal(plan.key_usage, KEY_USAGE_DIGITAL_SIGNATURE);
        assert_int_equal(plan.challenge, CHALLENGE_ASK);
        assert_int_equal(plan.urls.count, 2);
        expect_ok(bytes_copy(&plan.anchor, "01234567890123456789012345678901", 32, &e));
        expect_ok(plan_to_pairs(&plan, &s, &e));
        expect_ok(plan_from_pairs(&s, &again, &e));
        expect_ok(plan_to_pairs(&again, &t, &e));
        assert_int_equal(s.count, t.count);
        for (size_t i = 0; i < s.count; i++) {
                assert_string_equal(s.items[i].key, t.items[i].key);
                assert_string_equal(s.items[i].value, t.items[i].value);
        }
        assert_null(plan_differs(&plan, &again));
        assert_true(view_equal(bytes_view(&plan.subject), bytes_view(&again.subject)));
        assert_int_equal(again.pending_limit, 36 * 3600);
        assert_int_equal(again.validity.number, 2);
        settings_done(&s);
        settings_done(&t);
        plan_done(&plan);
        plan_done(&again);
}

static void differs(void **state)
{
        static const struct {
                const char *key, *value, *what;
        } cases[] = {
                {"Subject.Name", "CN=other", "subject"},
                {"Subject.AlternativeName", "dns:other", "alternative names"},
                {"Subject.KeyUsage", "keyAgreement", "key usage"},
                {"Subject.ExtendedKeyUsage", "1.3.6.1.5.5.7.3.1", "extended key usage"},
                {"Key.Algorithm", "rsa-2048", "key usage"},
                {"Subject.TemplateName", "other", "template"},
                {"Key.Algorithm", "ec-p384", "key algorithm"},
                {"Key.Protection", "software", "key protection"},
                {"Server.CaThumbprint", "1123456789abcdef0123456789abcdef01234567", "anchor"},
                {"Server.Url", "https://z/", NULL},
                {"Renewal.Threshold", "20", NULL},
                {"Subject.Validity", "1 years", NULL},
        };
        struct plan plan = {0};

        (void)state;
        plan_of(&plan, NULL, NULL);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct plan other = {0};
                const char *what;

                plan_of(&other, cases[i].key, cases[i].value);
                what = plan_differs(&plan, &other);
                if (cases[i].what)
                        assert_string_equal(what ? what : "(nothing)", cases[i].what);
                else
                        assert_null(what);
                plan_done(&other);
        }
        plan_done(&plan);
}

/* As people read them, and only they decide whether names differ. */
static void names(void **state)
{
        static const struct {
                const char *key, *value;
                bool differ;
                const char *all[3];
        } cases[] = {
                {NULL, NULL, false, {"CN=pc1,O=x", "dns:pc1"}},
                {"Subject.Name", "CN=other", true, {"CN=other", "dns:pc1"}},
                {"Subject.AlternativeName", "email:a@b.c", true, {"CN=pc1,O=x", "email:a@b.c"}},
                {"Key.Algorithm", "ec-p384", false, {"CN=pc1,O=x", "dns:pc1"}},
        };
        struct plan plan = {0}, damaged = {0};
        struct strings none = {0};
        struct error e = {0};

        (void)state;
        plan_of(&plan, NULL, NULL);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct strings found = {0};
                struct plan other = {0};

                plan_of(&other, cases[i].key, cases[i].value);
                assert_int_equal(plan_names_differ(&plan, &other), cases[i].differ);
                expect_ok(plan_names(&other, &found, &e));
                for (size_t j = 0; j < found.count; j++)
                        assert_string_equal(found.items[j], cases[i].all[j]);
                assert_null(cases[i].all[found.count]);
                strings_done(&found);
                plan_done(&other);
        }
        expect_ok(bytes_copy(&damaged.subject, "\x30\x05", 2, &e));
        assert_int_equal(plan_names(&damaged, &none, &e), ERR_FAILED);
        plan_done(&damaged);
        bytes_done(&plan.san);
        expect_ok(bytes_copy(&plan.san, "\x30\x05", 2, &e));
        assert_int_equal(plan_names(&plan, &none, &e), ERR_FAILED);
        assert_int_equal(none.count, 0);
        plan_done(&plan);
}

/* A damaged store is refused, value by value. */
static void damaged(void **state)
{
        static const struct {
                const char *key, *value; /* NULL: left out */
        } cases[] = {
                {"subject", NULL},
                {"subject", "30"},
                {"subject", "zz"},
                {"subject", "3000ff"},
                {"san", "31"},
                {"protection", NULL},
                {"protection", "4"},
                {"algorithm", "dsa"},
                {"url", NULL},
                {"url", "file:///etc"},
                {"threshold", NULL},
                {"threshold", "100"},
                {"retryDelay", NULL},
                {"retryCount", "31"},
                {"pendingLimit", NULL},
                {"pendingLimit", "9999d"},
                {"thumbprint", "00"},
                {"anchor", "00"},
                {"validity", "soon"},
                {"hash", "md5"},
                {"keyUsage", "crlSign"},
                {"extendedKeyUsage", "x"},
                {"user", "perhaps"},
                {"surprise", "1"},
                {"templateName", "\xf0\x9f\x94\x91"},
                {"challenge", "hidden"},
                {"proxy", "http://a b"},
        };
        struct error e = {0};
        struct plan plan = {0};
        struct settings good = {0};

        (void)state;
        plan_of(&plan, NULL, NULL);
        expect_ok(plan_to_pairs(&plan, &good, &e));
        plan_done(&plan);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct settings s = {0};

                for (size_t j = 0; j < good.count; j++)
                        if (strcmp(good.items[j].key, cases[i].key) != 0)
                                expect_ok(settings_add(&s, good.items[j].key, good.items[j].value, 0, &e));
                if (cases[i].value)
                        expect_ok(settings_add(&s, cases[i].key, cases[i].value, 0, &e));
                enum err r = plan_from_pairs(&s, &plan, &e);

                if (r != ERR_PROFILE)
                        fail_msg("%s=%s: %s", cases[i].key, cases[i].value ? cases[i].value : "",
                                 err_name(r));
                settings_done(&s);
        }
        settings_done(&good);
}

static void refusals(void **state)
{
        struct fake_facts fake = {0};
        const struct facts facts = {&fake, fake_get};
        struct error e = {0};
        struct profile p = {0};
        struct plan plan = {0};

        (void)state;
        profile_make(&p, NULL, NULL);
        expect_err(plan_make(&(struct plan_input){&p, &facts, POLICY_PROTECTION_TPM, "pc1"}, &plan, &e),
                   ERR_VARIABLE);
        assert_non_null(strstr(e.message, "{{DeviceName}}"));
        fake.values[FACT_DEVICE_NAME] = "pc1";
        expect_err(plan_make(&(struct plan_input){&p, &facts, POLICY_PROTECTION_DEFAULT, "pc1"}, &plan, &e),
                   ERR_INVALID);
        fake.values[FACT_DEVICE_NAME] =
                "a name that is much longer than the sixty-four characters X.520 has room for";
        expect_err(plan_make(&(struct plan_input){&p, &facts, POLICY_PROTECTION_TPM, "pc1"}, &plan, &e),
                   ERR_PROFILE);
        profile_done(&p);
        fake.values[FACT_DEVICE_NAME] = "pc1";
        profile_make(&p, "Subject.AlternativeName", "dns:{{UserName}}");
        expect_err(plan_make(&(struct plan_input){&p, &facts, POLICY_PROTECTION_TPM, "pc1"}, &plan, &e),
                   ERR_VARIABLE);
        profile_done(&p);
        assert_null(plan.subject.data);
}

/* With a pin, another anchor beside the first one changes nothing. */
static void anchors_of_plans(void **state)
{
        static const struct {
                const char *a, *b;
                bool pinned, differs;
        } cases[] = {
                {"A", "A", true, false},  {"A", "B", true, true},  {"A", NULL, true, false},
                {"A", NULL, false, true}, {"A", "B", false, true}, {NULL, NULL, false, false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct plan plans[2] = {{.threshold = 1}, {.threshold = 1}};
                const char *const anchors[] = {cases[i].a, cases[i].b};
                struct error e = {0};

                for (size_t k = 0; k < 2; k++) {
                        plan_of(&plans[k], NULL, NULL);
                        if (!cases[i].pinned)
                                bytes_done(&plans[k].thumbprint);
                        if (anchors[k])
                                expect_ok(bytes_copy(&plans[k].anchor, anchors[k], 1, &e));
                }
                assert_int_equal(plan_differs(&plans[0], &plans[1]) != NULL, cases[i].differs);
                plan_done(&plans[0]);
                plan_done(&plans[1]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(round_trip), cmocka_unit_test(anchors_of_plans), cmocka_unit_test(differs),
                cmocka_unit_test(names),      cmocka_unit_test(damaged),          cmocka_unit_test(refusals),
        };

        return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
