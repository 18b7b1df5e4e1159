#include "policy/answer.h"

#include <stdlib.h>
#include <string.h>

static const struct {
        enum status_code code;
        const char *text;
} statuses[] = {
        {STATUS_OK, "OK"},
        {STATUS_ACCEPTED, "accepted for processing"},
        {STATUS_AUTHENTICATED, "authentication accepted"},
        {STATUS_CANCELLED, "operation cancelled"},
        {STATUS_NOT_EXECUTED, "not executed"},
        {STATUS_ROLLED_BACK, "rolled back"},
        {STATUS_BAD_REQUEST, "bad request"},
        {STATUS_FORBIDDEN, "forbidden"},
        {STATUS_NOT_FOUND, "not found"},
        {STATUS_NOT_ALLOWED, "command not allowed"},
        {STATUS_NOT_SUPPORTED, "optional feature not supported"},
        {STATUS_INCOMPLETE, "incomplete command"},
        {STATUS_TOO_LARGE, "request entity too large"},
        {STATUS_UNSUPPORTED_FORMAT, "unsupported media type or format"},
        {STATUS_ALREADY_EXISTS, "already exists"},
        {STATUS_DEVICE_FULL, "device full"},
        {STATUS_PERMISSION_DENIED, "permission denied"},
        {STATUS_COMMAND_FAILED, "command failed"},
        {STATUS_ATOMIC_FAILED, "Atomic failed"},
        {STATUS_ROLLBACK_FAILED, "rollback of the Atomic failed"},
};

const char *status_text(unsigned code)
{
        for (size_t i = 0; i < N_ELEMENTS(statuses); i++)
                if ((unsigned)statuses[i].code == code)
                        return statuses[i].text;
        return NULL;
}

/* Text content: the five characters of XML's own, and control characters, which XML 1.0 does not have, as
 * blanks. */
static void add_escaped(struct text *t, const char *s)
{
        for (; *s; s++) {
                switch (*s) {
                case '&':
                        text_add(t, "&amp;");
                        break;
                case '<':
                        text_add(t, "&lt;");
                        break;
                case '>':
                        text_add(t, "&gt;");
                        break;
                case '"':
                        text_add(t, "&quot;");
                        break;
                case '\'':
                        text_add(t, "&apos;");
                        break;
                default: /* a char, not an enum */
                        if ((unsigned char)*s < ' ' && *s != '\n' && *s != '\t')
                                text_add(t, " ");
                        else
                                text_add_n(t, s, 1);
                }
        }
}

static void add_element(struct text *t, const char *name, const char *value)
{
        text_addf(t, "<%s>", name);
        add_escaped(t, value);
        text_addf(t, "</%s>", name);
}

static void add_header(struct text *t, const struct commands *c, unsigned message_id)
{
        text_add(t,
                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SyncML xmlns=\"SYNCML:SYNCML1.2\">\n<SyncHdr>"
                 "<VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>");
        add_element(t, "SessionID", c->session_id);
        text_addf(t, "<MsgID>%u</MsgID>", message_id);
        /* the answer goes where the request came from */
        text_add(t, "<Target>");
        add_element(t, "LocURI", c->source);
        text_add(t, "</Target><Source>");
        add_element(t, "LocURI", c->target);
        text_add(t, "</Source></SyncHdr>\n<SyncBody>\n");
}

static void begin_reply(struct text *t, const char *element, unsigned id, const struct commands *c,
                        const char *command_id)
{
        text_addf(t, "<%s><CmdID>%u</CmdID>", element, id);
        add_element(t, "MsgRef", c->message_id);
        add_element(t, "CmdRef", command_id);
}

void command_result_done(struct command_result *result)
{
        free(result->data);
        free(result->reason);
        *result = (struct command_result){0};
}

