/* service/events: lines and entries made of the tables; what strangers wrote is made harmless in both. */
#include "test.h"

#include <jansson.h>
#include <stdio.h>

#include "base/parse.h"
#include "events/line.h"

static const struct event_value failure[] = {
        {EVENT_STAGE, "discover", 0},   {EVENT_ERROR, "HttpError", 0}, {EVENT_REMEDY, "Look.", 0},
        {EVENT_HTTP_STATUS, NULL, 503}, {EVENT_PKI_STATUS, "", 0},     {EVENT_FAIL_INFO, NULL, 0},
        {EVENT_URL, "http://a/", 0},
};

static struct event event_of(enum event_kind kind, const char *message, const struct event_value *values,
                             size_t n)
{
        return (struct event){.kind = kind,
                              .time = 1700000000,
                              .certificate = "0123",
                              .name = "wifi",
                              .profile = "4567",
                              .message = message,
                              .values = values,
                              .n = n};
}

static void line(void **state)
{
        const struct event event = event_of(EVENT_ENROL_FAILED, "It failed", failure, N_ELEMENTS(failure));
        CLEANUP(free_p) char *text = NULL;
        struct error e = {0};

        (void)state;
        expect_ok(event_to_json(&event, &text, &e));
        assert_string_equal(text, "{\"time\":1700000000,\"event\":\"ENROL_FAILED\",\"windows\":307,"
                                  "\"certificate\":\"0123\",\"name\":\"wifi\",\"profile\":\"4567\","
                                  "\"message\":\"It failed\",\"stage\":\"discover\",\"error\":\"HttpError\","
                                  "\"remedy\":\"Look.\",\"httpStatus\":503,\"url\":\"http://a/\"}");
        assert_int_equal(event_lacks(event.kind, event_told(&event)), _EVENT_FIELD_MAX);
        assert_false(event_told(&event) & UINT64_C(1) << EVENT_PKI_STATUS);
}

static bool has(const struct event_entry *entry, const char *text)
{
        for (size_t i = 0; i < entry->n; i++)
                if (strcmp(entry->text[i], text) == 0)
                        return true;
        return false;
}

static void entry(void **state)
{
        static const char *const wanted[] = {"MESSAGE_ID=236134e5872d4306bc73cc24f5109299",
                                             "SCEPTER_EVENT=ENROL_FAILED",
                                             "SCEPTER_WINDOWS=307",
                                             "SCEPTER_CERTIFICATE=0123",
                                             "SCEPTER_NAME=wifi",
                                             "SCEPTER_PROFILE=4567",
                                             "SCEPTER_STAGE=discover",
                                             "SCEPTER_ERROR=HttpError",
                                             "SCEPTER_REMEDY=Look.",
                                             "SCEPTER_HTTP_STATUS=503",
                                             "SCEPTER_URL=http://a/"};
        const struct event event = event_of(EVENT_ENROL_FAILED, "It failed", failure, N_ELEMENTS(failure));
        struct event_entry made = {.n = 0};
        struct error e = {0};

        (void)state;
        expect_ok(event_to_entry(&event, &made, &e));
        assert_int_equal(made.n, N_ELEMENTS(wanted));
        for (size_t i = 0; i < N_ELEMENTS(wanted); i++)
                assert_true(has(&made, wanted[i]));
        event_entry_done(&made);
}

static void lists(void **state)
{
        static const struct {
                const char *words, *json;
        } cases[] = {
                {"AES SHA-256", "[\"AES\",\"SHA-256\"]"},
                {"AES", "[\"AES\"]"},
                {" AES  X ", "[\"AES\",\"X\"]"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct event_value values[] = {{EVENT_CAPABILITIES, cases[i].words, 0}};
                const struct event event = event_of(EVENT_CA_CAPS, "x", values, 1);
                CLEANUP(free_p) char *text = NULL;
                struct error e = {0};

                expect_ok(event_to_json(&event, &text, &e));
                assert_non_null(strstr(text, cases[i].json));
        }
}

/* No octets make a line that is none, two lines, or a second field. */
static void strangers(void **state)
{
        static char large[3 * EVENT_VALUE_MAX];
        static const char *const texts[] = {"a\nb",  "a\r\n{\"time\":1}\n", "\xff\xfe\x80",
                                            "\"}\\", "\x1b[31mred",         "\xc3",
                                            "a\x7f", "\xe2\x82\xac",        "SCEPTER_X=\ny"};

        (void)state;
        memset(large, 'x', sizeof large - 1);
        for (size_t i = 0; i <= N_ELEMENTS(texts); i++) {
                const char *text = i < N_ELEMENTS(texts) ? texts[i] : large;
                const struct event_value values[] = {{EVENT_SUBJECT, text, 0}, {EVENT_CAPABILITIES, text, 0}};
                const struct event event = event_of(EVENT_CERT_INSTALLED, text, values, 2);
                struct event_entry made = {.n = 0};
                CLEANUP(free_p) char *json = NULL;
                struct error e = {0};
                json_t *back;

                expect_ok(event_to_json(&event, &json, &e));
                assert_null(strpbrk(json, "\n\r\x1b\x7f"));
                assert_true(strlen(json) < 4 * EVENT_VALUE_MAX);
                back = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
                assert_true(json_is_object(back) && json_is_string(json_object_get(back, "subject")));
                json_decref(back);
                expect_ok(event_to_entry(&event, &made, &e));
                for (size_t j = 0; j < made.n; j++) {
                        assert_null(strpbrk(made.text[j], "\n\r\x1b\x7f"));
                        assert_true(utf8_valid(str_view(made.text[j])));
                        assert_true(strlen(made.text[j]) < EVENT_VALUE_MAX + 64);
                }
                event_entry_done(&made);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(line),
                cmocka_unit_test(entry),
                cmocka_unit_test(lists),
                cmocka_unit_test(strangers),
        };

        return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
