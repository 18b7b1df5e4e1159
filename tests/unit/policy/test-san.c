/* policy/san: general names and their DER (facts §3.4, §4.3, §4.4). */
#include "test.h"

#include "base/parse.h"
#include "facts.h"
#include "policy/san.h"

static enum err encode(const char *entry, struct bytes *ret, struct error *e)
{
        struct fake_facts fake = {.values = {[FACT_DEVICE_NAME] = "pc1",
                                             [FACT_SECURITY_IDENTIFIER] = "S-1-5-21-7",
                                             [FACT_USER_NAME] = "x\", O=evil+C=DE#",
                                             [FACT_AAD_DEVICE_ID] = "00112233-4455-6677-8899-AABBCCDDEEFF",
                                             [FACT_DEVICE_ID] = "{00112233-4455-6677-8899-aabbccddeeff}",
                                             [FACT_WIFI_MAC_ADDRESS] = "1.2.840.113549",
                                             [FACT_DEPARTMENT] = "192.0.2.1",
                                             [FACT_IMEI] = "#0401"}};
        const struct facts facts = {&fake, fake_get};
        struct strings s = {0};
        enum err r = strings_add(&s, entry, e);

        if (r == ERR_OK)
                r = san_der(&s, &facts, ret, e);
        strings_done(&s);
        return r;
}

#define GUID_HEX "3021a01f06092b0601040182371901a012041033221100554477668899aabbccddeeff"
#define IP4_HEX  "30068704c0000201"

