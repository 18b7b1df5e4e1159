/* service/facts: the table of sources, and those that look on this machine. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/ini.h"
#include "facts/internal.h"

/* A machine below a directory of its own. */
struct machine {
        char root[64];
        struct place place;
};

static int make_machine(void **state)
{
        struct machine *machine = calloc(1, sizeof *machine);

        assert_non_null(machine);
        strcpy(machine->root, "/tmp/scepter-facts.XXXXXX");
        assert_non_null(mkdtemp(machine->root));
        machine->place.root = machine->root;
        machine->place.own = geteuid();
        *state = machine;
        return 0;
}

static int remove_machine(void **state)
{
        struct machine *machine = *state;
        struct error e = {0};

        expect_ok(tree_remove(AT_FDCWD, machine->root, &e));
        free(machine);
        return 0;
}

static void put(const struct machine *machine, const char *path, const char *text)
{
        char full[256];
        struct error e = {0};

        (void)snprintf(full, sizeof full, "%s%s", machine->root, path);
        for (char *p = strchr(full + strlen(machine->root) + 1, '/'); p; p = strchr(p + 1, '/')) {
                *p = 0;
                (void)mkdir(full, 0755);
                *p = '/';
        }
        expect_ok(file_write(AT_FDCWD, full, 0644, str_view(text), &e));
}

typedef enum err looking(struct place *place, const char *key, char **ret, struct error *e);

static void expect_found(struct machine *machine, looking *look, const char *key, const char *wanted)
{
        CLEANUP(free_p) char *value = NULL;
        struct error e = {0};

        if (!wanted) {
                expect_err(look(&machine->place, key, &value, &e), ERR_NOT_FOUND);
                assert_true(*e.message);
                return;
        }
        expect_ok(look(&machine->place, key, &value, &e));
        assert_string_equal(value, wanted);
}

/* Every fact has a source for whom it is about, each at its place in the order. */
static void table(void **state)
{
        static const struct {
                enum fact fact;
                bool of_user;
                const char *keys[8]; /* "-": a row without a key */
        } orders[] = {
                {FACT_USER_NAME, true, {"-"}},
                {FACT_USER_PRINCIPAL_NAME, true, {"userPrincipalName"}},
                {FACT_EMAIL_ADDRESS, true, {"mail"}},
                {FACT_DISTINGUISHED_NAME, true, {"distinguishedName", "originalDN"}},
                {FACT_SAM_ACCOUNT_NAME, true, {"sAMAccountName", "-"}},
                {FACT_SECURITY_IDENTIFIER, true, {"objectSIDString"}},
                {FACT_SECURITY_IDENTIFIER, false, {"DeviceSecurityIdentifier"}},
                {FACT_DEPARTMENT, true, {"department"}},
                {FACT_AAD_DEVICE_ID, false, {"AzureADDeviceId"}},
                {FACT_DEVICE_ID, false, {"DeviceId"}},
                {FACT_SERIAL_NUMBER,
                 false,
                 {"scepter.serial", "GetHardwareSerial", "/sys/class/dmi/id/product_serial",
                  "/sys/class/dmi/id/chassis_serial", "/sys/class/dmi/id/board_serial",
                  "/proc/device-tree/serial-number", "SerialNumber"}},
                {FACT_IMEI, false, {"Modem.Modem3gpp.Imei", "Modem.EquipmentIdentifier", "IMEI"}},
                {FACT_MEID, false, {"Modem.ModemCdma.Meid", "MEID"}},
                {FACT_WIFI_MAC_ADDRESS,
                 false,
                 {"/sys/class/net/*/phy80211/macaddress", "PermHwAddress", "WiFiMacAddress"}},
                {FACT_DEVICE_NAME, false, {"StaticHostname", "-", "DeviceName"}},
                {FACT_FULLY_QUALIFIED_DOMAIN_NAME, false, {"FullyQualifiedDomainName", "StaticHostname"}},
        };
        unsigned seen = 0;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(orders); i++) {
                size_t row = fact_row_next(0, orders[i].fact, orders[i].of_user);

                for (size_t j = 0; orders[i].keys[j]; j++) {
                        assert_non_null(fact_rows[row].source);
                        assert_string_equal(fact_rows[row].key ? fact_rows[row].key : "-", orders[i].keys[j]);
                        /* the first source never stands in for another */
                        assert_false(j == 0 && fact_rows[row].stand_in);
                        row = fact_row_next(row + 1, orders[i].fact, orders[i].of_user);
                }
                assert_null(fact_rows[row].source);
                seen |= 1U << orders[i].fact;
                if (fact_of_user(orders[i].fact) && orders[i].fact != FACT_SECURITY_IDENTIFIER)
                        assert_null(fact_rows[fact_row_next(0, orders[i].fact, false)].source);
                else if (!fact_of_user(orders[i].fact)) /* a user's profile may name the machine */
                        assert_int_equal(fact_row_next(0, orders[i].fact, true),
                                         fact_row_next(0, orders[i].fact, false));
        }
        assert_int_equal(seen, (1U << _FACT_MAX) - 1);
        for (const struct fact_row *row = fact_rows; row->source; row++) {
                assert_true((row->source->look == NULL) != (row->source->question == NULL));
                assert_true((row->source->question == NULL) == (row->source->answer == NULL));
                assert_true(row->source->name || row->key);
        }
}

