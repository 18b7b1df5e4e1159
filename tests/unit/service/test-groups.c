/* service/keys/groups: whose members may use a device's keys, as the name services answer, do not know, fail
 * or hang, and change their minds. The one of this test is getgrnam_r(3) itself. */
#include "test.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-event.h>

#include "daemon/log.h"
#include "enroll/due.h"
#include "keys/groups.h"
#include "keys/server.h"
#include "objects/objects.h"

enum { GAMES = 60, MAIL = 8, CREW = 64950, ABSENT = 0, PATIENCE_USEC = 60 * 1000000 };
#define DEVICES "0123456789abcdef0123456789abcdef"
#define OTHERS  "fedcba9876543210fedcba9876543210"

/* The name service */

static struct {
        pthread_mutex_t lock;
        pthread_cond_t released;
        bool hangs;
        int error;
        gid_t crew; /* ABSENT: there is none */
} service = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, ABSENT};

int getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size, struct group **found)
{
        static const struct {
                const char *name;
                gid_t gid;
        } always[] = {{"games", GAMES}, {"mail", MAIL}};
        gid_t gid = ABSENT;
        int error;

        (void)buffer;
        *found = NULL;
        (void)pthread_mutex_lock(&service.lock);
        while (service.hangs)
                (void)pthread_cond_wait(&service.released, &service.lock);
        error = service.error;
        if (strcmp(name, "crew") == 0)
                gid = service.crew;
        (void)pthread_mutex_unlock(&service.lock);
        if (error)
                return error;
        if (strcmp(name, "large") == 0 && size < 1024 * 1024)
                return ERANGE;
        for (size_t i = 0; i < N_ELEMENTS(always); i++)
                if (strcmp(name, always[i].name) == 0)
                        gid = always[i].gid;
        if (strcmp(name, "large") == 0)
                gid = CREW;
        if (gid == ABSENT)
                return 0;
        *entry = (struct group){.gr_gid = gid};
        *found = entry;
        return 0;
}

static void answers(gid_t crew, int error, bool hangs)
{
        (void)pthread_mutex_lock(&service.lock);
        service.crew = crew;
        service.error = error;
        service.hangs = hangs;
        (void)pthread_cond_broadcast(&service.released);
        (void)pthread_mutex_unlock(&service.lock);
}

/* The rest of the daemon */

static unsigned opened, warnings;

void key_server_open(struct key_server *server)
{
        (void)server;
        opened++;
}

void due_set(struct daemon *daemon, struct certificate *c)
{
        (void)daemon;
        (void)c;
}

void objects_certificate_changed(struct daemon *daemon, struct certificate *c)
{
        (void)daemon;
        (void)c;
}

void log_line(int level, const char *fmt, ...)
{
        (void)fmt;
        warnings += level == LOG_WARNING;
}

static struct daemon d;

static int too_late(sd_event_source *source, uint64_t usec, void *ctx)
{
        (void)source;
        (void)usec;
        (void)ctx;
        fail_msg("it never happened");
        return 0;
}

static int start(void **state)
{
        (void)state;
        answers(ABSENT, 0, false);
        opened = warnings = 0;
        if (sd_event_new(&d.event) < 0 ||
            sd_event_add_time_relative(d.event, NULL, CLOCK_MONOTONIC, PATIENCE_USEC, 0, too_late, NULL) < 0)
                return -1;
        return model_new(NULL, &d.model, NULL) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
        (void)state;
        answers(ABSENT, 0, false);
        key_groups_free(d.key_groups);
        model_free(d.model);
        sd_event_unref(d.event);
        d = (struct daemon){0};
        return 0;
}

/* A profile with these groups. */
static void add(const char *id, const char *groups)
{
        struct stored_profile profile = {.owner = NO_OWNER, .location = (char[]){""}};
        struct error e = {0};

        expect_ok(settings_add(&profile.settings, "Profile.Name", id, 0, &e));
        if (groups)
                expect_ok(settings_add(&profile.settings, "Key.Groups", groups, 0, &e));
        expect_ok(model_add_profile(d.model, id, &profile, NULL, &e));
        settings_done(&profile.settings);
}

static void begin(void)
{
        struct error e = {0};

        expect_ok(key_groups_new(&d, &d.key_groups, &e));
}

