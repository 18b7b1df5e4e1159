/* policy/documents: SyncML and INI, good and bad. */
#include "test.h"

#include "documents/document.h"
#include "policy/profile.h"
#include "samples.h"

static void intune(void **state)
{
        char *text = load("intune.syncml");
        struct error e = {0};
        struct commands c = {0};
        struct profile p = {0};
        const struct command *root, *enroll;

        (void)state;
        expect_ok(document_read(DOCUMENT_AUTO, str_view(text), &c, &e));
        assert_int_equal(c.format, DOCUMENT_SYNCML);
        assert_int_equal(c.count, 15);
        assert_string_equal(c.session_id, "1");
        assert_string_equal(c.message_id, "6");
        assert_string_equal(c.target, "urn:uuid:6B6A4C2E-5D1F-4A0B-9C3E-2F1A0B9C8D7E");
        assert_int_equal(c.items[0].verb, VERB_STATUS);
        assert_int_equal(c.items[1].verb, VERB_REPLACE);
        assert_true(c.items[1].has_data);
        assert_int_equal(c.items[1].data.len, 0); /* of a node nobody here knows */
        assert_string_equal(c.items[1].format, "int");
        assert_int_equal(c.items[3].verb, VERB_EXEC);
        assert_int_equal(c.items[3].data.len, 0);
        root = &c.items[4];
        assert_int_equal(root->kind, COMMAND_ROOT);
        assert_true(root->certificate.len > 500);
        assert_int_equal(c.items[6].verb, VERB_GET);
        assert_string_equal(c.items[6].location, "./Vendor/MSFT/CertificateStore/SCEP");
        enroll = &c.items[5];
        assert_int_equal(enroll->kind, COMMAND_ENROLL);
        assert_string_equal(enroll->id, "6");
        assert_int_equal(enroll->data.len, 0);
        assert_string_equal((char *)enroll->challenge.data,
                            "PENlcnRFbnJvbGxDaGFsbGVuZ2U+c2FtcGxlPC9DZXJ0RW5yb2xsQ2hhbGxlbmdlPg==");
        assert_int_equal(enroll->notes.count, 0);
        expect_ok(profile_from_settings(&enroll->settings, false, &p, &e));
        assert_string_equal(p.name, "39907e78_e61b_4730_b9fa_d44a53e4111c");
        assert_string_equal(p.model_name, "AC_51bad41f-3854-4eb5-a2f2-0f7a94034ee8");
        assert_string_equal(p.logical_name, "39907e78_e61b_4730_b9fa_d44a53e4111c");
        assert_string_equal(p.version, "-1518303401");
        assert_int_equal(p.origin, ORIGIN_SYNCML);
        assert_int_equal(p.type, PROFILE_DEVICE);
        assert_string_equal(p.subject, "CN=name");
        assert_int_equal(p.urls.count, 1);
        assert_int_equal(p.threshold, 20);
        assert_int_equal(p.retry_delay, 1);
        assert_int_equal(p.protection, POLICY_PROTECTION_DEFAULT);
        assert_int_equal(p.hash, POLICY_SHA_256);
        assert_int_equal(p.allow_legacy, 0);
        assert_int_equal(p.method, RENEWAL_CHALLENGE);
        assert_int_equal(profile_challenge_kind(&p), CHALLENGE_ASK);
        assert_int_equal(p.key_usage, KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT);
        assert_int_equal(p.alternative_names.count, 1); /* the empty one is skipped */
        assert_string_equal(p.alternative_names.items[0], "upn:john@contoso.onmicrosoft.com");
        assert_string_equal(p.extended_key_usage.items[0], "1.3.6.1.5.5.7.3.2");
        assert_int_equal(p.validity.number, 2);
        assert_int_equal(p.validity.unit, VALIDITY_YEARS);
        assert_string_equal(p.issuers, "CN=FourthCoffee CA; DC=fourthcoffee; DC=local");
        assert_int_equal(p.thumbprint.len, 20);
        profile_done(&p);
        commands_done(&c);
        free(text);
}

