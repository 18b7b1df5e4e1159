/* service/events/followers: who sees what, readers that are slow or leave, limits; and no line is ever torn.
 */
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "events/followers.h"
#include "store/store.h"

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "fedcba9876543210fedcba9876543210"

static sd_event *loop;
static struct followers *followers;
static uint64_t serial;

static int start(void **state)
{
        (void)state;
        signal(SIGPIPE, SIG_IGN);
        return sd_event_new(&loop) >= 0 && followers_new(loop, &followers, NULL) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
        (void)state;
        followers_free(followers);
        sd_event_unref(loop);
        return 0;
}

static int follow(uid_t uid, bool root, const char *certificate)
{
        const struct follower_viewer viewer = {uid, root, certificate};
        struct follower *follower;
        struct error e = {0};
        int fd = -1;

        expect_ok(followers_add(followers, &viewer, &fd, &follower, &e));
        followers_join(follower, NULL, 0);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        /* The reader may wait; the daemon's end may not. */
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        return fd;
}

static void turn(void)
{
        while (sd_event_run(loop, 0) > 0)
                ;
}

/* What is in the pipe now. */
static const char *content(int fd, char *text, size_t size)
{
        size_t len = 0;
        struct pollfd p = {fd, POLLIN, 0};

        while (len < size - 1 && poll(&p, 1, 0) > 0 && (p.revents & POLLIN)) {
                ssize_t n = read(fd, text + len, size - 1 - len);

                assert_true(n > 0);
                len += (size_t)n;
        }
        text[len] = 0;
        return text;
}

static void tell(const char *certificate, uid_t owner, const char *line)
{
        followers_tell(followers, certificate, owner, ++serial, str_view(line));
}

static void who_sees_what(void **state)
{
        static const struct {
                uid_t uid;
                bool root;
                const char *certificate, *sees;
        } cases[] = {
                {0, true, NULL, "device\nalice\nbob\nother\n"},
                {1000, false, NULL, "device\nalice\nother\n"},
                {1001, false, NULL, "device\nbob\nother\n"},
                {1002, false, NULL, "device\nother\n"},
                {1000, false, ONE, "device\nalice\n"},
                {0, true, TWO, "other\n"},
                /* The daemon's mark for "no owner" is no user. */
                {NO_OWNER, false, NULL, "device\nother\n"},
        };
        int fds[N_ELEMENTS(cases)];
        char text[256];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                fds[i] = follow(cases[i].uid, cases[i].root, cases[i].certificate);
        tell(ONE, NO_OWNER, "device\n");
        tell(ONE, 1000, "alice\n");
        tell(ONE, 1001, "bob\n");
        tell(TWO, NO_OWNER, "other\n");
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                assert_string_equal(content(fds[i], text, sizeof text), cases[i].sees);
                close(fds[i]);
        }
        turn();
        assert_int_equal(followers_count(followers), 0);
}

static void limits(void **state)
{
        int fds[FOLLOWERS_MAX + 1], fd = -1;
        struct follower *follower;
        unsigned n = 0;
        struct error e = {0};

        (void)state;
        for (uid_t uid = 1000; n < FOLLOWERS_USERS_MAX; uid++) {
                const struct follower_viewer again = {uid, false, NULL};

                for (int i = 0; i < FOLLOWERS_USER_MAX; i++)
                        fds[n++] = follow(uid, false, NULL);
                expect_err(followers_add(followers, &again, &fd, &follower, &e), ERR_LIMIT);
        }
        expect_err(followers_add(followers, &(struct follower_viewer){5000, false, NULL}, &fd, &follower, &e),
                   ERR_LIMIT);
        while (n < FOLLOWERS_MAX)
                fds[n++] = follow(0, true, NULL);
        expect_err(followers_add(followers, &(struct follower_viewer){0, true, NULL}, &fd, &follower, &e),
                   ERR_LIMIT);
        assert_int_equal(fd, -1);
        /* Who leaves makes room, also without a word that comes. */
        close(fds[--n]);
        turn();
        assert_int_equal(followers_count(followers), FOLLOWERS_MAX - 1);
        fds[n++] = follow(0, true, NULL);
        while (n)
                close(fds[--n]);
        /* And who left is found out by a line, too. */
        tell(ONE, NO_OWNER, "x\n");
        assert_int_equal(followers_count(followers), 0);
}

/* Lines are numbered; every number is read or counted as missing, in order, and no line is a mixture. */
static unsigned check_numbers(const char *text, unsigned expected, size_t len)
{
        for (const char *p = text; *p;) {
                const char *end = strchr(p, '\n');
                unsigned number, missing;

                assert_non_null(end);
                if (sscanf(p, "{\"missing\":%u}", &missing) == 1) {
                        expected += missing;
                } else {
                        assert_int_equal(sscanf(p, "%u ", &number), 1);
                        assert_int_equal(number, expected);
                        assert_int_equal(end - p + 1, len);
                        expected++;
                }
                p = end + 1;
        }
        return expected;
}

