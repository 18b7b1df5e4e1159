/*
 * The dispatcher on a real, private bus, with callers of several uids: each test runs in a child that has
 * taken that uid, and leaves by its exit status.
 */
#include "test.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus-client/client.h"
#include "fake-service.h"
#include "private-bus.h"

static struct private_bus bus;
static pid_t service;

#define CHECK(condition)                                                                                     \
        do {                                                                                                 \
                if (!(condition)) {                                                                          \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
                        _exit(1);                                                                            \
                }                                                                                            \
        } while (0)

static struct bus_client *connect_bus(void)
{
        struct bus_client *client = NULL;
        struct error e;

        if (bus_client_open(bus.address, &client, &e)) {
                fprintf(stderr, "%s\n", e.message);
                _exit(1);
        }
        return client;
}

static enum err call(struct bus_client *c, const char *path, const char *member, struct bus_reader **ret,
                     struct error *e)
{
        memset(e, 0, sizeof *e);
        return bus_client_call(c, bus_client_begin(path, FAKE_INTERFACE, member), ret, NULL, e);
}

static struct bus_writer *properties(const char *path, const char *member)
{
        return bus_client_begin(path, BUS_INTERFACE_PROPERTIES, member);
}

static char *introspect(struct bus_client *c, const char *path, struct error *e)
{
        struct bus_reader *r = NULL;
        const char *xml;
        char *copy;

        if (bus_client_call(c, bus_client_begin(path, BUS_INTERFACE_INTROSPECT, "Introspect"), &r, NULL, e))
                return NULL;
        CHECK(bus_read_string(r, "xml", &xml, e) == ERR_OK);
        copy = strdup(xml);
        bus_reader_free(r);
        return copy;
}

/* Runs @test as @uid; its checks end the child. */
static void as_user(uid_t uid, void (*test)(struct bus_client *c))
{
        pid_t pid;
        int status;

        if (geteuid() != 0 && uid != geteuid()) {
                print_message("needs root, to take another uid\n");
                skip();
        }
        fflush(stdout);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct bus_client *c;

                if (uid != geteuid())
                        CHECK(setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
                              setresuid(uid, uid, uid) == 0);
                alarm(60);
                c = connect_bus();
                test(c);
                bus_client_close(c);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
                fail_msg("the caller ended with status 0x%x", status);
}

static void check_answers(struct bus_client *c)
{
        struct bus_reader *r = NULL;
        struct error e;
        const char *s;

        CHECK(call(c, BUS_PATH, "Say", &r, &e) == ERR_OK);
        CHECK(bus_read_string(r, "s", &s, &e) == ERR_OK && strcmp(s, "bad ?.") == 0);
        bus_reader_free(r);
        CHECK(call(c, BUS_PATH, "Fail", NULL, &e) == ERR_TPM_LOCKED_OUT);
        CHECK(strcmp(e.remedy, "Wait 7 minutes.") == 0 && strncmp(e.message, "Key 'wifi'", 10) == 0);
        CHECK(call(c, BUS_PATH, "Silent", NULL, &e) == ERR_FAILED);
        CHECK(call(c, BUS_PATH, "NoSuchMethod", NULL, &e) == ERR_UNSUPPORTED);
        CHECK(bus_client_call(c, bus_client_begin(BUS_PATH, "org.scepter1.Nothing", "Say"), NULL, NULL, &e) ==
              ERR_UNSUPPORTED);
        CHECK(bus_client_call(c, bus_client_begin("/org/scepter1", NULL, "Say"), NULL, NULL, &e) == ERR_OK);
        CHECK(bus_client_call(c, bus_client_begin("no path", FAKE_INTERFACE, "Say"), NULL, NULL, &e) ==
              ERR_FAILED);
        CHECK(call(c, "/nowhere", "Say", NULL, &e) == ERR_NOT_FOUND);
        CHECK(call(c, "/org", "Say", NULL, &e) == ERR_UNSUPPORTED);
        CHECK(bus_client_call(c, bus_client_begin(BUS_PATH, "org.freedesktop.DBus.Peer", "Ping"), NULL, NULL,
                              &e) == ERR_OK);
}

