/* policy/ldap-name: names as a directory prints them, and the variable that stands for one. */
#include "test.h"

#include <stdio.h>

#include "facts.h"
#include "policy/ldap-name.h"

static void parses(void **state)
{
        static const struct {
                const char *text, *parts; /* key=value|key=value; + before a joined one; NULL: refused */
        } cases[] = {
                {"CN=Jane Doe,OU=Users,DC=contoso,DC=com", "CN=Jane Doe|OU=Users|DC=contoso|DC=com"},
                {"CN=Doe\\, Jane,DC=com", "CN=Doe, Jane|DC=com"},
                {"CN=a\\+b\\\"c\\\\d\\;e", "CN=a+b\"c\\d;e"},
                {"CN=a+OU=b,O=c", "CN=a|+OU=b|O=c"},
                {"CN= a \\ ,O=b", "CN=a  |O=b"},
                {"CN=\\c3\\a4", "CN=\xc3\xa4"},
                {"CN=J\xc3\xbcrgen", "CN=J\xc3\xbcrgen"},
                {"2.5.4.5=1, cn=x", "2.5.4.5=1|cn=x"},
                {"CN=a=b", "CN=a=b"},
                {"CN=a;O=b", "CN=a|O=b"},
                {"", NULL},
                {"CN", NULL},
                {"CN=", NULL},
                {"CN=a,", NULL},
                {"=a", NULL},
                {"XY=a", NULL},
                {"CN=a\\", NULL},
                {"CN=a\\00b", NULL},
                {"CN=\\ff", NULL},
                {"CN=#0401ff", NULL},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct name n = {0};
                struct error e = {0};
                char parts[512] = "";
                enum err r = name_parse_ldap(cases[i].text, &n, &e);

                for (size_t k = 0; k < n.count; k++)
                        snprintf(parts + strlen(parts), sizeof parts - strlen(parts), "%s%s%s=%s",
                                 k ? "|" : "", n.avas[k].joined ? "+" : "", n.avas[k].key, n.avas[k].value);
                if (!cases[i].parts ? r != ERR_PROFILE : (r || strcmp(parts, cases[i].parts) != 0))
                        fail_msg("%s: %s, '%s'", cases[i].text, err_name(r), parts);
                name_done(&n);
        }
}

/* Facts §4.5, {{OnPrem_Distinguished_Name}}: the whole subject, or its tail. */
static void stands_for_a_name(void **state)
{
        static const struct {
                const char *subject, *value, *parts; /* parts NULL: refused */
        } cases[] = {
                {"{{OnPrem_Distinguished_Name}}", "CN=Jane,DC=com", "CN=Jane|DC=com"},
                {"CN=x, {{onprem_distinguished_name}} ;O=y", "OU=a,DC=b", "CN=x|OU=a|DC=b|O=y"},
                {"CN={{OnPrem_Distinguished_Name}}", "CN=Jane,DC=com", "CN=CN=Jane,DC=com"},
                {"{{OnPrem_Distinguished_Name}}", "Jane", NULL},
                {"{{OnPrem_Distinguished_Name}}", "CN={{UserName}}",
                 "CN={{UserName}}"}, /* no variable any more */
                {"{{UserName}}", "jane", NULL},
                {"CN=a+{{OnPrem_Distinguished_Name}}", "CN=Jane", NULL},
                {"{{OnPrem_Distinguished_Name}}x", "CN=Jane", NULL},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct fake_facts fake = {0};
                const struct facts facts = {&fake, fake_get};
                struct name n = {0};
                struct error e = {0};
                char parts[512] = "";
                enum err r = name_parse(cases[i].subject, &n, &e);

                fake.values[FACT_DISTINGUISHED_NAME] = fake.values[FACT_USER_NAME] = cases[i].value;
                if (r == ERR_OK)
                        r = name_expand(&n, &facts, &e);
                for (size_t k = 0; r == ERR_OK && k < n.count; k++)
                        snprintf(parts + strlen(parts), sizeof parts - strlen(parts), "%s%s=%s", k ? "|" : "",
                                 n.avas[k].key, n.avas[k].value);
                if (!cases[i].parts ? r != ERR_PROFILE : (r || strcmp(parts, cases[i].parts) != 0))
                        fail_msg("%s: %s '%s' %s", cases[i].subject, err_name(r), parts, e.message);
                name_done(&n);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(parses), cmocka_unit_test(stands_for_a_name)};

        return cmocka_run_group_tests_name("ldap-name", tests, NULL, NULL);
}