/* The template scripts fill: every placeholder, and nothing else, stands between at signs. */
static void template(void **state)
{
        static const char *const fill[][2] = {{"@ROOT_SHA1@", "0123456789abcdef0123456789abcdef01234567"},
                                              {"@URL@", "http://127.0.0.1:8080/certsrv/mscep/mscep.dll"},
                                              {"@URL@", "http://127.0.0.1:8080/certsrv/mscep/mscep.dll"},
                                              {"@CHALLENGE@", "0123456789ABCDEF"},
                                              {"@SUBJECT@", "CN=pc1,O=Contoso"},
                                              {"@KSP@", "1"},
                                              {"@NAME@", "wifi"}};
        char *sample = load("intune.syncml"), *text = load("intune.syncml.in"), *next;
        char *base64 =
                strndup(strstr(sample, "<Data>MII") + 6, strcspn(strstr(sample, "<Data>MII") + 6, "<"));
        struct error e = {0};
        struct commands c = {0};

        (void)state;
        next = replaced(text, "@ROOT_BASE64@", base64);
        free(text);
        text = next;
        for (size_t i = 0; i < N_ELEMENTS(fill); i++) {
                next = replaced(text, fill[i][0], fill[i][1]);
                free(text);
                text = next;
        }
        expect_ok(document_read(DOCUMENT_SYNCML, str_view(text), &c, &e));
        assert_int_equal(c.items[4].kind, COMMAND_ROOT);
        assert_int_equal(c.items[5].kind, COMMAND_ENROLL);
        assert_string_equal(settings_get(&c.items[5].settings, "Profile.Name"), "wifi");
        assert_string_equal(settings_get(&c.items[5].settings, "Key.Protection"), "tpm");
        assert_string_equal((char *)c.items[5].challenge.data, "0123456789ABCDEF");
        for (const char *p = text; (p = strchr(p, '@')); p++)
                assert_int_equal(strncmp(p, "@contoso.", 9), 0);
        commands_done(&c);
        free(base64);
        free(sample);
        free(text);
}

