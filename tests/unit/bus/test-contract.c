/* dbus/org.scepter1.*.xml: what is embedded is what stands in the files; the house rules of the interface
 * hold. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "bus/introspection.h"
#include "bus/names.h"
#include "xml.h"

static const struct {
        const char *name, *file, *embedded;
} interfaces[] = {
        {BUS_INTERFACE_MANAGER, BUS_XML "/org.scepter1.Manager.xml", bus_introspection_manager},
        {BUS_INTERFACE_PROFILE, BUS_XML "/org.scepter1.Profile.xml", bus_introspection_profile},
        {BUS_INTERFACE_CERTIFICATE, BUS_XML "/org.scepter1.Certificate.xml", bus_introspection_certificate},
};

static void read_file_interface(size_t i, struct xml_interface *ret)
{
        struct bytes text = {0};
        struct error e;

        expect_ok(file_read(AT_FDCWD, interfaces[i].file, 1 << 20, &text, &e));
        assert_true(xml_interface_read((const char *)text.data, text.len, ret));
        bytes_done(&text);
}

static void embedded_equals_file(void **state)
{
        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(interfaces); i++) {
                static struct xml_interface file, embedded;
                char text[32768];
                int n = snprintf(text, sizeof text, "<node>%s</node>", interfaces[i].embedded);

                assert_in_range(n, 100, sizeof text - 1);
                read_file_interface(i, &file);
                assert_true(xml_interface_read(text, (size_t)n, &embedded));
                assert_string_equal(file.name, interfaces[i].name);
                assert_string_equal(embedded.name, interfaces[i].name);
                assert_int_equal(file.n, embedded.n);
                for (size_t j = 0; j < file.n; j++) {
                        assert_string_equal(file.member[j].name, embedded.member[j].name);
                        assert_string_equal(file.member[j].in, embedded.member[j].in);
                        assert_string_equal(file.member[j].out, embedded.member[j].out);
                }
                assert_null(strstr(interfaces[i].embedded, "<!--"));
        }
}

static void methods_are_documented_and_grow(void **state)
{
        static struct xml_interface file;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(interfaces); i++) {
                read_file_interface(i, &file);
                for (size_t j = 0; j < file.n; j++) {
                        const struct xml_member *m = &file.member[j];
                        size_t len = strlen(m->in);

                        if (m->kind != 'm')
                                continue;
                        if (!m->has_comment)
                                fail_msg("%s.%s has no comment", file.name, m->name);
                        if (len < 5 || strcmp(m->in + len - 5, "a{sv}") != 0)
                                fail_msg("%s.%s does not end in a{sv}", file.name, m->name);
                }
                /* bus_server_changed() keeps one bit for each. */
                assert_in_range(file.n, 1, 64);
        }
}

static void broken_documents(void **state)
{
        static const char *const bad[] = {"", "<node>", "<node></node>", "<node><interface></node>"};
        static struct xml_interface ret;

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(bad); i++)
                assert_false(xml_interface_read(bad[i], strlen(bad[i]), &ret));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(embedded_equals_file),
                cmocka_unit_test(methods_are_documented_and_grow),
                cmocka_unit_test(broken_documents),
        };

        return cmocka_run_group_tests_name("bus/contract", tests, NULL, NULL);
}