/* The gids that may use the key of this certificate now, in text. */
static const char *gids(const char *profile, uid_t owner)
{
        static char text[PROFILE_GROUPS_MAX * 12];
        struct certificate certificate = {.owner = owner};
        gid_t found[PROFILE_GROUPS_MAX];
        unsigned n;

        (void)snprintf(certificate.profile, sizeof certificate.profile, "%s", profile);
        n = key_groups_of(&d, &certificate, found);
        text[0] = 0;
        for (unsigned i = 0; i < n; i++)
                (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lu", i ? " " : "",
                               (unsigned long)found[i]);
        return text;
}

static void turn(void)
{
        assert_true(sd_event_run(d.event, UINT64_MAX) >= 0);
}

/* Until the service's answer has this effect on the key of the profile's certificate. */
static void until(const char *profile, const char *wanted)
{
        while (strcmp(gids(profile, NO_OWNER), wanted) != 0)
                turn();
}

static void which_keys(void **state)
{
        static const struct {
                const char *name, *groups, *profile;
                uid_t owner;
                const char *gids;
        } cases[] = {
                {"/one", "games", DEVICES, NO_OWNER, "60"},
                {"/in the profile's order", "mail games", DEVICES, NO_OWNER, "8 60"},
                {"/one of them is missing", "nobody-here games", DEVICES, NO_OWNER, "60"},
                {"/one of many members", "large games", DEVICES, NO_OWNER, "64950 60"},
                {"/a user's", "games", DEVICES, 1000, ""},
                {"/of root as a user", "games", DEVICES, 0, ""},
                {"/of another profile", "games", OTHERS, NO_OWNER, "8"},
                {"/whose profile was removed", "games", "", NO_OWNER, ""},
                {"/whose profile is unknown", "games", "00000000000000000000000000000000", NO_OWNER, ""},
                {"/without groups", NULL, DEVICES, NO_OWNER, ""},
        };

        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                assert_int_equal(start(state), 0);
                add(OTHERS, "mail");
                add(DEVICES, cases[i].groups);
                begin();
                while (!opened)
                        turn();
                if (strcmp(gids(cases[i].profile, cases[i].owner), cases[i].gids) != 0)
                        fail_msg("%s: %s", cases[i].name, gids(cases[i].profile, cases[i].owner));
                assert_int_equal(stop(state), 0);
        }
}

/* What does not answer changes nothing; only what is not there takes a right away. */
static void changes(void **state)
{
        static const struct {
                const char *name;
                struct answer {
                        gid_t crew;
                        int error;
                } first, then;
                const char *before, *after;
                unsigned warned;
        } cases[] = {
                {"/stays", {CREW, 0}, {CREW, 0}, "60 64950", "60 64950", 0},
                {"/goes", {CREW, 0}, {ABSENT, 0}, "60 64950", "60", 1},
                {"/comes", {ABSENT, 0}, {CREW, 0}, "60", "60 64950", 1},
                {"/is still missing", {ABSENT, 0}, {ABSENT, 0}, "60", "60", 1},
                {"/has another number", {CREW, 0}, {CREW + 1, 0}, "60 64950", "60 64951", 0},
                {"/the service fails", {CREW, 0}, {ABSENT, EIO}, "60 64950", "60 64950", 0},
                {"/it is busy", {CREW, 0}, {ABSENT, EAGAIN}, "60 64950", "60 64950", 0},
                {"/it fails where one was missing", {ABSENT, 0}, {CREW, EIO}, "60", "60", 1},
                {"/it fails at first", {CREW, EIO}, {CREW, 0}, "", "60 64950", 2},
                {"/it fails and fails", {CREW, EIO}, {CREW, ETIMEDOUT}, "", "", 2},
        };

        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                assert_int_equal(start(state), 0);
                add(DEVICES, "games crew");
                answers(cases[i].first.crew, cases[i].first.error, false);
                begin();
                while (!opened)
                        turn();
                assert_string_equal(gids(DEVICES, NO_OWNER), cases[i].before);
                answers(cases[i].then.crew, cases[i].then.error, false);
                /* A profile that comes with it shows when the second answer is there. */
                add(OTHERS, "mail");
                key_groups_look(d.key_groups);
                if (!cases[i].then.error)
                        until(OTHERS, "8");
                while (cases[i].then.error && warnings == cases[i].warned)
                        turn();
                if (strcmp(gids(DEVICES, NO_OWNER), cases[i].after) != 0)
                        fail_msg("%s: %s", cases[i].name, gids(DEVICES, NO_OWNER));
                assert_int_equal(warnings, cases[i].warned + (cases[i].then.error != 0));
                assert_int_equal(opened, 1);
                assert_int_equal(stop(state), 0);
        }
}

