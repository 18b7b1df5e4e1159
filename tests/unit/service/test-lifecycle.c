/* service/enroll/lifecycle: every pair of activity and event, names, health from dates. */
#include "test.h"

#include "enroll/lifecycle.h"

/* Where each event leads; '-' is a refusal. Columns: enroll renew pending issued installed apply applied
 * fall-back needs-challenge challenge fail cancel remove needs-user. */
static const char *const arrows[_ACTIVITY_MAX][_LIFE_MAX] = {
        [ACTIVITY_IDLE] = {"requesting", "requesting", "-", "-", "-", "apply-pending", "-", "-", "-", "-",
                           "-", "-", "removing", "-"},
        [ACTIVITY_REQUESTING] = {"-", "-", "pending", "installing", "-", "-", "-", "-", "needs-challenge",
                                 "-", "failed", "idle", "-", "waiting-for-user"},
        [ACTIVITY_PENDING] = {"-", "-", "pending", "installing", "-", "-", "-", "-", "-", "-", "failed",
                              "idle", "-", "waiting-for-user"},
        [ACTIVITY_NEEDS_CHALLENGE] = {"requesting", "requesting", "-", "-", "-", "-", "-", "-", "-",
                                      "requesting", "-", "-", "removing", "-"},
        [ACTIVITY_WAITING_FOR_USER] = {"requesting", "requesting", "-", "-", "-", "-", "-", "-", "-", "-",
                                       "-", "-", "removing", "-"},
        [ACTIVITY_INSTALLING] = {"-", "-", "-", "-", "idle", "apply-pending", "-", "requesting", "-", "-",
                                 "failed", "-", "-", "-"},
        [ACTIVITY_APPLY_PENDING] = {"requesting", "requesting", "-", "-", "-", "apply-pending", "idle", "-",
                                    "-", "-", "-", "-", "removing", "-"},
        [ACTIVITY_FAILED] = {"requesting", "requesting", "-", "-", "-", "-", "-", "-", "-", "requesting", "-",
                             "-", "removing", "-"},
        [ACTIVITY_REMOVING] = {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "removing", "-"},
};

static void table(void **state)
{
        struct error e = {0};

        (void)state;
        for (int from = 0; from < _ACTIVITY_MAX; from++) {
                for (int event = 0; event < _LIFE_MAX; event++) {
                        enum activity to = _ACTIVITY_MAX;
                        enum err r;

                        memset(&e, 0, sizeof e);
                        r = lifecycle_next((enum activity)from, (enum life_event)event, &to, &e);
                        if (strcmp(arrows[from][event], "-") == 0) {
                                assert_true(r == ERR_BUSY || r == ERR_NOT_FOUND);
                                assert_true(e.message[0] && e.remedy[0]);
                                assert_int_equal(to, _ACTIVITY_MAX);
                        } else {
                                assert_int_equal(r, ERR_OK);
                                assert_string_equal(activity_name(to), arrows[from][event]);
                        }
                }
        }
}

static void names(void **state)
{
        (void)state;
        for (int i = 0; i < _ACTIVITY_MAX; i++) {
                enum activity back;

                assert_true(activity_from_name(activity_name((enum activity)i), &back));
                assert_int_equal(back, i);
        }
        assert_false(activity_from_name("sleeping", &(enum activity){0}));
        for (int i = 0; i < _LIFE_MAX; i++)
                assert_true(*life_event_name((enum life_event)i));
}

/* What a restart takes up again can always end. */
static void running_ends(void **state)
{
        (void)state;
        for (int i = 0; i < _ACTIVITY_MAX; i++) {
                enum activity to;

                if (activity_is_running((enum activity)i))
                        assert_int_equal(lifecycle_next((enum activity)i, LIFE_FAIL, &to, NULL), ERR_OK);
        }
}

static void health(void **state)
{
        static const struct {
                struct health_dates dates;
                uint64_t now;
                enum health wanted;
        } cases[] = {
                {{0, 0, 0, 0}, 100, HEALTH_NONE},        {{10, 100, 80, 0}, 50, HEALTH_VALID},
                {{10, 100, 80, 0}, 80, HEALTH_EXPIRING}, {{10, 100, 80, 0}, 100, HEALTH_EXPIRING},
                {{10, 100, 80, 0}, 101, HEALTH_EXPIRED}, {{10, 100, 80, 40}, 50, HEALTH_REVOKED},
                {{10, 100, 80, 40}, 90, HEALTH_REVOKED}, {{10, 100, 80, 40}, 101, HEALTH_EXPIRED},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                assert_int_equal(health_of(&cases[i].dates, cases[i].now), cases[i].wanted);
        assert_int_equal(csp_status(ACTIVITY_IDLE, HEALTH_VALID), 1);
        assert_int_equal(csp_status(ACTIVITY_PENDING, HEALTH_NONE), 2);
        assert_int_equal(csp_status(ACTIVITY_FAILED, HEALTH_VALID), 16);
        assert_int_equal(csp_status(ACTIVITY_IDLE, HEALTH_NONE), 32);
        assert_int_equal(csp_status(ACTIVITY_APPLY_PENDING, HEALTH_VALID), 1);
        assert_int_equal(csp_status(ACTIVITY_IDLE, HEALTH_REVOKED), 32);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(names),
                                           cmocka_unit_test(running_ends), cmocka_unit_test(health)};

        return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
