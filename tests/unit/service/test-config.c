/* service/daemon/config: defaults, values, and errors with file and line. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/config.h"

static void defaults(void **state)
{
        CLEANUP(config_done) struct config config = {0};
        struct error e = {0};

        (void)state;
        expect_ok(config_read(NULL, &config, &e));
        assert_string_equal(config.state, "/var/lib/scepter");
        assert_string_equal(config.keys_socket, "/run/scepter/keys.sock");
        assert_string_equal(config.tcti, "auto");
        assert_string_equal(config.facts, "/etc/scepter/facts");
        assert_int_equal(config.protection, KEY_PROTECTION_TPM_PREFERRED);
        assert_true(config.polkit);
}

static void files(void **state)
{
        static const struct {
                const char *text;
                enum err wanted;
                const char *says;
        } cases[] = {
                {"", ERR_OK, NULL},
                {"[Service]\nTcti=none\n", ERR_OK, NULL},
                {"# words\n[Service]\nRuntimeDirectory=/x ; y\n", ERR_OK, NULL},
                {"[Service]\nTcti=none\nNothing=1\n", ERR_CONFIG, "line 3: unknown key 'Nothing'"},
                {"[Other]\nTcti=none\n", ERR_CONFIG, "line 2: unknown section [Other]"},
                {"[Service]\nDefaultKeyProtection=hardware\n", ERR_CONFIG, "'hardware'"},
                {"[Service]\nDefaultKeyProtection=user-verified\n", ERR_CONFIG, "'user-verified'"},
                {"[Service]\nPolkit=no\n", ERR_OK, NULL},
                {"[Service]\nPolkit=perhaps\n", ERR_CONFIG, "line 2: Polkit is yes or no, not 'perhaps'"},
                {"[Service]\njust words\n", ERR_CONFIG, "line 2"},
                {"Tcti=none\n", ERR_CONFIG, "line 1: unknown section []"},
        };
        char path[] = "/tmp/scepter-conf.XXXXXX";
        int fd = mkstemp(path);
        struct error e = {0};

        (void)state;
        close(fd);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(config_done) struct config config = {0};

                expect_ok(file_write(AT_FDCWD, path, 0600, str_view(cases[i].text), &e));
                if (cases[i].wanted == ERR_OK) {
                        expect_ok(config_read(path, &config, &e));
                } else {
                        expect_err(config_read(path, &config, &e), cases[i].wanted);
                        if (!strstr(e.message, cases[i].says))
                                fail_msg("'%s' does not say '%s'", e.message, cases[i].says);
                }
        }
        unlink(path);
        expect_err(config_read(path, &(struct config){0}, &e), ERR_CONFIG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(defaults), cmocka_unit_test(files)};

        return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
