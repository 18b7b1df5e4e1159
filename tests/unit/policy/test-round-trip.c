/*
 * A file, the struct, a file again: the same, for every key and for random combinations of them. The
 * generator is fixed, so a failure comes back. What one key may hold stands in the table; what two may not
 * hold together is refused by policy/profile and passed over here.
 */
#include "test.h"

#include <stdio.h>

#include "base/parse.h"
#include "documents/document.h"
#include "policy/profile.h"

struct random {
        uint64_t state;
};

static uint32_t next(struct random *r) /* xorshift64* */
{
        r->state ^= r->state >> 12;
        r->state ^= r->state << 25;
        r->state ^= r->state >> 27;
        return (uint32_t)((r->state * UINT64_C(2685821657736338717)) >> 32);
}

#define HEX20 "0123456789abcdef0123456789abcdef01234567"
#define HEX32 "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"

/* Every key, in the order of the file, with values that fit, some far from canonical. */
static const struct {
        const char *key;
        const char *values[8];
} keys[] = {
        {"Profile.Name", {"p", "corp wifi", "a.b_c", "\xc3\xbc", "x;y#z"}},
        {"Profile.Type", {"device", "user", "USER"}},
        {"Server.Url", {"https://a/b", "http://[::1]:8080/x?y=%20", "HTTPS://C.d/", "https://e/f;g"}},
        {"Server.RootCertificate", {"/etc/a b.pem", "root.pem", "/\xc3\xbc;#"}},
        {"Server.CaThumbprint",
         {HEX20, HEX32, "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:ab:cd:ef:01:23:45:67"}},
        {"Server.Challenge", {"ask", "file:/run/x y", "credential:scepter.challenge.a", "socket:/run/s"}},
        {"Server.ChallengeReusable", {"yes", "no", "1", "off", "TRUE"}},
        {"Server.CaIdentifier", {"x", "a b; c # d", "\xe6\xbc\xa2"}},
        {"Server.PkiClientSuffix", {"auto", "yes", "No"}},
        {"Server.RequireCaps", {"AES", "aes, sha-256 POSTPKIOperation", "SHA-512 Renewal"}},
        {"Server.AllowLegacy", {"des", "sha1 DES", "sha1"}},
        {"Server.Proxy", {"none", "http://p:3128", "https://p/"}},
        {"Server.CaBundle", {"/etc/ssl/x.pem", "b=c"}},
        {"Server.ClientCertificate", {"/c.pem"}},
        {"Server.FollowRollover", {"yes", "no"}},
        {"Server.PendingLimit", {"7d", "168h", "3600s", "90m", "90d", "36h"}},
        {"Key.Protection", {"tpm", "TPM-preferred", "software", "user-verified"}},
        {"Key.Algorithm", {"rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "EC-P384"}},
        {"Key.ReuseAtRenewal", {"yes", "no"}},
        {"Key.AllowDowngrade", {"yes", "no"}},
        {"Key.Groups", {"www-data", "www-data mail,adm"}},
        {"Subject.Name",
         {"CN=a", "CN=\"Doe, \"\"J\"\"\";O=x;", "cn = {{ DeviceName }}x + OU=b, C=de",
          "2.5.4.5=1,CN=\xc3\xbc", "CN=a ; O=b # c"}},
        {"Subject.AlternativeName",
         {"dns:{{DeviceName}}.x", "DNS:a.b", "uri:{{OnPremisesSecurityIdentifier}}", "ip:::1",
          "guid:{00112233-4455-6677-8899-aabbccddeeff}", "other:1.2.3:a:b", "dirname:CN=a, O=\"b, c\"",
          "rid:1.2"}},
        {"Subject.KeyUsage",
         {"digitalSignature", "KEYENCIPHERMENT, digitalsignature", "keyAgreement nonRepudiation"}},
        {"Subject.ExtendedKeyUsage", {"1.3.6.1.5.5.7.3.2", "1.2.3", "2.5"}},
        {"Subject.Hash", {"sha-256", "SHA-384", "sha-512", "sha-1"}},
        {"Subject.Validity", {"1 years", "1 year", "18months", "36500 DAYS"}},
        {"Subject.TemplateName", {"1.2.3.4", "Web Server (v2)", "Ger\xc3\xa4t; # 1", "a=b"}},
        {"Renewal.Threshold", {"1", "20", "99", "033"}},
        {"Renewal.Method", {"auto", "renewal", "Signed-PKCSReq", "challenge"}},
        {"Renewal.RetryCount", {"0", "3", "30"}},
        {"Renewal.RetryDelay", {"1", "5", "1440"}},
        {"Renewal.AfterExpiry", {"renew", "enroll", "stop"}},
};

static size_t count_of(size_t key)
{
        size_t n = 0;

        while (n < N_ELEMENTS(keys[key].values) && keys[key].values[n])
                n++;
        return n;
}

/* The value @choice of each key; -1: the key is left out. */
static char *file_of(const int choice[N_ELEMENTS(keys)])
{
        struct text t = TEXT(65536);
        struct error e = {0};
        char section[16] = "", *ret = NULL;

        for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
                size_t n = strcspn(keys[i].key, "."), count = count_of(i);
                bool repeatable = false;

                if (choice[i] < 0)
                        continue;
                if (strncmp(section, keys[i].key, n) != 0 || section[n]) {
                        snprintf(section, sizeof section, "%.*s", (int)n, keys[i].key);
                        text_addf(&t, "[%s]\n", section);
                }
                assert_true(profile_key_known(keys[i].key, &repeatable));
                text_addf(&t, "%s=%s\n", keys[i].key + n + 1, keys[i].values[choice[i]]);
                if (repeatable && choice[i] % 2)
                        text_addf(&t, "%s = %s \n", keys[i].key + n + 1,
                                  keys[i].values[(size_t)(choice[i] + 1) % count]);
        }
        expect_ok(text_finish(&t, &ret, &e));
        return ret;
}

static enum err read_profile(const char *file, struct profile *ret, struct error *e)
{
        struct commands c = {0};
        enum err r = document_read(DOCUMENT_INI, str_view(file), &c, e);

        if (r)
                return r;
        assert_int_equal(c.count, 1);
        r = profile_from_settings(&c.items[0].settings, false, ret, e);
        commands_done(&c);
        return r;
}

static void same_settings(const struct profile *a, const struct profile *b, bool defaults)
{
        struct settings s = {0}, t = {0};
        struct error e = {0};

        expect_ok(profile_to_settings(a, defaults, &s, &e));
        expect_ok(profile_to_settings(b, defaults, &t, &e));
        assert_int_equal(s.count, t.count);
        for (size_t i = 0; i < s.count; i++) {
                assert_string_equal(s.items[i].key, t.items[i].key);
                assert_string_equal(s.items[i].value, t.items[i].value);
        }
        settings_done(&s);
        settings_done(&t);
}

/* false: refused, for two values that do not go together. */
static bool round_trip(const int choice[N_ELEMENTS(keys)])
{
        char *file = file_of(choice), *written = NULL, *again = NULL;
        struct profile a = {0}, b = {0}, c = {0};
        struct settings s = {0};
        struct error e = {0};
        enum err r = read_profile(file, &a, &e);

        if (r) {
                assert_int_equal(r, ERR_PROFILE);
                assert_true(e.message[0] && e.remedy[0]);
                free(file);
                return false;
        }
        expect_ok(profile_write_ini(&a, &written, &e));
        if (read_profile(written, &b, &e))
                fail_msg("%s\nbecame\n%s\n%s", file, written, e.message);
        same_settings(&a, &b, true);
        same_settings(&a, &b, false);
        assert_true(a.given == b.given);
        expect_ok(profile_write_ini(&b, &again, &e));
        assert_string_equal(written, again);
        /* and by the way the store takes */
        expect_ok(profile_to_settings(&a, false, &s, &e));
        expect_ok(profile_from_settings(&s, false, &c, &e));
        same_settings(&a, &c, true);
        settings_done(&s);
        profile_done(&a);
        profile_done(&b);
        profile_done(&c);
        free(file);
        free(written);
        free(again);
        return true;
}

/* A least profile, with what each value needs beside it. */
static void least(int choice[N_ELEMENTS(keys)], const char *key, const char *value)
{
        static const char *const needed[] = {"Profile.Name", "Server.Url", "Server.CaThumbprint",
                                             "Subject.Name"};

        for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
                choice[i] = -1;
                for (size_t k = 0; k < N_ELEMENTS(needed); k++)
                        if (strcmp(keys[i].key, needed[k]) == 0)
                                choice[i] = 0;
                if ((strstr(value, "user-verified") && strcmp(keys[i].key, "Profile.Type") == 0) ||
                    (strstr(value, "sha-1") && strcmp(keys[i].key, "Server.AllowLegacy") == 0))
                        choice[i] = 1;
                if ((strstr(key, "Reusable") || strcmp(value, "challenge") == 0) &&
                    strcmp(keys[i].key, "Server.Challenge") == 0)
                        choice[i] = 0;
        }
}