/* One change to the sample, and what becomes of the profile. */
static void variations(void **state)
{
        static const struct {
                const char *from, *to, *key, *value;
        } cases[] = {
                {"./Vendor/MSFT/CertificateStore/Enroll", "./User/Vendor/MSFT/CertificateStore/Enroll",
                 "Profile.Type", "user"},
                {"./Vendor/MSFT/CertificateStore/Enroll", "./Device/vendor/msft/certificatestore/ENROLL",
                 "Profile.Type", "device"},
                {"ProviderSetting&amp;gt;0&amp;lt;", "ProviderSetting&amp;gt;1&amp;lt;", "Key.Protection",
                 "tpm"},
                {"ProviderSetting&amp;gt;0&amp;lt;", "ProviderSetting&amp;gt;2&amp;lt;", "Key.Protection",
                 "tpm-preferred"},
                {"ProviderSetting&amp;gt;0&amp;lt;", "ProviderSetting&amp;gt;3&amp;lt;", "Key.Protection",
                 "software"},
                {"KeyUsage&amp;gt;160&amp;lt;", "KeyUsage&amp;gt;128&amp;lt;", "Subject.KeyUsage",
                 "digitalSignature"},
                {"KeyUsage&amp;gt;160&amp;lt;", "KeyUsage&amp;gt;32&amp;lt;", "Subject.KeyUsage",
                 "keyEncipherment"},
                {"KeyLength&amp;gt;2048&amp;lt;", "KeyLength&amp;gt;4096&amp;lt;", "Key.Algorithm",
                 "rsa-4096"},
                {"KeyLength&amp;gt;2048&amp;lt;", "KeyLength&amp;gt;3072&amp;lt;", "Key.Algorithm",
                 "rsa-3072"},
                {"&amp;lt;HashAlgorithm&amp;gt;SHA-2&amp;lt;/HashAlgorithm&amp;gt;", "", "Server.AllowLegacy",
                 "sha1"},
                {"&amp;lt;HashAlgorithm&amp;gt;SHA-2&amp;lt;/HashAlgorithm&amp;gt;", "", "Subject.Hash",
                 "sha-1"},
                {"SHA-2", "SHA-3", "Subject.Hash", "sha-256"},
                {"RetryCount&amp;gt;3&amp;lt;", "RetryCount&amp;gt;99&amp;lt;", "Renewal.RetryCount", "30"},
                {"&amp;gt;Years&amp;lt;", "&amp;gt;Days&amp;lt;", "Subject.Validity", "2 Days"},
                {"ValidityPeriod&amp;gt;2&amp;lt;", "ValidityPeriod&amp;gt;0&amp;lt;", "Subject.Validity",
                 NULL},
                {"AltNameType=\"11\"", "AltNameType=\"2\"", "Subject.AlternativeName",
                 "email:john@contoso.onmicrosoft.com"},
                {"AltNameType=\"11\"", "AltNameType=\"1\"", "Subject.AlternativeName",
                 "other:1.3.6.1.4.1.311.20.2.3:john@contoso.onmicrosoft.com"},
                {"CN=name", "CN=\"Doe, Jane\"", "Subject.Name", "CN=\"Doe, Jane\""},
                {"&lt;SubjectName&gt;CN=name&lt;", "&lt;SubjectName&gt;\n  CN=R&amp;amp;D  &lt;",
                 "Subject.Name", "CN=R&D"},
                {"ModelName=AC_51bad41f-3854-4eb5-a2f2-0f7a94034ee8%2FLogicalName_39907e78_e61b_4730_b9fa_"
                 "d44a53e4111c%3BHash=-1518303401",
                 "wifi%2Fcorp", "Profile.Name", "wifi_corp"},
                {"Hash=-1518303401", "Hash=1", "Document.Version", "1"},
                {"PENlcnR", "", "Server.Challenge", "ask"},
                /* what it declares is not what it is: .NET writes this into strings that go as UTF-8 */
                {"encoding=\"UTF-8\"", "encoding=\"utf-16\"", "Subject.Name", "CN=name"},
                {"encoding=\"UTF-8\"", "encoding=\"x-none\"", "Subject.Name", "CN=name"},
                {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "\xef\xbb\xbf", "Subject.Name", "CN=name"},
        };
        char *text = load("intune.syncml");

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char *doc = replaced(text, cases[i].from, cases[i].to);
                struct error e = {0};
                struct commands c = {0};
                const char *got;

                expect_ok(document_read(DOCUMENT_SYNCML, str_view(doc), &c, &e));
                assert_int_equal(c.items[5].kind, COMMAND_ENROLL);
                got = settings_get(&c.items[5].settings, cases[i].key);
                if (cases[i].value)
                        assert_string_equal(got ? got : "(none)", cases[i].value);
                else
                        assert_null(got);
                commands_done(&c);
                free(doc);
        }
        free(text);
}

/* What is wrong with the document, or else with one of its commands. */
static enum err problem_of(const char *doc, struct error *e)
{
        struct commands c = {0};
        enum err r = document_read(DOCUMENT_SYNCML, str_view(doc), &c, e);

        for (size_t i = 0; r == ERR_OK && i < c.count; i++) {
                if (c.items[i].kind != COMMAND_WRONG)
                        continue;
                assert_int_equal(c.items[i].data.len + c.items[i].challenge.len, 0);
                assert_int_equal(c.items[i].settings.count, 0);
                r = error_copy(e, c.items[i].problem);
        }
        commands_done(&c);
        return r;
}

