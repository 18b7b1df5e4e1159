/*
 * service/work/process: what an exec'd worker inherits, and that the loop keeps nothing of one that has
 * ended. The worker is this program: it writes the numbers of its descriptors to its stream.
 */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work/process.h"

enum { TURN_USEC = 100000, TURNS_MAX = 200 };

struct loop {
        sd_event *event;
        struct workers_config config;
        char self[256];
};

static int list_descriptors(void)
{
        DIR *folder = opendir("/proc/self/fd");
        struct dirent *entry;

        while (folder && (entry = readdir(folder)))
                if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
                        dprintf(3, "%s ", entry->d_name);
        return folder ? 0 : 1;
}

static unsigned count_descriptors(void)
{
        DIR *folder = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(folder);
        while (readdir(folder))
                n++;
        closedir(folder);
        return n;
}

static int make(void **state)
{
        static struct loop loop;
        sigset_t child;
        ssize_t n = readlink("/proc/self/exe", loop.self, sizeof loop.self - 1);

        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        if (n < 0 || sigprocmask(SIG_BLOCK, &child, NULL) || sd_event_new(&loop.event) < 0)
                return 1;
        loop.config = (struct workers_config){.event = loop.event, .parse = loop.self, .weak = true};
        *state = &loop;
        return 0;
}

static int drop(void **state)
{
        struct loop *loop = *state;

        sd_event_unref(loop->event);
        return 0;
}

/* Its end has been seen. */
static bool is_reaped(void)
{
        siginfo_t info;

        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0;
}

static void reap(const struct loop *loop)
{
        for (int i = 0; i < TURNS_MAX && !is_reaped(); i++)
                assert_true(sd_event_run(loop->event, TURN_USEC) >= 0);
        assert_true(is_reaped());
}

static void inherits_its_stream_alone(void **state)
{
        const struct loop *loop = *state;
        const int open_to_all = open("/dev/null", O_RDONLY);
        struct worker_process process;
        struct error e = {0};
        char said[64] = "";
        ssize_t n = 0;

        assert_true(open_to_all > 3);
        expect_ok(worker_process_start(&loop->config, JOB_PARSE, &process, &e));
        for (size_t have = 0;
             have < sizeof said - 1 && (n = read(process.fd, said + have, sizeof said - 1 - have)) > 0;)
                have += (size_t)n;
        assert_int_equal(n, 0);
        assert_string_equal(said, "0 1 2 3 ");
        reap(loop);
        worker_process_end(&process);
        close(open_to_all);
}

static void leaves_nothing_in_the_loop(void **state)
{
        const struct loop *loop = *state;
        const unsigned before = count_descriptors();

        for (int i = 0; i < 20; i++) {
                const bool ended_first = i % 2;
                struct worker_process process;
                struct error e = {0};

                expect_ok(worker_process_start(&loop->config, JOB_PARSE, &process, &e));
                if (ended_first)
                        worker_process_end(&process);
                reap(loop);
                worker_process_end(&process);
        }
        assert_int_equal(count_descriptors(), before);
}

static void tells_of_a_missing_program(void **state)
{
        const struct loop *loop = *state;
        struct workers_config config = loop->config;
        struct worker_process process;
        struct error e = {0};

        config.parse = "/nonexistent/scepter-parse";
        assert_int_not_equal(worker_process_start(&config, JOB_PARSE, &process, &e), ERR_OK);
        assert_non_null(strstr(e.message, "/nonexistent/scepter-parse"));
        assert_int_equal(process.fd, -1);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(inherits_its_stream_alone),
                cmocka_unit_test(leaves_nothing_in_the_loop),
                cmocka_unit_test(tells_of_a_missing_program),
        };

        if (argc > 1 && strcmp(argv[1], "--weak-workers") == 0)
                return list_descriptors();
        return cmocka_run_group_tests(tests, make, drop);
}
