/* policy/san: general names and their DER. */
#include "test.h"

#include "base/parse.h"
#include "facts.h"
#include "policy/san.h"

static enum err encode(const char *entry, struct bytes *ret, struct error *e)
{
        struct fake_facts fake = {
                .values = {[FACT_DEVICE_NAME] = "pc1", [FACT_SECURITY_IDENTIFIER] = "S-1-5-21-7"}};
        const struct facts facts = {&fake, fake_get};
        struct strings s = {0};
        enum err r = strings_add(&s, entry, e);

        if (r == ERR_OK)
                r = san_der(&s, &facts, ret, e);
        strings_done(&s);
        return r;
}

static void encodes(void **state)
{
        static const struct {
                const char *entry, *hex;
        } cases[] = {
                {"dns:{{DeviceName}}.x.de", "300a820870"
                                            "63312e782e6465"},
                {"DNS:*.a", "300582032a2e61"},
                {"email:a@b", "3005810361"
                              "4062"},
                {"uri:urn:a", "3007860575726e3a61"},
                {"upn:a@b", "3015a013060a2b060104018237140203a0050c03614062"},
                {"uri:{{OnPremisesSecurityIdentifier}}", "302d862b7461673a6d6963726f736f66742e636f6d2c3230323"
                                                         "22d30392d31343a7369643a532d312d352d32312d37"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct bytes der = {0};
                char hex[512];

                expect_ok(encode(cases[i].entry, &der, &e));
                hex_encode(bytes_view(&der), hex);
                assert_string_equal(hex, cases[i].hex);
                bytes_done(&der);
        }
}

static void refuses(void **state)
{
        static const struct {
                const char *entry;
                enum err code;
        } cases[] = {
                {"dns:a b", ERR_PROFILE},
                {"dns:.a", ERR_PROFILE},
                {"dns:a..b", ERR_PROFILE},
                {"dns:-a", ERR_PROFILE},
                {"dns:a.", ERR_PROFILE},
                {"dns:m\xc3\xbc.de", ERR_PROFILE},
                {"dns:a.*", ERR_PROFILE},
                {"email:a", ERR_PROFILE},
                {"email:@b", ERR_PROFILE},
                {"email:a@", ERR_PROFILE},
                {"email:a@b@c", ERR_PROFILE},
                {"email:\xc3\xbc@b", ERR_PROFILE},
                {"email:a b@c", ERR_PROFILE},
                {"upn:a", ERR_PROFILE},
                {"uri:a", ERR_PROFILE},
                {"uri:/a:b", ERR_PROFILE},
                {"uri:1a:b", ERR_PROFILE},
                {"uri:http:", ERR_PROFILE},
                {"uri:a:\xc3\xbc", ERR_PROFILE},
                {"uri:a: b", ERR_PROFILE},
                {"nonsense:a", ERR_PROFILE},
                {"dns:", ERR_PROFILE},
                {"dns", ERR_PROFILE},
                {"dns:{{UserName}}", ERR_VARIABLE},
                {"ip:10.0.0.1", ERR_UNSUPPORTED},
                {"dirname:CN=a", ERR_UNSUPPORTED},
                {"rid:1.2.3", ERR_UNSUPPORTED},
                {"guid:0a", ERR_UNSUPPORTED},
                {"other:1.2.3:x", ERR_UNSUPPORTED},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct bytes der = {0};

                expect_err(encode(cases[i].entry, &der, &e), cases[i].code);
                assert_null(der.data);
        }
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
        assert_string_equal(san_kind_of_number(2), "email");
        assert_string_equal(san_kind_of_number(11), "upn");
        assert_null(san_kind_of_number(4));
        assert_null(san_kind_of_number(0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(encodes),
                cmocka_unit_test(refuses),
                cmocka_unit_test(many_and_none),
        };

        return cmocka_run_group_tests_name("san", tests, NULL, NULL);
}