static void refusals(void **state)
{
        static const struct {
                const char *from, *to;
                enum err code;
                const char *says;
        } cases[] = {
                {"SYNCML:SYNCML1.2", "SYNCML:SYNCML1.1", ERR_DOCUMENT, "SYNCML:SYNCML1.1"},
                {"<SyncML xmlns", "<Other xmlns", ERR_DOCUMENT, "line"},
                {"<SyncHdr>", "<SyncHdr xmlns=\"urn:x\">", ERR_DOCUMENT, "SyncHdr is missing"},
                {"<Replace>", "<Replace xmlns=\"urn:x\">", ERR_DOCUMENT, "urn:x"},
                {"</SyncBody>", "", ERR_DOCUMENT, "line"},
                {"<SyncML", "<!DOCTYPE SyncML [<!ENTITY a \"b\">]><SyncML", ERR_DOCUMENT, "DOCTYPE"},
                {"28800", "&nbsp;", ERR_DOCUMENT, "line 11"},
                {"CN=FourthCoffee", "CN=&amp;file;FourthCoffee", ERR_DOCUMENT, "The data"},
                {"ScopeId_1c3f3a5c/SubjectNameFormat_1", "{ID}", ERR_DOCUMENT, "SubjectNameFormat"},
                {"&lt;SubjectName&gt;CN=name", "&lt;SubjectName&gt;{NAME}", ERR_DOCUMENT,
                 "RequestParameters/SubjectName"},
                {"PENlcnRFbnJvbGxDaGFsbGVuZ2U+", "PENlcnRFbn... Hash: 1,010,143,298", ERR_DOCUMENT,
                 "CertificateRequestToken"},
                {"&amp;lt;KeyLength&amp;gt;2048", "&amp;lt;KeyLength&amp;gt;1024", ERR_PROFILE, "1024"},
                {"&amp;lt;KeyLength&amp;gt;2048", "&amp;lt;KeyLength&amp;gt;2047", ERR_PROFILE, "KeyLength"},
                {"&amp;lt;KeyLength&amp;gt;2048&amp;lt;/KeyLength&amp;gt;", "", ERR_DOCUMENT,
                 "KeyLength is missing"},
                {"KeyUsage&amp;gt;160&amp;lt;", "KeyUsage&amp;gt;64&amp;lt;", ERR_PROFILE, "KeyUsage"},
                {"KeyUsage&amp;gt;160&amp;lt;", "KeyUsage&amp;gt;164&amp;lt;", ERR_PROFILE, "KeyUsage"},
                {"KeyUsage&amp;gt;160&amp;lt;", "KeyUsage&amp;gt;many&amp;lt;", ERR_PROFILE, "KeyUsage"},
                {"ProviderSetting&amp;gt;0&amp;lt;", "ProviderSetting&amp;gt;5&amp;lt;", ERR_PROFILE,
                 "KeyStorageProviderSetting"},
                {"ProviderSetting&amp;gt;0&amp;lt;", "ProviderSetting&amp;gt;4&amp;lt;", ERR_PROFILE,
                 "user-verified"},
                {"Threshold&amp;gt;20&amp;lt;", "Threshold&amp;gt;100&amp;lt;", ERR_PROFILE,
                 "ExpirationThreshold"},
                {"Threshold&amp;gt;20&amp;lt;",
                 "Threshold&amp;gt;20&amp;lt;/"
                 "ExpirationThreshold&amp;gt;&amp;lt;ExpirationThreshold&amp;gt;20&amp;lt;",
                 ERR_DOCUMENT, "twice"},
                {"1.3.6.1.5.5.7.3.2", "Client", ERR_PROFILE, "EKUOID"},
                {"EKUOID", "EKUOIDS", ERR_DOCUMENT, "line"},
                {"SHA-1", "MD5", ERR_PROFILE, "MD5"},
                {"msappproxy.net/certsrv", "msappproxy.net/a b", ERR_PROFILE, "NDESUrl"},
                {"AltNameType=\"11\"", "AltNameType=\"4\"", ERR_UNSUPPORTED, "X.400"},
                {"AltNameType=\"11\"", "AltNameType=\"x\"", ERR_PROFILE, "AlternativeNameType"},
                {"AltNameType=\"11\"", "AltNameType=\"3\"", ERR_PROFILE, "no DNS name"},
                {"2012/03/07", "2013/03/07", ERR_DOCUMENT, "2013/03/07"},
                {"&lt;CertificateRequest&gt;", "&lt;CertificateRequest xmlns=\"urn:y\"&gt;", ERR_DOCUMENT,
                 "urn:y"},
                {"&lt;RequestParameters&gt;", "&lt;RequestParams&gt;", ERR_DOCUMENT, "line"},
                {"&amp;lt;RetryCount",
                 "&amp;lt;AttestPrivateKey&amp;gt;2&amp;lt;/AttestPrivateKey&amp;gt;&amp;lt;RetryCount",
                 ERR_UNSUPPORTED, "later version"},
                {"&lt;SubjectName&gt;CN=name", "&lt;SubjectName&gt;CN=a=b", ERR_PROFILE, "Subject.Name"},
                {"&lt;SubjectName&gt;CN=name", "&lt;SubjectName&gt;", ERR_DOCUMENT, "SubjectName is missing"},
                {"MII", "!!!", ERR_DOCUMENT, "base64"},
                {"MII", "MIA", ERR_DOCUMENT, "certificate"},
        };
        char *text = load("intune.syncml");

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char *doc = replaced(text, cases[i].from, cases[i].to);
                struct error e = {0};
                enum err r = problem_of(doc, &e);

                if (r != cases[i].code || !strstr(e.message, cases[i].says))
                        fail_msg("%s -> %s: %s: %s", cases[i].from, cases[i].to, err_name(r), e.message);
                assert_null(strstr(e.message, "PENlcnRFbn"));
                free(doc);
        }
        free(text);
}

