/* service/keys/listen: what systemd gave is taken, refused or closed; without it the socket is our own. Each
 * case is a process of its own, whose descriptors from 3 on are what it was given. */
#include "test.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "keys/listen.h"

enum { FIRST = 3 /* SD_LISTEN_FDS_START */, GIVEN_MAX = 3 };

/* In the place of daemon/log.c. */
static unsigned warnings;

void log_line(int level, const char *fmt, ...)
{
        (void)fmt;
        warnings += level == LOG_WARNING;
}

static char dir[] = "/tmp/scepter-listen.XXXXXX";
static char path[64], elsewhere[64];

enum kind { NOTHING, HERE, ELSEWHERE, SILENT, DATAGRAM, INTERNET, PIPE };

/* Listens, unless it is of another kind. */
static int make(enum kind kind)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd, ends[2];

        if (kind == PIPE)
                return pipe(ends) ? -1 : ends[0];
        if (kind == INTERNET)
                return socket(AF_INET, SOCK_STREAM, 0);
        strcpy(address.sun_path, kind == ELSEWHERE ? elsewhere : path);
        (void)unlink(address.sun_path);
        fd = socket(AF_UNIX, kind == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) ||
            ((kind == HERE || kind == ELSEWHERE) && listen(fd, 1)))
                return -1;
        return fd;
}

static bool reaches(const char *where)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        strcpy(address.sun_path, where);
        return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

struct given {
        const char *name;
        enum kind kinds[GIVEN_MAX];
        const char *names; /* NULL: systemd says nothing */
        enum err wanted;
        int fd; /* the one that is taken; 0: our own */
        unsigned warned;
        bool anothers; /* meant for another process */
};

