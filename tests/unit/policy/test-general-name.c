/* policy/general-name: what people read, and what counts as the same. */
#include "test.h"

#include "base/ossl.h"
#include "base/parse.h"
#include "policy/general-name.h"

static GENERAL_NAME *read_name(const char *hex)
{
        uint8_t der[512];
        const unsigned char *p = der;
        size_t len = 0;
        GENERAL_NAME *name;

        assert_true(hex_decode(hex, der, sizeof der, &len));
        name = d2i_GENERAL_NAME(NULL, &p, (long)len);
        assert_non_null(name);
        return name;
}

#define UPN  "060a2b060104018237140203"
#define GUID "06092b0601040182371901"

static void texts(void **state)
{
        static const struct {
                const char *row, *hex, *text;
        } cases[] = {
                {"3.4 row 1 OTHER_NAME, text", "a00e06032a0304a0070c0574653a7874", "other:1.2.3.4:te:xt"},
                {"3.4 row 1 OTHER_NAME, no text", "a00b06032a0304a00404020102", "other:1.2.3.4:#04020102"},
                {"3.4 row 1 OTHER_NAME, NULL", "a00906032a0304a0020500", "other:1.2.3.4:#0500"},
                {"3.4 row 1 OTHER_NAME, long",
                 "a03006032a0304a0290427"
                 "00000000000000000000000000000000000000"
                 "0000000000000000000000000000000000000000",
                 "other:1.2.3.4:#0427000000000000000000000000000000000000000000000000000000000000..."},
                {"3.4 row 2 RFC822_NAME", "8103614062", "email:a@b"},
                {"3.4 row 3 DNS_NAME", "8203612e62", "dns:a.b"},
                {"3.4 row 3 DNS_NAME, a NUL inside", "8203610062", "dns:a?b"},
                {"3.4 row 4 X400_ADDRESS", "a30430003000", "of an X.400 address"},
                {"3.4 row 5 DIRECTORY_NAME", "a410300e310c300a06035504031303706331", "dirname:CN = pc1"},
                {"3.4 row 6 EDI_PARTY_NAME", "a505a1030c0178", "of an EDI party"},
                {"3.4 row 7 URL", "860575726e3a61", "uri:urn:a"},
                {"3.4 row 8 IP_ADDRESS, IPv4", "8704c0000201", "ip:192.0.2.1"},
                {"3.4 row 8 IP_ADDRESS, IPv6", "871020010db8000000000000000000000001", "ip:2001:db8::1"},
                {"3.4 row 8 IP_ADDRESS, neither", "87030a0000", "ip:#0a0000"},
                {"3.4 row 9 REGISTERED_ID", "88062a864886f70d", "rid:1.2.840.113549"},
                {"3.4 row 10 GUID", "a01f" GUID "a012041033221100554477668899aabbccddeeff",
                 "guid:00112233-4455-6677-8899-aabbccddeeff"},
                {"3.4 row 10 GUID, too short", "a010" GUID "a003040100",
                 "other:1.3.6.1.4.1.311.25.1:#040100"},
                {"3.4 row 11 USER_PRINCIPLE_NAME", "a013" UPN "a0050c03614062", "upn:a@b"},
                {"3.4 row 11 as BMPString", "a016" UPN "a0081e06006100400062", "upn:a@b"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                GENERAL_NAME *name = read_name(cases[i].hex);
                char text[160], cut[8];

                general_name_text(name, text, sizeof text);
                if (strcmp(text, cases[i].text) != 0)
                        fail_msg("%s: '%s'", cases[i].row, text);
                general_name_text(name, cut, sizeof cut);
                assert_true(strlen(cut) < sizeof cut);
                assert_memory_equal(cut, cases[i].text, strlen(cut));
                GENERAL_NAME_free(name);
        }
}

static void sameness(void **state)
{
        static const struct {
                const char *row, *a, *b;
                bool same;
        } cases[] = {
                {"host names", "8203612e62", "8203412e42", true},
                {"host names, another", "8203612e62", "8203612e63", false},
                {"host names, longer", "8203612e62", "8204612e6262", false},
                {"another kind", "8203612e62", "8103612e62", false},
                {"e-mail, host", "8103614062", "8103614042", true},
                {"e-mail, local part", "8103614062", "8103414062", false},
                {"URI, scheme and host", "8609687474703a2f2f612f", "8609485454503a2f2f412f", true},
                {"URI, path", "860a687474703a2f2f612f62", "860a687474703a2f2f612f42", false},
                {"URI without a host", "860575726e3a61", "860575726e3a41", false},
                {"URI without a host, scheme", "860575726e3a61", "860555524e3a61", true},
                {"IP", "87040a000001", "87040a000001", true},
                {"IP, another", "87040a000001", "87040a000002", false},
                {"IP, other length", "87040a000001", "87030a0000", false},
                {"rid", "88062a864886f70d", "88062a864886f70d", true},
                {"rid, another", "88062a864886f70d", "88032a0304", false},
                {"dirname, string type and case", "a410300e310c300a06035504031303706331",
                 "a410300e310c300a06035504030c03504331", true},
                {"dirname, another", "a410300e310c300a06035504031303706331",
                 "a410300e310c300a06035504031303706332", false},
                {"UPN, case", "a013" UPN "a0050c03614062", "a013" UPN "a0050c03614042", true},
                {"UPN, string type", "a013" UPN "a0050c03614062", "a016" UPN "a0081e06006100400062", true},
                {"UPN, another", "a013" UPN "a0050c03614062", "a013" UPN "a0050c03614063", false},
                {"UPN, no text", "a013" UPN "a0050c03614062", "a013" UPN "a0050403614062", false},
                {"guid", "a01f" GUID "a012041033221100554477668899aabbccddeeff",
                 "a01f" GUID "a012041033221100554477668899aabbccddeeff", true},
                {"guid, another", "a01f" GUID "a012041033221100554477668899aabbccddeeff",
                 "a01f" GUID "a012041033221100554477668899aabbccddeefe", false},
                {"other, string type", "a00a06032a0304a0030c0161", "a00a06032a0304a003130161", true},
                {"other, case", "a00a06032a0304a0030c0161", "a00a06032a0304a0030c0141", false},
                {"other, OID", "a00a06032a0304a0030c0161", "a00a06032a0305a0030c0161", false},
                {"EDI, never", "a505a1030c0178", "a505a1030c0178", false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                GENERAL_NAME *a = read_name(cases[i].a), *b = read_name(cases[i].b);

                if (general_name_same(a, b) != cases[i].same || general_name_same(b, a) != cases[i].same)
                        fail_msg("%s", cases[i].row);
                GENERAL_NAME_free(a);
                GENERAL_NAME_free(b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(texts),
                cmocka_unit_test(sameness),
        };

        return cmocka_run_group_tests_name("general-name", tests, NULL, NULL);
}
