/* policy/consumer: which lines a consumer takes, and what it refuses in which words. */
#include "test.h"

#include "policy/consumer.h"

struct line {
        const char *section, *key, *value;
};

enum { LINES_MAX = 8 };

static enum err take_all(const struct line *lines, struct consumer *ret, struct error *e)
{
        enum err r = consumer_init(ret, "test", e);

        for (size_t i = 0; !r && i < LINES_MAX && lines[i].section; i++)
                r = consumer_take(ret, lines[i].section, lines[i].key, lines[i].value, e);
        return r ? r : consumer_check(ret, e);
}

static void accepts(void **state)
{
        static const struct line lines[][LINES_MAX] = {
                {{"Consumer", "Profile", "wifi"}, {"Files", "Certificate", "/etc/x/cert.pem"}},
                {{"Consumer", "Profile", "wifi"}, {"Files", "Key", "/k"}, {"Files", "Mode", "0600"}},
                {{"Consumer", "Profile", "wifi"},
                 {"Files", "KeyUri", "/a/..b"},
                 {"Files", "Owner", "radius"}},
                {{"Consumer", "Profile", "wifi"}, {"Files", "Chain", "/a/b."}, {"Files", "Mode", "664"}},
                {{"Consumer", "Profile", "a b"}, {"Units", "Reload", "nginx.service a@b-c.service"}},
                {{"Consumer", "Profile", "a"},
                 {"Units", "Restart", "x.target"},
                 {"Units", "Restart", "y.timer"}},
                {{"Units", "Start", "x.service"}, {"Consumer", "Profile", "a"}},
                {{"Consumer", "Profile", "a"}, {"TrustStore", "Anchor", "yes"}},
                {{"Consumer", "Profile", "a"}, {"NetworkManager", "Connection", "Corp Wi-Fi"}},
                {{"Consumer", "Profile", "a"},
                 {"Files", "Anchor", "/a/b"},
                 {"NetworkManager", "Connection", "x"},
                 {"NetworkManager", "Update", "yes"},
                 {"NetworkManager", "PrivateKey", "pkcs11"}},
                {{"Consumer", "Profile", "a"},
                 {"Files", "Key", "/a/b"},
                 {"NetworkManager", "Connection", "x"},
                 {"NetworkManager", "Update", "yes"},
                 {"NetworkManager", "PrivateKey", "keep"},
                 {"NetworkManager", "Timeout", "300"}},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
                struct consumer consumer;
                struct error e = {0};

                if (take_all(lines[i], &consumer, &e))
                        fail_msg("%zu: %s", i, e.message);
                assert_true(consumer_follows(&consumer, consumer.profile));
                assert_false(consumer_follows(&consumer, "another"));
                consumer_done(&consumer);
        }
}

