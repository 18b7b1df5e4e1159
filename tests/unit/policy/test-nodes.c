/* policy/nodes: every node of facts §3.1 to §3.3 and of the agent's dialect, and what may be done to it. */
#include "test.h"

#include "policy/nodes.h"

#define CCI   "./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/id"
#define MY    "./Vendor/MSFT/CertificateStore/MY/SCEP/id"
#define AGENT "./Vendor/MSFT/CertificateStore/Enroll/ModelName=AC_1%2FLogicalName_2%3BHash=-3"
#define HASH  "0123456789abcdef0123456789abcdef01234567"

enum { A = NODE_ADD, G = NODE_GET, R = NODE_REPLACE, D = NODE_DELETE, X = NODE_EXEC, NOTHING = 0 };

static void table(void **state)
{
        static const struct {
                const char *row, *location;
                enum node_kind kind;
                unsigned access;
                const char *format, *name;
        } cases[] = {
                {"3.1 root", CCI, NODE_INSTANCE, A | G | D, "node", ""},
                {"3.1 ServerURL", CCI "/Install/ServerURL", NODE_VALUE, A | G | R, "chr", "ServerURL"},
                {"3.1 Challenge", CCI "/Install/Challenge", NODE_SECRET, A | R, "chr", "Challenge"},
                {"3.1 EKUMapping", CCI "/Install/EKUMapping", NODE_VALUE, A | G | R, "chr", "EKUMapping"},
                {"3.1 KeyUsage", CCI "/Install/KeyUsage", NODE_VALUE, A | G | R, "int", "KeyUsage"},
                {"3.1 SubjectName", CCI "/Install/SubjectName", NODE_VALUE, A | G | R, "chr", "SubjectName"},
                {"3.1 KeyProtection", CCI "/Install/KeyProtection", NODE_VALUE, A | G | R, "int",
                 "KeyProtection"},
                {"3.1 RetryDelay", CCI "/Install/RetryDelay", NODE_VALUE, A | G | R, "int", "RetryDelay"},
                {"3.1 RetryCount", CCI "/Install/RetryCount", NODE_VALUE, A | G | R, "int", "RetryCount"},
                {"3.1 TemplateName", CCI "/Install/TemplateName", NODE_VALUE, A | G | R, "chr",
                 "TemplateName"},
                {"3.1 KeyLength", CCI "/Install/KeyLength", NODE_VALUE, A | G | R, "int", "KeyLength"},
                {"3.1 HashAlgorithm", CCI "/Install/HashAlgorithm", NODE_VALUE, A | G | R, "chr",
                 "HashAlgorithm"},
                {"3.1 CAThumbprint", CCI "/Install/CAThumbprint", NODE_VALUE, A | G | R, "chr",
                 "CAThumbprint"},
                {"3.1 SubjectAlternativeNames", CCI "/Install/SubjectAlternativeNames", NODE_VALUE, A | G | R,
                 "chr", "SubjectAlternativeNames"},
                {"3.1 ValidPeriod", CCI "/Install/ValidPeriod", NODE_VALUE, A | G | R, "chr", "ValidPeriod"},
                {"3.1 ValidPeriodUnits", CCI "/Install/ValidPeriodUnits", NODE_VALUE, A | G | R, "int",
                 "ValidPeriodUnits"},
                {"3.1 ContainerName", CCI "/Install/ContainerName", NODE_VALUE, A | G | R, "chr",
                 "ContainerName"},
                {"3.1 CustomTextToShowInPrompt", CCI "/Install/CustomTextToShowInPrompt", NODE_VALUE,
                 A | G | R, "chr", "CustomTextToShowInPrompt"},
                {"3.1 AADKeyIdentifierList", CCI "/Install/AADKeyIdentifierList", NODE_VALUE, A | G | R,
                 "chr", "AADKeyIdentifierList"},
                {"3.1 AttestPrivateKey", CCI "/Install/AttestPrivateKey", NODE_VALUE, A | G | R, "int",
                 "AttestPrivateKey"},
                {"3.1 Enroll", CCI "/Install/Enroll", NODE_ENROLL, X, "null", "Enroll"},
                {"3.1 CertThumbprint", CCI "/CertThumbprint", NODE_STATE, G, "chr", "CertThumbprint"},
                {"3.1 Status", CCI "/Status", NODE_STATE, G, "int", "Status"},
                {"3.1 ErrorCode", CCI "/ErrorCode", NODE_STATE, G, "int", "ErrorCode"},
                {"3.1 RespondentServerUrl", CCI "/RespondentServerUrl", NODE_STATE, G, "chr",
                 "RespondentServerUrl"},
                {"3.1 PFX branch", "./Vendor/MSFT/ClientCertificateInstall/PFXCertInstall/x/KeyLocation",
                 NODE_REFUSED, NOTHING, "", ""},
                {"3.1 list", "./Vendor/MSFT/ClientCertificateInstall/SCEP", NODE_LIST, G, "node", ""},
                {"3.1 list of lists", "./Vendor/MSFT/ClientCertificateInstall", NODE_LIST, G, "node", ""},
                {"3.1 user", "./User/Vendor/MSFT/ClientCertificateInstall/SCEP/id/Install/Enroll",
                 NODE_ENROLL, X, "null", "Enroll"},
                {"3.1 no such value", CCI "/Install/Bogus", NODE_REFUSED, NOTHING, NULL, NULL},
                {"3.1 deeper than a value", CCI "/Install/ServerURL/x", NODE_REFUSED, NOTHING, NULL, NULL},

                {"3.2 MY/SCEP", MY, NODE_INSTANCE, A | G | D, "node", ""},
                {"3.2 names in any case", "./vendor/msft/certificatestore/my/scep/id/install/serverurl",
                 NODE_VALUE, A | G | R, "chr", "ServerURL"},
                {"3.2 KeyLength (chr)", MY "/Install/KeyLength", NODE_VALUE, A | G | R, "chr", "KeyLength"},
                {"3.2 HashAlgrithm (so spelled)", MY "/Install/HashAlgrithm", NODE_VALUE, A | G | R, "chr",
                 "HashAlgorithm"},
                {"3.2 HashAlgorithm is not there", MY "/Install/HashAlgorithm", NODE_REFUSED, NOTHING, NULL,
                 NULL},
                {"3.2 CAThumbPrint", MY "/Install/CAThumbPrint", NODE_VALUE, A | G | R, "chr",
                 "CAThumbprint"},
                {"3.2 ValidPeriodUnit (singular)", MY "/Install/ValidPeriodUnit", NODE_VALUE, A | G | R,
                 "int", "ValidPeriodUnits"},
                {"3.2 ValidPeriodUnits is not there", MY "/Install/ValidPeriodUnits", NODE_REFUSED, NOTHING,
                 NULL, NULL},
                {"3.2 Challenge", MY "/Install/Challenge", NODE_SECRET, A | R, "chr", "Challenge"},
                {"3.2 Enroll", MY "/Install/Enroll", NODE_ENROLL, X, "null", "Enroll"},
                {"3.2 CertThumbPrint", MY "/CertThumbPrint", NODE_STATE, G, "chr", "CertThumbprint"},
                {"3.2 Status", MY "/Status", NODE_STATE, G, "int", "Status"},
                {"3.2 ErrorCode", MY "/ErrorCode", NODE_STATE, G, "int", "ErrorCode"},
                {"3.2 no RespondentServerUrl", MY "/RespondentServerUrl", NODE_REFUSED, NOTHING, NULL, NULL},
                {"3.2 ROOT/System", "./Vendor/MSFT/CertificateStore/ROOT/System/" HASH "/EncodedCertificate",
                 NODE_CERTIFICATE, A | G | R, "b64", "EncodedCertificate"},
                {"3.2 IssuedBy", "./Vendor/MSFT/CertificateStore/ROOT/System/" HASH "/IssuedBy",
                 NODE_CERTIFICATE_FACT, G, "chr", "IssuedBy"},
                {"3.2 CA", "./Vendor/MSFT/CertificateStore/CA/System/" HASH "/EncodedCertificate",
                 NODE_REFUSED, NOTHING, "", ""},
                {"3.2 MY/User", "./Vendor/MSFT/CertificateStore/MY/User/" HASH, NODE_REFUSED, NOTHING, "",
                 ""},
                {"3.2 MY/WSTEP", "./Vendor/MSFT/CertificateStore/MY/WSTEP/Renew/RenewPeriod", NODE_REFUSED,
                 NOTHING, "", ""},
                {"3.2 MY", "./Vendor/MSFT/CertificateStore/MY", NODE_LIST, G, "node", ""},
                {"3.2 agent's Root/{GUID}",
                 "./Vendor/MSFT/CertificateStore/Root/0a1b2c3d-0000-4000-8000-1234567890ab/"
                 "EncodedCertificate",
                 NODE_CERTIFICATE, A | G | R, "b64", "EncodedCertificate"},
                {"3.2 agent's Enroll/<name>/Install", AGENT "/Install", NODE_DOCUMENT, A | R, "xml",
                 "Install"},
                {"3.2 agent's Enroll/<name>", AGENT, NODE_INSTANCE, G | D, "node", ""},
                {"3.2 agent's Enroll/<name>/Status", AGENT "/Status", NODE_STATE, G, "int", "Status"},
                {"3.2 agent's SCEP", "./Vendor/MSFT/CertificateStore/SCEP", NODE_LIST, G, "node", ""},

                {"3.3 Root",
                 "./Device/Vendor/MSFT/RootCATrustedCertificates/Root/" HASH "/EncodedCertificate",
                 NODE_CERTIFICATE, A | G | R, "b64", "EncodedCertificate"},
                {"3.3 Root of a user", "./User/Vendor/MSFT/RootCATrustedCertificates/Root/" HASH,
                 NODE_REFUSED, NOTHING, "", ""},
                {"3.3 CA", "./Device/Vendor/MSFT/RootCATrustedCertificates/CA/" HASH, NODE_REFUSED, NOTHING,
                 "", ""},
                {"3.3 TrustedPublisher", "./Vendor/MSFT/RootCATrustedCertificates/TrustedPublisher/" HASH,
                 NODE_REFUSED, NOTHING, "", ""},
                {"3.3 TrustedPeople", "./User/Vendor/MSFT/RootCATrustedCertificates/TrustedPeople/" HASH,
                 NODE_REFUSED, NOTHING, "", ""},
                {"3.3 CertHash", "./Vendor/MSFT/RootCATrustedCertificates/Root/" HASH, NODE_INSTANCE,
                 A | G | D, "node", ""},
                {"3.3 ValidTo", "./Vendor/MSFT/RootCATrustedCertificates/Root/" HASH "/ValidTo",
                 NODE_CERTIFICATE_FACT, G, "chr", "ValidTo"},

                {"6.1 Scheduler", "./Vendor/MSFT/Scheduler/IntervalDurationSeconds", NODE_REFUSED, NOTHING,
                 NULL, NULL},
                {"6.1 GCM", "./Vendor/MSFT/GCM", NODE_REFUSED, NOTHING, NULL, NULL},
                {"6.1 LocalTime", "./DevDetail/Ext/Microsoft/LocalTime", NODE_REFUSED, NOTHING, NULL, NULL},
                {"no vendor", "./CertificateStore/Root", NODE_REFUSED, NOTHING, NULL, NULL},
                {"nothing", "", NODE_REFUSED, NOTHING, NULL, NULL},
                {"too deep", "./Vendor/MSFT/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", NODE_REFUSED, NOTHING, NULL,
                 NULL},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct location l = {0};
                struct node_place place = {0};
                struct error e = {0};
                enum err r;

                expect_ok(location_split(cases[i].location, &l, &e));
                r = node_find(&l, &place, &e);
                if (!cases[i].format) {
                        if (r != ERR_NOT_FOUND)
                                fail_msg("%s: there is such a node", cases[i].row);
                } else if (r || place.kind != cases[i].kind) {
                        fail_msg("%s: %s, kind %d", cases[i].row, err_name(r), (int)place.kind);
                } else if (place.kind == NODE_REFUSED) {
                        assert_true(strlen(place.why) > 20);
                } else {
                        assert_int_equal(place.access, cases[i].access);
                        assert_string_equal(place.format, cases[i].format);
                        if (*cases[i].name)
                                assert_string_equal(place.name, cases[i].name);
                }
                node_place_done(&place);
                location_done(&l);
        }
}

