#include "policy/command.h"

#include <string.h>

#include "base/fields.h"
#include "base/ossl.h"
#include "base/parse.h"

/* Tags of the outer stream, then of one command, then of one setting. */
enum {
        TAG_FORMAT = 1,
        TAG_SESSION,
        TAG_MESSAGE,
        TAG_SOURCE,
        TAG_TARGET,
        TAG_COMMAND,

        TAG_VERB = 1,
        TAG_KIND,
        TAG_NAME,
        TAG_ID,
        TAG_LOCATION,
        TAG_USER,
        TAG_DATA_FORMAT,
        TAG_TYPE,
        TAG_DATA,
        TAG_SETTING,
        TAG_CHALLENGE,
        TAG_NOTE,
        TAG_CERTIFICATE,
        TAG_PROBLEM,
        TAG_PROBLEM_TEXT,
        TAG_PROBLEM_REMEDY,
        TAG_HAS_DATA,

        TAG_KEY = 1,
        TAG_VALUE,
        TAG_LINE,
};

static const char *const verb_names[_VERB_MAX] = {
        [VERB_ADD] = "Add",         [VERB_REPLACE] = "Replace",   [VERB_GET] = "Get",
        [VERB_EXEC] = "Exec",       [VERB_DELETE] = "Delete",     [VERB_ATOMIC_BEGIN] = "Atomic",
        [VERB_ATOMIC_END] = "",     [VERB_SEQUENCE] = "Sequence", [VERB_STATUS] = "Status",
        [VERB_RESULTS] = "Results", [VERB_ALERT] = "Alert",       [VERB_UNKNOWN] = "",
};

const char *command_verb_name(enum command_verb verb)
{
        return verb_names[verb];
}

void command_done(struct command *c)
{
        free(c->name);
        free(c->id);
        free(c->location);
        free(c->format);
        free(c->type);
        secret_done(&c->data);
        settings_done(&c->settings);
        secret_done(&c->challenge);
        strings_done(&c->notes);
        bytes_done(&c->certificate);
        free(c->problem);
        *c = (struct command){0};
}

void commands_done(struct commands *c)
{
        for (size_t i = 0; i < c->count; i++)
                command_done(&c->items[i]);
        free(c->items);
        free(c->session_id);
        free(c->message_id);
        free(c->source);
        free(c->target);
        *c = (struct commands){0};
}

static enum err fill(char **const strings[], size_t n, struct error *e)
{
        for (size_t i = 0; i < n; i++) {
                if (!*strings[i])
                        *strings[i] = strdup("");
                if (!*strings[i])
                        return error_no_memory(e);
        }
        return ERR_OK;
}

enum err command_settle(struct command *c, struct error *e)
{
        return fill((char **const[]){&c->name, &c->id, &c->location, &c->format, &c->type}, 5, e);
}

enum err commands_settle(struct commands *c, struct error *e)
{
        return fill((char **const[]){&c->session_id, &c->message_id, &c->source, &c->target}, 4, e);
}

enum err commands_add(struct commands *c, struct command *command, struct error *e)
{
        struct command *items;
        enum err r;

        if (c->count >= COMMANDS_MAX)
                return error_set(e, ERR_TOO_LARGE, "The document holds more than %d commands", COMMANDS_MAX);
        r = command_settle(command, e);
        if (r)
                return r;
        items = realloc(c->items, (c->count + 1) * sizeof *items);
        if (!items)
                return error_no_memory(e);
        c->items = items;
        c->items[c->count++] = *command;
        *command = (struct command){0};
        return ERR_OK;
}

static enum err encode_settings(struct fields_writer *w, const struct settings *s, struct error *e)
{
        for (size_t i = 0; i < s->count; i++) {
                struct fields_writer inner = FIELDS_WRITER(COMMANDS_WIRE_MAX, false);
                CLEANUP(bytes_done) struct bytes field = {0};
                enum err r;

                fields_put_str(&inner, TAG_KEY, s->items[i].key);
                fields_put_str(&inner, TAG_VALUE, s->items[i].value);
                fields_put_u64(&inner, TAG_LINE, s->items[i].line);
                r = fields_finish(&inner, &field, e);
                if (r)
                        return r;
                fields_put(w, TAG_SETTING, bytes_view(&field));
        }
        return ERR_OK;
}

static enum err encode_command(const struct command *c, struct bytes *ret, struct error *e)
{
        CLEANUP(fields_writer_done)
        struct fields_writer w = FIELDS_WRITER(COMMANDS_WIRE_MAX, /* holds_secret= */ true);
        enum err r;

