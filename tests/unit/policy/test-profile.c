/* policy/profile: one table of settings, in and out. */
#include "test.h"

#include "policy/profile.h"

/* "Key=value" each; a profile's least settings stand before them. */
static enum err make(const char *const *more, struct profile *ret, struct error *e)
{
        static const char *const least[][2] = {
                {"Profile.Name", "p"},
                {"Server.Url", "https://a/b"},
                {"Server.CaThumbprint", "0123456789abcdef0123456789abcdef01234567"},
                {"Subject.Name", "CN=a"}};
        struct settings s = {0};
        enum err r = ERR_OK;
        unsigned line = 10;

        for (size_t i = 0; i < N_ELEMENTS(least); i++) {
                bool replaced = false;

                for (const char *const *m = more; *m; m++)
                        replaced = replaced || (strncmp(*m, least[i][0], strlen(least[i][0])) == 0 &&
                                                (*m)[strlen(least[i][0])] == '=');
                if (!replaced)
                        r = settings_add(&s, least[i][0], least[i][1], 1, e);
        }
        for (const char *const *m = more; r == ERR_OK && *m; m++) {
                char key[64] = "";
                size_t n = strcspn(*m, "=");

                memcpy(key, *m, n);
                r = settings_add(&s, key, *m + n + 1, line++, e);
        }
        if (r == ERR_OK)
                r = profile_from_settings(&s, /* have_anchor= */ false, ret, e);
        settings_done(&s);
        return r;
}

static void defaults(void **state)
{
        struct error e = {0};
        struct profile p = {0};

        (void)state;
        expect_ok(make((const char *const[]){NULL}, &p, &e));
        assert_int_equal(p.type, PROFILE_DEVICE);
        assert_int_equal(p.protection, POLICY_PROTECTION_DEFAULT);
        assert_int_equal(p.algorithm, POLICY_RSA_2048);
        assert_int_equal(p.hash, POLICY_SHA_256);
        assert_int_equal(p.threshold, 20);
        assert_int_equal(p.retry_count, 3);
        assert_int_equal(p.retry_delay, 5);
        assert_int_equal(p.pending_limit, 7 * 86400);
        assert_int_equal(p.method, RENEWAL_AUTO);
        assert_int_equal(p.after_expiry, AFTER_EXPIRY_RENEW);
        assert_int_equal(profile_challenge_kind(&p), CHALLENGE_NONE);
        assert_int_equal(profile_key_usage(&p), KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT);
        assert_int_equal(p.thumbprint.len, 20);
        assert_false(profile_only_variables(&p));
        profile_done(&p);
}

