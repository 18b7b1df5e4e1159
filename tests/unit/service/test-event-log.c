/* service/events/events: what threads record is on the disk, and reaches those who follow: history and stream
 * together are every event once, wherever the cut between them falls. */
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "events/past.h"
#include "store/store.h"

enum { THREADS = 4, EACH = 240, READERS = 12 }; /* all lines at once: below FOLLOWERS_EARLY_MAX */

/* The daemon's own stands in its main.c. */
uint64_t clock_now(const struct wall_clock *clock)
{
        (void)clock;
        return 1700000000;
}

/* In the place of daemon/log.c: a line is a failure, an entry is counted. */
static atomic_uint complaints, entries;

void log_line(int level, const char *fmt, ...)
{
        (void)level;
        (void)fmt;
        complaints++;
}

void log_entry(int level, const char *text, const char *const *fields, size_t n)
{
        (void)level;
        if (strcmp(text, "Certificate 'x': It was cancelled") == 0 && n == 5 &&
            strcmp(fields[1], "SCEPTER_EVENT=ENROL_CANCELLED") == 0)
                entries++;
}

static char dir[] = "/tmp/scepter-event-log.XXXXXX";
static struct store *store;
static sd_event *loop;
static struct event_log *event_log;
static struct wall_clock wall = {.scale = 1};
static store_id ids[THREADS];
static atomic_uint done;

static int start(void **state)
{
        (void)state;
        signal(SIGPIPE, SIG_IGN);
        if (!mkdtemp(dir) || store_open(dir, &store, NULL) || sd_event_new(&loop) < 0 ||
            event_log_new(loop, store, &wall, &event_log, NULL))
                return -1;
        for (int i = 0; i < THREADS; i++) {
                CLEANUP(close_p) int fd = -1;
                char home[128];

                if (store_new_id(ids[i], NULL))
                        return -1;
                snprintf(home, sizeof home, "%s/certificates/%s", dir, ids[i]);
                if (dir_ensure(AT_FDCWD, home, 0711, &fd, NULL))
                        return -1;
        }
        /* The journal's place in a test is nobody's terminal. */
        return 0;
}

static int stop(void **state)
{
        (void)state;
        event_log_free(event_log);
        sd_event_unref(loop);
        store_close(store);
        return tree_remove(AT_FDCWD, dir, NULL) == ERR_OK ? 0 : -1;
}

static void *record(void *id)
{
        for (unsigned n = 0; n < EACH; n++) {
                char stage[16];
                const struct event_value value = {EVENT_STAGE, stage, 0};
                const struct event event = {.kind = EVENT_ENROL_CANCELLED,
                                            .certificate = id,
                                            .name = "x",
                                            .profile = "",
                                            .owner = NO_OWNER,
                                            .message = "It was cancelled",
                                            .values = &value,
                                            .n = 1};

                snprintf(stage, sizeof stage, "%u", n);
                event_record(event_log, &event);
        }
        done++;
        return NULL;
}

struct reader {
        int fd;
        unsigned next[THREADS]; /* the number expected of each */
        char half[1024];
        size_t len;
};

/* One line: the next number of its certificate. */
static void take_line(struct reader *reader, const char *line)
{
        const char *stage = strstr(line, "\"stage\":\"");
        int i = 0;

        assert_null(strstr(line, "missing")); /* the test reads fast enough */
        assert_non_null(stage);
        while (!strstr(line, ids[i]))
                assert_true(++i < THREADS);
        assert_int_equal(strtoul(stage + 9, NULL, 10), reader->next[i]);
        reader->next[i]++;
}

static void take_text(struct reader *reader, char *text)
{
        for (char *end; (end = strchr(text, '\n')); text = end + 1) {
                *end = 0;
                take_line(reader, text);
        }
}

static void begin(struct reader *reader)
{
        const struct follower_viewer viewer = {0, true, NULL};
        const struct past_wanted wanted = {ids, THREADS, 0, THREADS * EACH};
        struct follower_mark *marks = NULL;
        struct bytes past = {0};
        struct follower *follower;
        struct error e = {0};

        *reader = (struct reader){.fd = -1};
        expect_ok(event_log_follow(event_log, &viewer, &reader->fd, &follower, &e));
        /* All of it has room, however late the reader comes. */
        assert_true(fcntl(reader->fd, F_SETPIPE_SZ, 512 * 1024) > 0);
        expect_ok(past_read(event_log, &wanted, &past, &marks, &e));
        event_log_join(event_log, follower, marks, THREADS);
        take_text(reader, (char *)past.data);
        bytes_done(&past);
        free(marks);
}