static void refuses(void **state)
{
        static const struct {
                struct line lines[LINES_MAX];
                const char *says;
        } cases[] = {
                {{{"Consumer", "Profle", "a"}}, "has no key 'Profle'"},
                {{{"Consumers", "Profile", "a"}}, "no section [Consumers]"},
                {{{"", "Profile", "a"}}, "before the first"},
                {{{"Consumer", "Profile", ""}}, "no value"},
                {{{"Consumer", "Profile", "a"}, {"Consumer", "Profile", "b"}}, "set before"},
                {{{"Consumer", "Profile", "a\xff"}}, "UTF-8"},
                {{{"Consumer", "Profile", "a"}}, "nothing is to be done"},
                {{{"Files", "Certificate", "/a/b"}}, "no Profile="},
                {{{"Files", "Certificate", "a/b"}}, "absolute path"},
                {{{"Files", "Certificate", "/a/../b"}}, "absolute path"},
                {{{"Files", "Certificate", "/a/./b"}}, "absolute path"},
                {{{"Files", "Certificate", "/a//b"}}, "absolute path"},
                {{{"Files", "Certificate", "/a/"}}, "absolute path"},
                {{{"Files", "Certificate", "/a/.."}}, "absolute path"},
                {{{"Files", "Certificate", "/a/."}}, "absolute path"},
                {{{"Files", "Certificate", "/"}}, "absolute path"},
                {{{"Files", "Certificate", ""}}, "absolute path"},
                {{{"Files", "Mode", "0666"}}, "Mode is octal"},
                {{{"Files", "Mode", "0755"}}, "Mode is octal"},
                {{{"Files", "Mode", "4644"}}, "Mode is octal"},
                {{{"Files", "Mode", "0240"}}, "Mode is octal"},
                {{{"Files", "Mode", "64"}}, "Mode is octal"},
                {{{"Files", "Mode", "0648"}}, "Mode is octal"},
                {{{"Files", "Mode", "000000640"}}, "Mode is octal"},
                {{{"Consumer", "Profile", "a"}, {"Files", "Owner", "x"}, {"TrustStore", "Anchor", "on"}},
                 "names no file"},
                {{{"Consumer", "Profile", "a"}, {"Files", "Chain", "/a"}, {"Files", "Anchor", "/a"}},
                 "Chain and Anchor name the same file"},
                {{{"Units", "Reload", "nginx"}}, "no name of a unit"},
                {{{"Units", "Reload", "../x.service"}}, "no name of a unit"},
                {{{"Units", "Reload", ".service"}}, "no name of a unit"},
                {{{"Units", "Reload", "x.mount"}}, "no name of a unit"},
                {{{"Units", "Reload", ""}}, "1 to 16"},
                {{{"Units", "Stop", "x.service"}}, "has no key 'Stop'"},
                {{{"TrustStore", "Anchor", "maybe"}}, "yes or no"},
                {{{"NetworkManager", "Timeout", "4"}}, "from 5 to 300"},
                {{{"NetworkManager", "PrivateKey", "yes"}}, "keep or pkcs11"},
                {{{"Consumer", "Profile", "a"},
                  {"Files", "Certificate", "/a"},
                  {"NetworkManager", "Connection", "x"},
                  {"NetworkManager", "PrivateKey", "pkcs11"}},
                 "needs Update=yes"},
                {{{"Consumer", "Profile", "a"},
                  {"Files", "Key", "/a"},
                  {"NetworkManager", "Connection", "x"},
                  {"NetworkManager", "Update", "yes"},
                  {"NetworkManager", "PrivateKey", "pkcs11"}},
                 "one private key"},
                {{{"NetworkManager", "Timeout", "301"}}, "from 5 to 300"},
                {{{"Consumer", "Profile", "a"},
                  {"NetworkManager", "Update", "yes"},
                  {"Files", "Anchor", "/a"}},
                 "no Connection="},
                {{{"Consumer", "Profile", "a"},
                  {"NetworkManager", "Update", "yes"},
                  {"NetworkManager", "Connection", "x"}},
                 "nothing a connection could use"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct consumer consumer;
                struct error e = {0};

                assert_int_equal(take_all(cases[i].lines, &consumer, &e), ERR_CONFIG);
                if (!strstr(e.message, cases[i].says))
                        fail_msg("%zu: '%s' is not in '%s'", i, cases[i].says, e.message);
                assert_true(*e.remedy);
                consumer_done(&consumer);
        }
}

/* One that is wrong is told where it belongs, or everywhere. */
static void follows_when_wrong(void **state)
{
        struct consumer consumer;

        (void)state;
        assert_int_equal(consumer_init(&consumer, "test", NULL), ERR_OK);
        assert_false(consumer_follows(&consumer, "a"));
        (void)error_set(&consumer.failure, ERR_CONFIG, "wrong");
        assert_true(consumer_follows(&consumer, "a"));
        assert_int_equal(consumer_take(&consumer, "Consumer", "Profile", "b", NULL), ERR_OK);
        assert_false(consumer_follows(&consumer, "a"));
        assert_true(consumer_follows(&consumer, "b"));
        consumer_done(&consumer);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(accepts), cmocka_unit_test(refuses),
                                           cmocka_unit_test(follows_when_wrong)};

        return cmocka_run_group_tests_name("consumer", tests, NULL, NULL);
}
