/* service/pin/line: one at a time, users in turn, and each has so many in line. */
#include "test.h"

#include <stdatomic.h>
#include <systemd/sd-event.h>

#include "pin/line.h"

enum { JOBS = 32 };

struct job {
        struct pin_job job; /* first */
        struct world *world;
};

struct world {
        struct job jobs[JOBS];
        sd_event *event;
        struct pool *pool;
        struct pin_line *line;
        char order[JOBS + 1]; /* of those that ran: their users' letters */
        atomic_uint ran, at_work;
        unsigned done, cancelled, expected;
        int gate[2]; /* the first one waits for an octet */
};

static void run(struct pin_job *job)
{
        struct world *w = ((struct job *)job)->world;
        char octet;

        assert_int_equal(atomic_fetch_add(&w->at_work, 1), 0);
        if (atomic_load(&w->ran) == 0)
                assert_int_equal(read(w->gate[0], &octet, 1), 1);
        w->order[atomic_fetch_add(&w->ran, 1)] = (char)job->uid;
        (void)atomic_fetch_sub(&w->at_work, 1);
}

static void done(struct pin_job *job, const struct error *why)
{
        struct world *w = ((struct job *)job)->world;

        w->done++;
        if (why) {
                assert_int_equal(why->code, ERR_CANCELLED);
                w->cancelled++;
        }
        if (w->done == w->expected)
                (void)sd_event_exit(w->event, 0);
}

static void begin(struct world *w, unsigned threads)
{
        struct error e = {0};

        assert_true(sd_event_new(&w->event) >= 0);
        assert_int_equal(pipe(w->gate), 0);
        expect_ok(pool_new(w->event, threads, &w->pool, &e));
        expect_ok(pin_line_new(w->pool, &w->line, &e));
}

/* @users: a letter each. */
static enum err join(struct world *w, const char *users)
{
        enum err r = ERR_OK;

        for (const char *p = users; !r && *p; p++) {
                struct job *job = &w->jobs[w->expected];
                struct error e = {0};

                *job = (struct job){
                        {.uid = (uid_t)*p, .whose = *p == 'x' ? "x" : NULL, .run = run, .done = done}, w};
                r = pin_line_join(w->line, &job->job, &e);
                w->expected += !r;
        }
        return r;
}

static void finish(struct world *w)
{
        assert_int_equal(write(w->gate[1], "", 1), 1);
        assert_int_equal(sd_event_loop(w->event), 0);
        pool_free(w->pool);
        pin_line_free(w->line);
        (void)sd_event_unref(w->event);
        (void)close(w->gate[0]);
        (void)close(w->gate[1]);
}

static void turns(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"a", "a"},
                {"aaaa", "aaaa"},
                {"abc", "abc"},
                {"aaab", "abaa"},
                {"aaabbb", "ababab"},
                {"aaabbbc", "abcabab"},
                {"aaaaaaaabbbbbbbbccccccccd", "abcdabcabcabcabcabcabcabc"},
                {"abbbba", "abbabb"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct world w = {0};

                begin(&w, 4);
                assert_int_equal(join(&w, cases[i].in), ERR_OK);
                finish(&w);
                assert_string_equal(w.order, cases[i].out);
        }
}

static void so_many(void **state)
{
        struct world w = {0};

        (void)state;
        begin(&w, 1);
        assert_int_equal(join(&w, "aaaaaaaa"), ERR_OK);
        assert_int_equal(join(&w, "a"), ERR_LIMIT);
        assert_int_equal(join(&w, "b"), ERR_OK);
        finish(&w);
        assert_string_equal(w.order, "abaaaaaaa");
}

static void who_left(void **state)
{
        struct world w = {0};

        (void)state;
        begin(&w, 2);
        assert_int_equal(join(&w, "xxxabx"), ERR_OK);
        pin_line_leave(w.line, "x");
        assert_int_equal(w.cancelled, 3);
        assert_int_equal(join(&w, "x"), ERR_OK);
        finish(&w);
        assert_string_equal(w.order, "xabx");
}

static void end_with_one_at_work(void **state)
{
        struct world w = {0};

        (void)state;
        begin(&w, 1);
        assert_int_equal(join(&w, "xxx"), ERR_OK);
        pin_line_leave(w.line, "x");
        assert_int_equal(w.cancelled, 2);
        assert_int_equal(write(w.gate[1], "", 1), 1);
        pool_free(w.pool);
        pin_line_free(w.line); /* it ran or not: it is done */
        assert_int_equal(w.cancelled, 3);
        (void)sd_event_unref(w.event);
        (void)close(w.gate[0]);
        (void)close(w.gate[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(turns), cmocka_unit_test(so_many),
                                           cmocka_unit_test(who_left),
                                           cmocka_unit_test(end_with_one_at_work)};

        return cmocka_run_group_tests_name("pin-line", tests, NULL, NULL);
}