static void answers(void **state)
{
        (void)state;
        as_user(geteuid(), check_answers);
}

static void check_signature(struct bus_client *c)
{
        struct bus_writer *w = bus_client_begin(BUS_PATH, FAKE_INTERFACE, "Options");
        struct error e;

        bus_write_string(w, "x");
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_INVALID);
        CHECK(strstr(e.message, "Options") && strstr(e.message, "a{sv}"));
        w = properties(BUS_PATH, "GetAll");
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_INVALID);
}

static void wrong_signature(void **state)
{
        (void)state;
        as_user(geteuid(), check_signature);
}

static void check_options(struct bus_client *c)
{
        struct bus_writer *w = bus_client_begin(BUS_PATH, FAKE_INTERFACE, "Options");
        struct bus_reader *r = NULL;
        struct error e;
        const char *user;
        uint32_t uid;
        bool root, interactive;

        bus_open_array(w, "{sv}");
        bus_entry_string(w, "user", "alice");
        bus_close(w);
        CHECK(bus_client_call(c, w, &r, NULL, &e) == ERR_OK);
        CHECK(!bus_read_string(r, "", &user, &e) && !bus_read_u32(r, "", &uid, &e));
        CHECK(!bus_read_bool(r, "", &root, &e) && !bus_read_bool(r, "", &interactive, &e));
        CHECK(strcmp(user, "alice") == 0 && uid == geteuid() && root == (geteuid() == 0) && interactive);
        bus_reader_free(r);
        w = bus_client_begin(BUS_PATH, FAKE_INTERFACE, "Options");
        bus_open_array(w, "{sv}");
        bus_entry_string(w, "colour", "green");
        bus_close(w);
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_UNKNOWN_OPTION);
        CHECK(strstr(e.message, "'colour'"));
}

static void option_dictionaries(void **state)
{
        (void)state;
        if (geteuid() == 0)
                as_user(0, check_options);
        as_user(BOB, check_options);
}

static void check_file_needed(struct bus_client *c)
{
        struct bus_file_needed needed = {0};
        struct error e;

        CHECK(bus_client_call(c, bus_client_begin(BUS_PATH, FAKE_INTERFACE, "NeedsFile"), NULL, &needed,
                              &e) == ERR_FILE_NEEDED);
        CHECK(strcmp(needed.key, "RootCertificate") == 0 && strcmp(needed.value, "ca.pem") == 0);
        CHECK(bus_client_call(c, bus_client_begin(BUS_PATH, FAKE_INTERFACE, "Fail"), NULL, &needed, &e) ==
              ERR_TPM_LOCKED_OUT);
        CHECK(!needed.key && !needed.value);
}

static void file_needed(void **state)
{
        (void)state;
        as_user(geteuid(), check_file_needed);
}

static void check_properties(struct bus_client *c)
{
        struct bus_writer *w = properties(BUS_PATH, "Get");
        struct bus_reader *r = NULL;
        struct error e;
        const char *s;
        uint32_t viewer;

        bus_write_string(w, FAKE_INTERFACE);
        bus_write_string(w, "Bad");
        CHECK(bus_client_call(c, w, &r, NULL, &e) == ERR_OK && bus_read_enter(r, "v", &e) == ERR_OK);
        CHECK(bus_read_string(r, "s", &s, &e) == ERR_OK && strcmp(s, "?") == 0);
        bus_reader_free(r);
        w = properties(BUS_PATH, "Get");
        bus_write_string(w, FAKE_INTERFACE);
        bus_write_string(w, "Viewer");
        CHECK(bus_client_call(c, w, &r, NULL, &e) == ERR_OK && bus_read_enter(r, "v", &e) == ERR_OK);
        CHECK(bus_read_u32(r, "u", &viewer, &e) == ERR_OK &&
              viewer == 0 /* the daemon's own uid is root to it */);
        bus_reader_free(r);
        w = properties(BUS_PATH, "GetAll");
        bus_write_string(w, FAKE_INTERFACE);
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_OK);
        w = properties(BUS_PATH, "GetAll");
        bus_write_string(w, "");
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_OK);
        w = properties(BUS_PATH, "GetAll");
        bus_write_string(w, "org.scepter1.Nothing");
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_UNSUPPORTED);
        w = properties(BUS_PATH, "Get");
        bus_write_string(w, FAKE_INTERFACE);
        bus_write_string(w, "Nothing");
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_UNSUPPORTED);
        w = properties(BUS_PATH, "Set");
        bus_write_string(w, FAKE_INTERFACE);
        bus_write_string(w, "Bad");
        bus_open_variant(w, "s");
        bus_write_string(w, "x");
        bus_close(w);
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_INVALID && strstr(e.message, "Bad"));
}

