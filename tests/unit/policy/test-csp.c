/* policy/csp and policy/windows: each value of facts §3.1 and §3.2 as the setting it becomes, or refused. */
#include "test.h"

#include "policy/csp.h"
#include "policy/hresult.h"
#include "policy/profile.h"

#define CCI BRANCH_CLIENT_CERTIFICATE_INSTALL
#define OLD BRANCH_MY_SCEP

static const char *const whole[][2] = {{"ServerURL", "https://a/mscep.dll"},
                                       {"EKUMapping", "1.3.6.1.5.5.7.3.2"},
                                       {"KeyUsage", "160"},
                                       {"SubjectName", "CN=pc1"},
                                       {"KeyLength", "2048"},
                                       {"HashAlgorithm", "SHA-2"},
                                       {"CAThumbprint", "0123456789abcdef0123456789abcdef01234567"}};

/* The whole with one value changed or added; NULL: left out. */
static void values_with(const char *name, const char *value, struct settings *ret)
{
        struct error e = {0};
        bool there = false;

        for (size_t i = 0; i < N_ELEMENTS(whole); i++) {
                bool it = name && strcmp(whole[i][0], name) == 0;

                there = there || it;
                if (!it || value)
                        expect_ok(settings_add(ret, whole[i][0], it ? value : whole[i][1], 0, &e));
        }
        if (name && value && !there)
                expect_ok(settings_add(ret, name, value, 0, &e));
}