static void every_value(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                for (size_t v = 0; v < count_of(i); v++) {
                        int choice[N_ELEMENTS(keys)];

                        least(choice, keys[i].key, keys[i].values[v]);
                        choice[i] = (int)v;
                        if (!round_trip(choice))
                                fail_msg("%s=%s is refused", keys[i].key, keys[i].values[v]);
                }
}

static void combinations(void **state)
{
        struct random random = {0x5ce97e5};
        unsigned whole = 0;

        (void)state;
        for (int n = 0; n < 2000; n++) {
                int choice[N_ELEMENTS(keys)];

                least(choice, "", "");
                for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                        if (next(&random) % 2)
                                choice[i] = (int)(next(&random) % count_of(i));
                whole += round_trip(choice);
        }
        assert_true(whole > 400);
}

/* The table above is complete: it holds what the profile's own table holds, in that order. */
static void every_key(void **state)
{
        struct profile p = {0};
        struct settings s = {0};
        struct error e = {0};
        int choice[N_ELEMENTS(keys)] = {0};
        size_t n = 0;
        char *file;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                if (strcmp(keys[i].key, "Server.AllowLegacy") == 0)
                        choice[i] = 1;
        file = file_of(choice);
        expect_ok(read_profile(file, &p, &e));
        expect_ok(profile_to_settings(&p, true, &s, &e));
        for (size_t i = 0; i < s.count; i++) {
                if (strncmp(s.items[i].key, "Document.", 9) == 0)
                        continue;
                assert_true(n < N_ELEMENTS(keys));
                assert_string_equal(s.items[i].key, keys[n].key);
                n++;
        }
        assert_int_equal(n, N_ELEMENTS(keys));
        settings_done(&s);
        profile_done(&p);
        free(file);
}

