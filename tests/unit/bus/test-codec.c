/* dbus/bus: what is written is valid whatever comes in; what is read is checked; errors go there and back. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <dbus/dbus.h>

#include "base/parse.h"
#include "bus/fault.h"
#include "bus/options.h"

static DBusMessage *new_call(void)
{
        DBusMessage *m = dbus_message_new_method_call(BUS_NAME, BUS_PATH, BUS_INTERFACE_MANAGER, "Test");

        assert_non_null(m);
        dbus_message_set_serial(m, 1);
        return m;
}

/* Through the wire form and back: what libdbus' own validation of a stranger's message says about ours. */
static DBusMessage *wire(DBusMessage *m)
{
        DBusError failure = DBUS_ERROR_INIT;
        DBusMessage *back;
        char *data;
        int len;

        dbus_message_lock(m);
        assert_true(dbus_message_marshal(m, &data, &len));
        back = dbus_message_demarshal(data, len, &failure);
        if (!back)
                fail_msg("%s", failure.message);
        dbus_free(data);
        return back;
}

static struct bus_reader *finish(struct bus_writer *w, struct error *error)
{
        DBusMessage *m = NULL, *back;
        struct error e;
        struct bus_reader *r;

        (void)error;
        expect_ok(bus_writer_finish(w, &m, &e));
        back = wire(m);
        r = bus_reader_new(back);
        dbus_message_unref(m);
        dbus_message_unref(back);
        return r;
}

static const char *const bad_strings[] = {
        "plain",
        "",
        "\xff",
        "a\xc3",
        "\xc0\x80 overlong",
        "\xed\xa0\x80 surrogate",
        "\xf4\x90\x80\x80 beyond",
        "\xf0\x9f\x94\x91 key",
        "\x80\x80\x80",
        "\xef\xbf\xbf noncharacter",
        "line\nfeed \x1b[31m",
};

static void strings_everywhere(void **state)
{
        struct error e;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(bad_strings); i++) {
                const char *bad = bad_strings[i], *got, *list[] = {bad, bad, NULL};
                struct bus_writer *w = bus_writer_new(new_call());
                struct bus_reader *r;

                bus_write_string(w, bad);
                bus_write_strings(w, list, 3);
                bus_open_array(w, "{sv}");
                bus_entry_string(w, bad, bad);
                bus_entry_open(w, bad, "as");
                bus_write_strings(w, list, 2);
                bus_entry_close(w);
                bus_close(w);
                bus_open_array(w, "{ss}");
                bus_entry_pair(w, bad, bad);
                bus_close(w);
                bus_open_struct(w);
                bus_write_string(w, bad);
                bus_close(w);
                bus_open_variant(w, "s");
                bus_write_string(w, bad);
                bus_close(w);
                r = finish(w, &e);
                expect_ok(bus_read_string(r, "s", &got, &e));
                assert_true(utf8_valid(str_view(got)));
                if (utf8_valid(str_view(bad)))
                        assert_string_equal(got, bad);
                assert_true(bus_read_is(r, "as"));
                bus_reader_free(r);
        }
}

static void long_strings(void **state)
{
        static char text[BUS_STRING_MAX + 10];
        struct bus_writer *w = bus_writer_new(new_call());
        struct bus_reader *r;
        const char *got;
        struct error e;

        (void)state;
        memset(text, 'x', sizeof text - 1);
        text[BUS_STRING_MAX] = 0;
        bus_write_string(w, text);
        text[BUS_STRING_MAX] = 'x';
        bus_write_string(w, text);
        /* The cut falls into a sequence of two octets. */
        memcpy(text + BUS_STRING_MAX - 4, "\xc3\xa4", 2);
        bus_write_string(w, text);
        bus_write_text(w, text, sizeof text);
        bus_write_string(w, NULL);
        r = finish(w, &e);
        expect_ok(bus_read_string(r, "1", &got, &e));
        assert_int_equal(strlen(got), BUS_STRING_MAX);
        expect_ok(bus_read_string(r, "2", &got, &e));
        assert_int_equal(strlen(got), BUS_STRING_MAX);
        assert_string_equal(got + BUS_STRING_MAX - 4, "x...");
        expect_ok(bus_read_string(r, "3", &got, &e));
        assert_int_equal(strlen(got), BUS_STRING_MAX - 1);
        expect_err(bus_read_string(r, "subject", &got, &e), ERR_TOO_LARGE);
        assert_non_null(strstr(e.message, "subject"));
        expect_ok(bus_read_string(r, "5", &got, &e));
        assert_string_equal(got, "");
        bus_reader_free(r);
}

