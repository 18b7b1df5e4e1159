/* service/work/schedule: in the order of time, whatever is set, dropped or stepped; and service/daemon/clock.
 */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "work/schedule.h"

enum { ENTRIES = 2000, START = 1000 };

static struct schedule_entry entries[ENTRIES];
static int64_t offset;
static struct wall_clock wall = {.scale = 1, .offset = &offset};
static sd_event *loop;
static struct schedule *schedule;

/* What came, in its order. */
static size_t came[ENTRIES], n_came;

static void due(void *ctx, void *of)
{
        assert_ptr_equal(ctx, &wall);
        came[n_came++] = (size_t)((struct schedule_entry *)of - entries);
}

static void set_time(uint64_t now)
{
        struct wall_clock machine = {.scale = 1};

        offset = (int64_t)now - (int64_t)clock_now(&machine);
        schedule_recheck(schedule);
}

static void turn(void)
{
        while (sd_event_run(loop, 0) > 0)
                ;
}

static int start(void **state)
{
        (void)state;
        for (size_t i = 0; i < ENTRIES; i++)
                entries[i] = (struct schedule_entry){.of = &entries[i]};
        n_came = 0;
        if (sd_event_new(&loop) < 0 || schedule_new(loop, &wall, due, &wall, &schedule, NULL))
                return -1;
        set_time(START);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        schedule_free(schedule);
        sd_event_unref(loop);
        return 0;
}

static void set(size_t i, uint64_t at)
{
        struct error e = {0};

        expect_ok(schedule_set(schedule, &entries[i], at, &e));
}

/* Random dates, some changed, some dropped: what is left comes, each once, the earlier first. */
static void in_order(void **state)
{
        static uint64_t dates[ENTRIES];
        size_t left = 0;

        (void)state;
        srandom(7);
        for (size_t i = 0; i < ENTRIES; i++)
                set(i, dates[i] = START + 100 + (uint64_t)random() % 500);
        for (size_t i = 0; i < ENTRIES; i += 3)
                set(i, dates[i] = START + 100 + (uint64_t)random() % 500);
        for (size_t i = 0; i < ENTRIES; i += 7) {
                if (i % 2)
                        set(i, 0);
                else
                        schedule_drop(schedule, &entries[i]);
                dates[i] = 0;
        }
        for (size_t i = 0; i < ENTRIES; i++)
                left += dates[i] != 0;
        turn();
        assert_int_equal(n_came, 0);
        set_time(START + 350);
        turn();
        assert_true(n_came > left / 3 && n_came < left);
        for (size_t i = 0; i < n_came; i++)
                assert_true(dates[came[i]] <= START + 350 && entries[came[i]].due == 0);
        set_time(START + 10000);
        turn();
        assert_int_equal(n_came, left);
        for (size_t i = 1; i < n_came; i++)
                assert_true(dates[came[i]] >= dates[came[i - 1]]);
}

/* Back by years: nothing comes twice, and what is due then comes then. */
static void stepped_back(void **state)
{
        (void)state;
        set(0, START + 10);
        set(1, START + 20);
        set_time(START + 15);
        turn();
        assert_int_equal(n_came, 1);
        set_time(10);
        set(0, START + 30);
        turn();
        assert_int_equal(n_came, 1);
        set_time(START + 25);
        turn();
        assert_int_equal(n_came, 2);
        assert_int_equal(came[1], 1);
        set_time(START + 31);
        turn();
        assert_int_equal(n_came, 3);
}

/* The timer itself. */
static void by_itself(void **state)
{
        (void)state;
        set_time(START);
        set(0, START + 1);
        while (!n_came)
                assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
        assert_int_equal(came[0], 0);
}

static void count(void *ctx)
{
        ++*(unsigned *)ctx;
}

/* A file of a test sets the clock, and whoever watches is told. */
static void a_file(void **state)
{
        struct wall_clock own = {.scale = 1}, machine = own;
        struct clock_watch *watch = NULL;
        char path[] = "/tmp/scepter-clock.XXXXXX";
        int64_t seconds = 86400;
        struct error e = {0};
        unsigned told = 0;
        int fd = mkstemp(path);

        (void)state;
        assert_int_equal(write(fd, &(int64_t){0}, sizeof seconds), sizeof seconds);
        expect_ok(clock_open(&own, path, &e));
        expect_ok(clock_watch_new(loop, path, count, &told, &watch, &e));
        assert_true(clock_now(&own) - clock_now(&machine) <= 1);
        assert_int_equal(pwrite(fd, &seconds, sizeof seconds, 0), sizeof seconds);
        close(fd);
        turn();
        assert_int_equal(told, 1);
        assert_true(clock_now(&own) - clock_now(&machine) >= 86399);
        clock_watch_free(watch);
        unlink(path);
        expect_err(clock_open(&own, path, &e), ERR_IO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(in_order, start, stop),
                cmocka_unit_test_setup_teardown(stepped_back, start, stop),
                cmocka_unit_test_setup_teardown(by_itself, start, stop),
                cmocka_unit_test_setup_teardown(a_file, start, stop),
        };

        return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
