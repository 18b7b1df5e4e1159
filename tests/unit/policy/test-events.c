/* policy/events: every row is whole, names and ids are unique, numbers are those of Windows [facts §7.1]. */
#include "test.h"

#include <ctype.h>
#include <syslog.h>

#include "base/parse.h"
#include "policy/events.h"

static bool is_name(const char *text)
{
        for (const char *p = text; *p; p++)
                if (!isupper((unsigned char)*p) && *p != '_')
                        return false;
        return isupper((unsigned char)text[0]) != 0;
}

static void rows_are_whole(void **state)
{
        static const unsigned numbers[] = {0, 32, 36, 39, 306};

        (void)state;
        for (unsigned i = 0; i < _EVENT_MAX; i++) {
                const enum event_kind kind = (enum event_kind)i;
                bool known = false;

                assert_non_null(event_name(kind));
                assert_true(is_name(event_name(kind)));
                assert_true(is_lower_hex(event_message_id(kind), 32));
                assert_in_range(event_priority(kind), LOG_ERR, LOG_INFO);
                for (size_t j = 0; j < N_ELEMENTS(numbers); j++)
                        known = known || numbers[j] == event_windows(kind, NULL);
                assert_true(known);
                for (unsigned j = 0; j < i; j++) {
                        assert_string_not_equal(event_name(kind), event_name((enum event_kind)j));
                        assert_string_not_equal(event_message_id(kind), event_message_id((enum event_kind)j));
                }
        }
}

static void fields_are_whole(void **state)
{
        (void)state;
        assert_true(_EVENT_FIELD_MAX <= 64); /* bits */
        for (unsigned i = 0; i < _EVENT_FIELD_MAX; i++) {
                const enum event_field field = (enum event_field)i;
                const char *name = event_field_name(field), *journal = event_field_journal(field);
                char spelt[64] = "SCEPTER_";
                size_t n = strlen(spelt);
                bool used = false;

                /* notAfter, SCEPTER_NOT_AFTER */
                for (const char *p = name; *p; p++) {
                        if (isupper((unsigned char)*p))
                                spelt[n++] = '_';
                        spelt[n++] = (char)toupper((unsigned char)*p);
                }
                spelt[n] = 0;
                assert_string_equal(journal, spelt);
                assert_true(strlen(journal) <= 64); /* the journal's bound */
                for (unsigned j = 0; j < i; j++)
                        assert_string_not_equal(name, event_field_name((enum event_field)j));
                for (unsigned j = 0; j < _EVENT_MAX; j++)
                        used = used ||
                               event_exceeds((enum event_kind)j, UINT64_C(1) << i) == _EVENT_FIELD_MAX;
                assert_true(used);
        }
}

static void numbers_of_windows(void **state)
{
        static const struct {
                enum event_kind kind;
                const char *stage;
                unsigned number;
        } cases[] = {
                {EVENT_PROFILE_ACCEPTED, NULL, 306},    {EVENT_REQUEST_GENERATED, NULL, 36},
                {EVENT_CERT_INSTALLED, NULL, 39},       {EVENT_ENROL_FAILED, NULL, 32},
                {EVENT_ENROL_FAILED, "exchange", 32},   {EVENT_ENROL_FAILED, "key", 32},
                {EVENT_ENROL_FAILED, "discover", 307},  {EVENT_ENROL_FAILED, "choose", 307},
                {EVENT_ENROL_CANCELLED, "discover", 0}, {EVENT_PENDING, NULL, 0},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                assert_int_equal(event_windows(cases[i].kind, cases[i].stage), cases[i].number);
}

#define F(field) (UINT64_C(1) << EVENT_##field)

static void missing_and_foreign_fields(void **state)
{
        static const struct {
                enum event_kind kind;
                uint64_t told;
                enum event_field lacks, exceeds;
        } cases[] = {
                {EVENT_PENDING, F(URL) | F(TRANSACTION) | F(ATTEMPT) | F(ATTEMPTS) | F(NEXT_AT),
                 _EVENT_FIELD_MAX, _EVENT_FIELD_MAX},
                {EVENT_PENDING, F(URL) | F(TRANSACTION) | F(ATTEMPT) | F(ATTEMPTS), EVENT_NEXT_AT,
                 _EVENT_FIELD_MAX},
                {EVENT_ENROL_FAILED, F(STAGE) | F(ERROR) | F(REMEDY), _EVENT_FIELD_MAX, _EVENT_FIELD_MAX},
                {EVENT_ENROL_FAILED, F(STAGE) | F(REMEDY) | F(HTTP_STATUS), EVENT_ERROR, _EVENT_FIELD_MAX},
                {EVENT_ENROL_FAILED, F(STAGE) | F(ERROR) | F(REMEDY) | F(SCOPE), _EVENT_FIELD_MAX,
                 EVENT_SCOPE},
                {EVENT_CERT_REMOVED, 0, _EVENT_FIELD_MAX, _EVENT_FIELD_MAX},
                {EVENT_CA_CERTS, 0, EVENT_URL, _EVENT_FIELD_MAX},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                assert_int_equal(event_lacks(cases[i].kind, cases[i].told), cases[i].lacks);
                assert_int_equal(event_exceeds(cases[i].kind, cases[i].told), cases[i].exceeds);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rows_are_whole),
                cmocka_unit_test(fields_are_whole),
                cmocka_unit_test(numbers_of_windows),
                cmocka_unit_test(missing_and_foreign_fields),
        };

        return cmocka_run_group_tests_name("policy/events", tests, NULL, NULL);
}
