/* cli/: arguments, tables, times, input files, values; everything that needs no service. */
#include "test.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/enroll.h"
#include "cli/input.h"
#include "cli/resolve.h"
#include "cli/table.h"
#include "cli/time.h"
#include "cli/value.h"

static void durations(void **state)
{
        static const struct {
                uint64_t seconds;
                const char *text;
        } cases[] = {
                {0, "0 s"},          {59, "59 s"},           {60, "1 min"},
                {61, "1 min 1 s"},   {3600, "1 h"},          {3659, "1 h"},
                {3660, "1 h 1 min"}, {86399, "23 h 59 min"}, {86400, "1 d"},
                {90000, "1 d 1 h"},  {31536000, "365 d"},    {UINT64_MAX, "213503982334601 d 7 h"},
        };
        char text[TIME_TEXT];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                duration_text(cases[i].seconds, text);
                assert_string_equal(text, cases[i].text);
        }
}

static void moments(void **state)
{
        static const struct {
                const char *text;
                bool valid;
                uint64_t time;
        } cases[] = {
                {"@0", true, 0},
                {"@1700000000", true, 1700000000},
                {"2023-11-14", true, 1699920000},
                {"2023-11-14 22:13", true, 1699999980},
                {"2023-11-14T22:13", true, 1699999980},
                {"2023-11-14 22:13:20", true, 1700000000},
                {"1970-01-01", true, 0},
                {"2024-02-29", true, 1709164800},
                {"90s", true, 999999910},
                {"15m", true, 999999100},
                {"2h", true, 999992800},
                {"7d", true, 999395200},
                {"0s", true, 1000000000},
                {"", false, 0},
                {"@", false, 0},
                {"@-1", false, 0},
                {"@18446744073709551615", false, 0},
                {"1969-12-31", false, 0},
                {"2023-02-29", false, 0},
                {"2023-13-01", false, 0},
                {"2023-11-14 24:00", false, 0},
                {"2023-11-14 22:60", false, 0},
                {"2023-11-14 22", false, 0},
                {"2023-11-14 22:13x", false, 0},
                {"2023-1-14", false, 0},
                {"-1h", false, 0},
                {"1", false, 0},
                {"h", false, 0},
                {"1w", false, 0},
                {"1 h", false, 0},
                {"11575d", false, 0}, /* before 1970 */
                {"yesterday", false, 0},
        };

        (void)state;
        setenv("TZ", "UTC", 1);
        tzset();
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                uint64_t t = 0;

                if (time_read(cases[i].text, 1000000000, &t) != cases[i].valid || t != cases[i].time)
                        fail_msg("'%s' is %llu", cases[i].text, (unsigned long long)t);
        }
}

static void times(void **state)
{
        char text[TIME_TEXT];

        (void)state;
        setenv("TZ", "UTC", 1);
        tzset();
        time_text(0, text);
        assert_string_equal(text, "-");
        time_text(1700000000, text);
        assert_string_equal(text, "2023-11-14 22:13");
        time_text(UINT64_MAX, text);
        assert_string_equal(text, "-");
        time_relative_text(0, 100, text);
        assert_string_equal(text, "-");
        time_relative_text(100, 100, text);
        assert_string_equal(text, "now");
        time_relative_text(161, 100, text);
        assert_string_equal(text, "in 1 min 1 s");
        time_relative_text(100, 161, text);
        assert_string_equal(text, "1 min 1 s ago");
}

