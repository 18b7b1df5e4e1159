/* policy/issuers: facts §5.2 (order and direction), §6.4 (the element Issuers). */
#include "test.h"

#include "base/ossl.h"
#include "policy/issuers.h"

/* "/DC=local/+…": type=value after each '/', joined to the one before with '+'; all of one string type. */
static X509_NAME *name_of(const char *slashes, int type)
{
        X509_NAME *name = X509_NAME_new();

        for (const char *p = slashes; *p;) {
                char key[64] = "", value[128] = "";
                size_t n = strcspn(p + 1, "="), m = strcspn(p + 1 + n + 1, "/+");
                ASN1_OBJECT *oid;

                memcpy(key, p + 1, n);
                memcpy(value, p + 1 + n + 1, m);
                oid = OBJ_txt2obj(key, 0);
                assert_non_null(oid);
                assert_int_equal(X509_NAME_add_entry_by_OBJ(name, oid, type, (const unsigned char *)value, -1,
                                                            -1, *p == '+' ? -1 : 0),
                                 1);
                ASN1_OBJECT_free(oid);
                p += 1 + n + 1 + m;
        }
        return name;
}

#define SEED     "CN=FourthCoffee CA; DC=fourthcoffee; DC=local"
#define SEED_DER "/DC=local/DC=fourthcoffee/CN=FourthCoffee CA"

static void matches(void **state)
{
        static const struct {
                const char *row, *text, *issuer;
        } yes[] = {
                {"5.2 the seed's, printed with REVERSE", SEED, SEED_DER},
                {"5.2 as the certificate has it", "DC=local; DC=fourthcoffee; CN=FourthCoffee CA", SEED_DER},
                {"5.2 forward in the certificate, too", SEED, "/CN=FourthCoffee CA/DC=fourthcoffee/DC=local"},
                {"commas", "CN=FourthCoffee CA, DC=fourthcoffee, DC=local", SEED_DER},
                {"no blanks, a separator at the end", "CN=FourthCoffee CA;DC=fourthcoffee;DC=local;",
                 SEED_DER},
                {"caseIgnoreMatch: case", "cn=fourthCOFFEE ca; dc=FOURTHcoffee; dc=LOCAL", SEED_DER},
                {"caseIgnoreMatch: runs of blanks", "CN=\" FourthCoffee   CA \"; DC=fourthcoffee; DC=local",
                 SEED_DER},
                {"6.4 several, by |", "CN=Other; DC=x | " SEED, SEED_DER},
                {"6.4 several, by | without blanks", "CN=Other|" SEED "|CN=Third", SEED_DER},
                {"6.4 several, by lines", "CN=Other; DC=x\r\n" SEED "\n", SEED_DER},
                {"6.4 several, nothing between, the first", SEED "; CN=Other; DC=x", SEED_DER},
                {"6.4 several, nothing between, the second", "CN=Other; O=x; C=US; " SEED, SEED_DER},
                {"6.4 several, nothing between, CN last",
                 "DC=local; DC=fourthcoffee; CN=FourthCoffee CA; DC=local; DC=x; CN=Other", SEED_DER},
                {"6.4 several, nothing between, CN last, the second",
                 "C=US; CN=Other; DC=local; DC=fourthcoffee; CN=FourthCoffee CA", SEED_DER},
                {"two CNs in one name", "CN=a; CN=b; O=c", "/O=c/CN=b/CN=a"},
                {"a CN inside one name", "CN=a; OU=b; CN=c", "/CN=a/OU=b/CN=c"},
                {"quoted separators", "CN=\"a|b;c\"; O=d", "/O=d/CN=a|b;c"},
                {"doubled quotes", "CN=\"a \"\"b\"\"\"; O=d", "/O=d/CN=a \"b\""},
                {"a multi-valued RDN", "CN=a+OU=b; O=c", "/O=c/OU=b+CN=a"},
                {"a multi-valued RDN, forward", "O=c; CN=a+OU=b", "/O=c/OU=b+CN=a"},
                {"longer than a subject's bound",
                 "OU=0123456789012345678901234567890123456789012345678901234567890123456789",
                 "/OU=0123456789012345678901234567890123456789012345678901234567890123456789"},
                {"not ASCII", "CN=M\xc3\xbcller", "/CN=M\xc3\xbcller"},
                {"dotted OID", "2.5.4.5=7; CN=a", "/CN=a/2.5.4.5=7"},
        };
        static const struct {
                const char *row, *text, *issuer;
        } no[] = {
                {"another", SEED, "/DC=local/DC=fourthcoffee/CN=Other"},
                {"a part at the end", SEED, "/DC=local/DC=fourthcoffee"},
                {"a part at the beginning", SEED, "/CN=FourthCoffee CA"},
                {"more", SEED, "/DC=com/DC=local/DC=fourthcoffee/CN=FourthCoffee CA"},
                {"another order", SEED, "/DC=fourthcoffee/DC=local/CN=FourthCoffee CA"},
                {"another type", SEED, "/DC=local/O=fourthcoffee/CN=FourthCoffee CA"},
                {"joined, where it was not", "CN=a; OU=b", "/CN=a+OU=b"},
                {"not joined, where it was", "CN=a+OU=b", "/CN=a/OU=b"},
                {"across two names", "CN=a; O=b; CN=c; O=d", "/O=b/CN=c"},
                {"across a separator", "CN=a|O=b", "/CN=a/O=b"},
                {"garbage", "FourthCoffee CA", "/CN=FourthCoffee CA"},
                {"garbage behind it", "CN=a|x", "/CN=a"},
                {"an empty name", SEED, ""},
        };
        static const int types[] = {V_ASN1_UTF8STRING, V_ASN1_PRINTABLESTRING};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(yes); i++)
                for (size_t t = 0; t < N_ELEMENTS(types); t++) {
                        X509_NAME *issuer =
                                name_of(yes[i].issuer, types[strstr(yes[i].text, "\xc3") ? 0 : t]);
                        struct error e = {0};

                        if (issuers_check(yes[i].text, &e) || !issuers_match(yes[i].text, issuer))
                                fail_msg("%s: %s", yes[i].row, e.message);
                        X509_NAME_free(issuer);
                }
        for (size_t i = 0; i < N_ELEMENTS(no); i++) {
                X509_NAME *issuer = name_of(no[i].issuer, V_ASN1_UTF8STRING);

                if (issuers_match(no[i].text, issuer))
                        fail_msg("%s", no[i].row);
                X509_NAME_free(issuer);
        }
}