/* What documents alone set: into the store and back, and no file has it. */
static void documents(void **state)
{
        static const char *const given[][2] = {{"Profile.Name", "p"},
                                               {"Server.Url", "https://a/b"},
                                               {"Subject.Name", "CN=a"},
                                               {"Document.Origin", "csp"},
                                               {"Document.Issuers", "CN=a; DC=b | CN=c"},
                                               {"Document.ModelName", "AC_1"},
                                               {"Document.LogicalName", "l"},
                                               {"Document.Version", "-1"}};
        struct settings s = {0}, t = {0};
        struct profile p = {0}, q = {0};
        struct error e = {0};
        char *file = NULL;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(given); i++)
                expect_ok(settings_add(&s, given[i][0], given[i][1], 0, &e));
        expect_ok(profile_from_settings(&s, true, &p, &e));
        assert_int_equal(p.origin, ORIGIN_CSP);
        expect_ok(profile_to_settings(&p, false, &t, &e));
        expect_ok(profile_from_settings(&t, true, &q, &e));
        same_settings(&p, &q, true);
        expect_ok(profile_write_ini(&p, &file, &e));
        assert_null(strstr(file, "csp"));
        assert_null(strstr(file, "Issuers"));
        free(file);
        settings_done(&s);
        settings_done(&t);
        profile_done(&p);
        profile_done(&q);
}

/* A profile does not widen the system's trust (facts §3.3): asked for, it says whose work that is. */
static void trust_store(void **state)
{
        static const char *const lines[] = {"[Server]\nTrustStore=yes\n", "[Server]\nInstallRoot=yes\n",
                                            "[Profile]\nsystemtrust=1\n", "[Key]\nINSTALLROOT=no\n"};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
                struct commands c = {0};
                struct error e = {0};

                expect_err(document_read(DOCUMENT_INI, str_view(lines[i]), &c, &e), ERR_UNSUPPORTED);
                assert_non_null(strstr(e.message, "Line 2"));
                assert_non_null(strstr(e.message, "trust store"));
                assert_non_null(strstr(e.remedy, "consumers.d"));
        }
        struct commands c = {0};
        struct error e = {0};

        expect_err(document_read(DOCUMENT_INI, str_view("[Server]\nTrustStores=yes\n"), &c, &e), ERR_PROFILE);
        assert_non_null(strstr(e.message, "has no setting"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_key), cmocka_unit_test(every_value), cmocka_unit_test(combinations),
                cmocka_unit_test(documents), cmocka_unit_test(trust_store),
        };

        return cmocka_run_group_tests_name("round-trip", tests, NULL, NULL);
}
