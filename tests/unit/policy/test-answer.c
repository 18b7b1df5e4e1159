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
        expect_ok(answer_write(&c, results, 3, &text, &e));
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
        expect_err(answer_write(&c, wrong, 3, &text, &e), ERR_INVALID);
        c.format = DOCUMENT_INI;
        expect_err(answer_write(&c, results, 3, &text, &e), ERR_INVALID);
        commands_done(&c);
        assert_string_equal(status_text(418), "already exists");
        assert_null(status_text(0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(writes)};

        return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
