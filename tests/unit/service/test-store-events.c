/* store/events: the file stays small, keeps the newest lines, and is never torn: neither by half a line nor
 * by kill -9 at any moment. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"

enum { LINE = 173 }; /* octets of one that add() writes */

static char dir[] = "/tmp/scepter-events.XXXXXX";
static struct store *store;

static int start(void **state)
{
        (void)state;
        return mkdtemp(dir) && store_open(dir, &store, NULL) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
        (void)state;
        store_close(store);
        return tree_remove(AT_FDCWD, dir, NULL) == ERR_OK ? 0 : -1;
}

/* A certificate without anything but its directory. */
static void make(store_id id, char path[256])
{
        CLEANUP(close_p) int fd = -1;
        char home[128];
        struct error e = {0};

        expect_ok(store_new_id(id, &e));
        snprintf(home, sizeof home, "%s/certificates/%s", dir, id);
        expect_ok(dir_ensure(AT_FDCWD, home, 0711, &fd, &e));
        snprintf(path, 256, "%s/events.jsonl", home);
}

static enum err add(const char *id, unsigned n, struct error *e)
{
        char line[200];
        enum err r = store_events_trim(store, id, e);

        snprintf(line, sizeof line, "{\"n\":%09u,\"x\":\"%0150d\"}", n, 0);
        return r ? r : store_event_add(store, id, line, e);
}

static size_t size_of(const char *path)
{
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        return (size_t)st.st_size;
}

/* Every line is one more than the one before; but what a killed writer left is not counted. Returns how many;
 * *ret_last: the last one's number. */
static unsigned check(const char *id, unsigned *ret_last)
{
        CLEANUP(bytes_done) struct bytes all = {0};
        struct error e = {0};
        unsigned lines = 0, n, before = 0;

        expect_ok(store_events_read(store, id, &all, &e));
        assert_true(all.len <= STORE_EVENTS_MAX);
        for (char *p = (char *)all.data, *end; *p; p = end + 1, lines++) {
                end = strchr(p, '\n');
                if (!end) /* half a line: the writer was killed */
                        break;
                if (end - p < LINE - 1) { /* the same, which the next line did not continue */
                        lines--;
                        continue;
                }
                assert_int_equal(sscanf(p, "{\"n\":%9u,", &n), 1);
                assert_int_equal(end - p, LINE - 1);
                assert_true(lines == 0 || n == before + 1);
                before = n;
        }
        *ret_last = before;
        return lines;
}

static void stays_small(void **state)
{
        char path[256];
        store_id id;
        size_t most = 0, least = STORE_EVENTS_MAX;
        unsigned last;
        struct error e = {0};
        struct bytes none = {0};

        (void)state;
        make(id, path);
        expect_err(store_events_read(store, id, &none, &e), ERR_NOT_FOUND);
        expect_ok(store_events_trim(store, id, &e));
        for (unsigned n = 1; n <= 5000; n++) {
                size_t size;

                expect_ok(add(id, n, &e));
                size = size_of(path);
                most = size > most ? size : most;
                if (n > 2000)
                        least = size < least ? size : least;
        }
        assert_in_range(most, STORE_EVENTS_MAX - STORE_EVENT_MAX, STORE_EVENTS_MAX);
        assert_in_range(least, STORE_EVENTS_MAX / 2 - STORE_EVENT_MAX,
                        STORE_EVENTS_MAX / 2 + STORE_EVENT_MAX);
        assert_in_range(check(id, &last), least / LINE, most / LINE);
        assert_int_equal(last, 5000);
}

static void half_a_line(void **state)
{
        CLEANUP(bytes_done) struct bytes all = {0};
        char path[256];
        store_id id;
        FILE *file;
        struct error e = {0};

        (void)state;
        make(id, path);
        expect_ok(store_event_add(store, id, "{\"n\":1}", &e));
        file = fopen(path, "a");
        fputs("{\"n\":2,\"th", file);
        fclose(file);
        expect_ok(store_event_add(store, id, "{\"n\":3}", &e));
        expect_ok(store_events_read(store, id, &all, &e));
        assert_string_equal((char *)all.data, "{\"n\":1}\n{\"n\":2,\"th\n{\"n\":3}\n");
}

/* Before there was a bound it grew: the newest lines are read, and the next one brings it within the bound.
 */
static void file_of_before(void **state)
{
        char path[256];
        store_id id;
        FILE *file;
        unsigned last;
        struct error e = {0};

        (void)state;
        make(id, path);
        file = fopen(path, "w");
        for (unsigned n = 1; n <= 20000; n++)
                fprintf(file, "{\"n\":%09u,\"x\":\"%0150d\"}\n", n, 0);
        fclose(file);
        assert_int_equal(chmod(path, 0600), 0);
        assert_true(size_of(path) > 3000000);
        assert_in_range(check(id, &last), STORE_EVENTS_MAX / LINE - 1, STORE_EVENTS_MAX / LINE);
        assert_int_equal(last, 20000);
        expect_ok(add(id, 20001, &e));
        assert_in_range(size_of(path), STORE_EVENTS_MAX / 2 - 200, STORE_EVENTS_MAX / 2 + 200);
        (void)check(id, &last);
        assert_int_equal(last, 20001);
}

static void lines_that_are_too_long(void **state)
{
        static char line[STORE_EVENT_MAX + 1];
        char path[256];
        store_id id;
        struct error e = {0};

        (void)state;
        make(id, path);
        memset(line, 'x', STORE_EVENT_MAX);
        expect_err(store_event_add(store, id, line, &e), ERR_TOO_LARGE);
        line[STORE_EVENT_MAX - 1] = 0;
        expect_ok(store_event_add(store, id, line, &e));
        assert_int_equal(size_of(path), STORE_EVENT_MAX);
        expect_err(store_event_add(store, "../../x", "{}", &e), ERR_NOT_FOUND);
}

/* A child writes as fast as it can and is killed at some moment, many times; some of them while it replaces
 * the file. Nothing it told of before is missing, but for what was dropped as old. */
static void killed_at_any_moment(void **state)
{
        char path[256];
        store_id id;
        unsigned next = 1, seed = 3, replaced = 0;

        (void)state;
        make(id, path);
        for (int round = 0; round < 60; round++) {
                const unsigned until = next + 100 + (unsigned)rand_r(&seed) % 2500;
                unsigned told = 0, last, lines, n;
                int pipes[2], status;
                pid_t child;

                assert_int_equal(pipe(pipes), 0);
                child = fork();
                if (child == 0) {
                        struct error e = {0};

                        for (n = next;; n++)
                                if (add(id, n, &e) || write(pipes[1], &n, sizeof n) != sizeof n)
                                        _exit(1);
                }
                close(pipes[1]);
                while (told < until && read(pipes[0], &n, sizeof n) == sizeof n)
                        told = n;
                kill(child, SIGKILL);
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_true(WIFSIGNALED(status));
                while (read(pipes[0], &n, sizeof n) == sizeof n)
                        told = n;
                close(pipes[0]);
                lines = check(id, &last);
                assert_true(lines > 0 && last >= told && last <= told + 1);
                replaced += last > lines;
                next = last + 1;
        }
        assert_true(replaced > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stays_small),          cmocka_unit_test(half_a_line),
                cmocka_unit_test(file_of_before),       cmocka_unit_test(lines_that_are_too_long),
                cmocka_unit_test(killed_at_any_moment),
        };

        return cmocka_run_group_tests_name("store/events", tests, start, stop);
}
