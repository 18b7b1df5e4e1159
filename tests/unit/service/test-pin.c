/* service/pin on a real swtpm: tries are on the disk before they are made, and end before the TPM's do. */
#include "test.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/file.h"
#include "pin/pin.h"
#include "swtpm.h"

#define RIGHT "4711 right"
#define WRONG "4711 wrong"
enum { NOW = 1700000000 };

static struct swtpm swtpm;
static struct ksp *ksp;
static struct pin_guard *guard;
static struct ksp_key *key;
static char dir_name[64];
static int dir = -1;
static unsigned tries_left;
static struct error e;

static void make_key(const char *max_tries)
{
        const struct ksp_spec spec = {
                .alg = KEY_ALG_EC_P256, .protection = KEY_PROTECTION_USER_VERIFIED, .pin = str_view(RIGHT)};
        CLEANUP(free_p) char *reason = NULL;
        char text[32];

        (void)snprintf(text, sizeof text, "--max-tries=%s", max_tries);
        assert_true(run_program("tpm2_dictionarylockout", "--setup-parameters", text, "--recovery-time=600",
                                "--lockout-recovery-time=600", NULL));
        expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
        expect_ok(ksp_key_save(key, dir, "key.pem", &e));
}

static int start(void **state)
{
        const struct ksp_config config = {.tcti = swtpm.tcti};

        (void)state;
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        if (!swtpm_start(&swtpm))
                return -1;
        (void)setenv("TPM2TOOLS_TCTI", swtpm.tcti, 1);
        (void)strcpy(dir_name, "/tmp/scepter-tries.XXXXXX");
        assert_non_null(mkdtemp(dir_name));
        dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        expect_ok(ksp_open(&config, &ksp, &e));
        expect_ok(pin_guard_new(&guard, &e));
        return 0;
}

static int stop(void **state)
{
        (void)state;
        ksp_key_unref(STEAL(key));
        ksp_close(ksp);
        pin_guard_free(guard);
        swtpm_stop(&swtpm);
        (void)close(dir);
        (void)!tree_remove(AT_FDCWD, dir_name, NULL);
        return 0;
}

static enum err try_at(uint64_t now, const char *pin)
{
        return pin_verify(guard, dir, "vpn", now, key, 0, str_view(pin), &tries_left, &e);
}

static unsigned counted(void)
{
        struct ksp_tpm info;

        ksp_tpm(ksp, &info);
        assert_false(info.in_lockout);
        return info.lockout_counter;
}

static unsigned left_at(uint64_t now)
{
        unsigned left = UINT_MAX;

        expect_ok(pin_left(guard, dir, now, &left, &e));
        return left;
}

static bool has_file(void)
{
        return faccessat(dir, "pin-tries", F_OK, 0) == 0;
}

static void five_and_a_rest(void **state)
{
        static const char *const left[] = {"4 tries are left", "3 tries are left", "2 tries are left",
                                           "1 try is left", "0 tries are left"};

        (void)state;
        make_key("30");
        for (unsigned i = 0; i < PIN_TRIES; i++) {
                expect_err(try_at(NOW, WRONG), ERR_TPM_WRONG_AUTH);
                assert_non_null(strstr(e.message, left[i]));
                assert_int_equal(tries_left, PIN_TRIES - 1 - i);
                assert_int_equal(left_at(NOW), PIN_TRIES - 1 - i);
        }
        assert_int_equal(left_at(NOW + PIN_REST - 1), 0);
        assert_int_equal(left_at(NOW + PIN_REST), PIN_TRIES);
        assert_non_null(strstr(e.remedy, "24 h"));
        expect_err(try_at(NOW, RIGHT), ERR_PIN_LOCKED);
        assert_non_null(strstr(e.remedy, "24 h 00 min"));
        expect_err(try_at(NOW + PIN_REST - 60, RIGHT), ERR_PIN_LOCKED);
        assert_non_null(strstr(e.remedy, "0 h 01 min"));
        assert_int_equal(counted(), PIN_TRIES);
        expect_ok(try_at(NOW + PIN_REST, RIGHT));
        assert_false(has_file());
        expect_err(try_at(NOW, WRONG), ERR_TPM_WRONG_AUTH);
        assert_non_null(strstr(e.message, left[0]));
}

static void a_right_one_resets(void **state)
{
        (void)state;
        make_key("30");
        for (unsigned round = 0; round < 3; round++) {
                for (unsigned i = 0; i < PIN_TRIES - 1; i++)
                        expect_err(try_at(NOW, WRONG), ERR_TPM_WRONG_AUTH);
                expect_ok(try_at(NOW, RIGHT));
                assert_false(has_file());
        }
}

/* Below our own limit, the TPM's comes first; what it did not see is no try. */
static void the_tpm_has_fewer(void **state)
{
        (void)state;
        make_key("3");
        expect_err(try_at(NOW, WRONG), ERR_TPM_WRONG_AUTH);
        assert_non_null(strstr(e.message, "1 try is left"));
        assert_int_equal(tries_left, 1);
        assert_int_equal(left_at(NOW), PIN_TRIES - 1);
        expect_err(try_at(NOW, WRONG), ERR_TPM_WRONG_AUTH);
        assert_non_null(strstr(e.message, "0 tries are left"));
        assert_non_null(strstr(e.remedy, "every program and user"));
        for (unsigned i = 0; i < 2 * PIN_TRIES; i++)
                expect_err(try_at(NOW, RIGHT), ERR_PIN_LOCKED);
        assert_non_null(strstr(e.message, "whole TPM"));
        assert_int_equal(counted(), 2);
        assert_true(run_program("tpm2_dictionarylockout", "--clear-lockout", NULL));
        expect_ok(try_at(NOW, RIGHT));
}