/*
 * Facts §6.4, row by row: @element of the sample twice, and without its text. "" stands for a text that may
 * be missing, with what the profile says then.
 */
static void rows_of_the_request(void **state)
{
        static const struct {
                const char *row, *element; /* as it stands in the sample, with its end tag */
                const char *says;          /* without it; NULL: nothing is wrong then */
                const char *key, *value;   /* and what the settings hold */
        } cases[] = {
#define LEVEL2(name, text) "&lt;" name "&gt;" text "&lt;/" name "&gt;"
#define LEVEL3(name, text) "&amp;lt;" name "&amp;gt;" text "&amp;lt;/" name "&amp;gt;"
                {"6.4 ExpirationThreshold", LEVEL3("ExpirationThreshold", "20"), NULL, "Renewal.Threshold",
                 NULL},
                {"6.4 RetryCount", LEVEL3("RetryCount", "3"), NULL, "Renewal.RetryCount", NULL},
                {"6.4 RetryDelay", LEVEL3("RetryDelay", "1"), NULL, "Renewal.RetryDelay", NULL},
                {"6.4 KeyStorageProviderSetting", LEVEL3("KeyStorageProviderSetting", "0"), NULL,
                 "Key.Protection", NULL},
                {"6.4 KeyUsage", LEVEL3("KeyUsage", "160"), "KeyUsage is missing", NULL, NULL},
                {"6.4 KeyLength", LEVEL3("KeyLength", "2048"), "KeyLength is missing", NULL, NULL},
                {"6.4 HashAlgorithms/HashAlgorithm",
                 LEVEL3("HashAlgorithms", LEVEL3("HashAlgorithm", "SHA-1") LEVEL3("HashAlgorithm", "SHA-2")),
                 NULL, "Subject.Hash", NULL},
                {"6.4 CAThumbprint", LEVEL3("CAThumbprint", "B846E6CE23DDA30B843EE765FD5AB3D815EAEB87"), NULL,
                 "Server.CaThumbprint", NULL},
                {"6.4 ValidityPeriod", LEVEL3("ValidityPeriod", "2"), NULL, "Subject.Validity", NULL},
                {"6.4 ValidityPeriodUnit", LEVEL3("ValidityPeriodUnit", "Years"), NULL, "Subject.Validity",
                 "2 Days"},
                {"6.4 SubjectName", LEVEL2("SubjectName", "CN=name"), "SubjectName is missing", NULL, NULL},
                {"6.4 Issuers", LEVEL2("Issuers", "CN=FourthCoffee CA; DC=fourthcoffee; DC=local"), NULL,
                 "Document.Issuers", NULL},
                {"6.4 CertificateRequestToken",
                 LEVEL2("CertificateRequestToken",
                        "PENlcnRFbnJvbGxDaGFsbGVuZ2U+c2FtcGxlPC9DZXJ0RW5yb2xsQ2hhbGxlbmdlPg=="),
                 NULL, "Server.Challenge", "ask"},
        };
        char *text = load("intune.syncml");

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char *again = malloc(2 * strlen(cases[i].element) + 1), *twice, *without;
                struct error e = {0};
                struct commands c = {0};
                const char *got;

                sprintf(again, "%s%s", cases[i].element, cases[i].element);
                twice = replaced(text, cases[i].element, again);
                without = replaced(text, cases[i].element, "");
                if (problem_of(twice, &e) != ERR_DOCUMENT || !strstr(e.message, "twice") ||
                    !strstr(e.message, "Parameters/"))
                        fail_msg("%s, twice: %s", cases[i].row, e.message);
                e = (struct error){0};
                if (cases[i].says) {
                        if (problem_of(without, &e) != ERR_DOCUMENT || !strstr(e.message, cases[i].says))
                                fail_msg("%s, missing: %s", cases[i].row, e.message);
                } else {
                        expect_ok(document_read(DOCUMENT_SYNCML, str_view(without), &c, &e));
                        if (c.items[5].kind != COMMAND_ENROLL)
                                fail_msg("%s: %s", cases[i].row, c.items[5].problem->message);
                        got = settings_get(&c.items[5].settings, cases[i].key);
                        if (!got != !cases[i].value || (got && strcmp(got, cases[i].value) != 0))
                                fail_msg("%s, missing: %s", cases[i].row, got ? got : "(none)");
                        commands_done(&c);
                }
                free(again);
                free(twice);
                free(without);
        }
        free(text);
}