        fields_put_u64(&w, TAG_VERB, c->verb);
        fields_put_u64(&w, TAG_KIND, c->kind);
        fields_put_str(&w, TAG_NAME, c->name);
        fields_put_str(&w, TAG_ID, c->id);
        fields_put_str(&w, TAG_LOCATION, c->location);
        fields_put_u64(&w, TAG_USER, c->user);
        fields_put_u64(&w, TAG_HAS_DATA, c->has_data);
        fields_put_str(&w, TAG_DATA_FORMAT, c->format);
        fields_put_str(&w, TAG_TYPE, c->type);
        fields_put(&w, TAG_DATA, secret_view(&c->data));
        fields_put(&w, TAG_CHALLENGE, secret_view(&c->challenge));
        fields_put(&w, TAG_CERTIFICATE, bytes_view(&c->certificate));
        if (c->problem) {
                fields_put_u64(&w, TAG_PROBLEM, c->problem->code);
                fields_put_str(&w, TAG_PROBLEM_TEXT, c->problem->message);
                fields_put_str(&w, TAG_PROBLEM_REMEDY, c->problem->remedy);
        }
        for (size_t i = 0; i < c->notes.count; i++)
                fields_put_str(&w, TAG_NOTE, c->notes.items[i]);
        r = encode_settings(&w, &c->settings, e);
        return r ? r : fields_finish(&w, ret, e);
}

enum err commands_encode(const struct commands *c, struct bytes *ret, struct error *e)
{
        CLEANUP(fields_writer_done)
        struct fields_writer w = FIELDS_WRITER(COMMANDS_WIRE_MAX, /* holds_secret= */ true);

        fields_put_u64(&w, TAG_FORMAT, c->format);
        fields_put_str(&w, TAG_SESSION, c->session_id);
        fields_put_str(&w, TAG_MESSAGE, c->message_id);
        fields_put_str(&w, TAG_SOURCE, c->source);
        fields_put_str(&w, TAG_TARGET, c->target);
        for (size_t i = 0; i < c->count; i++) {
                struct bytes command = {0};
                enum err r = encode_command(&c->items[i], &command, e);

                if (r)
                        return r;
                fields_put(&w, TAG_COMMAND, bytes_view(&command));
                wipe(command.data, command.len);
                bytes_done(&command);
        }
        return fields_finish(&w, ret, e);
}

/* A number of at most @max. */
static enum err get_number(struct view in, uint16_t tag, uint64_t max, uint64_t *ret, struct error *e)
{
        uint64_t v;
        enum err r = fields_get_u64(in, tag, &v, e);

        if (r)
                return r;
        if (v > max)
                return error_set(e, ERR_PROTOCOL, "A number of the parsed document is out of range");
        *ret = v;
        return ERR_OK;
}

static enum err get_secret(struct view in, uint16_t tag, size_t max, struct secret *ret, struct error *e)
{
        struct view v;

        if (!fields_find(in, tag, &v) || v.len > max)
                return error_set(e, ERR_PROTOCOL, "A value of the parsed document is missing or too large");
        return v.len ? secret_copy(ret, v, e) : ERR_OK;
}

static enum err decode_setting(struct view in, struct settings *ret, struct error *e)
{
        CLEANUP(free_p) char *key = NULL, *value = NULL;
        uint64_t line = 0;
        enum err r;

        if (!fields_valid(in))
                return error_set(e, ERR_PROTOCOL, "A setting of the parsed document is malformed");
        r = fields_get_str(in, TAG_KEY, SETTING_KEY_MAX, &key, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_VALUE, SETTING_VALUE_MAX, &value, e);
        if (r == ERR_OK)
                r = get_number(in, TAG_LINE, 1u << 30, &line, e);
        return r ? r : settings_add(ret, key, value, (unsigned)line, e);
}

static enum err decode_lists(struct view in, struct command *c, struct error *e)
{
        struct fields_reader reader = {in};
        struct view v;
        uint16_t tag;
        bool bad;
        enum err r = ERR_OK;

        while (r == ERR_OK && fields_next(&reader, &tag, &v, &bad)) {
                if (tag == TAG_SETTING)
                        r = decode_setting(v, &c->settings, e);
                if (tag == TAG_NOTE) {
                        CLEANUP(free_p) char *note = NULL;

                        if (v.len == 0 || v.len > COMMAND_LOCATION_MAX || !utf8_valid(v))
                                return error_set(e, ERR_PROTOCOL,
                                                 "A note of the parsed document is malformed");
                        note = strndup((const char *)v.data, v.len);
                        r = note ? strings_add(&c->notes, note, e) : error_no_memory(e);
                }
        }
        return r;
}

static enum err decode_texts(struct view in, struct command *c, struct error *e)
{
        enum err r = fields_get_str(in, TAG_NAME, COMMAND_TEXT_MAX, &c->name, e);