static void drain(struct reader *reader)
{
        struct pollfd p = {reader->fd, POLLIN, 0};

        while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN)) {
                ssize_t n =
                        read(reader->fd, reader->half + reader->len, sizeof reader->half - 1 - reader->len);
                char *last;

                assert_true(n > 0);
                reader->half[reader->len += (size_t)n] = 0;
                last = strrchr(reader->half, '\n');
                assert_non_null(last);
                reader->len -= (size_t)(last + 1 - reader->half);
                *last = 0;
                for (char *line = strtok(reader->half, "\n"); line; line = strtok(NULL, "\n"))
                        take_line(reader, line);
                memmove(reader->half, last + 1, reader->len);
        }
}

static void history_and_stream(void **state)
{
        static struct reader readers[READERS];
        pthread_t threads[THREADS];
        size_t n = 0;

        (void)state;
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, record, ids[i]), 0);
        while (done < THREADS) {
                if (n < READERS)
                        begin(&readers[n++]);
                (void)sd_event_run(loop, 1000);
                for (size_t i = 0; i < n; i++)
                        drain(&readers[i]);
        }
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        while (n < READERS)
                begin(&readers[n++]);
        while (sd_event_run(loop, 0) > 0)
                for (size_t i = 0; i < n; i++)
                        drain(&readers[i]);
        for (size_t i = 0; i < n; i++) {
                drain(&readers[i]);
                for (int j = 0; j < THREADS; j++)
                        assert_int_equal(readers[i].next[j], EACH);
                close(readers[i].fd);
        }
        assert_int_equal(complaints, 0);
        assert_int_equal(entries, THREADS * EACH);
}

/* The newest of several files, whatever order the files are read in. */
static void newest_lines(void **state)
{
        enum { LINES = 400 };
        static const struct {
                uint32_t limit;
                uint64_t since;
                unsigned from, to; /* the times that are expected */
        } cases[] = {
                {10000, 0, 1, THREADS * LINES},
                {1, 0, THREADS * LINES, THREADS * LINES},
                {0, 0, 1, 0},
                {100, 0, THREADS * LINES - 99, THREADS * LINES},
                {700, 0, THREADS * LINES - 699, THREADS * LINES},
                {10000, THREADS * LINES - 4, THREADS * LINES - 4, THREADS * LINES},
                {2, THREADS * LINES - 4, THREADS * LINES - 1, THREADS * LINES},
                {10000, THREADS * LINES + 1, 1, 0},
        };
        store_id own[THREADS];
        struct error e = {0};

        (void)state;
        for (int i = 0; i < THREADS; i++) {
                CLEANUP(close_p) int fd = -1;
                char home[128];

                expect_ok(store_new_id(own[i], &e));
                snprintf(home, sizeof home, "%s/certificates/%s", dir, own[i]);
                expect_ok(dir_ensure(AT_FDCWD, home, 0711, &fd, &e));
                for (int j = 0; j < LINES && i < THREADS - 1; j++) {
                        char line[32];

                        /* by turns, the first file with the turn of the last, which has none */
                        snprintf(line, sizeof line, "{\"time\":%d}", THREADS * j + i + 1);
                        expect_ok(store_event_add(store, own[i], line, &e));
                        if (i > 0)
                                continue;
                        snprintf(line, sizeof line, "{\"time\":%d}", THREADS * j + THREADS);
                        expect_ok(store_event_add(store, own[i], line, &e));
                }
        }
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct past_wanted wanted = {own, THREADS, cases[i].since, cases[i].limit};
                CLEANUP(bytes_done) struct bytes past = {0};
                struct follower_mark *marks = NULL;
                const char *p;

                expect_ok(past_read(event_log, &wanted, &past, &marks, &e));
                p = (const char *)past.data;
                for (unsigned time = cases[i].from; time <= cases[i].to; time++) {
                        unsigned long found = strtoul(p + strlen("{\"time\":"), NULL, 10);

                        if (found != time)
                                fail_msg("case %zu: %lu where %u was expected", i, found, time);
                        p = strchr(p, '\n') + 1;
                }
                assert_int_equal(*p, 0);
                free(marks);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(history_and_stream),
                cmocka_unit_test(newest_lines),
        };

        return cmocka_run_group_tests_name("event log", tests, start, stop);
}