/* What is accepted, and its canonical form. */
static void canonical(void **state)
{
        static const struct {
                const char *in, *key, *out; /* NULL: the key has no value */
        } cases[] = {
                {"Key.Protection=TPM", "Key.Protection", "tpm"},
                {"Key.Protection=tpm-preferred", "Key.Protection", "tpm-preferred"},
                {"Key.Protection=", "Key.Protection", NULL},
                {"Key.Algorithm=EC-P384", "Key.Algorithm", "ec-p384"},
                {"Key.ReuseAtRenewal=true", "Key.ReuseAtRenewal", "yes"},
                {"Key.AllowDowngrade=0", "Key.AllowDowngrade", "no"},
                {"Key.Groups=www-data, mail", "Key.Groups", "www-data mail"},
                {"Server.PendingLimit=168h", "Server.PendingLimit", "7d"},
                {"Server.PendingLimit=90m", "Server.PendingLimit", "90m"},
                {"Server.RequireCaps=aes sha-256", "Server.RequireCaps", "AES SHA-256"},
                {"Server.AllowLegacy=SHA1 des", "Server.AllowLegacy", "des sha1"},
                {"Server.Url=HTTPS://[::1]:8443/x?y=1", "Server.Url", "HTTPS://[::1]:8443/x?y=1"},
                {"Server.Proxy=none", "Server.Proxy", "none"},
                {"Server.Challenge=ask", "Server.Challenge", "ask"},
                {"Server.CaIdentifier=", "Server.CaIdentifier", NULL},
                {"Subject.Validity=1 year", "Subject.Validity", "1 years"},
                {"Subject.Validity=18months", "Subject.Validity", "18 months"},
                {"Subject.KeyUsage=KEYENCIPHERMENT digitalsignature", "Subject.KeyUsage",
                 "digitalSignature keyEncipherment"},
                {"Subject.AlternativeName=other:1.2.3:x", "Subject.AlternativeName", "other:1.2.3:x"},
                {"Renewal.RetryCount=0", "Renewal.RetryCount", "0"},
                {"Renewal.Threshold=99", "Renewal.Threshold", "99"},
                {"Server.CaThumbprint=AB:CD 23456789abcdef0123456789abcdef01234567", "Server.CaThumbprint",
                 "abcd23456789abcdef0123456789abcdef01234567"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct profile p = {0}, again = {0};
                struct settings s = {0}, t = {0};
                const char *got;

                if (strncmp(cases[i].in, "Server.CaThumb", 14) == 0) { /* 21 octets are no digest */
                        expect_err(make((const char *const[]){cases[i].in, NULL}, &p, &e), ERR_PROFILE);
                        continue;
                }
                expect_ok(make((const char *const[]){cases[i].in, NULL}, &p, &e));
                expect_ok(profile_to_settings(&p, false, &s, &e));
                got = settings_get(&s, cases[i].key);
                if (!cases[i].out)
                        assert_null(got);
                else
                        assert_string_equal(got ? got : "(none)", cases[i].out);
                /* settings -> struct -> settings is the identity */
                expect_ok(profile_from_settings(&s, false, &again, &e));
                expect_ok(profile_to_settings(&again, false, &t, &e));
                assert_int_equal(s.count, t.count);
                for (size_t j = 0; j < s.count; j++) {
                        assert_string_equal(s.items[j].key, t.items[j].key);
                        assert_string_equal(s.items[j].value, t.items[j].value);
                }
                assert_int_equal(p.given, again.given);
                settings_done(&s);
                settings_done(&t);
                profile_done(&p);
                profile_done(&again);
        }
}

static void refusals(void **state)
{
        static const char *const cases[] = {
                "Server.Url=ftp://a/b",
                "Server.Url=https://",
                "Server.Url=https://a b/",
                "Server.Url=https://u:p@a/",
                "Server.Url=https://a:0/",
                "Server.Url=https://a:65536/",
                "Server.Url=https://a/#f",
                "Server.Url=a",
                "Server.Url=https://[::1/",
                "Server.Url=https://[]/",
                "Server.Url=https://a\"/",
                "Server.Url=",
                "Server.CaThumbprint=0123",
                "Server.CaThumbprint=xyz",
                "Server.CaThumbprint=",
                "Server.Challenge=secret123",
                "Server.Challenge=file:",
                "Server.Challenge=credential:other",
                "Server.Challenge=credential:scepter.challenge.",
                "Server.Challenge=credential:scepter.challenge./etc",
                "Server.PkiClientSuffix=maybe",
                "Server.RequireCaps=AES Foo",
                "Server.AllowLegacy=md5",
                "Server.Proxy=socks://a",
                "Server.Proxy=http://a/b",
                "Server.Proxy=http://user:secret@a:1",
                "Server.Proxy=http://user@a:1",
                "Server.Proxy=user:secret@a",
                "Server.PendingLimit=7",
                "Server.PendingLimit=1s",
                "Server.PendingLimit=91d",
                "Server.PendingLimit=d",
                "Server.ChallengeReusable=perhaps",
                "Server.ChallengeReusable=yes",
                "Key.Protection=none",
                "Key.Protection=1",
                "Key.Protection=user-verified",
                "Key.Algorithm=rsa-1024",
                "Key.Algorithm=ec-p521",
                "Key.Groups=a/b",
                "Key.Groups=-x",
                "Subject.Name=CN=a=b",
                "Subject.Name=CN={{Nothing}}",
                "Subject.Name=",
                "Subject.Name=CN={x}",
                "Subject.Name=C=usa",
                "Subject.Name=CN={{DeviceName}},E=\xc3\xbc@x",
                "Subject.AlternativeName=host",
                "Subject.AlternativeName=dns:",
                "Subject.AlternativeName=dns:a;b",
                "Subject.AlternativeName=dns:a b",
                "Subject.AlternativeName=ip:10.0.0.0/8",
                "Subject.AlternativeName=other:1.2.3",
                "Document.Issuers=CN",
                "Subject.KeyUsage=keyCertSign",
                "Subject.KeyUsage=nonRepudiation",
                "Subject.ExtendedKeyUsage=clientAuth",
                "Subject.ExtendedKeyUsage=1",
                "Subject.Hash=md5",
                "Subject.Hash=sha-1",
                "Subject.Validity=0 days",
                "Subject.Validity=1",
                "Subject.Validity=years",
                "Subject.Validity=101 years",
                "Subject.Validity=1 fortnight",
                "Subject.TemplateName=\xf0\x9f\x94\x91",
                "Renewal.Threshold=0",
                "Renewal.Threshold=100",
                "Renewal.Threshold=-1",
                "Renewal.Method=magic",
                "Renewal.Method=challenge",
                "Renewal.RetryCount=31",
                "Renewal.RetryDelay=0",
                "Renewal.AfterExpiry=never",
                "Profile.Type=robot",
                "Profile.Name=",
                "Profile.Name=a/b",
                "Profile.Name=.x",
                "No.Such=1",
                "Renewal.threshold=20",
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct profile p = {0};
                char key[64] = "";

                memcpy(key, cases[i], strcspn(cases[i], "="));
                enum err r = make((const char *const[]){cases[i], NULL}, &p, &e);

                if (r != ERR_PROFILE)
                        fail_msg("%s: %s %s", cases[i], err_name(r), e.message);
                if (!strstr(e.message, key))
                        fail_msg("%s: no key in: %s", cases[i], e.message);
                assert_null(strstr(e.message, "secret123"));
                assert_null(strstr(e.message, "u:p@"));
                assert_null(p.name);
        }
}

static void whole(void **state)
{
        struct error e = {0};
        struct profile p = {0};
        struct settings s = {0};
        char url[32];

        (void)state;
        expect_ok(make((const char *const[]){"Key.Protection=user-verified", "Profile.Type=user", NULL}, &p,
                       &e));
        profile_done(&p);
        expect_err(make((const char *const[]){"Key.Groups=mail", "Profile.Type=user", NULL}, &p, &e),
                   ERR_PROFILE);
        expect_err(make((const char *const[]){"Renewal.Threshold=20", "Renewal.Threshold=30", NULL}, &p, &e),
                   ERR_PROFILE);
        assert_non_null(strstr(e.message, "line 11"));
        expect_ok(make((const char *const[]){"Subject.Hash=sha-1", "Server.AllowLegacy=sha1", NULL}, &p, &e));
        profile_done(&p);
        /* an anchor beside the document is enough */
        expect_ok(settings_add(&s, "Profile.Name", "p", 0, &e));
        expect_ok(settings_add(&s, "Subject.Name", "CN={{UserName}}", 0, &e));
        for (int i = 0; i < PROFILE_URLS_MAX; i++) {
                snprintf(url, sizeof url, "http://a/%d", i);
                expect_ok(settings_add(&s, "Server.Url", url, 0, &e));
        }
        expect_err(profile_from_settings(&s, false, &p, &e), ERR_PROFILE);
        expect_ok(profile_from_settings(&s, true, &p, &e));
        assert_int_equal(p.urls.count, PROFILE_URLS_MAX);
        assert_true(profile_only_variables(&p));
        profile_done(&p);
        expect_ok(settings_add(&s, "Server.Url", "http://one-too-many/", 0, &e));
        expect_err(profile_from_settings(&s, true, &p, &e), ERR_PROFILE);
        settings_done(&s);
}

static void files(void **state)
{
        struct error e = {0};
        struct profile p = {0};
        struct settings s = {0};

        (void)state;
        expect_ok(make((const char *const[]){"Server.RootCertificate=root.pem", "Server.CaBundle=/b",
                                             "Server.Challenge=socket:/run/x", NULL},
                       &p, &e));
        assert_int_equal(profile_challenge_kind(&p), CHALLENGE_SOCKET);
        assert_string_equal(profile_challenge_source(&p), "/run/x");
        expect_ok(profile_file_values(&p, &s, &e));
        assert_int_equal(s.count, 3);
        assert_string_equal(settings_get(&s, "Server.RootCertificate"), "root.pem");
        assert_string_equal(settings_get(&s, "Server.Challenge"), "socket:/run/x");
        settings_done(&s);
        profile_done(&p);
        expect_ok(make((const char *const[]){"Server.Challenge=ask", NULL}, &p, &e));
        expect_ok(profile_file_values(&p, &s, &e));
        assert_int_equal(s.count, 0);
        assert_null(profile_challenge_source(&p));
        profile_done(&p);
}

static enum err count(void *ctx, const char *key, const char *value, struct error *e)
{
        unsigned *n = ctx;

        assert_true(*key && *value);
        if (++*n > 100)
                return error_set(e, ERR_LIMIT, "enough");
        return ERR_OK;
}

static void each(void **state)
{
        struct error e = {0};
        struct profile p = {0};
        unsigned all = 0, given = 0, stop = 100;

        (void)state;
        expect_ok(make((const char *const[]){NULL}, &p, &e));
        expect_ok(profile_each_setting(&p, true, count, &all, &e));
        expect_ok(profile_each_setting(&p, false, count, &given, &e));
        assert_int_equal(given, 4);
        assert_true(all > 15);
        expect_err(profile_each_setting(&p, true, count, &stop, &e), ERR_LIMIT);
        profile_done(&p);
}

/* TLS client authentication: over TLS alone, and to nobody but the server. */
static void client_certificate(void **state)
{
        static const struct {
                const char *url, *other, *proxy;
                bool ok;
        } cases[] = {
                {"https://a/", NULL, NULL, true},           {"HTTPS://a/", "https://b/", "http://p:1", true},
                {"https://a/", "https://b/", "none", true}, {"http://a/", NULL, NULL, false},
                {"https://a/", "http://b/", NULL, false},   {"http://a/", "https://b/", NULL, false},
                {"https://a/", NULL, "https://p:1", false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct settings s = {0};
                struct profile p = {0};
                struct error e = {0};

                expect_ok(settings_add(&s, "Profile.Name", "x", 1, &e));
                expect_ok(settings_add(&s, "Server.Url", cases[i].url, 2, &e));
                if (cases[i].other)
                        expect_ok(settings_add(&s, "Server.Url", cases[i].other, 3, &e));
                if (cases[i].proxy)
                        expect_ok(settings_add(&s, "Server.Proxy", cases[i].proxy, 4, &e));
                expect_ok(settings_add(&s, "Subject.Name", "CN=a", 5, &e));
                expect_ok(profile_from_settings(&s, true, &p, &e));
                profile_done(&p);
                expect_ok(settings_add(&s, "Server.ClientCertificate", "client.pem", 6, &e));
                if (cases[i].ok) {
                        struct settings files = {0};

                        expect_ok(profile_from_settings(&s, true, &p, &e));
                        expect_ok(profile_file_values(&p, &files, &e));
                        assert_string_equal(settings_get(&files, "Server.ClientCertificate"), "client.pem");
                        settings_done(&files);
                        profile_done(&p);
                } else {
                        expect_err(profile_from_settings(&s, true, &p, &e), ERR_PROFILE);
                        assert_non_null(strstr(e.message, "Server.ClientCertificate (line 6)"));
                }
                settings_done(&s);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults), cmocka_unit_test(canonical), cmocka_unit_test(refusals),
                cmocka_unit_test(whole),    cmocka_unit_test(files),     cmocka_unit_test(client_certificate),
                cmocka_unit_test(each),
        };

        return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