/* An element that may stand once and stands twice is refused with its path, on every level. */
static void duplicates(void **state)
{
        static const struct {
                const char *from, *to, *path;
        } cases[] = {
                {"<SyncBody>", "<SyncBody></SyncBody><SyncBody>", "SyncML/SyncBody"},
                {"<SyncHdr>", "<SyncHdr></SyncHdr><SyncHdr>", "SyncML/SyncHdr"},
                {"<CmdID>5</CmdID>", "<CmdID>5</CmdID><CmdID>6</CmdID>", "SyncBody/Add/CmdID"},
                {"<Data>28800</Data>", "<Data>1</Data><Data>2</Data>", "Replace/Item/Data"},
                {"&lt;RequestParameters&gt;", "&lt;RequestParameters/&gt;&lt;RequestParameters&gt;",
                 "CertificateRequest/RequestParameters"},
                {"&lt;SANs&gt;", "&lt;SANs/&gt;&lt;SANs&gt;", "SubjectAlternativeName/SANs"},
        };
        char *text = load("intune.syncml");

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char *doc = replaced(text, cases[i].from, cases[i].to);
                struct error e = {0};

                if (problem_of(doc, &e) != ERR_DOCUMENT || !strstr(e.message, cases[i].path) ||
                    !strstr(e.message, "twice"))
                        fail_msg("%s: %s", cases[i].path, e.message);
                free(doc);
        }
        free(text);
}

/* Unknown elements are told, not fatal. */
static void unknown_elements(void **state)
{
        char *text = load("intune.syncml");
        char *one =
                replaced(text, "&amp;lt;RetryCount",
                         "&amp;lt;Brand&amp;gt;&amp;lt;New/&amp;gt;&amp;lt;/Brand&amp;gt;&amp;lt;RetryCount");
        char *two = replaced(one, "&lt;SubjectName&gt;", "&lt;Hint&gt;x&lt;/Hint&gt;&lt;SubjectName&gt;");
        struct error e = {0};
        struct commands c = {0};

        (void)state;
        expect_ok(document_read(DOCUMENT_AUTO, str_view(two), &c, &e));
        assert_int_equal(c.items[5].notes.count, 2);
        assert_non_null(strstr(c.items[5].notes.items[0], "CertificateRequest/RequestParameters/Hint"));
        assert_non_null(strstr(c.items[5].notes.items[1], "ConfigurationParameters/Brand"));
        commands_done(&c);
        free(two);
        free(one);
        free(text);
}

