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

/* Without a certificate from a minute to a limit that doubles; with one the upper half of two limits. */
static void retries(void **state)
{
        static const struct {
                const char *row;
                uint64_t attempts, base, left, most; /* left: until notAfter, 0: no certificate */
        } cases[] = {
                {"the first", 1, 300, 0, 300},
                {"the third", 3, 300, 0, 1200},
                {"no certificate", 20, 300, 0, RETRY_MAX},
                {"renewal, the first", 1, 300, 100 * 86400, 300},
                {"renewal, the second", 2, 300, 100 * 86400, RENEWAL_RETRY_MAX},
                {"a long life", 20, 300, 100 * 86400, RENEWAL_RETRY_MAX},
                {"a day left", 20, 300, 86400, 10800},
                {"an hour left", 20, 300, 3600, 450},
                {"minutes left", 20, 300, 300, RETRY_MIN},
                {"a huge base", 1, UINT64_MAX / 4, 86400, 10800},
                {"for ages", UINT64_MAX, 300, 86400, 10800},
        };
        const uint64_t now = 1800000000;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const uint64_t end = cases[i].left ? now + cases[i].left : 0;
                const uint64_t from =
                        cases[i].left && cases[i].most > RETRY_MIN ? cases[i].most / 2 : RETRY_MIN;
                uint64_t least = UINT64_MAX, most = 0;

                for (uint64_t random = 0; random < 200; random++) {
                        uint64_t wait = retry_wait(cases[i].attempts, cases[i].base, end, now,
                                                   random * (UINT64_MAX / 199));

                        least = wait < least ? wait : least;
                        most = wait > most ? wait : most;
                        wait = retry_wait(cases[i].attempts, cases[i].base, end, now, random);
                        assert_in_range(wait, from, cases[i].most);
                }
                if ((most - least) * 10 < (cases[i].most - from) * 8)
                        fail_msg("%s: from %llu to %llu", cases[i].row, (unsigned long long)least,
                                 (unsigned long long)most);
        }
        /* one that has expired is not given up */
        assert_in_range(retry_wait(9, 300, now - 5, now, 7777777), RETRY_MIN, RETRY_MAX);
}

static void network(void **state)
{
        const uint64_t now = 1800000000;

        (void)state;
        for (uint64_t random = 0; random < 10000; random += 7) {
                assert_in_range(network_wait(now + 365 * 86400, now, random), 0, SOON_WAIT);
                assert_in_range(network_wait(now + 1000, now, random), 0, 50);
                assert_int_equal(network_wait(now - 1, now, random), 0);
        }
        assert_int_equal(network_wait(now + 365 * 86400, now, SOON_WAIT), SOON_WAIT);
}

static void lateness(void **state)
{
        enum { HOUR = 3600, DAY = 86400 };
        const uint64_t now = 1800000000;
        const struct {
                const char *row;
                uint64_t date, due, not_after, most; /* due 0: the date */
        } cases[] = {
                {"on the date", now, 0, now + 60 * DAY, 0},
                {"a little later", now - LATE, 0, now + 60 * DAY, 0},
                {"before it", now + 5, 0, now + 60 * DAY, 0},
                {"a weekend", now - 60 * HOUR, 0, now + 60 * DAY, LATE_WAIT},
                {"a night, certificate of 30 days", now - 12 * HOUR, 0, now + 5 * DAY, SOON_WAIT},
                {"a vacation", now - 21 * DAY, 0, now + 41 * DAY, SOON_WAIT},
                {"half of what is left", now - 20 * DAY, 0, now + 40 * DAY, SOON_WAIT},
                {"put off, and there", now - 60 * HOUR, now - 1, now + 60 * DAY, 0},
                {"put off, and slept again", now - 60 * HOUR, now - 12 * HOUR, now + 60 * DAY, LATE_WAIT},
                {"in the last hours", now - 9 * DAY, 0, now + 1000, 50},
                {"it ends now", now - DAY, 0, now, 0},
                {"it has expired", now - 9 * DAY, 0, now - 1, 0},
                {"put off for ever", now - 9 * DAY, UINT64_MAX, now + 60 * DAY, 0},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                uint64_t most = 0;

                for (uint64_t random = 0; random < 4 * (uint64_t)LATE_WAIT; random += 7) {
                        const uint64_t wait =
                                late_wait(cases[i].date, cases[i].due ? cases[i].due : cases[i].date,
                                          cases[i].not_after, now, random);

                        if (wait > cases[i].most)
                                fail_msg("%s: %llu", cases[i].row, (unsigned long long)wait);
                        most = wait > most ? wait : most;
                }
                if (most + 7 < cases[i].most)
                        fail_msg("%s: never above %llu", cases[i].row, (unsigned long long)most);
        }
}

static void reminders(void **state)
{
        const uint64_t now = 1800000000, day = 86400;

        (void)state;
        assert_int_equal(remind_wait(0, now), day); /* there is no certificate yet */
        assert_int_equal(remind_wait(now + 300 * day, now), day);
        assert_int_equal(remind_wait(now + 7 * day + 1, now), day);
        assert_int_equal(remind_wait(now + 7 * day, now), day / 4);
        assert_int_equal(remind_wait(now + 1, now), day / 4);
        assert_int_equal(remind_wait(now, now), day);
        assert_int_equal(remind_wait(now - day, now), day);
}

static void wishes(void **state)
{
        static const struct {
                uint64_t wait, retry_after, left, want;
        } cases[] = {
                {60, 0, 0, 60},          /* none */
                {60, 3600, 0, 3600},     /* nothing to lose */
                {7200, 3600, 0, 7200},   /* ours is longer */
                {60, 3600, 86400, 3600}, /* a day is left */
                {60, 3600, 3600, 1800},  /* an hour is left: half of it */
                {60, 3600, 100, 60},     /* and never sooner than without it */
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                assert_int_equal(longer_wait(cases[i].wait, cases[i].retry_after,
                                             cases[i].left ? 1000000 + cases[i].left : 0, 1000000),
                                 cases[i].want);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(dates),    cmocka_unit_test(spread),
                                           cmocka_unit_test(retries),  cmocka_unit_test(network),
                                           cmocka_unit_test(lateness), cmocka_unit_test(wishes),
                                           cmocka_unit_test(reminders)};

        return cmocka_run_group_tests_name("renewal", tests, NULL, NULL);
}
