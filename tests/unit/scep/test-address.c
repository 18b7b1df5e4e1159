/* service/scep/http/address: what a user's own profile may not reach. */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "address.h"

static bool local(const char *text)
{
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        struct sockaddr_in v4 = {.sin_family = AF_INET};

        if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
                return address_is_local((const struct sockaddr *)&v6);
        assert_int_equal(inet_pton(AF_INET, text, &v4.sin_addr), 1);
        return address_is_local((const struct sockaddr *)&v4);
}

static void addresses(void **state)
{
        static const char *const denied[] = {"127.0.0.1",
                                             "127.0.0.0",
                                             "127.255.255.255",
                                             "0.0.0.0",
                                             "0.1.2.3",
                                             "169.254.0.0",
                                             "169.254.169.254",
                                             "169.254.255.255",
                                             "224.0.0.1",
                                             "255.255.255.255",
                                             "::1",
                                             "::",
                                             "fe80::1",
                                             "febf::1",
                                             "ff02::1",
                                             "::ffff:127.0.0.1",
                                             "::ffff:169.254.1.1",
                                             "::ffff:0.0.0.0",
                                             "::127.0.0.1",
                                             "::ffff:0:127.0.0.1",
                                             "64:ff9b::127.0.0.1",
                                             "64:ff9b::169.254.1.1",
                                             "2002:7f00:1::",
                                             "2002:a9fe:a9fe::1"};
        static const char *const taken[] = {
                "126.255.255.255", "128.0.0.1",      "1.0.0.0",         "169.253.255.255", "169.255.0.0",
                "10.0.0.1",        "192.168.1.1",    "172.16.0.1",      "223.255.255.255", "2001:db8::1",
                "fd00::1",         "fec0::1",        "::ffff:10.0.0.1", "64:ff9b::a00:1",  "2002:a00:1::1",
                "fe7f::1",         "fe00::127.0.0.1"};
        static const struct sockaddr other = {.sa_family = AF_UNIX};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(denied); i++)
                if (!local(denied[i]))
                        fail_msg("%s is taken", denied[i]);
        for (size_t i = 0; i < N_ELEMENTS(taken); i++)
                if (local(taken[i]))
                        fail_msg("%s is denied", taken[i]);
        assert_true(address_is_local(&other));
}

static void hosts(void **state)
{
        static const char *const denied[] = {
                "127.0.0.1", "127.1",      "2130706433",       "0x7f000001",        "0",
                "[::1]",     "::1",        "[fe80::1%25eth0]", "[fe80::1]",         "localhost",
                "LOCALHOST", "localhost.", "a.localhost",      "[::ffff:127.0.0.1]"};
        static const char *const taken[] = {"ndes.contoso.com",
                                            "localhost.contoso.com",
                                            "mylocalhost",
                                            "10.0.0.1",
                                            "[2001:db8::1]",
                                            "127.0.0.1.nip.io",
                                            "",
                                            "host"};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(denied); i++)
                if (!host_is_local(denied[i]))
                        fail_msg("%s is taken", denied[i]);
        for (size_t i = 0; i < N_ELEMENTS(taken); i++)
                if (host_is_local(taken[i]))
                        fail_msg("%s is denied", taken[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(addresses), cmocka_unit_test(hosts)};

        return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