static void kernel_files(void **state)
{
        struct machine *machine = *state;
        const char *path = "/sys/class/dmi/id/product_serial";

        expect_found(machine, look_kernel_file, path, NULL);
        put(machine, path, "PF3ABCDE\n");
        expect_found(machine, look_kernel_file, path, "PF3ABCDE\n");
        put(machine, "/proc/device-tree/serial-number", "10000000abcd");
        expect_found(machine, look_kernel_file, "/proc/device-tree/serial-number", "10000000abcd");
        expect_found(machine, look_kernel_file, "/sys/class/dmi/id", NULL); /* a directory */
}

static void credential(void **state)
{
        struct machine *machine = *state;

        expect_found(machine, look_credential, "scepter.serial", NULL);
        machine->place.credentials = machine->root;
        expect_found(machine, look_credential, "scepter.serial", NULL);
        put(machine, "/scepter.serial", "GIVEN");
        expect_found(machine, look_credential, "scepter.serial", "GIVEN");
}

static void adapters(void **state)
{
        struct machine *machine = *state;

        expect_found(machine, look_wifi, "", NULL);
        put(machine, "/sys/class/net/eth0/address", "00:1a:7d:da:71:00");
        put(machine, "/sys/class/net/wlan0/address", "02:00:00:00:00:01");
        expect_found(machine, look_wifi, "", NULL);
        put(machine, "/sys/class/net/wlan1/phy80211/macaddress", "00:1a:7d:da:71:0b");
        expect_found(machine, look_wifi, "", "00:1a:7d:da:71:0b");
        put(machine, "/sys/class/net/wlan0/phy80211/macaddress", "00:1a:7d:da:71:0a");
        put(machine, "/sys/class/net/wlan2/phy80211/macaddress", "00:1a:7d:da:71:0c");
        expect_found(machine, look_wifi, "", "00:1a:7d:da:71:0a");
}

static void logins(void **state)
{
        static const struct {
                const char *login, *shortened;
        } cases[] = {
                {"jane", "jane"},
                {"jane@corp.example", "jane"},
                {"CORP\\jane", "jane"},
                {"CORP\\jane@x", "jane"},
        };
        struct machine *machine = *state;

        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(free_p) char *login = strdup(cases[i].login);

                machine->place.login = login;
                expect_found(machine, look_login, NULL, cases[i].login);
                expect_found(machine, look_short_login, NULL, cases[i].shortened);
        }
        machine->place.login = NULL;
        (void)error_set(&machine->place.login_why, ERR_NOT_FOUND, "There is no account");
        expect_found(machine, look_login, NULL, NULL);
        expect_found(machine, look_short_login, NULL, NULL);
}