static void structure(void **state)
{
        static const char frame[] =
                "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr/><SyncBody>%s<Final/></SyncBody></SyncML>";
        static const char group[] =
                "<Atomic><CmdID>1</CmdID><Add><CmdID>2</CmdID><Item><Target><LocURI>./a</LocURI></Target>"
                "<Data>x</Data></Item><Item><Target><LocURI>./b</LocURI></Target></Item></Add>"
                "</Atomic><Weird><CmdID>3</CmdID></Weird><Alert><CmdID>4</CmdID><Data>1201</Data></Alert>"
                "<Delete><CmdID>5</CmdID><Item><Target><LocURI>./User/c</LocURI></Target></Item></Delete>";
        static const enum command_verb verbs[] = {VERB_ATOMIC_BEGIN, VERB_ADD,   VERB_ADD,   VERB_ATOMIC_END,
                                                  VERB_UNKNOWN,      VERB_ALERT, VERB_DELETE};
        struct error e = {0};
        struct commands c = {0};
        char doc[2048], *big, *p;

        (void)state;
        snprintf(doc, sizeof doc, frame, group);
        expect_ok(document_read(DOCUMENT_AUTO, str_view(doc), &c, &e));
        assert_int_equal(c.count, N_ELEMENTS(verbs));
        for (size_t i = 0; i < c.count; i++)
                assert_int_equal(c.items[i].verb, verbs[i]);
        assert_string_equal(c.items[2].location, "./b");
        assert_string_equal(c.items[2].id, "2");
        assert_string_equal(c.items[4].name, "Weird");
        assert_true(c.items[6].user);
        assert_string_equal(c.session_id, "");
        commands_done(&c);

        snprintf(doc, sizeof doc, frame,
                 "<Atomic><Atomic><Atomic><Atomic><Atomic/></Atomic></Atomic></Atomic></Atomic>");
        expect_err(document_read(DOCUMENT_AUTO, str_view(doc), &c, &e), ERR_DOCUMENT);

        big = calloc(1, DOCUMENT_MAX + 64);
        p = big + sprintf(big, "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr/><SyncBody>");
        for (int i = 0; i <= COMMANDS_MAX; i++)
                p += sprintf(p, "<Get/>");
        strcpy(p, "</SyncBody></SyncML>");
        expect_err(document_read(DOCUMENT_AUTO, str_view(big), &c, &e), ERR_TOO_LARGE);
        p = big;
        for (int i = 0; i < 40; i++)
                p += sprintf(p, "<a>");
        for (int i = 0; i < 40; i++)
                p += sprintf(p, "</a>");
        expect_err(document_read(DOCUMENT_AUTO, str_view(big), &c, &e), ERR_TOO_LARGE);
        p = big;
        for (int i = 0; i < 5000; i++)
                p += sprintf(p, "<a>");
        expect_err(document_read(DOCUMENT_AUTO, str_view(big), &c, &e), ERR_DOCUMENT);
        memset(big, ' ', DOCUMENT_MAX + 1);
        expect_err(document_read(DOCUMENT_AUTO, str_view(big), &c, &e), ERR_TOO_LARGE);
        assert_non_null(strstr(e.message, "1 MiB"));
        free(big);
        expect_err(document_read(DOCUMENT_AUTO, str_view(""), &c, &e), ERR_DOCUMENT);
        expect_err(document_read(DOCUMENT_AUTO, str_view("<\xff"), &c, &e), ERR_DOCUMENT);
        expect_err(document_read(DOCUMENT_AUTO, (struct view){(const uint8_t *)"<a>\0</a>", 8}, &c, &e),
                   ERR_DOCUMENT);
        expect_err(document_read(DOCUMENT_SYNCML, str_view("Name=x"), &c, &e), ERR_DOCUMENT);
        assert_null(c.items);
}

/* Every cut of the sample fails with a sentence, or (cut behind the end tag) is whole. */
static void truncated(void **state)
{
        char *text = load("intune.syncml");
        size_t len = strlen(text);

        (void)state;
        for (size_t n = 1; n < len - 1; n += 97) {
                struct error e = {0};
                struct commands c = {0};

                expect_err(document_read(DOCUMENT_SYNCML, (struct view){(uint8_t *)text, n}, &c, &e),
                           ERR_DOCUMENT);
                assert_non_null(strstr(e.message, "line"));
        }
        free(text);
}

static void ini(void **state)
{
        static const char *const names[] = {"full.profile", "small.profile"};
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(names); i++) {
                char *text = load(names[i]), *out = NULL, *out2 = NULL;
                struct commands c = {0}, c2 = {0};
                struct profile p = {0}, p2 = {0};

                expect_ok(document_read(DOCUMENT_AUTO, str_view(text), &c, &e));
                assert_int_equal(c.format, DOCUMENT_INI);
                assert_int_equal(c.count, 1);
                assert_int_equal(c.items[0].verb, VERB_ADD);
                assert_int_equal(c.items[0].kind, COMMAND_ENROLL);
                expect_ok(profile_from_settings(&c.items[0].settings, false, &p, &e));
                expect_ok(profile_write_ini(&p, &out, &e));
                if (i == 0)
                        assert_string_equal(out, text); /* it is written canonically */
                expect_ok(document_read(DOCUMENT_INI, str_view(out), &c2, &e));
                expect_ok(profile_from_settings(&c2.items[0].settings, false, &p2, &e));
                expect_ok(profile_write_ini(&p2, &out2, &e));
                assert_string_equal(out, out2);
                assert_int_equal(p.given, p2.given);
                if (i == 1) /* " ;" begins no comment */
                        assert_string_equal(p.subject, "CN={{DeviceName}} ; O=Contoso");
                free(text);
                free(out);
                free(out2);
                profile_done(&p);
                profile_done(&p2);
                commands_done(&c);
                commands_done(&c2);
        }
}