/* The reason stands in an Item, where the representation protocol has room for more than the code. */
static void add_status(struct text *t, unsigned id, const struct commands *c, const struct command *command,
                       const struct command_result *result)
{
        begin_reply(t, "Status", id, c, command->id);
        add_element(t, "Cmd", command->name);
        if (*command->location)
                add_element(t, "TargetRef", command->location);
        text_addf(t, "<Data>%u</Data>", result->code);
        if (result->reason) {
                text_add(t, "<Item>");
                add_element(t, "Data", result->reason);
                text_add(t, "</Item>");
        }
        text_add(t, "</Status>\n");
}

static void add_results(struct text *t, unsigned id, const struct commands *c, const struct command *command,
                        const struct command_result *result)
{
        begin_reply(t, "Results", id, c, command->id);
        text_add(t, "<Item><Source>");
        add_element(t, "LocURI", command->location);
        text_add(t, "</Source><Meta><Format xmlns=\"syncml:metinf\">");
        add_escaped(t, result->format ? result->format : "chr");
        text_add(t, "</Format></Meta>");
        add_element(t, "Data", result->data);
        text_add(t, "</Item></Results>\n");
}

enum err answer_alerts_add(struct answer_alerts *alerts, const char *source, int32_t result, struct error *e)
{
        CLEANUP(free_p) char *copy = strdup(source);
        struct answer_alert *items;

        if (alerts->count >= ANSWER_ALERTS_MAX)
                return error_set(e, ERR_TOO_LARGE, "An answer carries at most %d alerts", ANSWER_ALERTS_MAX);
        items = copy ? realloc(alerts->items, (alerts->count + 1) * sizeof *items) : NULL;
        if (!items)
                return error_no_memory(e);
        alerts->items = items;
        alerts->items[alerts->count++] = (struct answer_alert){STEAL(copy), result};
        return ERR_OK;
}

void answer_alerts_done(struct answer_alerts *alerts)
{
        for (size_t i = 0; i < alerts->count; i++)
                free(alerts->items[i].source);
        free(alerts->items);
        *alerts = (struct answer_alerts){0};
}

static void add_alert(struct text *t, unsigned id, const struct answer_alert *alert)
{
        text_addf(t, "<Alert><CmdID>%u</CmdID><Data>1226</Data><Item><Source>", id);
        add_element(t, "LocURI", alert->source);
        text_addf(
                t,
                "</Source><Meta><Type xmlns=\"syncml:metinf\">com.microsoft:mdm.SCEPcertinstall.result</Type>"
                "<Format xmlns=\"syncml:metinf\">int</Format></Meta><Data>%ld</Data></Item></Alert>\n",
                (long)alert->result);
}

static bool answered(const struct command *command)
{
        return command->verb != VERB_STATUS && command->verb != VERB_RESULTS &&
               command->verb != VERB_ATOMIC_END;
}

enum err answer_write(const struct commands *c, const struct command_result *results,
                      const struct answer_alerts *alerts, unsigned message_id, char **ret, struct error *e)
{
        CLEANUP(text_done) struct text t = TEXT(ANSWER_MAX);
        unsigned id = 1;

        if (c->format != DOCUMENT_SYNCML)
                return error_set(e, ERR_INVALID, "Only a SyncML document has a SyncML answer");
        add_header(&t, c, message_id);
        begin_reply(&t, "Status", id++, c, "0");
        text_add(&t, "<Cmd>SyncHdr</Cmd>");
        add_element(&t, "TargetRef", c->target);
        add_element(&t, "SourceRef", c->source);
        text_addf(&t, "<Data>%d</Data></Status>\n", STATUS_OK);
        for (size_t i = 0; i < c->count; i++) {
                const struct command *command = &c->items[i];

                if (!answered(command))
                        continue;
                if (!status_text(results[i].code))
                        return error_set(e, ERR_INVALID, "%u is no status code of SyncML", results[i].code);
                add_status(&t, id++, c, command, &results[i]);
                if (results[i].data)
                        add_results(&t, id++, c, command, &results[i]);
        }
        for (size_t i = 0; alerts && i < alerts->count; i++)
                add_alert(&t, id++, &alerts->items[i]);
        text_add(&t, "<Final/>\n</SyncBody>\n</SyncML>\n");
        return text_finish(&t, ret, e);
}
