/* ksp/base: errors, bytes, secrets, parsers, files, fields. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fields.h"
#include "base/file.h"
#include "base/parse.h"

static void error_table(void **state)
{
        (void)state;
        for (int i = 1; i < _ERR_MAX; i++) {
                enum err code = (enum err)i;

                assert_true(err_name(code) && *err_name(code));
                assert_true(strlen(err_default_remedy(code)) > 10 &&
                            strlen(err_default_remedy(code)) < ERROR_REMEDY_MAX);
                assert_in_range(err_exit_status(code), 1, 8);
                assert_int_equal(err_from_name(err_name(code)), code);
        }
        assert_int_equal(err_from_name("org.scepter1.Error.TpmAbsent"), ERR_TPM_ABSENT);
        assert_int_equal(err_from_name("org.freedesktop.DBus.Error.NoReply"), ERR_FAILED);
}

static void error_texts(void **state)
{
        struct error e = {0};

        (void)state;
        assert_int_equal(error_set(&e, ERR_HTTP, "bad \xff byte\n%c[31m", 27), ERR_HTTP);
        assert_string_equal(e.message, "bad ? byte  [31m");
        assert_int_equal(error_context(&e, ERR_HTTP, "Certificate '%s'", "wifi"), ERR_HTTP);
        assert_string_equal(e.message, "Certificate 'wifi': bad ? byte  [31m");
        error_remedy(&e, ERR_HTTP, "Wait %d minutes.", 7);
        assert_string_equal(e.remedy, "Wait 7 minutes.");
        assert_int_equal(errno_error(&e, ENOSPC, "x"), ERR_DISK_FULL);
        assert_int_equal(errno_error(NULL, EACCES, "x"), ERR_IO);
}

static void numbers(void **state)
{
        static const struct {
                const char *text;
                uint64_t max;
                bool ok;
                uint64_t value;
        } cases[] = {
                {"0", 0, true, 0},
                {"99", 99, true, 99},
                {"100", 99, false, 0},
                {"", 9, false, 0},
                {"-1", 9, false, 0},
                {" 1", 9, false, 0},
                {"1x", 99, false, 0},
                {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
                {"18446744073709551616", UINT64_MAX, false, 0},
                {"5", 3, false, 0},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                uint64_t v = 0;

                assert_int_equal(parse_u64(cases[i].text, cases[i].max, &v), cases[i].ok);
                assert_int_equal(v, cases[i].value);
        }
}

static void hexadecimal(void **state)
{
        uint8_t out[4];
        size_t len;
        char text[9];

        (void)state;
        assert_true(hex_decode("DE:ad be ef", out, sizeof out, &len));
        assert_int_equal(len, 4);
        hex_encode((struct view){out, len}, text);
        assert_string_equal(text, "deadbeef");
        assert_false(hex_decode("abc", out, sizeof out, &len));
        assert_false(hex_decode("0g", out, sizeof out, &len));
        assert_false(hex_decode("0011223344", out, sizeof out, &len));
        assert_true(is_lower_hex("00ff", 4));
        assert_false(is_lower_hex("00FF", 4));
        assert_false(is_lower_hex("00ff0", 4));
}

static void utf8(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"plain", "plain"},
                {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
                {"a\xffz", "a?z"},
                {"\xc0\xaf", "??"},        /* overlong */
                {"\xed\xa0\x80x", "???x"}, /* surrogate */
                {"cut\xe2\x82", "cut"},    /* half a sequence at the end goes */
                {"\xf4\x90\x80\x80x", "????x"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char text[32];

                strcpy(text, cases[i].in);
                assert_int_equal(utf8_valid(str_view(text)), strcmp(cases[i].in, cases[i].out) == 0);
                utf8_scrub(text, sizeof text);
                assert_string_equal(text, cases[i].out);
                assert_true(utf8_valid(str_view(text)));
        }
}

static void text_bound(void **state)
{
        struct error e = {0};
        struct text t = TEXT(10);
        char *s;

        (void)state;
        text_add(&t, "12345");
        text_addf(&t, "%d", 67890);
        expect_ok(text_finish(&t, &s, &e));
        assert_string_equal(s, "1234567890");
        free(s);
        text_add(&t, "1234567890x");
        expect_err(text_finish(&t, &s, &e), ERR_TOO_LARGE);
        expect_ok(text_finish(&t, &s, &e)); /* empty, not NULL */
        assert_string_equal(s, "");
        free(s);
}