static void settings_of_values(void **state)
{
        static const struct {
                const char *row, *name, *value, *key, *setting; /* setting NULL: none */
                const char *note;                               /* NULL: none */
        } cases[] = {
                {"3.1 ServerURL", "ServerURL", "https://a/x ; https://b/x", "Server.Url", "https://a/x",
                 NULL},
                {"3.1 Challenge", NULL, NULL, "Server.Challenge", "ask", NULL},
                {"3.1 EKUMapping", "EKUMapping", "1.3.6.1.5.5.7.3.2+1.3.6.1.4.1.311.20.2.2",
                 "Subject.ExtendedKeyUsage", "1.3.6.1.5.5.7.3.2", NULL},
                {"3.1 KeyUsage 160", "KeyUsage", "160", "Subject.KeyUsage",
                 "digitalSignature keyEncipherment", NULL},
                {"3.1 KeyUsage 128", "KeyUsage", "128", "Subject.KeyUsage", "digitalSignature", NULL},
                {"3.1 KeyUsage 32", "KeyUsage", "32", "Subject.KeyUsage", "keyEncipherment",
                 "needs digital signature"},
                {"3.1 KeyUsage, every bit of RFC 5280", "KeyUsage", "248", "Subject.KeyUsage",
                 "digitalSignature nonRepudiation keyEncipherment dataEncipherment keyAgreement", NULL},
                {"3.1 SubjectName", "SubjectName", "CN=\"Doe, Jane\";O=X", "Subject.Name",
                 "CN=\"Doe, Jane\";O=X", NULL},
                {"3.1 KeyProtection 1", "KeyProtection", "1", "Key.Protection", "tpm", NULL},
                {"3.1 KeyProtection 2", "KeyProtection", "2", "Key.Protection", "tpm-preferred", NULL},
                {"3.1 KeyProtection 3", "KeyProtection", "3", "Key.Protection", "software", NULL},
                {"3.1 KeyProtection absent", NULL, NULL, "Key.Protection", NULL, NULL},
                {"3.1 RetryDelay", "RetryDelay", "7", "Renewal.RetryDelay", "7", NULL},
                {"3.1 RetryCount", "RetryCount", "0", "Renewal.RetryCount", "0", NULL},
                {"3.1 RetryCount above 30", "RetryCount", "99", "Renewal.RetryCount", "30", "cut to 30"},
                {"3.1 TemplateName", "TemplateName", "1.3.6.1.4.1.311.21.8.1", "Subject.TemplateName",
                 "1.3.6.1.4.1.311.21.8.1", NULL},
                {"3.1 KeyLength", "KeyLength", "4096", "Key.Algorithm", "rsa-4096", NULL},
                {"3.1 HashAlgorithm with +", "HashAlgorithm", "SHA-1+SHA-2", "Subject.Hash", "sha-256", NULL},
                {"3.1 HashAlgorithm with ;", "HashAlgorithm", "sha-1;sha-2;SHA-3", "Subject.Hash", "sha-256",
                 NULL},
                {"3.1 HashAlgorithm SHA-3", "HashAlgorithm", "SHA-3", "Subject.Hash", "sha-256", NULL},
                {"3.1 HashAlgorithm SHA-1 alone", "HashAlgorithm", "SHA-1", "Server.AllowLegacy", "sha1",
                 "SHA-1 alone"},
                {"3.1 CAThumbprint", "CAThumbprint",
                 "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:ab:cd:ef:01:23:45:67", "Server.CaThumbprint",
                 "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:ab:cd:ef:01:23:45:67", NULL},
                {"3.1 SubjectAlternativeNames", "SubjectAlternativeNames", "11+user@contoso.com;3+host",
                 "Subject.AlternativeName", "upn:user@contoso.com", NULL},
                {"3.1 SubjectAlternativeNames, + in the value", "SubjectAlternativeNames",
                 "2+a+b@contoso.com", "Subject.AlternativeName", "email:a+b@contoso.com", NULL},
                {"3.1 SubjectAlternativeNames, empty", "SubjectAlternativeNames", "",
                 "Subject.AlternativeName", NULL, NULL},
                {"3.1 ValidPeriod", "ValidPeriod", "Years", "Subject.Validity", NULL, NULL},
                {"3.1 ValidPeriodUnits", "ValidPeriodUnits", "12", "Subject.Validity", "12 Days", NULL},
                {"3.1 ValidPeriodUnits 0", "ValidPeriodUnits", "0", "Subject.Validity", NULL, NULL},
                {"3.1 ContainerName", "ContainerName", "c", "Key.Protection", NULL, "Windows Hello"},
                {"3.1 CustomTextToShowInPrompt", "CustomTextToShowInPrompt", "t", "Key.Protection", NULL,
                 "Windows Hello"},
                {"3.1 AADKeyIdentifierList, empty", "AADKeyIdentifierList", "", "Key.Protection", NULL, NULL},
                {"3.1 AttestPrivateKey 0", "AttestPrivateKey", "0", "Key.Protection", NULL, NULL},
                {"3.1 AttestPrivateKey 1", "AttestPrivateKey", "1", "Key.Protection", NULL,
                 "without an attestation"},
                {"2.8 renewal by challenge", NULL, NULL, "Renewal.Method", "challenge", NULL},
                {"6.3 the instance's name", NULL, NULL, "Profile.Name", "_x_y", NULL},
                {"origin", NULL, NULL, "Document.Origin", "csp", NULL},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct settings values = {0}, out = {0};
                struct strings notes = {0};
                struct error e = {0};
                const char *got;
                enum err r;

                values_with(cases[i].name, cases[i].value, &values);
                r = csp_settings(CCI, &values, ".x/y", false, &out, &notes, &e);
                if (r)
                        fail_msg("%s: %s", cases[i].row, e.message);
                got = settings_get(&out, cases[i].key);
                if (!got != !cases[i].setting || (got && strcmp(got, cases[i].setting) != 0))
                        fail_msg("%s: %s=%s", cases[i].row, cases[i].key, got ? got : "(none)");
                if (notes.count != (cases[i].note ? 1 : 0) ||
                    (cases[i].note && !strstr(notes.items[0], cases[i].note)))
                        fail_msg("%s: %zu notes", cases[i].row, notes.count);
                settings_done(&values);
                settings_done(&out);
                strings_done(&notes);
        }
}