static void property_access(void **state)
{
        (void)state;
        as_user(geteuid(), check_properties);
}

/* Paths and interfaces of GetManagedObjects, one per line. */
static void managed(struct bus_client *c, char *ret, size_t size)
{
        struct bus_reader *r = NULL;
        struct error e;

        *ret = 0;
        CHECK(bus_client_call(c, bus_client_begin(BUS_PATH, BUS_INTERFACE_OBJECTS, "GetManagedObjects"), &r,
                              NULL, &e) == ERR_OK);
        CHECK(bus_read_enter(r, "objects", &e) == ERR_OK);
        while (bus_read_more(r)) {
                const char *path;

                CHECK(bus_read_enter(r, "object", &e) == ERR_OK &&
                      bus_read_path(r, "path", &path, &e) == ERR_OK);
                snprintf(ret + strlen(ret), size - strlen(ret), "%s\n", path);
                CHECK(bus_read_is(r, "a{sa{sv}}"));
                bus_read_skip(r);
                bus_read_leave(r);
        }
        bus_reader_free(r);
}

static void check_alice_sees(struct bus_client *c)
{
        char list[512], *xml;
        struct error e;

        managed(c, list, sizeof list);
        CHECK(strcmp(list, FAKE_PUBLIC "\n" FAKE_ALICE "\n") == 0);
        xml = introspect(c, "/org/scepter1/certificate", &e);
        CHECK(xml && strstr(xml, "\"alice\"") && strstr(xml, "\"public\""));
        free(xml);
        xml = introspect(c, BUS_PATH, &e);
        CHECK(xml && strstr(xml, "\"certificate\"") && !strstr(xml, "\"profile\""));
        free(xml);
        CHECK(call(c, FAKE_ALICE, "Say", NULL, &e) == ERR_OK);
}

static void check_bob_sees(struct bus_client *c)
{
        char list[512], *xml;
        struct error e;

        managed(c, list, sizeof list);
        CHECK(strcmp(list, FAKE_PUBLIC "\n" FAKE_BOB "\n") == 0);
        xml = introspect(c, "/org/scepter1/certificate", &e);
        CHECK(xml && !strstr(xml, "\"alice\"") && strstr(xml, "\"public\""));
        free(xml);
}

static void check_root_sees(struct bus_client *c)
{
        char list[512];

        managed(c, list, sizeof list);
        CHECK(strcmp(list, FAKE_PUBLIC "\n" FAKE_ALICE "\n" FAKE_BOB "\n") == 0);
}

static void visibility(void **state)
{
        (void)state;
        as_user(ALICE, check_alice_sees);
        as_user(BOB, check_bob_sees);
        as_user(0, check_root_sees);
}

/* The messages of @a and @b are the same once their paths are taken out. */
static bool same_but_path(const char *a, const char *path_a, const char *b, const char *path_b)
{
        const char *at_a = strstr(a, path_a), *at_b = strstr(b, path_b);

        return at_a && at_b && at_a - a == at_b - b && memcmp(a, b, (size_t)(at_a - a)) == 0 &&
               strcmp(at_a + strlen(path_a), at_b + strlen(path_b)) == 0;
}

