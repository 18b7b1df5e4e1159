/* service/work/pool: every task runs in a thread and ends in the loop, in any number, once. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <systemd/sd-event.h>

#include "work/pool.h"

enum { TASKS = 500 };

struct counts {
        sd_event *event;
        pthread_t loop;
        atomic_uint ran;
        unsigned done;
};

static void run(void *ctx)
{
        struct counts *counts = ctx;

        assert_false(pthread_equal(pthread_self(), counts->loop));
        atomic_fetch_add(&counts->ran, 1);
}

static void done(void *ctx)
{
        struct counts *counts = ctx;

        assert_true(pthread_equal(pthread_self(), counts->loop));
        if (++counts->done == TASKS)
                (void)sd_event_exit(counts->event, 0);
}

static void all_end(void **state)
{
        struct counts counts = {.loop = pthread_self()};
        struct pool *pool;
        struct error e = {0};

        (void)state;
        assert_true(sd_event_new(&counts.event) >= 0);
        expect_ok(pool_new(counts.event, 4, &pool, &e));
        for (int i = 0; i < TASKS; i++)
                expect_ok(pool_submit(pool, run, done, &counts, &e));
        assert_int_equal(sd_event_loop(counts.event), 0);
        assert_int_equal(atomic_load(&counts.ran), TASKS);
        pool_free(pool);
        (void)sd_event_unref(counts.event);
}

static void freed_with_work_left(void **state)
{
        struct counts counts = {.loop = pthread_self()};
        struct pool *pool;
        struct error e = {0};

        (void)state;
        assert_true(sd_event_new(&counts.event) >= 0);
        expect_ok(pool_new(counts.event, 1, &pool, &e));
        for (int i = 0; i < TASKS; i++)
                expect_ok(pool_submit(pool, run, done, &counts, &e));
        pool_free(pool); /* waits for what runs, drops the rest, tells nobody */
        assert_int_equal(counts.done, 0);
        (void)sd_event_unref(counts.event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(all_end), cmocka_unit_test(freed_with_work_left)};

        return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