/* Nobody is let in before it is known who may what; nothing but that waits. */
static void the_door(void **state)
{
        (void)state;
        add(DEVICES, "crew");
        answers(CREW, 0, true);
        begin();
        assert_true(key_groups_are_awaited(d.key_groups));
        for (int i = 0; i < 10; i++) {
                key_groups_look(d.key_groups); /* a profile changes: not asked twice at once */
                assert_true(sd_event_run(d.event, 0) >= 0);
        }
        assert_int_equal(opened, 0);
        assert_string_equal(gids(DEVICES, NO_OWNER), "");
        answers(CREW, 0, false);
        until(DEVICES, "64950");
        assert_int_equal(opened, 1);
        assert_false(key_groups_are_awaited(d.key_groups));
}

static void without_groups(void **state)
{
        (void)state;
        add(DEVICES, NULL);
        answers(CREW, 0, true);
        begin();
        assert_false(key_groups_are_awaited(d.key_groups)); /* nobody is asked */
        key_groups_look(d.key_groups);
        assert_int_equal(opened, 0);
        /* One comes, changes, and goes; nobody waits at the door for it. */
        answers(CREW, 0, false);
        add(OTHERS, "games");
        key_groups_look(d.key_groups);
        assert_false(key_groups_are_awaited(d.key_groups));
        until(OTHERS, "60");
        model_remove_profile(d.model, model_find_profile(d.model, OTHERS));
        assert_string_equal(gids(OTHERS, NO_OWNER), "");
        key_groups_look(d.key_groups);
        assert_int_equal(opened, 0);
}

/* What changed while the service was being asked is asked for afterwards. */
static void a_change_meanwhile(void **state)
{
        (void)state;
        add(OTHERS, "games");
        answers(CREW, 0, true);
        begin();
        add(DEVICES, "crew mail");
        key_groups_look(d.key_groups);
        answers(CREW, 0, false);
        until(DEVICES, "64950 8");
}

static void checks(void **state)
{
        static const struct {
                const char *name, *groups;
                int error;
                enum err wanted;
        } cases[] = {
                {"/none", "", 0, ERR_OK},
                {"/all there", "games mail", 0, ERR_OK},
                {"/one missing", "games nobody-here", 0, ERR_PROFILE},
                {"/the service fails", "games", EIO, ERR_IO},
                {"/it has no memory", "games", ENOMEM, ERR_NO_MEMORY},
                {"/an entry without an end", "games", ERANGE, ERR_IO},
                {"/an error that means no such group", "games", ESRCH, ERR_PROFILE},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(strings_done) struct strings names = {0};

                expect_ok(strings_add_words(&names, cases[i].groups, &e));
                answers(CREW, cases[i].error, false);
                if (!cases[i].wanted) {
                        expect_ok(key_groups_check(&names, &e));
                        continue;
                }
                expect_err(key_groups_check(&names, &e), cases[i].wanted);
                if (!strstr(e.message, "Key.Groups"))
                        fail_msg("%s: %s", cases[i].name, e.message);
                if (cases[i].wanted == ERR_PROFILE && !strstr(e.remedy, "groupadd --system"))
                        fail_msg("%s: %s", cases[i].name, e.remedy);
        }
}

static void nothing(void **state)
{
        (void)state;
        key_groups_look(NULL);
        key_groups_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(which_keys),
                                           cmocka_unit_test(changes),
                                           cmocka_unit_test_setup_teardown(the_door, start, stop),
                                           cmocka_unit_test_setup_teardown(without_groups, start, stop),
                                           cmocka_unit_test_setup_teardown(a_change_meanwhile, start, stop),
                                           cmocka_unit_test_setup_teardown(checks, start, stop),
                                           cmocka_unit_test(nothing)};

        return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