static void files(void **state)
{
        char dir[] = "/tmp/scepter-test.XXXXXX";
        CLEANUP(close_p) int fd = -1, sub = -1;
        CLEANUP(bytes_done) struct bytes b = {0};
        struct error e = {0};
        struct stat st;

        (void)state;
        assert_non_null(mkdtemp(dir));
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        expect_err(file_read(fd, "none", 10, &b, &e), ERR_NOT_FOUND);
        expect_ok(file_write(fd, "f", 0640, str_view("hello"), &e));
        expect_ok(file_read(fd, "f", 5, &b, &e));
        assert_string_equal((char *)b.data, "hello");
        assert_int_equal(fstatat(fd, "f", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        bytes_done(&b);
        expect_err(file_read(fd, "f", 4, &b, &e), ERR_TOO_LARGE);
        expect_err(file_read(fd, ".", 4, &b, &e), ERR_IO);
        expect_err(file_write(fd, "no/such/dir", 0600, str_view("x"), &e), ERR_IO);
        expect_ok(dir_ensure(fd, "d", 0711, &sub, &e));
        expect_ok(file_write(sub, "log", 0600, str_view("a\n"), &e));
        expect_ok(file_read(fd, "d/log", 10, &b, &e));
        assert_string_equal((char *)b.data, "a\n");
        assert_int_equal(symlinkat("/tmp", sub, "out"), 0);
        expect_ok(tree_remove(fd, "d", &e));
        assert_int_equal(faccessat(fd, "d", F_OK, 0), -1);
        assert_int_equal(access("/tmp", F_OK), 0);
        expect_ok(tree_remove(fd, "d", &e));
        expect_ok(file_place(fd, "g", 0600, str_view("x"), &e));
        expect_ok(file_drop(fd, "g", &e));
        expect_ok(file_drop(fd, "g", &e));
        expect_err(file_place(fd, "no/such/dir", 0600, str_view("x"), &e), ERR_IO);
        expect_ok(file_remove(fd, "f", &e));
        expect_ok(file_remove(fd, "f", &e));
        assert_int_equal(rmdir(dir), 0);
}

static void memfds(void **state)
{
        CLEANUP(close_p) int fd = -1, pipefd = -1, regular = -1, named = -1, sparse = -1;
        char shared[] = "/dev/shm/test-base.XXXXXX"; /* tmpfs: the kernel's memfds are files of one, too */
        CLEANUP(secret_done) struct secret s = {0};
        struct error e = {0};
        int ends[2];

        (void)state;
        expect_ok(memfd_make("x", str_view("secret"), &fd, &e));
        assert_int_equal(write(fd, "y", 1), -1);
        expect_ok(memfd_read_secret(fd, 6, &s, &e));
        assert_string_equal((char *)s.data, "secret");
        secret_done(&s);
        expect_err(memfd_read_secret(fd, 5, &s, &e), ERR_TOO_LARGE);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pipefd = ends[0];
        close(ends[1]);
        expect_err(memfd_read_secret(pipefd, 9, &s, &e), ERR_NOT_A_MEMFD);
        regular = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        expect_err(memfd_read_secret(regular, 1 << 20, &s, &e), ERR_NOT_A_MEMFD);
        named = mkstemp(shared);
        assert_true(named >= 0);
        expect_err(memfd_read_secret(named, 9, &s, &e), ERR_NOT_A_MEMFD);
        assert_int_equal(unlink(shared), 0);
        sparse = memfd_create("sparse", MFD_CLOEXEC);
        assert_int_equal(ftruncate(sparse, 10LL << 30), 0);
        expect_err(memfd_read_secret(sparse, 1 << 20, &s, &e), ERR_TOO_LARGE);
}

static void fields_round_trip(void **state)
{
        struct fields_writer w = FIELDS_WRITER(1024, true);
        CLEANUP(bytes_done) struct bytes out = {0};
        CLEANUP(free_p) char *s = NULL;
        struct error e = {0};
        struct view in;
        uint64_t n;

        (void)state;
        fields_put_str(&w, 1, "one");
        fields_put_u64(&w, 2, 0x0102030405060708);
        fields_put(&w, 3, (struct view){0});
        expect_ok(fields_finish(&w, &out, &e));
        assert_int_equal(out.len, 3 * 6 + 3 + 8);
        in = bytes_view(&out);
        assert_true(fields_valid(in));
        expect_ok(fields_get_str(in, 1, 3, &s, &e));
        assert_string_equal(s, "one");
        expect_ok(fields_get_u64(in, 2, &n, &e));
        assert_true(n == 0x0102030405060708);
        expect_err(fields_get_str(in, 1, 2, &s, &e), ERR_PROTOCOL);
        expect_err(fields_get_u64(in, 1, &n, &e), ERR_PROTOCOL);
        expect_err(fields_get_u64(in, 9, &n, &e), ERR_PROTOCOL);
        {
                struct view untouched = {NULL, 0};

                assert_false(fields_find(in, 9, &untouched));
                assert_null(untouched.data);
        }
        /* Every cut that is not between two fields is malformed. */
        for (size_t len = 1; len < out.len; len++)
                assert_int_equal(fields_valid((struct view){out.data, len}), len == 9 || len == 23);
}

static void fields_bound(void **state)
{
        struct fields_writer w = FIELDS_WRITER(10, false);
        struct bytes out;
        struct error e = {0};

        (void)state;
        fields_put_str(&w, 1, "12345");
        expect_err(fields_finish(&w, &out, &e), ERR_TOO_LARGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(error_table),
                cmocka_unit_test(error_texts),
                cmocka_unit_test(numbers),
                cmocka_unit_test(hexadecimal),
                cmocka_unit_test(utf8),
                cmocka_unit_test(text_bound),
                cmocka_unit_test(files),
                cmocka_unit_test(memfds),
                cmocka_unit_test(fields_round_trip),
                cmocka_unit_test(fields_bound),
        };

        return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