static void bad_paths(void **state)
{
        static const char *const bad[] = {"", "x", "/a/", "//", "/a b", "/\xff", "/\xc3\xa4"};
        DBusMessage *m = NULL;
        struct error e;

        (void)state;
        for (size_t i = 0; i <= N_ELEMENTS(bad); i++) {
                struct bus_writer *w = bus_writer_new(new_call());

                bus_open_array(w, "{sv}");
                bus_entry_path(w, "p", i < N_ELEMENTS(bad) ? bad[i] : NULL);
                bus_entry_u32(w, "after", 1);
                bus_close(w);
                assert_true(bus_writer_failed(w));
                expect_err(bus_writer_finish(w, &m, &e), ERR_FAILED);
                assert_null(m);
        }
}

/* What another service said goes back to it, whatever it is made of; and a descriptor does not. */
static void copies(void **state)
{
        struct bus_writer *w = bus_writer_new(new_call());
        struct bus_reader *from, *r;
        DBusMessage *m = NULL;
        const char *text;
        struct error e;
        bool flag;

        (void)state;
        bus_open_array(w, "{sa{sv}}");
        bus_open_entry(w);
        bus_write_string(w, "802-1x");
        bus_open_array(w, "{sv}");
        bus_entry_string(w, "identity", "pc1");
        bus_entry_open(w, "ca-cert", "ay");
        bus_write_octets(w, "file:///x", 10);
        bus_entry_close(w);
        bus_close(w);
        bus_close(w);
        bus_close(w);
        bus_write_octets(w, NULL, 0);
        bus_open_struct(w);
        bus_write_u32(w, 7);
        bus_write_bool(w, true);
        bus_close(w);
        bus_open_array(w, "{sv}");
        bus_close(w);
        from = finish(w, &e);
        w = bus_writer_new(new_call());
        while (bus_read_more(from))
                bus_write_copy(w, from);
        bus_reader_free(from);
        r = finish(w, &e);
        assert_true(bus_read_is(r, "a{sa{sv}}"));
        expect_ok(bus_read_enter(r, "settings", &e));
        expect_ok(bus_read_enter(r, "setting", &e));
        expect_ok(bus_read_string(r, "name", &text, &e));
        assert_string_equal(text, "802-1x");
        expect_ok(bus_read_enter(r, "values", &e));
        expect_ok(bus_read_enter(r, "value", &e));
        expect_ok(bus_read_string(r, "key", &text, &e));
        assert_string_equal(text, "identity");
        expect_ok(bus_read_enter(r, "identity", &e));
        expect_ok(bus_read_string(r, "identity", &text, &e));
        assert_string_equal(text, "pc1");
        bus_read_leave(r);
        bus_read_leave(r);
        expect_ok(bus_read_enter(r, "value", &e));
        bus_read_skip(r);
        expect_ok(bus_read_enter(r, "ca-cert", &e));
        assert_true(bus_read_is(r, "ay"));
        for (int i = 0; i < 4; i++)
                bus_read_leave(r);
        bus_read_leave(r);
        assert_true(bus_read_is(r, "ay"));
        bus_read_skip(r);
        expect_ok(bus_read_enter(r, "struct", &e));
        bus_read_skip(r);
        expect_ok(bus_read_bool(r, "flag", &flag, &e));
        assert_true(flag);
        bus_read_leave(r);
        assert_true(bus_read_is(r, "a{sv}"));
        bus_read_skip(r);
        assert_false(bus_read_more(r));
        bus_reader_free(r);
        w = bus_writer_new(new_call());
        bus_write_fd(w, 0);
        expect_ok(bus_writer_finish(w, &m, &e));
        from = bus_reader_new(m);
        dbus_message_unref(m);
        w = bus_writer_new(new_call());
        bus_write_copy(w, from);
        assert_true(bus_writer_failed(w));
        bus_writer_free(w);
        bus_reader_free(from);
}

