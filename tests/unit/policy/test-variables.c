/* policy/variables: names, braces, missing values; a value stays one value. */
#include "test.h"

#include "facts.h"

static void expands(void **state)
{
        struct fake_facts fake = {.values = {[FACT_DEVICE_NAME] = "pc1",
                                             [FACT_USER_NAME] = "jane",
                                             [FACT_SERIAL_NUMBER] = " ABC123\n",
                                             [FACT_AAD_DEVICE_ID] = "0a1b",
                                             [FACT_SECURITY_IDENTIFIER] = "S-1-5-21-1-2-3-1001",
                                             [FACT_IMEI] = "490154203237518"}};
        const struct facts facts = {&fake, fake_get};
        static const struct {
                const char *in;
                enum variables_place place;
                const char *out;
        } cases[] = {
                {"plain", VARIABLES_IN_SUBJECT, "plain"},
                {"", VARIABLES_IN_SUBJECT, ""},
                {"{{DeviceName}}", VARIABLES_IN_SUBJECT, "pc1"},
                {"{{DeviceName}}text", VARIABLES_IN_SUBJECT, "pc1text"},
                {"a{{devicename}}b{{USERNAME}}c", VARIABLES_IN_SUBJECT, "apc1bjanec"},
                {"{{ DeviceName }}", VARIABLES_IN_SUBJECT, "pc1"},
                {"{{SERIALNUMBER}}", VARIABLES_IN_SUBJECT, "ABC123"},
                {"{{Device_Serial}}", VARIABLES_IN_SUBJECT, "ABC123"},
                {"{{AAD_Device_ID}}-{{AzureADDeviceId}}", VARIABLES_IN_ALTERNATIVE_NAME, "0a1b-0a1b"},
                {"{{IMEI}}{{IMEINumber}}{{Device_IMEI}}", VARIABLES_IN_SUBJECT,
                 "490154203237518490154203237518490154203237518"},
                {"{{OnPremisesSecurityIdentifier}}", VARIABLES_IN_URI,
                 "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-1001"},
                {"a|b;c", VARIABLES_IN_SUBJECT, "a|b;c"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                char *out = NULL;

                expect_ok(variables_check(cases[i].in, cases[i].place, &e));
                expect_ok(variables_expand(cases[i].in, cases[i].place, &facts, &out, &e));
                assert_string_equal(out, cases[i].out);
                free(out);
        }
}

static void refuses(void **state)
{
        static const struct {
                const char *in;
                enum variables_place place;
        } cases[] = {
                {"{", VARIABLES_IN_SUBJECT},
                {"}", VARIABLES_IN_SUBJECT},
                {"a{b}c", VARIABLES_IN_SUBJECT},
                {"{{DeviceName}", VARIABLES_IN_SUBJECT},
                {"{{DeviceName", VARIABLES_IN_SUBJECT},
                {"{{DeviceName}}}", VARIABLES_IN_SUBJECT},
                {"{{{DeviceName}}}", VARIABLES_IN_SUBJECT},
                {"{{}}", VARIABLES_IN_SUBJECT},
                {"{{NoSuchThing}}", VARIABLES_IN_SUBJECT},
                {"{{DeviceName2}}", VARIABLES_IN_SUBJECT},
                {"{{OnPremisesSecurityIdentifier}}", VARIABLES_IN_SUBJECT},
                {"{{OnPremisesSecurityIdentifier}}", VARIABLES_IN_ALTERNATIVE_NAME},
                {"a|b", VARIABLES_IN_ALTERNATIVE_NAME},
                {"a;b", VARIABLES_IN_ALTERNATIVE_NAME},
                {"a;b", VARIABLES_IN_URI},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};

                expect_err(variables_check(cases[i].in, cases[i].place, &e), ERR_PROFILE);
        }
}

static void missing(void **state)
{
        static const char *const bad_serials[] = {
                NULL,     "",           "  ",   "To Be Filled By O.E.M.", "Default string",
                "0",      "0000000000", "None", "System Serial Number",   "none",
                "a\001b", "\xff"};
        struct fake_facts fake = {0};
        const struct facts facts = {&fake, fake_get};
        struct error e = {0};
        char *out = NULL;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(bad_serials); i++) {
                fake.values[FACT_SERIAL_NUMBER] = bad_serials[i];
                expect_err(variables_expand("x{{SerialNumber}}", VARIABLES_IN_SUBJECT, &facts, &out, &e),
                           ERR_VARIABLE);
                assert_non_null(strstr(e.message, "{{SerialNumber}}"));
                assert_null(out);
        }
        fake.silent = true; /* not the same as missing: it may answer later */
        expect_err(variables_expand("{{MEID}}", VARIABLES_IN_SUBJECT, &facts, &out, &e), ERR_TIMEOUT);
        assert_non_null(strstr(e.message, "{{MEID}}"));
}

/* A host called "pc1,O=Evil" gets no organisation of its own. */
static void one_value(void **state)
{
        struct fake_facts fake = {.values = {[FACT_DEVICE_NAME] = "pc1,O=Evil+OU=\"x\"{{UserName}}"}};
        const struct facts facts = {&fake, fake_get};
        struct error e = {0};
        struct name name = {0};

        (void)state;
        expect_ok(name_parse("CN={{DeviceName}};O=Good", &name, &e));
        expect_ok(name_expand(&name, &facts, &e));
        assert_int_equal(name.count, 2);
        assert_string_equal(name.avas[0].value, fake.values[FACT_DEVICE_NAME]);
        assert_string_equal(name.avas[1].value, "Good");
        name_done(&name);
}

static void alone(void **state)
{
        (void)state;
        assert_true(variables_alone("{{UserName}}"));
        assert_false(variables_alone(""));
        assert_false(variables_alone("x{{UserName}}"));
        assert_false(variables_alone("{{UserName}}x"));
        assert_false(variables_alone("{{UserName}}{{UserName}}"));
        for (int i = 0; i < _FACT_MAX; i++)
                assert_true(*fact_text((enum fact)i));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(expands),   cmocka_unit_test(refuses), cmocka_unit_test(missing),
                cmocka_unit_test(one_value), cmocka_unit_test(alone),
        };

        return cmocka_run_group_tests_name("variables", tests, NULL, NULL);
}
