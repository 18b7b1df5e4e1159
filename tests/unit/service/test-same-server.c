/* service/enroll/same-server: where a worker may say it found the server. */
#include "test.h"

#include "enroll/same-server.h"

static void table(void **state)
{
        static const struct {
                const char *a, *b;
                bool same;
        } cases[] = {
                {"https://h/certsrv/mscep/mscep.dll", "https://h/certsrv/mscep/mscep.dll/pkiclient.exe",
                 true},
                {"https://h", "https://h/", true},
                {"https://h", "https://H:443/x?y", true},
                {"HTTP://h:80", "http://h", true},
                {"https://h:8443/a", "https://h:08443/b", true},
                {"https://[2001:db8::1]/", "https://[2001:0db8:0:0::1]:443/", true},
                {"http://127.1/", "http://127.0.0.1/", true},
                {"https://h/", "http://h/", false},
                {"https://h/", "http://h:443/", false},
                {"https://h/", "https://h:444/", false},
                {"https://h/", "https://h.evil/", false},
                {"https://h/", "https://evil/h/", false},
                {"https://h/", "https://h@evil/", false},
                {"https://h@evil/", "https://h@evil/", false},
                {"https://h/", "https://h?@evil/", true},
                {"https://[::1]/", "https://[::2]/", false},
                {"https://[::1/", "https://[::1/", false},
                {"https://[::1]x/", "https://[::1]x/", false},
                {"https://h:99999/", "https://h:99999/", false},
                {"https://h:/", "https://h:/", false},
                {"https://h/", "ftp://h/", false},
                {"https://h/", "", false},
                {"h", "h", false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                if (same_server(cases[i].a, cases[i].b) != cases[i].same ||
                    same_server(cases[i].b, cases[i].a) != cases[i].same)
                        fail_msg("%s %s", cases[i].a, cases[i].b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(table)};

        return cmocka_run_group_tests_name("same-server", tests, NULL, NULL);
}