static void refused_values(void **state)
{
        static const struct {
                enum node_branch branch;
                const char *name, *value;
                enum err code;
                const char *says;
        } cases[] = {
                {CCI, "ServerURL", "ldap://a", ERR_PROFILE, "http"},
                {CCI, "ServerURL",
                 "http://a;http://b;http://c;http://d;http://e;http://f;http://g;http://h;http://i",
                 ERR_PROFILE, "at most 8"},
                {CCI, "EKUMapping", "client", ERR_PROFILE, "object identifier"},
                {CCI, "KeyUsage", "0", ERR_PROFILE, "32"},
                {CCI, "KeyUsage", "256", ERR_PROFILE, "255"},
                {CCI, "KeyUsage", "-1", ERR_PROFILE, "number"},
                {CCI, "KeyUsage", "164", ERR_PROFILE, "CA"},
                {CCI, "KeyUsage", "", ERR_PROFILE, "number"},
                {CCI, "KeyProtection", "5", ERR_PROFILE, "0 to 4"},
                {OLD, "KeyProtection", "4", ERR_PROFILE, "1 to 3"},
                {CCI, "RetryDelay", "0", ERR_PROFILE, "RetryDelay"},
                {CCI, "RetryCount", "x", ERR_PROFILE, "number"},
                {CCI, "KeyLength", "1024", ERR_PROFILE, "weak"},
                {CCI, "KeyLength", "2049", ERR_PROFILE, "2048"},
                {CCI, "HashAlgorithm", "MD5", ERR_PROFILE, "MD5"},
                {CCI, "HashAlgorithm", "", ERR_PROFILE, "no hash"},
                {CCI, "CAThumbprint", "0123", ERR_PROFILE, "40 hex"},
                {CCI, "SubjectAlternativeNames", "host", ERR_PROFILE, "type+value"},
                {CCI, "SubjectAlternativeNames", "x+host", ERR_PROFILE, "number"},
                {CCI, "SubjectAlternativeNames", "4+host", ERR_UNSUPPORTED, "X.400"},
                {CCI, "SubjectAlternativeNames", "6+host", ERR_UNSUPPORTED, "EDI"},
                {CCI, "SubjectAlternativeNames", "12+host", ERR_PROFILE, "12"},
                {CCI, "SubjectAlternativeNames", "1+host", ERR_PROFILE, "object identifier"},
                {CCI, "ValidPeriod", "Weeks", ERR_PROFILE, "Weeks"},
                {CCI, "ValidPeriodUnits", "-2", ERR_PROFILE, "number"},
                {CCI, "AADKeyIdentifierList", "a;b", ERR_UNSUPPORTED, "AADKeyIdentifierList"},
                {CCI, "AttestPrivateKey", "2", ERR_UNSUPPORTED, "attested"},
                {CCI, "Bogus", "1", ERR_NOT_FOUND, "no such value"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                enum err r = csp_check_value(cases[i].branch, cases[i].name, cases[i].value, &e);

                if (r != cases[i].code || !strstr(e.message, cases[i].says))
                        fail_msg("%s=%s: %s: %s", cases[i].name, cases[i].value, err_name(r), e.message);
        }
}

static void required_values(void **state)
{
        struct settings values = {0}, out = {0};
        struct strings notes = {0};
        struct error e = {0};

        (void)state;
        values_with(NULL, NULL, &values);
        expect_ok(csp_check_required(&values, true, &e));
        expect_err(csp_check_required(&values, false, &e), ERR_PROFILE);
        assert_non_null(strstr(e.message, "Challenge"));
        settings_done(&values);
        for (size_t i = 0; i < N_ELEMENTS(whole); i++) {
                values_with(whole[i][0], NULL, &values);
                expect_err(csp_settings(CCI, &values, "x", false, &out, &notes, &e), ERR_PROFILE);
                assert_non_null(strstr(e.message, whole[i][0]));
                settings_done(&values);
        }
        /* all at once, in one sentence */
        expect_err(csp_check_required(&values, false, &e), ERR_PROFILE);
        for (size_t i = 0; i < N_ELEMENTS(whole); i++)
                assert_non_null(strstr(e.message, whole[i][0]));
}

/* Facts §3.1: KeyProtection 4 takes 2048 bits and SHA-2; it is a user's. */
static void hello(void **state)
{
        static const struct {
                const char *name, *value;
                bool user;
                enum err code;
        } cases[] = {{NULL, NULL, true, ERR_OK},
                     {NULL, NULL, false, ERR_PROFILE},
                     {"KeyLength", "4096", true, ERR_PROFILE},
                     {"HashAlgorithm", "SHA-1", true, ERR_PROFILE}};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct settings values = {0}, out = {0};
                struct strings notes = {0};
                struct error e = {0};

                values_with(cases[i].name, cases[i].value, &values);
                expect_ok(settings_add(&values, "KeyProtection", "4", 0, &e));
                assert_int_equal(csp_settings(CCI, &values, "x", cases[i].user, &out, &notes, &e),
                                 cases[i].code);
                settings_done(&values);
                settings_done(&out);
                strings_done(&notes);
        }
}

static void numbers_of_failures(void **state)
{
        (void)state;
        assert_int_equal(hresult_of_error(""), 0);
        assert_int_equal(hresult_of_error("TpmAbsent"), 0x8028400f);
        assert_int_equal(hresult_of_error("NetworkError"), 0x80072efd);
        assert_int_equal(hresult_of_error("NobodyKnows"), 0x80004005);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(settings_of_values),  cmocka_unit_test(refused_values),
                cmocka_unit_test(required_values),     cmocka_unit_test(hello),
                cmocka_unit_test(numbers_of_failures),
        };

        return cmocka_run_group_tests_name("csp", tests, NULL, NULL);
}
