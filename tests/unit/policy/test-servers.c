/* policy/servers: facts 4.1 "SCEP server URLs": stable, a permutation, spread over devices. */
#include "test.h"

#include <stdio.h>

#include "policy/servers.h"

enum { URLS = 4, DEVICES = 6000 };

static struct profile profile_of(enum profile_origin origin, size_t urls)
{
        struct profile p = {.origin = origin, .name = strdup("p")};
        struct error e = {0};

        for (size_t i = 0; i < urls; i++) {
                char url[32];

                snprintf(url, sizeof url, "https://s%zu/", i);
                expect_ok(strings_add(&p.urls, url, &e));
        }
        return p;
}

/* Which URL stands where, as digits; every one once. */
static void order_of(const struct profile *p, const char *device, char ret[URLS + 1])
{
        struct error e = {0};
        struct strings order = {0};
        unsigned seen = 0;

        expect_ok(servers_order(p, device, &order, &e));
        assert_int_equal(order.count, p->urls.count);
        for (size_t i = 0; i < order.count; i++) {
                ret[i] = order.items[i][strlen("https://s")];
                seen |= 1u << (ret[i] - '0');
        }
        ret[order.count] = 0;
        assert_int_equal(seen, (1u << p->urls.count) - 1);
        strings_done(&order);
}

static void ini_as_written(void **state)
{
        struct profile p = profile_of(ORIGIN_INI, URLS);
        char device[16], order[URLS + 1];

        (void)state;
        for (int i = 0; i < 100; i++) {
                snprintf(device, sizeof device, "device-%d", i);
                order_of(&p, device, order);
                assert_string_equal(order, "0123");
        }
        profile_done(&p);
}

/* Each of the (URLS - fixed)! orders about equally often, by chi-squared: nothing here is random, so the
 * bounds hold always or never. */
static void spread(enum profile_origin origin, size_t fixed, size_t orders, double bound)
{
        struct profile p = profile_of(origin, URLS);
        struct {
                char order[URLS + 1];
                unsigned count;
        } found[24] = {0};
        double chi = 0, wanted = (double)DEVICES / (double)orders;
        size_t n = 0;

        for (int i = 0; i < DEVICES; i++) {
                char device[16], order[URLS + 1], again[URLS + 1];
                size_t k = 0;

                snprintf(device, sizeof device, "%d", i);
                order_of(&p, device, order);
                order_of(&p, device, again);
                assert_string_equal(order, again);
                assert_memory_equal(order, "0123", fixed);
                while (k < n && strcmp(found[k].order, order) != 0)
                        k++;
                assert_true(k < orders);
                if (k == n)
                        strcpy(found[n++].order, order);
                found[k].count++;
        }
        assert_int_equal(n, orders);
        for (size_t k = 0; k < n; k++)
                chi += (found[k].count - wanted) * (found[k].count - wanted) / wanted;
        if (chi > bound)
                fail_msg("chi-squared is %f", chi);
        profile_done(&p);
}

/* 99.9 % of random shuffles stay below: 23 and 5 degrees of freedom. */
static void windows_all(void **state)
{
        (void)state;
        spread(ORIGIN_CSP, 0, 24, 49.7);
}

static void android_after_the_chosen(void **state)
{
        (void)state;
        spread(ORIGIN_SYNCML, 1, 6, 20.5);
}

/* Another profile has another order; another version of the same has not; a URL less leaves the others. */
static void identity(void **state)
{
        struct profile a = profile_of(ORIGIN_CSP, URLS), b = profile_of(ORIGIN_CSP, URLS),
                       less = profile_of(ORIGIN_CSP, URLS - 1);
        unsigned same = 0;

        (void)state;
        a.model_name = strdup("m");
        a.logical_name = strdup("l");
        a.version = strdup("1");
        b.model_name = strdup("m");
        b.logical_name = strdup("l");
        b.version = strdup("2");
        less.model_name = strdup("m");
        less.logical_name = strdup("l");
        free(b.name);
        b.name = strdup("renamed");
        for (int i = 0; i < 240; i++) {
                char device[16], x[URLS + 1], y[URLS + 1];
                size_t n = 0;

                snprintf(device, sizeof device, "%d", i);
                order_of(&a, device, x);
                order_of(&b, device, y);
                assert_string_equal(x, y);
                order_of(&less, device, y);
                for (size_t k = 0; x[k]; k++)
                        if (x[k] != '3')
                                assert_int_equal(x[k], y[n++]);
        }
        free(b.logical_name);
        b.logical_name = strdup("other");
        for (int i = 0; i < 240; i++) {
                char device[16], x[URLS + 1], y[URLS + 1];

                snprintf(device, sizeof device, "%d", i);
                order_of(&a, device, x);
                order_of(&b, device, y);
                same += strcmp(x, y) == 0;
        }
        assert_true(same < 40); /* one in 24 by chance */
        profile_done(&a);
        profile_done(&b);
        profile_done(&less);
}

static void few(void **state)
{
        static const enum profile_origin origins[] = {ORIGIN_INI, ORIGIN_SYNCML, ORIGIN_CSP};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(origins); i++)
                for (size_t n = 0; n < 2; n++) {
                        struct profile p = profile_of(origins[i], n);
                        char order[URLS + 1];

                        order_of(&p, "", order);
                        assert_string_equal(order, n ? "0" : "");
                        profile_done(&p);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ini_as_written),
                cmocka_unit_test(windows_all),
                cmocka_unit_test(android_after_the_chosen),
                cmocka_unit_test(identity),
                cmocka_unit_test(few),
        };

        return cmocka_run_group_tests_name("servers", tests, NULL, NULL);
}