static char *key_of(const char *location)
{
        struct location l = {0};
        struct node_place place = {0};
        struct error e = {0};
        char *key;

        expect_ok(location_split(location, &l, &e));
        expect_ok(node_find(&l, &place, &e));
        key = STEAL(place.key);
        node_place_done(&place);
        location_done(&l);
        return key;
}

/* Facts §6.3: what is the same instance, and what is another. */
static void keys(void **state)
{
        static const struct {
                const char *a, *b;
                bool same;
        } cases[] = {
                {AGENT "/Install",
                 "./Device/Vendor/MSFT/CertificateStore/Enroll/ModelName=AC_1%2FLogicalName_2;Hash=4/Status",
                 true},
                {AGENT, "./Vendor/MSFT/CertificateStore/SCEP/ModelName=AC_1%2fLogicalName_2/Status", true},
                {AGENT, "./User/Vendor/MSFT/CertificateStore/Enroll/ModelName=AC_1%2FLogicalName_2%3BHash=-3",
                 false},
                {AGENT, "./Vendor/MSFT/CertificateStore/Enroll/ModelName=AC_1%2FLogicalName_3%3BHash=-3",
                 false},
                {AGENT, "./Vendor/MSFT/CertificateStore/Enroll/ModelName=AC_2%2FLogicalName_2%3BHash=-3",
                 false},
                {CCI, "./Vendor/MSFT/clientcertificateinstall/scep/ID/Install/ServerURL", true},
                {CCI, MY, false},
                {"./Vendor/MSFT/CertificateStore/Root/x", "./Vendor/MSFT/CertificateStore/Root/System/x",
                 false},
                /* one decoding, and none of what is no escape */
                {"./Vendor/MSFT/ClientCertificateInstall/SCEP/a%2520b",
                 "./Vendor/MSFT/ClientCertificateInstall/SCEP/a%20b", false},
                {"./Vendor/MSFT/ClientCertificateInstall/SCEP/a%zz",
                 "./Vendor/MSFT/ClientCertificateInstall/SCEP/a%25zz", true},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char *a = key_of(cases[i].a), *b = key_of(cases[i].b);

                if ((strcmp(a, b) == 0) != cases[i].same)
                        fail_msg("%s and %s: '%s', '%s'", cases[i].a, cases[i].b, a, b);
                free(a);
                free(b);
        }
}

static void formats(void **state)
{
        static const struct {
                const char *node, *format;
                bool fits;
        } cases[] = {
                {"chr", "", true},      {"chr", "chr", true},   {"chr", "b64", false}, {"int", "int", true},
                {"int", "chr", true},   {"int", "b64", false},  {"b64", "b64", true},  {"b64", "chr", true},
                {"b64", "int", false},  {"xml", "xml", true},   {"xml", "b64", false}, {"null", "null", true},
                {"null", "int", false}, {"int", "bool", false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct node_place place = {.format = cases[i].node};

                assert_int_equal(node_format_fits(&place, cases[i].format), cases[i].fits);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(keys),
                                           cmocka_unit_test(formats)};

        return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
