/* policy/variables: names, braces, missing values; a value stays one value. */
#include "test.h"

#include "facts.h"
#include "policy/profile.h"

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
                {"a{b", VARIABLES_IN_ALTERNATIVE_NAME},
                {"a}b", VARIABLES_IN_ALTERNATIVE_NAME},
                {"{{DeviceName}};", VARIABLES_IN_ALTERNATIVE_NAME},
                {"a;b", VARIABLES_IN_URI},
                {"a|b", VARIABLES_IN_URI},
                {"a{b}", VARIABLES_IN_URI},
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
        fake.values[FACT_SERIAL_NUMBER] = NULL;
        expect_err(variables_expand("{{MEID}}", VARIABLES_IN_SUBJECT, &facts, &out, &e), ERR_TIMEOUT);
        assert_non_null(strstr(e.message, "{{MEID}}"));
}

/* Every row of Intune's lists, as both lists and people write it; its value alone goes in, and a missing one
 * is told by this name. */
static void every_variable(void **state)
{
        static const struct {
                const char *written[4];
                enum fact fact;
        } rows[] = {
                {{"UserName", "username", "USERNAME"}, FACT_USER_NAME},
                {{"UserPrincipalName", "userprincipalname", "USERPRINCIPALNAME"}, FACT_USER_PRINCIPAL_NAME},
                {{"EmailAddress", "emailaddress", "EMAILADDRESS"}, FACT_EMAIL_ADDRESS},
                {{"OnPrem_Distinguished_Name", "onprem_distinguished_name", "ONPREM_Distinguished_NAME"},
                 FACT_DISTINGUISHED_NAME},
                {{"OnPremisesSamAccountName", "onPremisesSamAccountName", "ONPREMISESSAMACCOUNTNAME"},
                 FACT_SAM_ACCOUNT_NAME},
                {{"OnPremisesSecurityIdentifier", "onpremisessecurityidentifier"}, FACT_SECURITY_IDENTIFIER},
                {{"Department", "department", "DEPARTMENT"}, FACT_DEPARTMENT},
                {{"AAD_Device_ID", "aad_device_id", "AAD_DEVICE_ID"}, FACT_AAD_DEVICE_ID},
                {{"AzureADDeviceId", "azureaddeviceid", "AzureADDeviceID"}, FACT_AAD_DEVICE_ID},
                {{"DeviceId", "deviceid", "DeviceID"}, FACT_DEVICE_ID},
                {{"SERIALNUMBER", "SerialNumber", "serialnumber"}, FACT_SERIAL_NUMBER},
                {{"Device_Serial", "device_serial", "DEVICE_SERIAL"}, FACT_SERIAL_NUMBER},
                {{"IMEINumber", "imeinumber", "IMEINUMBER"}, FACT_IMEI},
                {{"IMEI", "imei", "Imei"}, FACT_IMEI},
                {{"Device_IMEI", "device_imei", "DEVICE_IMEI"}, FACT_IMEI},
                {{"MEID", "meid", "Meid"}, FACT_MEID},
                {{"WiFiMacAddress", "wifimacaddress", "WIFIMACADDRESS"}, FACT_WIFI_MAC_ADDRESS},
                {{"DeviceName", "devicename", "DEVICENAME"}, FACT_DEVICE_NAME},
                {{"FullyQualifiedDomainName", "fullyqualifieddomainname", "FULLYQUALIFIEDDOMAINNAME"},
                 FACT_FULLY_QUALIFIED_DOMAIN_NAME},
        };
        uint32_t seen = 0;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
                const enum variables_place place =
                        rows[i].fact == FACT_SECURITY_IDENTIFIER ? VARIABLES_IN_URI : VARIABLES_IN_SUBJECT;

                for (size_t j = 0; rows[i].written[j]; j++) {
                        struct fake_facts fake = {.values = {NULL}};
                        const struct facts facts = {&fake, fake_get};
                        struct profile profile = {.subject = NULL};
                        struct error e = {0};
                        char text[64], *out = NULL;

                        (void)snprintf(text, sizeof text, "{{%s}}", rows[i].written[j]);
                        expect_err(variables_expand(text, place, &facts, &out, &e), ERR_VARIABLE);
                        assert_non_null(strstr(e.message, text));
                        fake.values[rows[i].fact] = "value";
                        expect_ok(variables_expand(text, place, &facts, &out, &e));
                        assert_non_null(strstr(out, "value"));
                        free(out);
                        profile.subject = text;
                        assert_int_equal(variables_needed(&profile), 1U << rows[i].fact);
                        seen |= variables_used(&profile);
                }
        }
        assert_int_equal(seen, (1U << N_ELEMENTS(rows)) - 1);
        assert_non_null(variable_at(N_ELEMENTS(rows) - 1));
        assert_null(variable_at(N_ELEMENTS(rows)));
}

/* What has to be known before an enrollment, wherever it stands. */
static void needed(void **state)
{
        static const struct {
                const char *subject;
                const char *name[2];
                uint32_t needed;
        } cases[] = {
                {"CN=static,O=X", {NULL}, 0},
                {"CN={{DeviceName}}", {NULL}, 1U << FACT_DEVICE_NAME},
                {"CN={{DeviceName}}-{{DEVICENAME}}", {"dns:{{ devicename }}.x"}, 1U << FACT_DEVICE_NAME},
                {"CN=\"{{UserName}}, {{Department}}\"+2.5.4.5={{SERIALNUMBER}}",
                 {NULL},
                 1U << FACT_USER_NAME | 1U << FACT_DEPARTMENT | 1U << FACT_SERIAL_NUMBER},
                {"CN=x",
                 {"uri:{{OnPremisesSecurityIdentifier}}", "upn:{{UserPrincipalName}}"},
                 1U << FACT_SECURITY_IDENTIFIER | 1U << FACT_USER_PRINCIPAL_NAME},
                {"CN={{IMEI}}{{Device_IMEI}}",
                 {"email:{{EmailAddress}}"},
                 1U << FACT_IMEI | 1U << FACT_EMAIL_ADDRESS},
                {NULL, {NULL}, 0},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct profile profile = {.subject = cases[i].subject ? strdup(cases[i].subject) : NULL};
                struct error e = {0};

                for (size_t j = 0; j < 2 && cases[i].name[j]; j++)
                        expect_ok(strings_add(&profile.alternative_names, cases[i].name[j], &e));
                assert_int_equal(variables_needed(&profile), cases[i].needed);
                strings_done(&profile.alternative_names);
                free(profile.subject);
        }
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
                cmocka_unit_test(expands),        cmocka_unit_test(refuses), cmocka_unit_test(missing),
                cmocka_unit_test(every_variable), cmocka_unit_test(needed),  cmocka_unit_test(one_value),
                cmocka_unit_test(alone),
        };

        return cmocka_run_group_tests_name("variables", tests, NULL, NULL);
}
