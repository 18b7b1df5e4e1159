/* policy/command: the worker's stream, and what a hostile worker may try. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fields.h"
#include "base/file.h"
#include "base/ossl.h"
#include "policy/command.h"

static X509 *some_certificate(void)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *cert = X509_new();

        X509_set_version(cert, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
        X509_gmtime_adj(X509_getm_notBefore(cert), 0);
        X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
        X509_set_pubkey(cert, key);
        assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
        EVP_PKEY_free(key);
        return cert;
}

static void sample(struct commands *c)
{
        struct error e = {0};
        struct command enroll = {.verb = VERB_ADD,
                                 .kind = COMMAND_ENROLL,
                                 .id = strdup("6"),
                                 .name = strdup("Add"),
                                 .location = strdup("./x"),
                                 .user = true};
        struct command root = {
                .verb = VERB_ADD, .kind = COMMAND_ROOT, .id = strdup("5"), .name = strdup("Add")};
        struct command get = {
                .verb = VERB_GET, .id = strdup("7"), .name = strdup("Get"), .format = strdup("chr")};
        X509 *cert = some_certificate();

        *c = (struct commands){
                .format = DOCUMENT_SYNCML, .session_id = strdup("1"), .source = strdup("https://s")};
        expect_ok(settings_add(&enroll.settings, "Profile.Name", "p", 3, &e));
        expect_ok(settings_add(&enroll.settings, "Server.Url", "http://a", 0, &e));
        expect_ok(strings_add(&enroll.notes, "a note", &e));
        expect_ok(secret_copy(&enroll.challenge, str_view("hunter2"), &e));
        expect_ok(x509_der(cert, &root.certificate, &e));
        expect_ok(secret_copy(&get.data, str_view("data"), &e));
        X509_free(cert);
        expect_ok(commands_add(c, &root, &e));
        expect_ok(commands_add(c, &enroll, &e));
        expect_ok(commands_add(c, &get, &e));
        expect_ok(commands_settle(c, &e));
}

static void round_trip(void **state)
{
        struct error e = {0};
        struct commands c = {0}, d = {0};
        struct bytes wire = {0}, again = {0};

        (void)state;
        sample(&c);
        expect_ok(commands_encode(&c, &wire, &e));
        expect_ok(commands_decode(bytes_view(&wire), &d, &e));
        assert_int_equal(d.count, 3);
        assert_int_equal(d.format, DOCUMENT_SYNCML);
        assert_string_equal(d.session_id, "1");
        assert_string_equal(d.target, "");
        assert_int_equal(d.items[0].kind, COMMAND_ROOT);
        assert_true(view_equal(bytes_view(&c.items[0].certificate), bytes_view(&d.items[0].certificate)));
        assert_true(d.items[1].user);
        assert_string_equal((char *)d.items[1].challenge.data, "hunter2");
        assert_string_equal(settings_get(&d.items[1].settings, "Profile.Name"), "p");
        assert_int_equal(d.items[1].settings.items[0].line, 3);
        assert_string_equal(d.items[1].notes.items[0], "a note");
        assert_string_equal((char *)d.items[2].data.data, "data");
        expect_ok(commands_encode(&d, &again, &e));
        assert_true(view_equal(bytes_view(&wire), bytes_view(&again)));
        bytes_done(&wire);
        bytes_done(&again);
        commands_done(&c);
        commands_done(&d);
}

static void cuts(void **state)
{
        struct error e = {0};
        struct commands c = {0};
        struct bytes wire = {0};

        (void)state;
        sample(&c);
        expect_ok(commands_encode(&c, &wire, &e));
        commands_done(&c);
        for (size_t n = 0; n < wire.len; n++) {
                enum err r = commands_decode((struct view){wire.data, n}, &c, &e);

                if (r == ERR_OK) /* cut between two commands: fewer of them */
                        commands_done(&c);
                else
                        assert_int_equal(r, ERR_PROTOCOL);
        }
        bytes_done(&wire);
}

/* One lie each. */
static void lies(void **state)
{
        struct error e = {0};

        (void)state;
        for (int lie = 0; lie < 9; lie++) {
                struct commands c = {0}, d = {0};
                struct bytes wire = {0};
                char *long_text = calloc(1, COMMAND_LOCATION_MAX + 2);
                enum err r;

                sample(&c);
                memset(long_text, 'x', COMMAND_LOCATION_MAX + 1);
                switch (lie) {
                case 0:
                        c.items[0].kind = COMMAND_PLAIN; /* a certificate without being a root */
                        break;
                case 1:
                        c.items[0].certificate.data[0] = 0x31;
                        break;
                case 2:
                        c.items[1].kind = COMMAND_PLAIN; /* settings without an enrollment */
                        break;
                case 3:
                        c.items[2].kind = COMMAND_ENROLL; /* the other way round */
                        break;
                case 4:
                        c.items[2].verb = (enum command_verb)_VERB_MAX;
                        break;
                case 5:
                        free(c.items[2].location);
                        c.items[2].location = strdup(long_text);
                        break;
                case 6:
                        c.items[1].settings.items[0].value[0] = '\n';
                        break;
                case 7:
                        c.format = DOCUMENT_AUTO;
                        break;
                case 8:
                        c.items[1].notes.items[0][0] = '\xff';
                        break;
                }
                expect_ok(commands_encode(&c, &wire, &e));
                r = commands_decode(bytes_view(&wire), &d, &e);
                if (r == ERR_OK)
                        fail_msg("lie %d was believed", lie);
                assert_null(d.items);
                free(long_text);
                bytes_done(&wire);
                commands_done(&c);
        }
}

static void too_many(void **state)
{
        struct error e = {0};
        struct commands c = {0};

        (void)state;
        for (int i = 0; i < COMMANDS_MAX; i++) {
                struct command g = {.verb = VERB_GET};

                expect_ok(commands_add(&c, &g, &e));
        }
        struct command g = {.verb = VERB_GET};

        expect_err(commands_add(&c, &g, &e), ERR_TOO_LARGE);
        command_done(&g);
        commands_done(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(round_trip),
                cmocka_unit_test(cuts),
                cmocka_unit_test(lies),
                cmocka_unit_test(too_many),
        };

        return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