        if (r == ERR_OK)
                r = fields_get_str(in, TAG_ID, COMMAND_TEXT_MAX, &c->id, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_LOCATION, COMMAND_LOCATION_MAX, &c->location, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_DATA_FORMAT, COMMAND_TEXT_MAX, &c->format, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_TYPE, COMMAND_TEXT_MAX, &c->type, e);
        if (r == ERR_OK)
                r = get_secret(in, TAG_DATA, COMMAND_DATA_MAX, &c->data, e);
        if (r == ERR_OK)
                r = get_secret(in, TAG_CHALLENGE, COMMAND_CHALLENGE_MAX, &c->challenge, e);
        return r;
}

static enum err decode_certificate(struct view in, struct command *c, struct error *e)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        struct view v;
        enum err r;

        if (!fields_find(in, TAG_CERTIFICATE, &v) || v.len > COMMAND_CERTIFICATE_MAX ||
            (c->kind == COMMAND_ROOT) != (v.len > 0))
                return error_set(e, ERR_PROTOCOL,
                                 "A certificate of the parsed document is missing or too large");
        if (v.len == 0)
                return ERR_OK;
        r = x509_parse(v, &cert, e);
        return r ? r : bytes_copy(&c->certificate, v.data, v.len, e);
}

static enum err decode_problem(struct view in, struct command *c, struct error *e)
{
        CLEANUP(free_p) char *text = NULL, *remedy = NULL;
        uint64_t code = 0;
        enum err r;

        if (c->kind != COMMAND_WRONG)
                return ERR_OK;
        r = get_number(in, TAG_PROBLEM, _ERR_MAX - 1, &code, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_PROBLEM_TEXT, ERROR_MESSAGE_MAX, &text, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_PROBLEM_REMEDY, ERROR_REMEDY_MAX, &remedy, e);
        if (r)
                return r;
        if (code == ERR_OK)
                return error_set(e, ERR_PROTOCOL, "A problem of the parsed document has no code");
        c->problem = calloc(1, sizeof *c->problem);
        if (!c->problem)
                return error_no_memory(e);
        (void)error_set(c->problem, (enum err)code, "%s", text);
        (void)error_remedy(c->problem, (enum err)code, "%s", remedy);
        return ERR_OK;
}

static enum err decode_command(struct view in, struct commands *ret, struct error *e)
{
        CLEANUP(command_done) struct command c = {0};
        uint64_t verb = 0, kind = 0, user = 0, has_data = 0;
        enum err r;

        if (!fields_valid(in))
                return error_set(e, ERR_PROTOCOL, "A command of the parsed document is malformed");
        r = get_number(in, TAG_VERB, _VERB_MAX - 1, &verb, e);
        if (r == ERR_OK)
                r = get_number(in, TAG_KIND, COMMAND_WRONG, &kind, e);
        if (r == ERR_OK)
                r = get_number(in, TAG_USER, 1, &user, e);
        if (r == ERR_OK)
                r = get_number(in, TAG_HAS_DATA, 1, &has_data, e);
        if (r)
                return r;
        c.verb = (enum command_verb)verb;
        c.kind = (enum command_kind)kind;
        c.user = user;
        c.has_data = has_data;
        r = decode_texts(in, &c, e);
        if (r == ERR_OK)
                r = decode_lists(in, &c, e);
        if (r == ERR_OK)
                r = decode_certificate(in, &c, e);
        if (r == ERR_OK)
                r = decode_problem(in, &c, e);
        if (r)
                return r;
        if ((c.kind == COMMAND_ENROLL) != (c.settings.count > 0) ||
            (c.kind != COMMAND_ENROLL && c.challenge.len))
                return error_set(e, ERR_PROTOCOL, "A command of the parsed document contradicts its kind");
        return commands_add(ret, &c, e);
}

enum err commands_decode(struct view in, struct commands *ret, struct error *e)
{
        CLEANUP(commands_done) struct commands c = {0};
        struct fields_reader reader = {in};
        struct view v;
        uint64_t format = 0;
        uint16_t tag;
        bool bad;
        enum err r;

        if (in.len > COMMANDS_WIRE_MAX || !fields_valid(in))
                return error_set(e, ERR_PROTOCOL, "The parsed document is malformed");
        r = get_number(in, TAG_FORMAT, DOCUMENT_INI, &format, e);
        if (r == ERR_OK && format == DOCUMENT_AUTO)
                r = error_set(e, ERR_PROTOCOL, "The parsed document has no format");
        c.format = (enum document_format)format;
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_SESSION, COMMAND_TEXT_MAX, &c.session_id, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_MESSAGE, COMMAND_TEXT_MAX, &c.message_id, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_SOURCE, COMMAND_LOCATION_MAX, &c.source, e);
        if (r == ERR_OK)
                r = fields_get_str(in, TAG_TARGET, COMMAND_LOCATION_MAX, &c.target, e);
        while (r == ERR_OK && fields_next(&reader, &tag, &v, &bad))
                if (tag == TAG_COMMAND)
                        r = decode_command(v, &c, e);
        if (r)
                return r;
        *ret = c;
        c = (struct commands){0};
        return ERR_OK;
}