static void facts_files(void **state)
{
        static const struct {
                const char *text;
                mode_t mode;
                enum err wanted;
                const char *says;
        } cases[] = {
                {"SerialNumber=ABC\n", 0644, ERR_OK, NULL},
                {"SerialNumber=ABC", 0600, ERR_OK, NULL},
                {"# words\n; words\nSerialNumber = ABC\n", 0444, ERR_OK, NULL},
                {"SerialNumber=ABC\nSerialNumber=DEF\n", 0644, ERR_OK, NULL},
                {"SerialNumber=ABC\n", 0664, ERR_FILE_REFUSED, "0664"},
                {"SerialNumber=ABC\n", 0646, ERR_FILE_REFUSED, "0646"},
                {"[Device]\nSerialNumber=ABC\n", 0644, ERR_FILE_REFUSED, "line 2"},
                {"SerialNumber=ABC\nwords\n", 0644, ERR_FILE_REFUSED, "line 2"},
                {"SerialNumber=A\001C\n", 0644, ERR_FILE_REFUSED, "SerialNumber"},
                {"SerialNumber=A\xff\n", 0644, ERR_FILE_REFUSED, "SerialNumber"},
        };
        struct machine *machine = *state;
        char path[128];

        ini_prepare();
        (void)snprintf(path, sizeof path, "%s/facts", machine->root);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(facts_file_done) struct facts_file file = {0};

                put(machine, "/facts", cases[i].text);
                assert_return_code(chmod(path, cases[i].mode), 0);
                facts_file_read(path, geteuid(), &file);
                assert_int_equal(file.result, cases[i].wanted);
                assert_false(file.missing);
                assert_true(file.edited.tv_sec > 0);
                if (!cases[i].says)
                        assert_string_equal(settings_get(&file.values, "SerialNumber"), "ABC");
                else if (!strstr(file.why.message, cases[i].says))
                        fail_msg("'%s' does not say '%s'", file.why.message, cases[i].says);
        }
}

static void facts_file_keys(void **state)
{
        static const char *const known[] = {"SerialNumber",    "IMEI",       "MEID",
                                            "WiFiMacAddress",  "DeviceName", "FullyQualifiedDomainName",
                                            "AzureADDeviceId", "DeviceId",   "DeviceSecurityIdentifier"};
        struct machine *machine = *state;
        CLEANUP(facts_file_done) struct facts_file file = {0};
        char path[128];

        for (size_t i = 0; i < N_ELEMENTS(known); i++)
                assert_true(facts_file_knows(known[i]));
        assert_false(facts_file_knows("UserName") || facts_file_knows("objectSIDString") ||
                     facts_file_knows("scepter.serial") || facts_file_knows("serialnumber"));
        ini_prepare();
        (void)snprintf(path, sizeof path, "%s/facts", machine->root);
        facts_file_read(path, geteuid(), &file);
        assert_true(file.missing && file.result == ERR_NOT_FOUND);
        put(machine, "/facts", "Colour=red\nEmailAddress=a@b\nIMEI=1\n");
        facts_file_read(path, geteuid(), &file);
        assert_int_equal(file.result, ERR_OK);
        assert_int_equal(file.unknown.count, 2);
        assert_string_equal(file.unknown.items[1], "line 2: unknown key 'EmailAddress'");
        if (geteuid() == 0) {
                CLEANUP(facts_file_done) struct facts_file foreign = {0};

                assert_return_code(chown(path, 1, 1), 0);
                facts_file_read(path, 0, &foreign);
                assert_int_equal(foreign.result, ERR_FILE_REFUSED);
        }
}

int main(void)
{
#define on_machine(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_machine)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(table),     on_machine(kernel_files), on_machine(credential),
                on_machine(adapters),        on_machine(logins),       on_machine(facts_files),
                on_machine(facts_file_keys),
        };

        return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