static void check_hidden(struct bus_client *c)
{
        static const struct {
                const char *interface, *member, *argument;
        } calls[] = {
                {FAKE_INTERFACE, "Say", NULL},
                {FAKE_INTERFACE, "Guarded", NULL},
                {FAKE_INTERFACE, "NoSuchMethod", NULL},
                {FAKE_INTERFACE, "Options", "wrong signature"},
                {"org.scepter1.Nothing", "Say", NULL},
                {NULL, "Say", NULL},
                {BUS_INTERFACE_INTROSPECT, "Introspect", NULL},
                {BUS_INTERFACE_PROPERTIES, "GetAll", FAKE_INTERFACE},
                {BUS_INTERFACE_PROPERTIES, "GetAll", NULL},
                {BUS_INTERFACE_OBJECTS, "GetManagedObjects", NULL},
        };
        static const char missing[] = "/org/scepter1/certificate/none";

        for (size_t i = 0; i < N_ELEMENTS(calls); i++) {
                struct bus_writer *hidden = bus_client_begin(FAKE_ALICE, calls[i].interface, calls[i].member);
                struct bus_writer *none = bus_client_begin(missing, calls[i].interface, calls[i].member);
                struct error e1 = {0}, e2 = {0};

                if (calls[i].argument) {
                        bus_write_string(hidden, calls[i].argument);
                        bus_write_string(none, calls[i].argument);
                }
                CHECK(bus_client_call(c, hidden, NULL, NULL, &e1) == ERR_NOT_FOUND);
                CHECK(bus_client_call(c, none, NULL, NULL, &e2) == ERR_NOT_FOUND);
                CHECK(same_but_path(e1.message, FAKE_ALICE, e2.message, missing));
                CHECK(strcmp(e1.remedy, e2.remedy) == 0);
        }
}

static void hidden_is_missing(void **state)
{
        (void)state;
        as_user(BOB, check_hidden);
}

static void check_introspection(struct bus_client *c)
{
        struct error e;
        char *xml = introspect(c, FAKE_PUBLIC, &e);

        CHECK(xml && strstr(xml, fake_introspection));
        CHECK(strstr(xml, "org.freedesktop.DBus.Properties") && !strstr(xml, "ObjectManager"));
        free(xml);
        xml = introspect(c, BUS_PATH, &e);
        CHECK(xml && strstr(xml, "ObjectManager") && strstr(xml, fake_introspection));
        free(xml);
        xml = introspect(c, "/", &e);
        CHECK(xml && strstr(xml, "<node name=\"org\"/>") && !strstr(xml, FAKE_INTERFACE));
        /* One child, however many objects lie below it. */
        CHECK(!strstr(strstr(xml, "<node name=\"org\"/>") + 1, "<node name"));
        free(xml);
        CHECK(!introspect(c, "/org/scepter", &e) && e.code == ERR_NOT_FOUND);
        CHECK(!introspect(c, "/com", &e) && e.code == ERR_NOT_FOUND);
}

static void introspection(void **state)
{
        (void)state;
        as_user(geteuid(), check_introspection);
}

/* Waits for the next signal of @member; others are passed over. NULL args: none came. */
static struct bus_signal next_signal(struct bus_client *c, const char *member)
{
        for (;;) {
                struct bus_signal s = {0};
                struct error e;

                CHECK(bus_client_next(c, 20000, &s, &e) == ERR_OK);
                CHECK(s.args);
                if (strcmp(s.member, member) == 0)
                        return s;
                bus_signal_done(&s);
        }
}

