/* service/agents: the order in which a user's agents are asked, and how many there may be. */
#include "test.h"

#include <stdio.h>

#include "agents/agents.h"

static struct error e;

static void add(struct agents *agents, const char *name, uid_t uid)
{
        expect_ok(agents_add(agents, name, "/agent", uid, &e));
}

/* Names in the order in which they are asked. */
static void expect_order(const struct agents *agents, uid_t uid, uint64_t above, const char *wanted)
{
        const struct agent *agent;
        uint64_t below = UINT64_MAX;
        char got[128] = "";

        while ((agent = agents_find(agents, uid, below, above))) {
                (void)strcat(strcat(got, agent->name), " ");
                below = agent->number;
        }
        assert_string_equal(got, wanted);
}

static void newest_first(void **state)
{
        struct agents agents = {0};
        uint64_t seen;

        (void)state;
        expect_order(&agents, 1000, 0, "");
        add(&agents, ":1.1", 1000);
        add(&agents, ":1.2", 1001);
        add(&agents, ":1.3", 1000);
        expect_order(&agents, 1000, 0, ":1.3 :1.1 ");
        expect_order(&agents, 1001, 0, ":1.2 ");
        expect_order(&agents, 0, 0, "");
        /* those that came since */
        seen = agents.last;
        expect_order(&agents, 1000, seen, "");
        add(&agents, ":1.4", 1000);
        expect_order(&agents, 1000, seen, ":1.4 ");
        /* one that comes again is a new one */
        assert_true(agents_remove(&agents, ":1.1", NULL));
        add(&agents, ":1.1", 1000);
        expect_order(&agents, 1000, 0, ":1.1 :1.4 :1.3 ");
        expect_order(&agents, 1000, seen, ":1.1 :1.4 ");
        agents_done(&agents);
        assert_null(agents.newest);
}

static void removal(void **state)
{
        struct agents agents = {0};

        (void)state;
        assert_false(agents_remove(&agents, ":1.1", NULL));
        add(&agents, ":1.1", 1000);
        assert_false(agents_remove(&agents, ":1.1", "/other"));
        assert_false(agents_remove(&agents, ":1.10", NULL));
        assert_true(agents_remove(&agents, ":1.1", "/agent"));
        assert_false(agents_remove(&agents, ":1.1", "/agent"));
        expect_order(&agents, 1000, 0, "");
}

static void bounds(void **state)
{
        struct agents agents = {0};
        char name[16];

        (void)state;
        for (unsigned i = 0; i < AGENTS_MAX; i++) {
                const uid_t uid = 1000 + i / AGENTS_PER_USER;

                (void)snprintf(name, sizeof name, ":1.%u", i);
                add(&agents, name, uid);
                expect_err(agents_add(&agents, name, "/again", 2000, &e), ERR_EXISTS);
                if (i % AGENTS_PER_USER == AGENTS_PER_USER - 1)
                        expect_err(agents_add(&agents, ":2.1", "/agent", uid, &e), ERR_LIMIT);
        }
        expect_err(agents_add(&agents, ":2.1", "/agent", 2000, &e), ERR_LIMIT);
        assert_true(agents_remove(&agents, ":1.5", NULL));
        add(&agents, ":2.1", 2000);
        agents_done(&agents);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(newest_first),
                cmocka_unit_test(removal),
                cmocka_unit_test(bounds),
        };

        return cmocka_run_group_tests_name("service/agents", tests, NULL, NULL);
}