static void widths(void **state)
{
        static const struct {
                const char *text;
                size_t width;
        } cases[] = {
                {"", 0},          {"abc", 3},      {"Büro", 4},    {"日本", 4},
                {"e\xcc\x81", 1}, {"\xff\xfe", 2}, {"a\x1b[m", 4}, {"\xc3", 1},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                assert_int_equal(text_width(cases[i].text), cases[i].width);
}

/* What @t prints; free(). */
static char *printed(const struct table *t, bool color)
{
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        struct error e;

        expect_ok(table_print(t, out, color, &e));
        fclose(out);
        return text;
}

static void tables(void **state)
{
        static const char *const headers[] = {"NAME", "HEALTH", "ID", NULL};
        struct table t;
        char *text;

        (void)state;
        table_init(&t, headers);
        table_add(&t, "Büro-日本", COLOR_NONE);
        table_add(&t, "valid", COLOR_GOOD);
        table_add(&t, "1", COLOR_NONE);
        table_add(&t, "evil\x1b[2J\n\xc2\x9b", COLOR_NONE);
        table_add(&t, NULL, COLOR_NONE);
        table_add(&t, "", COLOR_NONE);
        text = printed(&t, false);
        assert_string_equal(text, "NAME        HEALTH  ID\n"
                                  "Büro-日本   valid   1\n"
                                  "evil?[2J??  -       -\n");
        free(text);
        text = printed(&t, true);
        assert_non_null(strstr(text, "\x1b[32mvalid\x1b[0m   1"));
        free(text);
        table_done(&t);
        table_done(&t);
}

static void arguments(void **state)
{
        static const struct {
                const char *words[6];
                bool ok;
                const char *named;
        } cases[] = {
                {{"a"}, true, NULL},
                {{"a", "b", "--wait", "--file", "x"}, true, NULL},
                {{"--file=x", "a"}, true, NULL},
                {{"--", "--wait"}, true, NULL},
                {{"-"}, true, NULL},
                {{NULL}, false, "missing"},
                {{"--wait"}, false, "missing"},
                {{"a", "b", "c"}, false, "'c'"},
                {{"a", "--nonsense"}, false, "--nonsense"},
                {{"a", "-w"}, false, "-w"},
                {{"a", "--wait", "--wait"}, false, "twice"},
                {{"a", "--wait=yes"}, false, "no value"},
                {{"a", "--file"}, false, "needs a value"},
                {{"a", "--file="}, false, "needs a value"},
                {{"a", "--file", "x", "--file", "y"}, false, "twice"},
                {{"a", "--accept"}, false, "not in this version"},
                {{"a", "--waiting"}, false, "--waiting"},
                {{""}, false, "empty"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                bool wait = false;
                const char *file = NULL, *words[2];
                const struct arg_option options[] = {{"--wait", &wait, NULL, NULL},
                                                     {"--file", NULL, &file, NULL},
                                                     {"--accept", NULL, NULL, "later"}};
                char copy[6][32], *argv[6];
                struct error e;
                int argc = 0;
                size_t n;

                for (; argc < 6 && cases[i].words[argc]; argc++)
                        argv[argc] = strcpy(copy[argc], cases[i].words[argc]);
                if (cases[i].ok) {
                        expect_ok(args_parse(argc, argv, options, N_ELEMENTS(options), 1, 2, words, &n, &e));
                        continue;
                }
                expect_err(args_parse(argc, argv, options, N_ELEMENTS(options), 1, 2, words, &n, &e),
                           ERR_INVALID);
                if (!strstr(e.message, cases[i].named))
                        fail_msg("'%s' does not tell %s", e.message, cases[i].named);
        }
}

/* Runs a command line against a bus that is not there. */
static int run(const char *line, bool json, char **ret_out, char **ret_err)
{
        char copy[256], *argv[16], *save = NULL;
        size_t out_size, err_size;
        struct cli cli = {.json = json, .address = "unix:path=/nonexistent/bus"};
        int argc = 0, status;

        strcpy(copy, line);
        for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
                argv[argc++] = w;
        cli.out = open_memstream(ret_out, &out_size);
        cli.err = open_memstream(ret_err, &err_size);
        status = cli_run(&cli, argc, argv);
        cli_done(&cli);
        fclose(cli.out);
        fclose(cli.err);
        return status;
}

static void command_lines(void **state)
{
        static const struct {
                const char *line;
                int status;
                const char *said;
        } cases[] = {
                {"", 2, "What to do is missing"},
                {"frobnicate", 2, "no verb 'frobnicate'"},
                {"profile", 2, "Usage: scepter profile add|list|show|remove"},
                {"key", 2, "The verb 'key' is incomplete"},
                {"profile frob", 2, "no verb 'profile frob'"},
                {"enroll", 2, "Usage: scepter enroll PROFILE [--wait]"},
                {"enroll a b", 2, "Usage: scepter enroll PROFILE"},
                {"enroll a --challenge-file", 2, "needs a value"},
                {"enroll a --challenge-file /nonexistent/challenge", 3, "/nonexistent/challenge"},
                {"list all", 2, "Usage: scepter list"},
                {"show", 2, "Usage: scepter show CERT"},
                {"show x --pem --uri", 2, "exclude each other"},
                {"profile add /dev/null --format xml", 2, "'xml'"},
                {"profile add /nonexistent/profile", 3, "/nonexistent/profile"},
                {"profile add /tmp", 2, "is a directory"},
                {"profile show x --user jane", 2, "--user belongs to --resolve"},
                {"profile show x --resolve=yes", 2, "--resolve takes no value"},
                {"events --follow", 1, "No connection to the system bus"},
                {"events --since yesterday", 2, "--since takes"},
                {"events --follow=yes", 2, "--follow takes no value"},
                {"renew x", 1, "No connection"},
                {"diagnose", 1, "No connection"},
                {"diagnose a b", 2, "Usage: scepter diagnose"},
                {"attest x", 1, "No connection"},
                {"attest", 2, "Usage: scepter attest CERT"},
                {"attest x --output", 2, "--output needs a value"},
                {"attest x --ca /dev/null", 2, "no option --ca"},
                {"attest x --nonce /nonexistent/nonce", 3, "/nonexistent/nonce"},
                {"attest --verify", 2, "Usage: scepter attest --verify FILE"},
                {"attest --verify /nonexistent/bundle", 3, "/nonexistent/bundle"},
                {"attest --verify x y", 2, "too many"},
                {"agent now", 2, "Usage: scepter agent"},
                {"change-pin", 2, "Usage: scepter change-pin CERT"},
                {"change-pin x", 1, "No connection"},
                {"key change-pin x", 2, "There is no verb"},
                {"list", 1, "No connection to the system bus"},
                {"show x", 1, "Check that the system bus runs"},
                {"syncml apply /dev/null", 1, "No connection"},
                {"profile add /dev/null", 1, "No connection"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char *out = NULL, *err = NULL;
                int status = run(cases[i].line, false, &out, &err);

                if (status != cases[i].status || !strstr(err, cases[i].said))
                        fail_msg("scepter %s: %d, %s", cases[i].line, status, err);
                /* What happened, and on a line of its own the next step. */
                assert_int_equal(strncmp(err, "scepter: ", 9), 0);
                assert_non_null(strstr(err, "\n  "));
                assert_string_equal(out, "");
                free(out);
                free(err);
        }
}

static void errors_as_json(void **state)
{
        char *out = NULL, *err = NULL;
        const char *name, *message, *remedy;
        json_t *j;

        (void)state;
        assert_int_equal(run("list", true, &out, &err), 1);
        assert_string_equal(err, "");
        j = json_loads(out, 0, NULL);
        assert_int_equal(json_unpack(j, "{s:{s:s,s:s,s:s}}", "error", "name", &name, "message", &message,
                                     "remedy", &remedy),
                         0);
        assert_string_equal(name, "NoService");
        assert_true(*message && *remedy);
        json_decref(j);
        free(out);
        free(err);
}

static void help_and_version(void **state)
{
        char *out = NULL, *err = NULL;

        (void)state;
        assert_int_equal(run("--help", false, &out, &err), 0);
        for (const struct verb *v = verbs; v->words; v++) {
                char line[64];

                snprintf(line, sizeof line, "scepter %s", v->words);
                assert_int_equal(strstr(out, line) != NULL, v->run != NULL);
                assert_true(*v->description && strlen(v->description) < 60);
        }
        free(out);
        free(err);
        assert_int_equal(run("enroll --help", false, &out, &err), 0);
        assert_non_null(strstr(out, "[--for USER]"));
        free(out);
        free(err);
        assert_int_equal(run("--version", false, &out, &err), 0);
        assert_string_equal(out, "scepter " SCEPTER_VERSION "\n");
        free(out);
        free(err);
}

static void named_values(void **state)
{
        static const char text[] = "[Server]\n"
                                   "Url=https://a\n"
                                   "RootCertificate = certs/ca.pem \r\n"
                                   "# Challenge=file:/etc/shadow\n"
                                   "  Challenge=file:once.txt\n"
                                   "CaBundle=";
        static const struct {
                const char *key, *value;
                bool named;
        } cases[] = {
                {"RootCertificate", "certs/ca.pem", true},
                {"Challenge", "file:once.txt", true},
                {"RootCertificate", "certs/ca.pe", false},
                {"RootCertificate", "/etc/shadow", false},
                {"Challenge", "file:/etc/shadow", false},
                {"Challenge", "once.txt", false},
                {"CaBundle", "certs/ca.pem", false},
                {"rootcertificate", "certs/ca.pem", false},
                {"Url", "https://a\nRootCertificate = certs/ca.pem", false},
                {"", "", false},
                {"[Server]", "", false},
                {"Root", "certs/ca.pem", false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                if (input_names_file(text, cases[i].key, cases[i].value) != cases[i].named)
                        fail_msg("%s=%s", cases[i].key, cases[i].value);
        assert_false(input_names_file("", "Url", "x"));
}

static void write_file(const char *path, const void *data, size_t len)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0 && write(fd, data, len) == (ssize_t)len);
        close(fd);
}

static void named_files(void **state)
{
        char dir[] = "/tmp/scepter-cli-XXXXXX", profile[64], file[64], text[16] = "";
        struct error e;
        int fd = -1;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(profile, sizeof profile, "%s/wifi.profile", dir);
        snprintf(file, sizeof file, "%s/ca.pem", dir);
        write_file(file, "PEM", 3);
        /* Beside the profile, not in the working directory. */
        expect_ok(input_named_file(profile, "RootCertificate=ca.pem", "RootCertificate", "ca.pem", &fd, &e));
        assert_int_equal(pread(fd, text, sizeof text, 0), 3);
        assert_string_equal(text, "PEM");
        assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        close(fd);
        expect_ok(input_named_file(profile, "Challenge=file:ca.pem", "Challenge", "file:ca.pem", &fd, &e));
        close(fd);
        fd = -1;
        expect_err(input_named_file(profile, "RootCertificate=ca.pem", "RootCertificate", "/etc/passwd", &fd,
                                    &e),
                   ERR_FILE_REFUSED);
        assert_non_null(strstr(e.message, "/etc/passwd"));
        expect_err(
                input_named_file(profile, "Challenge=socket:/run/x", "Challenge", "socket:/run/x", &fd, &e),
                ERR_FILE_REFUSED);
        expect_err(input_named_file(profile, "Challenge=credential:x", "Challenge", "credential:x", &fd, &e),
                   ERR_FILE_REFUSED);
        expect_err(input_named_file(profile, "CaBundle=none.pem", "CaBundle", "none.pem", &fd, &e),
                   ERR_NOT_FOUND);
        assert_non_null(strstr(e.message, "CaBundle=none.pem"));
        assert_int_equal(fd, -1);
        unlink(file);
        rmdir(dir);
}

static void challenges(void **state)
{
        static char large[BUS_CHALLENGE_MAX + 4];
        const struct {
                const char *in;
                size_t len;
                enum err code;
                const char *out;
        } cases[] = {
                {"secret", 6, ERR_OK, "secret"},
                {"secret\n", 7, ERR_OK, "secret"},
                {"secret\r\n", 8, ERR_OK, "secret"},
                {"secret\n\n", 8, ERR_OK, "secret\n"},
                {" with blanks \n", 14, ERR_OK, " with blanks "},
                {"", 0, ERR_INVALID, NULL},
                {"\n", 1, ERR_INVALID, NULL},
                {large, BUS_CHALLENGE_MAX, ERR_OK, large},
                {large, BUS_CHALLENGE_MAX + 1, ERR_TOO_LARGE, NULL},
                {large, BUS_CHALLENGE_MAX + 4, ERR_TOO_LARGE, NULL},
        };

        (void)state;
        memset(large, 'x', sizeof large);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char out[BUS_CHALLENGE_MAX + 8] = "";
                int pipe_fd[2], fd = -1;
                struct error e;

                assert_int_equal(pipe(pipe_fd), 0);
                assert_int_equal(write(pipe_fd[1], cases[i].in, cases[i].len), cases[i].len);
                close(pipe_fd[1]);
                if (cases[i].code) {
                        expect_err(input_challenge("-", pipe_fd[0], &fd, &e), cases[i].code);
                        assert_int_equal(fd, -1);
                } else {
                        ssize_t n;

                        expect_ok(input_challenge("-", pipe_fd[0], &fd, &e));
                        n = pread(fd, out, sizeof out, 0);
                        assert_int_equal(n, cases[i].out == large ? BUS_CHALLENGE_MAX : strlen(cases[i].out));
                        assert_memory_equal(out, cases[i].out, (size_t)n);
                        close(fd);
                }
                close(pipe_fd[0]);
        }
}

static void documents(void **state)
{
        int pipe_fd[2], fd = -1;
        char text[16] = "";
        struct error e;

        (void)state;
        assert_int_equal(pipe(pipe_fd), 0);
        assert_int_equal(write(pipe_fd[1], "12345", 5), 5);
        close(pipe_fd[1]);
        expect_ok(input_document("-", pipe_fd[0], 5, &fd, &e));
        assert_int_equal(pread(fd, text, sizeof text, 0), 5);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
        close(fd);
        close(pipe_fd[0]);
        fd = -1;
        /* A file without an end. */
        expect_err(input_document("/dev/zero", -1, 100000, &fd, &e), ERR_TOO_LARGE);
        expect_err(input_document("/nonexistent", -1, 10, &fd, &e), ERR_NOT_FOUND);
        expect_err(input_document("/", -1, 10, &fd, &e), ERR_INVALID);
        expect_err(input_document("-", -1, 10, &fd, &e), ERR_IO);
        assert_int_equal(fd, -1);
}

static void resolving(void **state)
{
        json_t *list = json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:s},{s:s,s:s,s:s}]", "id", "aa", "path", "/c/aa",
                                 "name", "wifi", "id", "bb", "path", "/c/bb", "name", "vpn", "id", "cc",
                                 "path", "/c/cc", "name", "wifi");
        static const struct {
                const char *word;
                enum err code;
                const char *found;
        } cases[] = {
                {"vpn", ERR_OK, "/c/bb"},          {"aa", ERR_OK, "/c/aa"},
                {"/c/cc", ERR_OK, "/c/cc"},        {"wifi", ERR_INVALID, "aa, cc"},
                {"none", ERR_NOT_FOUND, "'none'"}, {"WIFI", ERR_NOT_FOUND, "'WIFI'"},
        };
        struct error e;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char *path = NULL;

                if (cases[i].code) {
                        expect_err(resolve_in(list, "certificate", cases[i].word, &path, &e), cases[i].code);
                        assert_non_null(strstr(e.message, cases[i].found));
                        assert_null(path);
                } else {
                        expect_ok(resolve_in(list, "certificate", cases[i].word, &path, &e));
                        assert_string_equal(path, cases[i].found);
                        free(path);
                }
        }
        json_decref(list);
}