static void check_changed_once(struct bus_client *c)
{
        struct bus_signal s;
        struct error e;
        const char *name;
        uint32_t first, second;

        CHECK(bus_client_watch(c, FAKE_PUBLIC, &e) == ERR_OK);
        CHECK(call(c, FAKE_PUBLIC, "Change", NULL, &e) == ERR_OK);
        s = next_signal(c, "PropertiesChanged");
        CHECK(strcmp(s.path, FAKE_PUBLIC) == 0);
        CHECK(!bus_read_string(s.args, "", &name, &e) && strcmp(name, FAKE_INTERFACE) == 0);
        CHECK(!bus_read_enter(s.args, "", &e));
        CHECK(!bus_read_enter(s.args, "", &e) && !bus_read_string(s.args, "", &name, &e) &&
              strcmp(name, "Bad") == 0);
        bus_read_leave(s.args);
        CHECK(!bus_read_enter(s.args, "", &e) && !bus_read_string(s.args, "", &name, &e) &&
              strcmp(name, "Reads") == 0);
        CHECK(!bus_read_enter(s.args, "", &e) && !bus_read_u32(s.args, "", &first, &e));
        bus_read_leave(s.args);
        bus_read_leave(s.args);
        CHECK(!bus_read_more(s.args));
        bus_signal_done(&s);
        /* Read once for the two changes: the next signal shows the next number. */
        CHECK(call(c, FAKE_PUBLIC, "Change", NULL, &e) == ERR_OK);
        s = next_signal(c, "PropertiesChanged");
        bus_read_skip(s.args);
        CHECK(!bus_read_enter(s.args, "", &e));
        bus_read_skip(s.args);
        CHECK(!bus_read_enter(s.args, "", &e) && !bus_read_string(s.args, "", &name, &e));
        CHECK(!bus_read_enter(s.args, "", &e) && !bus_read_u32(s.args, "", &second, &e) &&
              second == first + 1);
        bus_signal_done(&s);
}

static void changes_gathered(void **state)
{
        (void)state;
        as_user(geteuid(), check_changed_once);
}