static void what_is_no_pin_is_no_try(void **state)
{
        (void)state;
        make_key("30");
        for (unsigned i = 0; i < 2 * PIN_TRIES; i++) {
                expect_err(try_at(NOW, ""), ERR_PIN_NEEDED);
                expect_err(try_at(NOW, "123"), ERR_INVALID);
        }
        swtpm_kill(&swtpm, SIGKILL); /* nobody is there to ask */
        for (unsigned i = 0; i < 2 * PIN_TRIES; i++)
                expect_err(try_at(NOW, RIGHT), ERR_TPM_FAILED);
        swtpm_again(&swtpm);
        assert_false(has_file());
        assert_int_equal(counted(), 0);
        expect_ok(try_at(NOW, RIGHT));
}

static enum err change(const char *old, const char *fresh)
{
        struct ksp_op op = {.key = key, .pin = str_view(old), .data = str_view(fresh)};

        return pin_change(guard, dir, "vpn", NOW, &op, &e);
}

/* A wrong old one counts as any other; what cannot be the new one does not. */
static void another_pin(void **state)
{
        (void)state;
        make_key("30");
        for (unsigned i = 0; i < 2 * PIN_TRIES; i++)
                expect_err(change(RIGHT, "123"), ERR_INVALID);
        assert_false(has_file());
        expect_err(try_at(NOW, WRONG), ERR_TPM_WRONG_AUTH);
        expect_err(change(WRONG, "5678"), ERR_TPM_WRONG_AUTH);
        assert_non_null(strstr(e.message, "3 tries are left"));
        expect_ok(change(RIGHT, "5678"));
        assert_int_equal(left_at(NOW), PIN_TRIES);
        expect_ok(try_at(NOW, "5678"));
        for (unsigned i = 0; i < PIN_TRIES; i++)
                expect_err(change(RIGHT, "9999"), ERR_TPM_WRONG_AUTH);
        expect_err(change("5678", "9999"), ERR_PIN_LOCKED);
}

/* Killed while the TPM works on it: the try was on the disk before. */
static void killed_in_between(void **state)
{
        (void)state;
        make_key("30");
        for (unsigned i = 1; i <= PIN_TRIES; i++) {
                CLEANUP(bytes_done) struct bytes text = {0};
                char wanted[8];
                int status;
                pid_t pid;

                (void)kill(swtpm.pid, SIGSTOP); /* it never answers */
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        const struct ksp_config config = {.tcti = swtpm.tcti};
                        struct ksp *own = NULL;
                        struct ksp_key *mine = NULL;

                        if (ksp_open(&config, &own, NULL) || ksp_load(own, dir, "key.pem", &mine, NULL))
                                _exit(1);
                        (void)!pin_verify(guard, dir, "vpn", NOW, mine, 0, str_view(RIGHT), &tries_left,
                                          NULL);
                        _exit(0);
                }
                (void)snprintf(wanted, sizeof wanted, "1 %u ", i);
                for (unsigned n = 0; n < 1000; n++) { /* until the file says so */
                        bytes_done(&text);
                        if (!file_read(dir, "pin-tries", 64, &text, NULL) &&
                            strncmp((const char *)text.data, wanted, strlen(wanted)) == 0)
                                break;
                        (void)poll(NULL, 0, 10);
                }
                assert_non_null(text.data);
                assert_int_equal(strncmp((const char *)text.data, wanted, strlen(wanted)), 0);
                (void)kill(pid, SIGKILL);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFSIGNALED(status));
                (void)kill(swtpm.pid, SIGCONT);
        }
        expect_err(try_at(NOW, RIGHT), ERR_PIN_LOCKED);
}

static void damaged_files(void **state)
{
        static const char *const texts[] = {
                "",
                "2 0 0\n",
                "1 x\n",
                "nothing",
                "1 -1 5",
                "1 5 1700000000000 and much more than any file of this kind holds "
                "...................."};

        (void)state;
        make_key("30");
        for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
                expect_ok(file_write(dir, "pin-tries", 0600, str_view(texts[i]), &e));
                expect_err(try_at(NOW, RIGHT), ERR_PIN_LOCKED);
                expect_err(try_at(NOW + 1, RIGHT), ERR_PIN_LOCKED);
                expect_ok(try_at(NOW + PIN_REST + 1, RIGHT));
        }
        /* the clock was set back: a rest from now on, not until then */
        expect_ok(file_write(dir, "pin-tries", 0600, str_view("1 5 1900000000\n"), &e));
        expect_err(try_at(NOW, RIGHT), ERR_PIN_LOCKED);
        expect_ok(try_at(NOW + PIN_REST, RIGHT));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(five_and_a_rest),   TEST(a_right_one_resets),
                TEST(the_tpm_has_fewer), TEST(what_is_no_pin_is_no_try),
                TEST(killed_in_between), TEST(damaged_files),
                TEST(another_pin),       TEST(killed_in_between),
                TEST(damaged_files),
        };

        return cmocka_run_group_tests_name("pin", tests, NULL, NULL);
}
