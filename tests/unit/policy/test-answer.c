/* policy/answer: what the device says back. */
#include "test.h"

#include "policy/answer.h"

static void add(struct commands *c, enum command_verb verb, const char *id, const char *location)
{
        struct error e = {0};
        struct command command = {.verb = verb,
                                  .id = strdup(id),
                                  .location = strdup(location),
                                  .name = strdup(verb == VERB_UNKNOWN ? "Wei<rd" : command_verb_name(verb))};

        expect_ok(commands_add(c, &command, &e));
}

static unsigned count(const char *text, const char *what)
{
        unsigned n = 0;

        for (; (text = strstr(text, what)); text++)
                n++;
        return n;
}

static void writes(void **state)
{
        struct error e = {0};
        struct commands c = {.format = DOCUMENT_SYNCML,
                             .session_id = strdup("1"),
                             .message_id = strdup("6"),
                             .source = strdup("https://server/?a&b"),
                             .target = strdup("urn:uuid:1")};
        const struct command_result results[] = {
                [1] = {.code = STATUS_OK},
                [2] = {.code = STATUS_ACCEPTED},
                [3] = {.code = STATUS_OK, .data = (char[]){"1 < 2 & \"x\"\x01"}, .format = "node"},
                [4] = {.code = STATUS_NOT_FOUND, .reason = (char[]){"no <node>"}},
                [6] = {.code = STATUS_NOT_SUPPORTED}};
        struct command_result wrong[N_ELEMENTS(results)];
        char *text = NULL;

        (void)state;
        add(&c, VERB_STATUS, "1", "");
        add(&c, VERB_ATOMIC_BEGIN, "2", "");
        add(&c, VERB_ADD, "3", "./a'b");
        add(&c, VERB_GET, "4", "./c");
        add(&c, VERB_GET, "5", "./d");
        add(&c, VERB_ATOMIC_END, "", "");
        add(&c, VERB_UNKNOWN, "6", "");
        expect_ok(answer_write(&c, results, NULL, 3, &text, &e));
        assert_int_equal(count(text, "<Status>"), 6);
        assert_int_equal(count(text, "<Results>"), 1);
        assert_non_null(strstr(text, "<MsgID>3</MsgID>"));
        assert_non_null(strstr(text, "<Target><LocURI>https://server/?a&amp;b</LocURI></Target>"));
        assert_non_null(strstr(
                text, "<Status><CmdID>1</CmdID><MsgRef>6</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd>"));
        assert_non_null(strstr(text, "<CmdID>3</CmdID><MsgRef>6</MsgRef><CmdRef>3</CmdRef><Cmd>Add</Cmd>"
                                     "<TargetRef>./a&apos;b</TargetRef><Data>202</Data>"));
        assert_non_null(strstr(text, "<Format xmlns=\"syncml:metinf\">node</Format>"));
        assert_non_null(strstr(text, "<Data>404</Data><Item><Data>no &lt;node&gt;</Data></Item></Status>"));
        assert_non_null(strstr(text, "<Data>1 &lt; 2 &amp; &quot;x&quot; </Data>"));
        assert_non_null(strstr(
                text,
                "<CmdID>7</CmdID><MsgRef>6</MsgRef><CmdRef>6</CmdRef><Cmd>Wei&lt;rd</Cmd><Data>406</Data>"));
        assert_true(strstr(text, "<CmdRef>4</CmdRef>") < strstr(text, "<CmdRef>5</CmdRef>"));
        free(text);

        memcpy(wrong, results, sizeof wrong);
        wrong[4].code = 999;
        expect_err(answer_write(&c, wrong, NULL, 3, &text, &e), ERR_INVALID);
        c.format = DOCUMENT_INI;
        expect_err(answer_write(&c, results, NULL, 3, &text, &e), ERR_INVALID);
        commands_done(&c);
        assert_string_equal(status_text(418), "already exists");
        assert_null(status_text(0));
}

/* Facts §3.1: the alert after an installation; §6.2: 1226, with its type. */
static void alerts(void **state)
{
        struct error e = {0};
        struct commands c = {.format = DOCUMENT_SYNCML};
        struct answer_alerts list = {0};
        const struct command_result results[] = {{.code = STATUS_OK}};
        char *text = NULL;

        (void)state;
        expect_ok(commands_settle(&c, &e));
        add(&c, VERB_GET, "1", "./a");
        expect_ok(answer_alerts_add(&list, "./Device/a&b", 0, &e));
        expect_ok(answer_alerts_add(&list, "./Device/c", (int32_t)0x80072efd, &e));
        expect_ok(answer_write(&c, results, &list, 1, &text, &e));
        assert_non_null(strstr(
                text, "<Alert><CmdID>3</CmdID><Data>1226</Data><Item><Source><LocURI>./Device/a&amp;b"));
        assert_non_null(strstr(text, "com.microsoft:mdm.SCEPcertinstall.result"));
        assert_non_null(strstr(text, "<CmdID>4</CmdID>"));
        assert_non_null(strstr(text, "<Data>-2147012867</Data></Item></Alert>\n<Final/>"));
        free(text);
        for (size_t i = list.count; i < ANSWER_ALERTS_MAX; i++)
                expect_ok(answer_alerts_add(&list, "x", 0, &e));
        expect_err(answer_alerts_add(&list, "x", 0, &e), ERR_TOO_LARGE);
        answer_alerts_done(&list);
        commands_done(&c);
}

/* Facts §6.2: every code the table has, with its name. */
static void codes(void **state)
{
        static const unsigned known[] = {200, 202, 212, 214, 215, 216, 400, 403, 404, 405,
                                         406, 412, 413, 415, 418, 420, 425, 500, 507, 516};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(known); i++)
                assert_true(strlen(status_text(known[i])) > 1);
        for (unsigned code = 0; code < 1000; code++) {
                bool there = false;

                for (size_t i = 0; i < N_ELEMENTS(known); i++)
                        there = there || known[i] == code;
                assert_int_equal(status_text(code) != NULL, there);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(writes), cmocka_unit_test(alerts),
                                           cmocka_unit_test(codes)};

        return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