static void ini_refusals(void **state)
{
        static const struct {
                const char *text, *says;
                enum err code;
        } cases[] = {
                {"Name=x", "Line 1", ERR_PROFILE},
                {"[Profile]\nName=x\nFoo=1\n", "Line 3", ERR_PROFILE},
                {"[Profile]\nName=x\n\n[Foo]\nA=1\n", "Line 5", ERR_PROFILE},
                {"[Profile]\nName=x\nName=y\n", "line 3", ERR_PROFILE},
                {"[Profile]\nName=y\nnonsense\n", "Line 3", ERR_PROFILE},
                {"[Profile]\nName=\nName=y\n", "line 3", ERR_PROFILE},
                {"[Profile\nName=x\n", "Line 1", ERR_PROFILE},
                {"[Profile]\nName=x\n  continued\n", "Line 3", ERR_PROFILE},
                {"[Server]\nUrl=ftp://x\n", "line 2", ERR_PROFILE},
                {"[Server]\r\nUrl=http://x\r\nChallenge=topsecret\r\n", "line 3", ERR_PROFILE},
                {"[Document]\nOrigin=syncml\n", "Line 2", ERR_PROFILE},
                {"[Profile]\nName=x\n", "Server.Url is missing", ERR_PROFILE},
                {"[Profile]\n", "Profile.Name is missing", ERR_PROFILE},
                {"#nothing\n", "missing", ERR_PROFILE},
                {"[Key]\nProtection=user-verified\n", "missing", ERR_PROFILE},
        };
        char *text = load("small.profile"), *doc, *line;
        struct error e = {0};
        struct commands c = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                enum err r = document_read(DOCUMENT_INI, str_view(cases[i].text), &c, &e);

                if (r != cases[i].code || !strstr(e.message, cases[i].says))
                        fail_msg("%s: %s: %s", cases[i].text, err_name(r), e.message);
                assert_null(strstr(e.message, "topsecret"));
        }
        line = calloc(1, DOCUMENT_LINE_MAX + 100);
        memset(line, 'x', DOCUMENT_LINE_MAX + 2);
        memcpy(line, "Name=", 5);
        doc = replaced(text, "Name=small", line);
        expect_err(document_read(DOCUMENT_INI, str_view(doc), &c, &e), ERR_TOO_LARGE);
        assert_non_null(strstr(e.message, "Line 3"));
        free(doc);
        /* long, but within its bounds: not cut anywhere */
        memset(line, 0, DOCUMENT_LINE_MAX + 100);
        strcpy(line, "http://127.0.0.1/");
        memset(line + strlen(line), 'y', 2000);
        doc = replaced(text, "http://127.0.0.1/scep", line);
        expect_ok(document_read(DOCUMENT_INI, str_view(doc), &c, &e));
        assert_string_equal(settings_get(&c.items[0].settings, "Server.Url"), line);
        commands_done(&c);
        free(doc);
        doc = replaced(text, "# the least", "\xef\xbb\xbf# the least");
        expect_ok(document_read(DOCUMENT_AUTO, str_view(doc), &c, &e));
        commands_done(&c);
        free(doc);
        free(line);
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(intune),           cmocka_unit_test(template),
                cmocka_unit_test(variations),       cmocka_unit_test(refusals),
                cmocka_unit_test(unknown_elements), cmocka_unit_test(rows_of_the_request),
                cmocka_unit_test(duplicates),       cmocka_unit_test(structure),
                cmocka_unit_test(truncated),        cmocka_unit_test(ini),
                cmocka_unit_test(ini_refusals),
        };

        return cmocka_run_group_tests_name("document", tests, NULL, NULL);
}
