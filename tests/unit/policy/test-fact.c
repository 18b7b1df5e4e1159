/* policy/fact: which values each fact may have, and the one spelling they get. */
#include "test.h"

#include "policy/fact.h"

#define SID "S-1-5-21-1004336348-1177238915-682003330-512"

static void settles(void **state)
{
        static const struct {
                enum fact fact;
                const char *in, *out; /* NULL: it is no value */
        } cases[] = {
                {FACT_USER_NAME, "jane", "jane"},
                {FACT_USER_NAME, "  jane\n", "jane"},
                {FACT_USER_NAME, "", NULL},
                {FACT_USER_NAME, " \t\r\n", NULL},
                {FACT_USER_NAME, "ja\033ne", NULL},
                {FACT_USER_NAME, "ja\xffne", NULL},
                {FACT_USER_PRINCIPAL_NAME, "jane@corp.example", "jane@corp.example"},
                {FACT_USER_PRINCIPAL_NAME, "jane", NULL},
                {FACT_USER_PRINCIPAL_NAME, "@corp.example", NULL},
                {FACT_USER_PRINCIPAL_NAME, "jane@", NULL},
                {FACT_EMAIL_ADDRESS, "j.doe@corp.example", "j.doe@corp.example"},
                {FACT_EMAIL_ADDRESS, "n/a", NULL},
                {FACT_DISTINGUISHED_NAME, "CN=Doe\\, Jane,OU=a,DC=b", "CN=Doe\\, Jane,OU=a,DC=b"},
                {FACT_SAM_ACCOUNT_NAME, "jdoe", "jdoe"},
                {FACT_SECURITY_IDENTIFIER, SID, SID},
                {FACT_SECURITY_IDENTIFIER, "S-1-5-", NULL},
                {FACT_SECURITY_IDENTIFIER, "S-1-5--21", NULL},
                {FACT_SECURITY_IDENTIFIER, "S-1-5-21,x", NULL},
                {FACT_SECURITY_IDENTIFIER, "s-1-5-21-1", NULL},
                {FACT_SECURITY_IDENTIFIER, "tag:microsoft.com,2022-09-14:sid:" SID, NULL},
                {FACT_DEPARTMENT, "Sales, North", "Sales, North"},
                {FACT_AAD_DEVICE_ID, "0a1b2c3d-0000-4000-8000-00000000000F",
                 "0a1b2c3d-0000-4000-8000-00000000000F"},
                {FACT_AAD_DEVICE_ID, "0a1b2c3d00004000800000000000000f", NULL},
                {FACT_DEVICE_ID, "0a1b2c3d-0000-4000-8000-00000000000f",
                 "0a1b2c3d-0000-4000-8000-00000000000f"},
                {FACT_DEVICE_ID, "0a1b2c3d-0000-4000-8000-00000000000g", NULL},
                {FACT_DEVICE_ID, "{0a1b2c3d-0000-4000-8000-00000000000f}", NULL},
                {FACT_SERIAL_NUMBER, " PF3ABCDE \n", "PF3ABCDE"},
                {FACT_SERIAL_NUMBER, "To Be Filled By O.E.M.", NULL},
                {FACT_SERIAL_NUMBER, "to be filled by o.e.m.", NULL},
                {FACT_SERIAL_NUMBER, "Default string", NULL},
                {FACT_SERIAL_NUMBER, "0", NULL},
                {FACT_SERIAL_NUMBER, "0000-0000", NULL},
                {FACT_SERIAL_NUMBER, "None", NULL},
                {FACT_SERIAL_NUMBER, "System Serial Number", NULL},
                {FACT_IMEI, "490154203237518", "490154203237518"},
                {FACT_IMEI, "4901542032375101", "4901542032375101"},
                {FACT_IMEI, "49015420323751", "49015420323751"},
                {FACT_IMEI, "80A1B2C3", NULL}, /* an ESN, which EquipmentIdentifier is for CDMA */
                {FACT_IMEI, "A0000000002329", NULL},
                {FACT_IMEI, "000000000000000", NULL},
                {FACT_IMEI, "49-015420-323751-8", NULL},
                {FACT_MEID, "a000000000232f", "A000000000232F"},
                {FACT_MEID, "268435456003602255", "268435456003602255"},
                {FACT_MEID, "80A1B2C3", NULL},
                {FACT_MEID, "00000000000000", NULL},
                {FACT_WIFI_MAC_ADDRESS, "00:1a:7d:da:71:0b", "001A7DDA710B"},
                {FACT_WIFI_MAC_ADDRESS, "00-1A-7D-DA-71-0B", "001A7DDA710B"},
                {FACT_WIFI_MAC_ADDRESS, "001a7dda710b", "001A7DDA710B"},
                {FACT_WIFI_MAC_ADDRESS, "00:1a:7d:da:71", NULL},
                {FACT_WIFI_MAC_ADDRESS, "00:1a:7d:da:71:0b:00", NULL},
                {FACT_WIFI_MAC_ADDRESS, "00:00:00:00:00:00", NULL},
                {FACT_WIFI_MAC_ADDRESS, "ff:ff:ff:ff:ff:ff", NULL},
                {FACT_WIFI_MAC_ADDRESS, "wlan0", NULL},
                {FACT_DEVICE_NAME, "pc1", "pc1"},
                {FACT_DEVICE_NAME, "pc1.corp.example", "pc1"},
                {FACT_DEVICE_NAME, "localhost", NULL},
                {FACT_DEVICE_NAME, "localhost.localdomain", NULL},
                {FACT_DEVICE_NAME, "localhost7", "localhost7"},
                {FACT_DEVICE_NAME, ".corp", NULL},
                {FACT_FULLY_QUALIFIED_DOMAIN_NAME, "pc1.corp.example", "pc1.corp.example"},
                {FACT_FULLY_QUALIFIED_DOMAIN_NAME, "pc1.corp.example.", "pc1.corp.example"},
                {FACT_FULLY_QUALIFIED_DOMAIN_NAME, "pc1", NULL},
                {FACT_FULLY_QUALIFIED_DOMAIN_NAME, "pc1.", NULL},
                {FACT_FULLY_QUALIFIED_DOMAIN_NAME, "pc1..example", NULL},
                {FACT_FULLY_QUALIFIED_DOMAIN_NAME, "pc 1.example", NULL},
                {FACT_FULLY_QUALIFIED_DOMAIN_NAME, "localhost.localdomain", NULL},
        };
        unsigned seen = 0;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char value[128];
                const char *wrong;

                (void)snprintf(value, sizeof value, "%s", cases[i].in);
                wrong = fact_settle(cases[i].fact, value);
                if (!wrong != (cases[i].out != NULL))
                        fail_msg("'%s' as %s: %s", cases[i].in, fact_text(cases[i].fact),
                                 wrong ? wrong : "was taken");
                if (cases[i].out)
                        assert_string_equal(value, cases[i].out);
                else
                        assert_true(strncmp(wrong, "is ", 3) == 0 || strchr(wrong, ' '));
                seen |= 1U << cases[i].fact;
        }
        assert_int_equal(seen, (1U << _FACT_MAX) - 1);
}

/* What holds for all of them. */
static void bounds(void **state)
{
        char value[FACT_VALUE_MAX + 2];

        (void)state;
        for (int fact = 0; fact < _FACT_MAX; fact++) {
                memset(value, 'x', sizeof value);
                value[FACT_VALUE_MAX + 1] = 0;
                assert_non_null(fact_settle((enum fact)fact, value));
                strcpy(value, "a\001b");
                assert_non_null(fact_settle((enum fact)fact, value));
                strcpy(value, "");
                assert_non_null(fact_settle((enum fact)fact, value));
                assert_true(*fact_text((enum fact)fact));
        }
        memset(value, 'x', sizeof value);
        value[FACT_VALUE_MAX] = 0;
        assert_null(fact_settle(FACT_DEPARTMENT, value));
        assert_true(fact_of_user(FACT_DEPARTMENT) && !fact_of_user(FACT_SERIAL_NUMBER));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(settles),
                cmocka_unit_test(bounds),
        };

        return cmocka_run_group_tests_name("fact", tests, NULL, NULL);
}