static void slow_readers(void **state)
{
        static const size_t lengths[] = {20, 300, 4095, 4096, 4097, 9000, 20000};
        static char text[1024 * 1024];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(lengths); i++) {
                char *line = malloc(lengths[i] + 1);
                unsigned told = 0, seed = 5;
                size_t len = 0;
                int fd = follow(1000, false, NULL);

                assert_true(fcntl(fd, F_SETPIPE_SZ, 4096) >= 4096);
                for (int round = 0; round < 300; round++) {
                        struct pollfd p = {fd, POLLIN, 0};

                        for (unsigned n = (unsigned)rand_r(&seed) % 40; n; n--) {
                                memset(line, 'x', lengths[i]);
                                line[sprintf(line, "%u", told)] = ' ';
                                line[lengths[i] - 1] = '\n';
                                line[lengths[i]] = 0;
                                tell(ONE, 1000, line);
                                told++;
                        }
                        /* He reads now and then, and never all. */
                        if (len < sizeof text - 1000 && poll(&p, 1, 0) > 0)
                                len += (size_t)read(fd, text + len, 1 + (size_t)rand_r(&seed) % 900);
                        turn();
                }
                /* At last he reads everything: what is missing is told without another event. */
                for (ssize_t n = 1; n > 0;) {
                        struct pollfd p = {fd, POLLIN, 0};

                        turn();
                        n = poll(&p, 1, 0) > 0 ? read(fd, text + len, sizeof text - 1 - len) : 0;
                        len += n > 0 ? (size_t)n : 0;
                }
                text[len] = 0;
                assert_int_equal(check_numbers(text, 0, lengths[i]), told);
                assert_non_null(strstr(text, "{\"missing\":"));
                close(fd);
                turn();
                assert_int_equal(followers_count(followers), 0);
                free(line);
        }
}

/* One who never reads keeps nobody else from reading, and costs nothing but his pipe. */
static void beside_one_who_sleeps(void **state)
{
        char text[64];
        int asleep = follow(1000, false, NULL), awake = follow(1000, false, NULL);

        (void)state;
        for (unsigned i = 0; i < 100000; i++) {
                char line[32];

                snprintf(line, sizeof line, "%u\n", i);
                tell(ONE, 1000, line);
                assert_string_equal(content(awake, text, sizeof text), line);
        }
        close(asleep);
        close(awake);
        turn();
}

/* Lines that come while the reader reads the files: those that are not in them, in their order. */
static void before_they_join(void **state)
{
        static const struct follower_mark marks[] = {{ONE, 12}, {TWO, 14}};
        static const struct {
                const char *row;
                const struct follower_mark *marks;
                size_t n;
                const char *sees;
        } cases[] = {
                {"no files", NULL, 0, "11\n12\n13\n14\n15\nafter\n"},
                {"one of two", marks, 1, "13\n14\n15\nafter\n"},
                {"both", marks, 2, "13\n15\nafter\n"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct follower *follower;
                struct error e = {0};
                char text[256];
                int fd = -1;

                expect_ok(followers_add(followers, &(struct follower_viewer){0, true, NULL}, &fd, &follower,
                                        &e));
                followers_tell(followers, ONE, NO_OWNER, 11, str_view("11\n"));
                followers_tell(followers, ONE, NO_OWNER, 12, str_view("12\n"));
                followers_tell(followers, ONE, NO_OWNER, 13, str_view("13\n"));
                followers_tell(followers, TWO, NO_OWNER, 14, str_view("14\n"));
                followers_tell(followers, TWO, NO_OWNER, 15, str_view("15\n"));
                assert_string_equal(content(fd, text, sizeof text), "");
                followers_join(follower, cases[i].marks, cases[i].n);
                tell(ONE, NO_OWNER, "after\n");
                if (strcmp(content(fd, text, sizeof text), cases[i].sees) != 0)
                        fail_msg("%s: %s", cases[i].row, text);
                close(fd);
                turn();
        }
}

/* More than are kept, or than the pipe takes: he is told how many are missing. */
static void too_many_before_they_join(void **state)
{
        static char text[256 * 1024];
        struct follower *follower;
        struct error e = {0};
        int fd = -1;

        (void)state;
        expect_ok(followers_add(followers, &(struct follower_viewer){0, true, NULL}, &fd, &follower, &e));
        for (uint64_t i = 1; i <= FOLLOWERS_EARLY_MAX + 7; i++)
                followers_tell(followers, ONE, NO_OWNER, i, str_view("line\n"));
        followers_join(follower, NULL, 0);
        content(fd, text, sizeof text);
        assert_int_equal(strlen(text), FOLLOWERS_EARLY_MAX * strlen("line\n"));
        turn();
        assert_string_equal(content(fd, text, sizeof text), "{\"missing\":7}\n");
        tell(ONE, NO_OWNER, "after\n");
        assert_string_equal(content(fd, text, sizeof text), "after\n");
        close(fd);
        turn();
        assert_int_equal(followers_count(followers), 0);
}

/* The end of the service is the end of the pipe. */
static void end(void **state)
{
        struct followers *own = NULL;
        struct follower *follower;
        char text[8];
        int fd = -1;
        struct error e = {0};

        (void)state;
        expect_ok(followers_new(loop, &own, &e));
        expect_ok(followers_add(own, &(struct follower_viewer){0, true, NULL}, &fd, &follower, &e));
        followers_tell(own, ONE, NO_OWNER, 1, str_view("kept\n"));
        followers_free(own);
        assert_int_equal(read(fd, text, sizeof text), 0);
        close(fd);
        followers_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_sees_what),
                cmocka_unit_test(limits),
                cmocka_unit_test(slow_readers),
                cmocka_unit_test(beside_one_who_sleeps),
                cmocka_unit_test(before_they_join),
                cmocka_unit_test(too_many_before_they_join),
                cmocka_unit_test(end),
        };

        return cmocka_run_group_tests_name("followers", tests, start, stop);
}