/* A private signal: root makes it, and the caller looks whether it comes. */
static void make_private_signals(void)
{
        pid_t pid = fork();
        int status;

        CHECK(pid >= 0);
        if (pid == 0) {
                struct bus_client *root = connect_bus();
                struct error e;

                CHECK(call(root, BUS_PATH, "Toggle", NULL, &e) == ERR_OK);
                CHECK(call(root, FAKE_ADDED, "Change", NULL, &e) == ERR_OK);
                CHECK(call(root, BUS_PATH, "Toggle", NULL, &e) == ERR_OK);
                /* Public, so everybody sees that the private ones came before. */
                CHECK(call(root, FAKE_PUBLIC, "Change", NULL, &e) == ERR_OK);
                bus_client_close(root);
                _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct seen {
        bool added, changed, removed;
};

/* What a client of @uid sees of them; it subscribes by GetManagedObjects, or not. Needs real uid 0. */
static struct seen watch_as(uid_t uid, bool subscribe)
{
        struct seen seen = {0};
        struct bus_client *c;
        struct bus_signal s;
        struct error e;
        char list[512];

        CHECK(seteuid(uid) == 0);
        c = connect_bus();
        CHECK(seteuid(0) == 0);
        CHECK(bus_client_watch(c, FAKE_PUBLIC, &e) == ERR_OK &&
              bus_client_watch(c, FAKE_ADDED, &e) == ERR_OK);
        if (subscribe)
                managed(c, list, sizeof list);
        make_private_signals();
        for (;;) {
                bool last;

                CHECK(bus_client_next(c, 20000, &s, &e) == ERR_OK && s.args);
                last = strcmp(s.path, FAKE_PUBLIC) == 0 && strcmp(s.member, "PropertiesChanged") == 0;
                seen.added |= strcmp(s.member, "InterfacesAdded") == 0;
                seen.removed |= strcmp(s.member, "InterfacesRemoved") == 0;
                seen.changed |= strcmp(s.path, FAKE_ADDED) == 0;
                bus_signal_done(&s);
                if (last)
                        break;
        }
        bus_client_close(c);
        return seen;
}

static void check_unicast(struct bus_client *c)
{
        struct seen seen;

        (void)c;
        seen = watch_as(ALICE, true);
        CHECK(seen.added && seen.changed && seen.removed);
        seen = watch_as(0, true);
        CHECK(seen.added && seen.changed && seen.removed);
        seen = watch_as(BOB, true);
        CHECK(!seen.added && !seen.changed && !seen.removed);
        seen = watch_as(ALICE, false);
        CHECK(!seen.added && !seen.changed && !seen.removed);
}

static void unicast(void **state)
{
        (void)state;
        as_user(0, check_unicast);
}

/* A child's whole work, over a connection of its own. */
_Noreturn static void exit_with_call(const char *path, const char *member)
{
        struct bus_client *c = connect_bus();
        struct error e;
        const enum err r = call(c, path, member, NULL, &e);

        bus_client_close(c);
        _exit((int)r);
}

/* Calls @member without waiting, decides it by another connection, and returns what the first one gets. */
static enum err decided(const char *path, const char *what)
{
        pid_t pid = fork();
        int status;

        CHECK(pid >= 0);
        if (pid == 0)
                exit_with_call(path, "Guarded");
        for (;;) {
                struct bus_client *c = connect_bus();
                struct bus_writer *w = bus_client_begin(BUS_PATH, FAKE_INTERFACE, "Decide");
                struct error e;
                enum err r;

                bus_write_string(w, what);
                r = bus_client_call(c, w, NULL, NULL, &e);
                bus_client_close(c);
                if (r == ERR_OK)
                        break;
                CHECK(r == ERR_NOT_FOUND); /* the other has not arrived yet */
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        return (enum err)WEXITSTATUS(status);
}

static void check_authorised(struct bus_client *c)
{
        (void)c;
        CHECK(decided(FAKE_ALICE, "yes") == ERR_OK);
        CHECK(decided(FAKE_ALICE, "no") == ERR_DENIED);
        /* The object went while the question was open. */
        CHECK(decided(FAKE_ALICE, "vanish") == ERR_NOT_FOUND);
        CHECK(decided(FAKE_ALICE, "yes") == ERR_OK);
}

static void check_root_authorised(struct bus_client *c)
{
        struct error e;

        CHECK(call(c, FAKE_ALICE, "Guarded", NULL, &e) == ERR_OK);
}

static void authorisation(void **state)
{
        (void)state;
        as_user(ALICE, check_authorised);
        as_user(0, check_root_authorised);
}

static void check_kept(struct bus_client *c)
{
        pid_t pid = fork();
        struct error e;
        enum err r;
        int status;

        CHECK(pid >= 0);
        if (pid == 0)
                exit_with_call(BUS_PATH, "Keep");
        while ((r = call(c, BUS_PATH, "Release", NULL, &e)) == ERR_NOT_FOUND)
                ;
        CHECK(r == ERR_OK);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void late_answers(void **state)
{
        (void)state;
        as_user(geteuid(), check_kept);
}

static bool is_kept(struct bus_client *c)
{
        struct bus_reader *r = NULL;
        struct error e;
        bool kept;

        CHECK(call(c, BUS_PATH, "IsKept", &r, &e) == ERR_OK && bus_read_bool(r, "", &kept, &e) == ERR_OK);
        bus_reader_free(r);
        return kept;
}

static void check_caller_leaves(struct bus_client *c)
{
        struct bus_client *leaving = connect_bus();
        struct error e;
        char list[512];
        pid_t pid;

        /* It subscribes and goes: later signals to nobody must not hurt. */
        managed(leaving, list, sizeof list);
        bus_client_close(leaving);
        /* It goes while its call is kept. */
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                leaving = connect_bus();
                (void)call(leaving, BUS_PATH, "Keep", NULL, &e);
                _exit(1);
        }
        while (!is_kept(c))
                ;
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        CHECK(call(c, BUS_PATH, "Toggle", NULL, &e) == ERR_OK);
        CHECK(call(c, BUS_PATH, "Toggle", NULL, &e) == ERR_OK);
        CHECK(call(c, BUS_PATH, "Release", NULL, &e) == ERR_OK);
        CHECK(call(c, BUS_PATH, "Say", NULL, &e) == ERR_OK);
}

static void caller_leaves(void **state)
{
        (void)state;
        as_user(geteuid(), check_caller_leaves);
}

static void check_many(struct bus_client *c)
{
        static struct bus_client *many[40];
        size_t subscribed = 0;
        struct error e;

        /* More connections than a user's share: each is served, the quiet ones are forgotten. */
        for (size_t i = 0; i < N_ELEMENTS(many); i++) {
                many[i] = connect_bus();
                CHECK(call(many[i], BUS_PATH, "Say", NULL, &e) == ERR_OK);
        }
        for (size_t i = 0; i < N_ELEMENTS(many); i++) {
                enum err r = bus_client_call(
                        many[i], bus_client_begin(BUS_PATH, BUS_INTERFACE_OBJECTS, "GetManagedObjects"), NULL,
                        NULL, &e);

                CHECK(r == ERR_OK || r == ERR_LIMIT);
                subscribed += r == ERR_OK;
        }
        CHECK(subscribed == 16);
        for (size_t i = 0; i < N_ELEMENTS(many); i++) {
                CHECK(call(many[i], BUS_PATH, "Say", NULL, &e) == ERR_OK);
                bus_client_close(many[i]);
        }
        CHECK(call(c, BUS_PATH, "Say", NULL, &e) == ERR_OK);
}

static void connection_limits(void **state)
{
        (void)state;
        as_user(BOB, check_many);
}

/* libdbus drops a connection that gets a larger message than it wants, which anybody could then do to the
 * service. */
static void check_large(struct bus_client *c)
{
        enum { HUGE_TEXT = 8 * 1024 * 1024 };
        char *text = malloc(HUGE_TEXT + 1);
        struct bus_writer *w = bus_client_begin(BUS_PATH, FAKE_INTERFACE, "Options");
        struct error e;

        CHECK(text);
        memset(text, 'x', HUGE_TEXT);
        text[HUGE_TEXT] = 0;
        bus_write_text(w, text, HUGE_TEXT);
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_INVALID);
        w = bus_client_begin(BUS_PATH, FAKE_INTERFACE, "Options");
        bus_open_array(w, "{sv}");
        bus_entry_open(w, "user", "s");
        bus_write_text(w, text, HUGE_TEXT);
        bus_entry_close(w);
        bus_close(w);
        CHECK(bus_client_call(c, w, NULL, NULL, &e) == ERR_TOO_LARGE);
        CHECK(call(c, BUS_PATH, "Say", NULL, &e) == ERR_OK);
        free(text);
}

static void large_messages(void **state)
{
        (void)state;
        as_user(BOB, check_large);
}

static void no_bus(void **state)
{
        struct bus_client *c = NULL;
        struct error e;

        (void)state;
        expect_err(bus_client_open("unix:path=/nonexistent/bus", &c, &e), ERR_NO_SERVICE);
        expect_err(bus_client_open("nonsense", &c, &e), ERR_NO_SERVICE);
        assert_null(c);
}

static void no_service(void **state)
{
        struct bus_client *c = NULL;
        struct error e;
        int status;

        (void)state;
        kill(service, SIGTERM);
        assert_int_equal(waitpid(service, &status, 0), service);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
                fail_msg("the caller ended with status 0x%x", status);
        expect_ok(bus_client_open(bus.address, &c, &e));
        expect_err(bus_client_call(c, bus_client_begin(BUS_PATH, FAKE_INTERFACE, "Say"), NULL, NULL, &e),
                   ERR_NO_SERVICE);
        assert_non_null(strstr(e.remedy, "systemctl start scepterd"));
        bus_client_close(c);
}

static int start(void **state)
{
        (void)state;
        private_bus_start(&bus);
        service = fake_service_start(bus.address);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        private_bus_stop(&bus);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers),
                cmocka_unit_test(wrong_signature),
                cmocka_unit_test(option_dictionaries),
                cmocka_unit_test(file_needed),
                cmocka_unit_test(property_access),
                cmocka_unit_test(visibility),
                cmocka_unit_test(hidden_is_missing),
                cmocka_unit_test(introspection),
                cmocka_unit_test(changes_gathered),
                cmocka_unit_test(unicast),
                cmocka_unit_test(authorisation),
                cmocka_unit_test(late_answers),
                cmocka_unit_test(caller_leaves),
                cmocka_unit_test(connection_limits),
                cmocka_unit_test(large_messages),
                cmocka_unit_test(no_bus),
                cmocka_unit_test(no_service),
        };

        return cmocka_run_group_tests_name("bus/server", tests, start, stop);
}