static void refusals(void **state)
{
        static const struct {
                const char *text;
                enum err code;
                const char *where;
        } cases[] = {
                {"", ERR_PROFILE, "empty"},
                {" | \r\n", ERR_PROFILE, "empty"},
                {"FourthCoffee CA", ERR_PROFILE,
                 "Issuer 1 (from character 1 on): The name 'FourthCoffee CA'"},
                {"CN=a; XX=b", ERR_PROFILE, "at character 7"},
                {"CN=a | CN=b; c", ERR_PROFILE, "Issuer 2 (from character 8 on)"},
                {"CN=a | CN=b; c", ERR_PROFILE, "at character 7"},
                {"CN=a\nCN=\"b", ERR_PROFILE, "Issuer 2"},
                {"CN=a\nCN=\"b", ERR_PROFILE, "never closed"},
                {";", ERR_PROFILE, "Issuer 1"},
                {"CN=", ERR_PROFILE, "empty"},
                {"CN=#0401", ERR_UNSUPPORTED, "octets"},
                {"{ID}", ERR_PROFILE, "character 1"},
        };
        char *large = malloc(ISSUERS_MAX + 2);

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};

                expect_err(issuers_check(cases[i].text, &e), cases[i].code);
                if (!strstr(e.message, cases[i].where))
                        fail_msg("'%s': %s", cases[i].text, e.message);
        }
        memset(large, 'a', ISSUERS_MAX + 1);
        memcpy(large, "CN=", 3);
        large[ISSUERS_MAX + 1] = 0;
        struct error e = {0};

        expect_err(issuers_check(large, &e), ERR_TOO_LARGE);
        large[ISSUERS_MAX] = 0;
        expect_ok(issuers_check(large, &e));
        free(large);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(matches),
                cmocka_unit_test(refusals),
        };

        return cmocka_run_group_tests_name("issuers", tests, NULL, NULL);
}
