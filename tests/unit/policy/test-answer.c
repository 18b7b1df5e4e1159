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

/* Facts §6.2, row by row. What asks for credentials has no place here: who may speak is decided on the bus.
 */
static void codes(void **state)
{
        static const struct {
                const char *row;
                unsigned code;
                const char *text; /* NULL: never answered */
        } rows[] = {
                {"6.2 200 OK", 200, "OK"},
                {"6.2 202 accepted for processing", 202, "accepted for processing"},
                {"6.2 212 authentication accepted", 212, "authentication accepted"},
                {"6.2 214 operation cancelled", 214, "operation cancelled"},
                {"6.2 215 not executed", 215, "not executed"},
                {"6.2 216 Atomic rolled back OK", 216, "rolled back"},
                {"6.2 400 bad request", 400, "bad request"},
                {"6.2 401 invalid credentials", 401, NULL},
                {"6.2 407 missing credentials", 407, NULL},
                {"6.2 403 forbidden", 403, "forbidden"},
                {"6.2 404 not found", 404, "not found"},
                {"6.2 405 command not allowed", 405, "command not allowed"},
                {"6.2 406 optional feature not supported", 406, "optional feature not supported"},
                {"6.2 412 incomplete command", 412, "incomplete command"},
                {"6.2 413 request entity too large", 413, "request entity too large"},
                {"6.2 415 unsupported media type/format", 415, "unsupported media type or format"},
                {"6.2 418 already exists", 418, "already exists"},
                {"6.2 420 device full", 420, "device full"},
                {"6.2 425 permission denied", 425, "permission denied"},
                {"6.2 500 command failed", 500, "command failed"},
                {"6.2 507 Atomic failed", 507, "Atomic failed"},
                {"6.2 516 Atomic rollback failed", 516, "rollback of the Atomic failed"},
        };

        (void)state;
        for (unsigned code = 0; code < 1000; code++) {
                const char *text = status_text(code), *wanted = NULL;

                for (size_t i = 0; i < N_ELEMENTS(rows); i++)
                        if (rows[i].code == code)
                                wanted = rows[i].text;
                if (!text != !wanted || (text && strcmp(text, wanted) != 0))
                        fail_msg("%u is '%s'", code, text ? text : "(none)");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(writes), cmocka_unit_test(alerts),
                                           cmocka_unit_test(codes)};

        return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