static void failed_writers(void **state)
{
        struct bus_writer *w = bus_writer_new(new_call());
        DBusMessage *m = NULL;
        struct error e;

        (void)state;
        for (int i = 0; i < 12; i++)
                bus_open_array(w, "v"), bus_open_variant(w, "av");
        for (int i = 0; i < 24; i++)
                bus_close(w);
        expect_err(bus_writer_finish(w, &m, &e), ERR_FAILED);
        bus_write_string(NULL, "x");
        bus_open_struct(NULL);
        bus_close(NULL);
        bus_write_fd(NULL, 0);
        expect_err(bus_writer_finish(NULL, &m, &e), ERR_NO_MEMORY);
        bus_writer_free(NULL);
        /* Given up with open containers. */
        w = bus_writer_new(new_call());
        bus_open_array(w, "{sv}");
        bus_entry_open(w, "k", "as");
        bus_writer_free(w);
}

static void wrong_types(void **state)
{
        struct bus_writer *w = bus_writer_new(new_call());
        struct bus_reader *r;
        const char *s = "untouched";
        bool b;
        uint32_t u;
        int32_t i;
        uint64_t t;
        int fd;
        struct error e;

        (void)state;
        bus_write_u32(w, 7);
        r = finish(w, &e);
        expect_err(bus_read_string(r, "document", &s, &e), ERR_INVALID);
        assert_string_equal(s, "untouched");
        assert_non_null(strstr(e.message, "'document'"));
        expect_err(bus_read_path(r, "x", &s, &e), ERR_INVALID);
        expect_err(bus_read_bool(r, "x", &b, &e), ERR_INVALID);
        expect_err(bus_read_i32(r, "x", &i, &e), ERR_INVALID);
        expect_err(bus_read_u64(r, "x", &t, &e), ERR_INVALID);
        expect_err(bus_read_fd(r, "x", &fd, &e), ERR_INVALID);
        expect_err(bus_read_enter(r, "x", &e), ERR_INVALID);
        assert_int_equal(bus_read_type(r), 'u');
        expect_ok(bus_read_u32(r, "x", &u, &e));
        assert_int_equal(u, 7);
        assert_false(bus_read_more(r));
        assert_false(bus_read_is(r, "u"));
        expect_err(bus_read_u32(r, "x", &u, &e), ERR_INVALID);
        bus_reader_free(r);
}

struct parsed {
        const char *user, *profile;
        bool own;
        uint32_t limit;
        uint64_t since;
        int challenge;
        struct bus_files files;
};

static enum err parse(struct bus_reader *r, struct parsed *p, struct error *e)
{
        const struct bus_option options[] = {
                BUS_OPTION_AS_STRING(BUS_OPTION_USER, p->user),
                BUS_OPTION_AS_PATH(BUS_OPTION_PROFILE, p->profile),
                BUS_OPTION_AS_BOOL(BUS_OPTION_OWN, p->own),
                BUS_OPTION_AS_U32(BUS_OPTION_LIMIT, p->limit),
                BUS_OPTION_AS_U64(BUS_OPTION_SINCE, p->since),
                BUS_OPTION_AS_FD(BUS_OPTION_CHALLENGE, p->challenge),
                BUS_OPTION_AS_FILES(BUS_OPTION_FILES, p->files),
        };

        *p = (struct parsed){.challenge = -1, .files = BUS_FILES_NONE, .limit = 77};
        return bus_options_read(r, options, N_ELEMENTS(options), e);
}

/* Descriptors do not survive dbus_message_marshal(), so these are read where they were written. */
static struct bus_reader *direct(struct bus_writer *w)
{
        DBusMessage *m = NULL;
        struct bus_reader *r;
        struct error e;

        expect_ok(bus_writer_finish(w, &m, &e));
        r = bus_reader_new(m);
        dbus_message_unref(m);
        return r;
}