static void outcomes(void **state)
{
        static const struct {
                const char *activity;
                int not_after;
                const char *error;
                bool ended;
                enum err code;
        } cases[] = {
                {"idle", 100, "", true, ERR_OK},
                {"idle", 0, "", true, ERR_CANCELLED},
                {"idle", 0, "Cancelled", true, ERR_CANCELLED},
                {"requesting", 0, "", false, ERR_OK},
                {"requesting", 0, "NetworkError", false, ERR_OK},
                {"installing", 100, "", false, ERR_OK},
                {"waiting-for-user", 0, "", true, ERR_PIN_NEEDED},
                {"waiting-for-user", 100, "TpmWrongAuth", true, ERR_TPM_WRONG_AUTH},
                {"pending", 0, "", true, ERR_PENDING},
                {"needs-challenge", 0, "", true, ERR_CHALLENGE_NEEDED},
                {"failed", 0, "ServerRefused", true, ERR_SERVER_REFUSED},
                {"failed", 0, "TpmAbsent", true, ERR_TPM_ABSENT},
                {"failed", 0, "", true, ERR_FAILED},
                {"failed", 0, "FromTheFuture", true, ERR_FAILED},
                {"apply-pending", 100, "ConsumerFailed", true, ERR_CONSUMER},
                {"apply-pending", 100, "", false, ERR_OK},
                {"removing", 0, "", true, ERR_CANCELLED},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                json_t *object = json_pack("{s:s,s:s,s:i,s:{s:s,s:s,s:s}}", "name", "wifi", "activity",
                                           cases[i].activity, "notAfter", cases[i].not_after, "lastError",
                                           "name", cases[i].error, "message", "what", "remedy", "next");
                bool ended = !cases[i].ended;
                struct error e;

                if (cases[i].code) {
                        expect_err(enroll_outcome(object, &ended, &e), cases[i].code);
                        assert_non_null(strstr(e.message, "'wifi'"));
                } else {
                        expect_ok(enroll_outcome(object, &ended, &e));
                }
                assert_int_equal(ended, cases[i].ended);
                json_decref(object);
        }
}

static void value_texts(void **state)
{
        json_t *list = json_pack("[s,i,b,b]", "a", 5, 1, 0);
        char name[] = "NotAfter", *text;
        struct error e;

        (void)state;
        expect_ok(value_text(list, &text, &e));
        assert_string_equal(text, "a 5 yes no");
        free(text);
        expect_ok(value_text(NULL, &text, &e));
        assert_string_equal(text, "");
        free(text);
        json_decref(list);
        lower_first(name);
        assert_string_equal(name, "notAfter");
        assert_string_equal(value_string(NULL, "x"), "");
        assert_int_equal(value_number(NULL, "x"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(durations),
                cmocka_unit_test(moments),
                cmocka_unit_test(times),
                cmocka_unit_test(widths),
                cmocka_unit_test(tables),
                cmocka_unit_test(arguments),
                cmocka_unit_test(command_lines),
                cmocka_unit_test(errors_as_json),
                cmocka_unit_test(help_and_version),
                cmocka_unit_test(named_values),
                cmocka_unit_test(named_files),
                cmocka_unit_test(challenges),
                cmocka_unit_test(documents),
                cmocka_unit_test(resolving),
                cmocka_unit_test(outcomes),
                cmocka_unit_test(value_texts),
        };

        setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