/* DER octet by octet; rows of the table of AlternativeNameType by their number. */
static void encodes(void **state)
{
        static const struct {
                const char *row, *entry, *hex;
        } cases[] = {
                {"3.4 row 1 OTHER_NAME", "other:1.2.3.4:te:xt", "3010a00e06032a0304a0070c0574653a7874"},
                {"3.4 row 2 RFC822_NAME", "email:a@b", "30058103614062"},
                {"3.4 row 3 DNS_NAME", "DNS:*.a", "300582032a2e61"},
                {"3.4 row 5 DIRECTORY_NAME", "dirname:CN=pc1, O=a_b",
                 "3020a41e301c310c300a06035504031303706331310c300a060355040a0c03615f62"},
                {"3.4 row 7 URL", "uri:urn:a", "3007860575726e3a61"},
                {"3.4 row 8 IP_ADDRESS, IPv4", "ip:192.0.2.1", IP4_HEX},
                {"3.4 row 8 IP_ADDRESS, IPv6", "ip:2001:db8::1", "3012871020010db8000000000000000000000001"},
                {"3.4 row 8 IP_ADDRESS, IPv4 inside IPv6", "IP:::ffff:1.2.3.4",
                 "3012871000000000000000000000ffff01020304"},
                {"3.4 row 9 REGISTERED_ID", "rid:1.2.840.113549", "300888062a864886f70d"},
                {"3.4 row 10 GUID", "guid:00112233-4455-6677-8899-aabbccddeeff", GUID_HEX},
                {"3.4 row 10 GUID in braces", "guid:{00112233-4455-6677-8899-AABBCCDDEEFF}", GUID_HEX},
                {"3.4 row 11 USER_PRINCIPLE_NAME", "upn:a@b",
                 "3015a013060a2b060104018237140203a0050c03614062"},
                {"3.4 note on UPN: OID by hand", "other:1.3.6.1.4.1.311.20.2.3:j\xc3\xbcrg",
                 "3017a015060a2b060104018237140203a0070c056ac3bc7267"},
                {"4.1 SAN, device cert", "dns:{{DeviceName}}.x.de", "300a82087063312e782e6465"},
                {"4.3 strong mapping", "uri:{{OnPremisesSecurityIdentifier}}",
                 "302d862b7461673a6d6963726f736f66742e636f6d2c323032322d30392d31343a7369643a532d312d352d32312"
                 "d37"},
                {"4.3 strong mapping, kind in capitals", "URI:{{OnPremisesSecurityIdentifier}}",
                 "302d862b7461673a6d6963726f736f66742e636f6d2c323032322d30392d31343a7369643a532d312d352d32312"
                 "d37"},
                {"variable: ip", "ip:{{Department}}", IP4_HEX},
                {"variable: part of an ip", "ip:192.0.2.1{{IMEI}}", NULL},
                {"variable: rid", "rid:{{WiFiMacAddress}}", "300888062a864886f70d"},
                {"variable: guid", "guid:{{AAD_Device_ID}}", GUID_HEX},
                {"variable: guid, value in braces", "guid:{{DeviceId}}", GUID_HEX},
                {"variable: guid, braces around", "guid:{{{AzureADDeviceId}}}", GUID_HEX},
                {"variable: other", "other:1.2.3.4:te:x{{DeviceName}}",
                 "3012a01006032a0304a0090c0774653a78706331"},
                {"variable: dirname, a value stays one value", "dirname:CN={{UserName}}",
                 "301fa41d301b3119301706035504030c1078222c204f3d6576696c2b433d444523"},
                {"variable: dirname, # is no hexadecimal", "dirname:CN={{IMEI}}",
                 "3014a4123010310e300c06035504030c052330343031"},
                {"dirname: quoted separator", "dirname:CN=\"Doe, Jane\"",
                 "3018a41630143112301006035504031309446f652c204a616e65"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct bytes der = {0};
                char hex[512] = "";
                enum err r = encode(cases[i].entry, &der, &e);

                if (!cases[i].hex) {
                        assert_int_equal(r, ERR_PROFILE);
                        continue;
                }
                if (r)
                        fail_msg("%s: %s", cases[i].row, e.message);
                hex_encode(bytes_view(&der), hex);
                if (strcmp(hex, cases[i].hex) != 0)
                        fail_msg("%s: %s instead of %s", cases[i].row, hex, cases[i].hex);
                bytes_done(&der);
                /* whoever passes has passed the check without values, too */
                expect_ok(san_entry_check(cases[i].entry, &e));
        }
}

/* "early": refused before variables have values. */
static void refuses(void **state)
{
        static const struct {
                const char *entry;
                enum err code;
                bool early;
        } cases[] = {
                {"dns:a b", ERR_PROFILE, true},
                {"dns:.a", ERR_PROFILE, true},
                {"dns:a..b", ERR_PROFILE, true},
                {"dns:-a", ERR_PROFILE, true},
                {"dns:a.", ERR_PROFILE, true},
                {"dns:m\xc3\xbc.de", ERR_PROFILE, true},
                {"dns:a.*", ERR_PROFILE, true},
                {"dns:a;b", ERR_PROFILE, true},
                {"dns:a|b", ERR_PROFILE, true},
                {"dns:{a}", ERR_PROFILE, true},
                {"dns:{{DeviceName}};b", ERR_PROFILE, true},
                {"email:a", ERR_PROFILE, true},
                {"email:@b", ERR_PROFILE, true},
                {"email:a@", ERR_PROFILE, true},
                {"email:a@b@c", ERR_PROFILE, true},
                {"email:\xc3\xbc@b", ERR_PROFILE, true},
                {"email:a b@c", ERR_PROFILE, true},
                {"upn:a", ERR_PROFILE, true},
                {"uri:a", ERR_PROFILE, true},
                {"uri:/a:b", ERR_PROFILE, true},
                {"uri:1a:b", ERR_PROFILE, true},
                {"uri:http:", ERR_PROFILE, true},
                {"uri:a:\xc3\xbc", ERR_PROFILE, true},
                {"uri:a: b", ERR_PROFILE, true},
                {"nonsense:a", ERR_PROFILE, true},
                {"dns:", ERR_PROFILE, true},
                {"dns", ERR_PROFILE, true},
                {"dns:{{UserPrincipalName}}", ERR_VARIABLE, false},
                {"dns:{{UserName}}", ERR_PROFILE, false},
                {"dns:{{OnPremisesSecurityIdentifier}}", ERR_PROFILE, true},
                {"ip:", ERR_PROFILE, true},
                {"ip:10.0.0", ERR_PROFILE, true},
                {"ip:10.0.0.256", ERR_PROFILE, true},
                {"ip:10.0.0.01", ERR_PROFILE, true},
                {"ip:10.0.0.0/8", ERR_PROFILE, true},
                {"ip:10.0.0.1:443", ERR_PROFILE, true},
                {"ip:[::1]", ERR_PROFILE, true},
                {"ip:fe80::1%eth0", ERR_PROFILE, true},
                {"ip:1::2::3", ERR_PROFILE, true},
                {"ip: 10.0.0.1", ERR_PROFILE, true},
                {"ip:{{UserName}}", ERR_PROFILE, false},
                {"rid:1", ERR_PROFILE, true},
                {"rid:3.1", ERR_PROFILE, true},
                {"rid:1.2.", ERR_PROFILE, true},
                {"rid:clientAuth", ERR_PROFILE, true},
                {"guid:0a", ERR_PROFILE, true},
                {"guid:00112233445566778899aabbccddeeff", ERR_PROFILE, true},
                {"guid:00112233-4455-6677-8899-aabbccddeefg", ERR_PROFILE, true},
                {"guid:00112233-4455-6677-8899-aabbccddeeff0", ERR_PROFILE, true},
                {"guid:{00112233-4455-6677-8899-aabbccddeeff", ERR_PROFILE, true},
                {"guid:00112233-4455-6677-8899-aabbccddeeff}", ERR_PROFILE, true},
                {"guid:{{00112233-4455-6677-8899-aabbccddeeff}}", ERR_PROFILE, true},
                {"guid:0011223-34455-6677-8899-aabbccddeeff", ERR_PROFILE, true},
                {"guid:0011 233-4455-6677-8899-aabbccddeeff", ERR_PROFILE, true},
                {"guid:{{UserName}}", ERR_PROFILE, false},
                {"other:", ERR_PROFILE, true},
                {"other:x", ERR_PROFILE, true},
                {"other:1.2.3", ERR_PROFILE, true},
                {"other:1.2.3:", ERR_PROFILE, true},
                {"other:1:x", ERR_PROFILE, true},
                {"other:1.2.x:y", ERR_PROFILE, true},
                {"other:{{DeviceName}}:x", ERR_PROFILE, true},
                {"other:1.2.3:a|b", ERR_PROFILE, true},
                {"dirname:x", ERR_PROFILE, true},
                {"dirname:CN=", ERR_PROFILE, true},
                {"dirname:CN=a;O=b", ERR_PROFILE, true}, /* 4.4: no ';' in a SAN's static text */
                {"dirname:CN={a}", ERR_PROFILE, true},
                {"dirname:C=usa", ERR_PROFILE, true},
                {"dirname:XX=a", ERR_PROFILE, true},
                {"dirname:{{DistinguishedName}}", ERR_PROFILE, true},
                {"dirname:{{UserName}}", ERR_PROFILE, true},
                {"dirname:CN={{Nonsense}}", ERR_PROFILE, true},
                {"dirname:CN={{OnPremisesSecurityIdentifier}}", ERR_PROFILE, true},
                {"dirname:CN=#0401", ERR_UNSUPPORTED, true},
                {"dirname:CN={{UserPrincipalName}}", ERR_VARIABLE, false},
                {"dirname:C={{DeviceName}}", ERR_PROFILE, false},
                /* 3.4: kinds without a word */
                {"unknown:x", ERR_PROFILE, true},
                {"x400:x", ERR_PROFILE, true},
                {"edi:x", ERR_PROFILE, true},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct bytes der = {0};
                enum err r = encode(cases[i].entry, &der, &e);

                if (r != cases[i].code || !e.message[0])
                        fail_msg("%s: %s %s", cases[i].entry, err_name(r), e.message);
                assert_null(der.data);
                r = san_entry_check(cases[i].entry, &e);
                if ((r != ERR_OK) != cases[i].early)
                        fail_msg("%s, checked early: %s", cases[i].entry, err_name(r));
        }
}

/* 3.4, the whole table and what lies beyond it. */
static void numbers(void **state)
{
        static const struct {
                const char *row;
                unsigned number;
                const char *word, *refusal;
        } cases[] = {
                {"3.4 row 0 UNKNOWN", 0, NULL, "unknown"},
                {"3.4 row 1 OTHER_NAME", 1, "other", NULL},
                {"3.4 row 2 RFC822_NAME", 2, "email", NULL},
                {"3.4 row 3 DNS_NAME", 3, "dns", NULL},
                {"3.4 row 4 X400_ADDRESS", 4, NULL, "X.400"},
                {"3.4 row 5 DIRECTORY_NAME", 5, "dirname", NULL},
                {"3.4 row 6 EDI_PARTY_NAME", 6, NULL, "EDI"},
                {"3.4 row 7 URL", 7, "uri", NULL},
                {"3.4 row 8 IP_ADDRESS", 8, "ip", NULL},
                {"3.4 row 9 REGISTERED_ID", 9, "rid", NULL},
                {"3.4 row 10 GUID", 10, "guid", NULL},
                {"3.4 row 11 USER_PRINCIPLE_NAME", 11, "upn", NULL},
                {"beyond the table", 12, NULL, "12, which does not exist"},
                {"beyond the table", 100, NULL, "100, which does not exist"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const char *word = san_kind_of_number(cases[i].number);
                struct error e = {0};

                if (cases[i].word) {
                        assert_string_equal(word ? word : "(none)", cases[i].word);
                        continue;
                }
                assert_null(word);
                expect_err(san_number_refuse(cases[i].number, &e),
                           cases[i].number > 11 ? ERR_PROFILE : ERR_UNSUPPORTED);
                if (!strstr(e.message, cases[i].refusal))
                        fail_msg("%s: %s", cases[i].row, e.message);
        }
}

static void only_variables(void **state)
{
        static const char *const yes[] = {"dns:{{DeviceName}}", "other:1.2.3:{{UserName}}",
                                          "dirname:CN={{UserName}},E={{EmailAddress}}",
                                          "guid:{{AAD_Device_ID}}"};
        static const char *const no[] = {"dns:{{DeviceName}}.x",
                                         "other:1.2.3:x{{UserName}}",
                                         "dirname:CN=a",
                                         "dirname:CN={{UserName}},O=x",
                                         "nonsense",
                                         "ip:10.0.0.1"};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(yes); i++)
                assert_true(san_entry_only_variables(yes[i]));
        for (size_t i = 0; i < N_ELEMENTS(no); i++)
                assert_false(san_entry_only_variables(no[i]));
}

static void many_and_none(void **state)
{
        struct fake_facts fake = {0};
        const struct facts facts = {&fake, fake_get};
        struct error e = {0};
        struct strings s = {0};
        struct bytes der = {0};
        char label[1100] = "uri:a:";

        (void)state;
        expect_ok(san_der(&s, &facts, &der, &e));
        assert_int_equal(der.len, 0);
        memset(label + 6, 'x', 1000);
        for (int i = 0; i < 9; i++)
                expect_ok(strings_add(&s, label, &e));
        expect_err(san_der(&s, &facts, &der, &e), ERR_TOO_LARGE);
        strings_done(&s);
        expect_ok(strings_add(&s, "ip:10.0.0.1", &e));
        expect_ok(strings_add(&s, "dns:a.b", &e));
        expect_ok(san_der(&s, &facts, &der, &e));
        assert_int_equal(der.len, 13);
        assert_memory_equal(der.data, "\x30\x0b\x87\x04\x0a\x00\x00\x01\x82\x03\x61\x2e\x62", 13);
        bytes_done(&der);
        strings_done(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(encodes), cmocka_unit_test(refuses),        cmocka_unit_test(many_and_none),
                cmocka_unit_test(numbers), cmocka_unit_test(only_variables),
        };

        return cmocka_run_group_tests_name("san", tests, NULL, NULL);
}