static void options_all(void **state)
{
        struct bus_writer *w = bus_writer_new(new_call());
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        struct bus_reader *r;
        struct parsed p;
        struct error e;

        (void)state;
        bus_open_array(w, "{sv}");
        bus_entry_string(w, "user", "alice");
        bus_entry_path(w, "profile", "/org/scepter1/profile/x");
        bus_entry_bool(w, "own", true);
        bus_entry_u64(w, "since", UINT64_MAX);
        bus_entry_fd(w, "challenge", null);
        bus_entry_open(w, "files", "a{sh}");
        bus_open_array(w, "{sh}");
        bus_open_entry(w);
        bus_write_string(w, "root.pem");
        bus_write_fd(w, null);
        bus_close(w);
        bus_close(w);
        bus_entry_close(w);
        bus_close(w);
        r = direct(w);
        expect_ok(parse(r, &p, &e));
        assert_string_equal(p.user, "alice");
        assert_string_equal(p.profile, "/org/scepter1/profile/x");
        assert_true(p.own);
        assert_int_equal(p.limit, 77);
        assert_true(p.since == UINT64_MAX);
        assert_true(p.challenge > null && fcntl(p.challenge, F_GETFD) == FD_CLOEXEC);
        assert_int_equal(p.files.n, 1);
        assert_true(bus_files_find(&p.files, "root.pem") >= 0);
        assert_int_equal(bus_files_find(&p.files, "other"), -1);
        bus_files_done(&p.files);
        close(p.challenge);
        assert_false(bus_read_more(r));
        bus_reader_free(r);
        close(null);
}

static void entry_unknown(struct bus_writer *w)
{
        bus_entry_string(w, "frobnicate", "x");
}

static void entry_unknown_long(struct bus_writer *w)
{
        char key[2000];

        memset(key, 'k', sizeof key);
        key[sizeof key - 1] = 0;
        bus_entry_u32(w, key, 1);
}

static void entry_twice(struct bus_writer *w)
{
        bus_entry_string(w, "user", "a");
        bus_entry_string(w, "user", "a");
}

static void entry_type(struct bus_writer *w)
{
        bus_entry_u32(w, "user", 1);
}

static void entry_bool_as_number(struct bus_writer *w)
{
        bus_entry_u32(w, "own", 1);
}

static void entry_file_as_string(struct bus_writer *w)
{
        bus_entry_string(w, "files", "/etc/shadow");
}

static void files_of(struct bus_writer *w, int n, bool same)
{
        bus_entry_open(w, "files", "a{sh}");
        bus_open_array(w, "{sh}");
        for (int i = 0; i < n; i++) {
                char name[8];

                snprintf(name, sizeof name, "%d", same ? 0 : i);
                bus_open_entry(w);
                bus_write_string(w, name);
                bus_write_fd(w, STDIN_FILENO);
                bus_close(w);
        }
        bus_close(w);
        bus_entry_close(w);
}

static void entry_files_twice(struct bus_writer *w)
{
        files_of(w, 2, true);
}

static void entry_files_many(struct bus_writer *w)
{
        files_of(w, BUS_FILES_MAX + 1, false);
}

static void options_refused(void **state)
{
        static const struct {
                void (*write)(struct bus_writer *w);
                enum err code;
                const char *named;
        } cases[] = {
                {entry_unknown, ERR_UNKNOWN_OPTION, "'frobnicate'"},
                {entry_unknown_long, ERR_UNKNOWN_OPTION, "is not known"},
                {entry_twice, ERR_INVALID, "'user'"},
                {entry_type, ERR_INVALID, "'user'"},
                {entry_bool_as_number, ERR_INVALID, "'own'"},
                {entry_file_as_string, ERR_INVALID, "'files'"},
                {entry_files_twice, ERR_INVALID, "'0' twice"},
                {entry_files_many, ERR_TOO_LARGE, "'files'"},
        };
        struct error e;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct bus_writer *w = bus_writer_new(new_call());
                struct bus_reader *r;
                struct parsed p;

                bus_open_array(w, "{sv}");
                bus_entry_u32(w, "limit", 5);
                cases[i].write(w);
                bus_close(w);
                r = direct(w);
                expect_err(parse(r, &p, &e), cases[i].code);
                if (!strstr(e.message, cases[i].named))
                        fail_msg("%s does not name %s", e.message, cases[i].named);
                bus_files_done(&p.files);
                bus_reader_free(r);
        }
}

