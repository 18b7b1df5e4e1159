/* service/keys/owners: which names are one account's. What follows from it is in integration/hostile. */
#include "test.h"

#include "daemon/log.h"
#include "enroll/due.h"
#include "keys/owners.h"
#include "objects/objects.h"

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
        (void)level;
        (void)fmt;
}

static void names(void **state)
{
        static const struct {
                const char *one, *other;
                bool same;
        } cases[] = {
                {"alice", "alice", true},
                {"alice", "Alice", true},
                {"alice", "alice@contoso.com", true},
                {"CONTOSO\\Alice", "alice@contoso.com", true},
                {"CONTOSO\\alice", "FABRIKAM\\alice", true}, /* the uid is the same, too */
                {"alice", "alicia", false},
                {"alice", "ali", false},
                {"CONTOSO\\alice", "CONTOSO\\bob", false},
                {"alice@contoso.com", "bob@contoso.com", false},
                {"", "alice", false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                assert_int_equal(owners_same_login(cases[i].one, cases[i].other), cases[i].same);
                assert_int_equal(owners_same_login(cases[i].other, cases[i].one), cases[i].same);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(names)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