#define expect(what)                                                                                         \
        do {                                                                                                 \
                if (!(what)) {                                                                               \
                        (void)fprintf(stderr, "%s: %s\n", c->name, #what);                                   \
                        _exit(1);                                                                            \
                }                                                                                            \
        } while (0)

static void give(const struct given *c)
{
        char number[24];
        int n = 0, fds[GIVEN_MAX];

        for (; n < GIVEN_MAX && c->kinds[n] != NOTHING; n++) {
                const int made = make(c->kinds[n]);

                fds[n] = fcntl(made, F_DUPFD, 64); /* out of the way */
                expect(made >= 0 && fds[n] >= 0);
        }
        (void)close_range(FIRST, 63, 0);
        for (int i = 0; i < n; i++)
                expect(dup2(fds[i], FIRST + i) == FIRST + i && close(fds[i]) == 0);
        if (!c->names)
                return;
        (void)snprintf(number, sizeof number, "%d", (int)getpid() + c->anothers);
        expect(setenv("LISTEN_PID", number, 1) == 0);
        (void)snprintf(number, sizeof number, "%d", n);
        expect(setenv("LISTEN_FDS", number, 1) == 0);
        expect(setenv("LISTEN_FDNAMES", c->names, 1) == 0);
}

static void check(const struct given *c)
{
        struct key_listener listener = {.fd = -1};
        struct error e = {0};
        enum err r;

        give(c);
        r = key_listen(path, &listener, &e);
        expect(r == c->wanted && warnings == c->warned && !getenv("LISTEN_FDS"));
        if (r) {
                expect(listener.fd == -1 && e.code == r && e.message[0] && e.remedy[0]);
                _exit(0);
        }
        expect(c->fd ? listener.fd == c->fd : listener.own);
        expect(fcntl(listener.fd, F_GETFL) & O_NONBLOCK);
        expect(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
        expect(reaches(c->fd && c->kinds[c->fd - FIRST] == ELSEWHERE ? elsewhere : path));
        /* What was not taken is nobody's any more. */
        for (int i = 0; !c->anothers && i < GIVEN_MAX; i++)
                expect(FIRST + i == listener.fd || fcntl(FIRST + i, F_GETFD) < 0);
        key_listener_done(&listener, path);
        /* What is systemd's stays, for who comes meanwhile. */
        expect((access(path, F_OK) == 0) == (c->fd && c->kinds[c->fd - FIRST] == HERE));
        _exit(0);
}

static void what_systemd_gave(void **state)
{
        static const struct given cases[] = {
                {"/nothing", .names = NULL},
                {"/none at all", {NOTHING}, .names = "", .wanted = ERR_IO},
                {"/keys", {HERE}, "keys", .fd = 3},
                {"/keys at another path", {ELSEWHERE}, "keys", .fd = 3, .warned = 1},
                {"/another name", {ELSEWHERE}, "other", .warned = 1},
                {"/without a name", {ELSEWHERE}, "unknown", .warned = 1},
                {"/another and keys", {ELSEWHERE, HERE}, "other:keys", .fd = 4, .warned = 1},
                {"/keys twice", {HERE, ELSEWHERE}, "keys:keys", .fd = 3, .warned = 1},
                {"/keys between", {PIPE, HERE, INTERNET}, "a:keys:b", .fd = 4, .warned = 2},
                {"/another process's", {ELSEWHERE}, "keys", .anothers = true},
                {"/datagrams", {DATAGRAM}, "keys", .wanted = ERR_CONFIG},
                {"/not listening", {SILENT}, "keys", .wanted = ERR_CONFIG},
                {"/internet", {INTERNET}, "keys", .wanted = ERR_CONFIG},
                {"/no socket", {PIPE}, "keys", .wanted = ERR_CONFIG},
                {"/more names than sockets", {HERE}, "keys:keys", .wanted = ERR_IO},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                int status = -1;
                pid_t pid;

                (void)unlink(path);
                (void)unlink(elsewhere);
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0)
                        check(&cases[i]);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (status)
                        fail_msg("%s", cases[i].name);
        }
}

static void our_own(void **state)
{
        struct key_listener listener = {.fd = -1};
        struct error e = {0};
        struct stat s;

        (void)state;
        (void)unlink(path);
        for (int i = 0; i < 2; i++) { /* the second time one is left from a service that was killed */
                expect_ok(key_listen(path, &listener, &e));
                assert_true(listener.own && reaches(path));
                assert_int_equal(stat(path, &s), 0);
                assert_int_equal(s.st_mode & 07777,
                                 0666); /* whatever the umask: rights are checked per key */
                close_p(&listener.fd);
                assert_false(reaches(path));
        }
        key_listener_done(&listener, path);
        assert_int_equal(access(path, F_OK), -1);
}

static void no_place(void **state)
{
        char folder[64], nowhere[64], longest[128];
        const struct {
                const char *path;
                enum err wanted;
        } cases[] = {{folder, ERR_IO}, {nowhere, ERR_IO}, {longest, ERR_CONFIG}, {"", ERR_IO}};
        struct error e = {0};

        (void)state;
        (void)snprintf(folder, sizeof folder, "%s/folder", dir);
        (void)snprintf(nowhere, sizeof nowhere, "%s/nowhere/keys.sock", dir);
        memset(longest, 'x', sizeof longest - 1);
        longest[0] = '/';
        longest[sizeof longest - 1] = 0;
        assert_int_equal(mkdir(folder, 0700), 0);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct key_listener listener = {.fd = -1};

                expect_err(key_listen(cases[i].path, &listener, &e), cases[i].wanted);
                assert_int_equal(listener.fd, -1);
        }
        assert_int_equal(rmdir(folder), 0); /* what is in the way and no socket is not removed */
}

static int start(void **state)
{
        (void)state;
        (void)umask(077);
        if (!mkdtemp(dir))
                return -1;
        (void)snprintf(path, sizeof path, "%s/keys.sock", dir);
        (void)snprintf(elsewhere, sizeof elsewhere, "%s/other.sock", dir);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        (void)unlink(path);
        (void)unlink(elsewhere);
        return rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(what_systemd_gave), cmocka_unit_test(our_own),
                                           cmocka_unit_test(no_place)};

        return cmocka_run_group_tests_name("listen", tests, start, stop);
}