static void options_none(void **state)
{
        struct bus_writer *w = bus_writer_new(new_call());
        struct bus_reader *r;
        struct error e;

        (void)state;
        bus_open_array(w, "{sv}");
        bus_close(w);
        bus_open_array(w, "{sv}");
        bus_entry_bool(w, "user", true);
        bus_close(w);
        bus_write_string(w, "no dictionary");
        r = direct(w);
        expect_ok(bus_options_read(r, NULL, 0, &e));
        expect_err(bus_options_read(r, NULL, 0, &e), ERR_UNKNOWN_OPTION);
        bus_reader_rewind(r);
        bus_read_skip(r);
        bus_read_skip(r);
        expect_err(bus_options_read(r, NULL, 0, &e), ERR_INVALID);
        bus_read_skip(r);
        expect_err(bus_options_read(r, NULL, 0, &e), ERR_INVALID);
        bus_reader_free(r);
}

static void faults_there_and_back(void **state)
{
        DBusMessage *call = new_call();

        (void)state;
        for (int code = 1; code < _ERR_MAX; code++) {
                const char *const details[] = {"RootCertificate", "ca\xff.pem"};
                struct error fault, e = {0};
                DBusMessage *m, *back;

                error_set(&fault, (enum err)code, "Certificate 'wifi' %d", code);
                /* As if somebody had not scrubbed it. */
                strcat(fault.message, " \xfe");
                error_remedy(&fault, (enum err)code, "Do this %d.", code);
                m = bus_fault_message(call, &fault, details, 2);
                assert_non_null(m);
                dbus_message_set_serial(m, 2);
                back = wire(m);
                assert_int_equal(bus_fault_read(back, &e), code);
                assert_int_equal(e.code, code);
                assert_int_equal(strncmp(e.message, "Certificate 'wifi'", 18), 0);
                assert_string_equal(e.remedy, fault.remedy);
                assert_string_equal(dbus_message_get_signature(back), "ssss");
                dbus_message_unref(m);
                dbus_message_unref(back);
        }
        dbus_message_unref(call);
}

static void foreign_faults(void **state)
{
        static const struct {
                const char *name;
                enum err code;
        } cases[] = {
                {DBUS_ERROR_SERVICE_UNKNOWN, ERR_NO_SERVICE},
                {DBUS_ERROR_NO_SERVER, ERR_NO_SERVICE},
                {DBUS_ERROR_FILE_NOT_FOUND, ERR_NO_SERVICE},
                {DBUS_ERROR_SPAWN_CHILD_EXITED, ERR_NO_SERVICE},
                {DBUS_ERROR_DISCONNECTED, ERR_NO_SERVICE},
                {DBUS_ERROR_ACCESS_DENIED, ERR_DENIED},
                {DBUS_ERROR_NO_REPLY, ERR_TIMEOUT},
                {DBUS_ERROR_UNKNOWN_OBJECT, ERR_NOT_FOUND},
                {DBUS_ERROR_UNKNOWN_METHOD, ERR_UNSUPPORTED},
                {DBUS_ERROR_INVALID_ARGS, ERR_INVALID},
                {DBUS_ERROR_LIMITS_EXCEEDED, ERR_LIMIT},
                {"com.example.Strange", ERR_FAILED},
                {BUS_ERROR_PREFIX "FromTheFuture", ERR_FAILED},
                {BUS_ERROR_PREFIX "Ok", ERR_FAILED},
                {"", ERR_FAILED},
        };
        DBusMessage *call = new_call();
        struct error e;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                DBusMessage *m;

                expect_err(bus_fault_set(&e, cases[i].name, "text"), cases[i].code);
                expect_err(bus_fault_set(&e, cases[i].name, NULL), cases[i].code);
                if (!cases[i].name[0])
                        continue;
                /* An error without any argument, as other implementations send. */
                m = dbus_message_new_error(call, cases[i].name, NULL);
                expect_err(bus_fault_read(m, &e), cases[i].code);
                dbus_message_unref(m);
        }
        dbus_message_unref(call);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(strings_everywhere), cmocka_unit_test(long_strings),
                cmocka_unit_test(bad_paths),          cmocka_unit_test(copies),
                cmocka_unit_test(failed_writers),     cmocka_unit_test(wrong_types),
                cmocka_unit_test(options_all),        cmocka_unit_test(options_refused),
                cmocka_unit_test(options_none),       cmocka_unit_test(faults_there_and_back),
                cmocka_unit_test(foreign_faults),
        };

        return cmocka_run_group_tests_name("bus/codec", tests, NULL, NULL);
}
