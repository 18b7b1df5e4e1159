/* policy/renewal: the date, its jitter, and odd certificates. */
#include "test.h"

#include <stdio.h>

#include "policy/renewal.h"

static void dates(void **state)
{
        static const struct {
                int64_t from, to;
                unsigned threshold;
                int64_t earliest, latest;
        } cases[] = {
                {0, 1000, 20, 800, 849},
                {0, 730 * 86400, 20, 584 * 86400, 584 * 86400 + 146 * 86400 / 4 - 1},
                {1000000000, 1000000000 + 86400, 50, 1000000000 + 43200, 1000000000 + 43200 + 10799},
                {0, 1000, 99, 10, 256},
                {0, 1000, 1, 990, 991},
                {0, 3, 20, 3, 3},
                {500, 500, 20, 500, 500},
                {500, 400, 20, 500, 500},
                {INT64_MIN, INT64_MAX, 50, -1, INT64_MAX / 4},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                for (int device = 0; device < 50; device++) {
                        int64_t at = 0, again = 0;
                        char id[16];

                        snprintf(id, sizeof id, "device%d", device);
                        expect_ok(renewal_date(cases[i].from, cases[i].to, cases[i].threshold, id, "c", &at,
                                               &e));
                        expect_ok(renewal_date(cases[i].from, cases[i].to, cases[i].threshold, id, "c",
                                               &again, &e));
                        assert_true(at == again);
                        assert_true(at >= cases[i].earliest && at <= cases[i].latest);
                }
        int64_t at;

        expect_err(renewal_date(0, 1, 0, "", "", &at, &e), ERR_INVALID);
        expect_err(renewal_date(0, 1, 100, "", "", &at, &e), ERR_INVALID);
}

/* A thousand devices spread evenly: no eighth of the window holds a quarter of them, none is empty. */
static void spread(void **state)
{
        struct error e = {0};
        unsigned buckets[8] = {0};
        int64_t a, b;

        (void)state;
        for (int i = 0; i < 1000; i++) {
                int64_t at;
                char id[16];

                snprintf(id, sizeof id, "%d", i);
                expect_ok(renewal_date(0, 3200, 100 / 4, id, "cert", &at, &e));
                buckets[(at - 2400) / 25]++;
        }
        for (int i = 0; i < 8; i++)
                assert_in_range(buckets[i], 80, 170);
        expect_ok(renewal_date(0, INT32_MAX, 20, "ab", "c", &a, &e));
        expect_ok(renewal_date(0, INT32_MAX, 20, "a", "bc", &b, &e));
        assert_true(a != b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(dates), cmocka_unit_test(spread)};

        return cmocka_run_group_tests_name("renewal", tests, NULL, NULL);
}
