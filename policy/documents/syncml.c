/*
 * The outermost level: SyncML's header and commands. What names a root certificate or an enrollment is taken
 * apart, or marked as wrong with the reason; every other command passes as it is, for the executor.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/ossl.h"
#include "documents/readers.h"
#include "policy/nodes.h"

#define SYNCML_NS "SYNCML:SYNCML1.2"

enum { NESTING_MAX = 4 };

static enum command_verb verb_of(const char *name)
{
        for (int i = 0; i < _VERB_MAX; i++)
                if (*command_verb_name((enum command_verb)i) &&
                    strcmp(command_verb_name((enum command_verb)i), name) == 0)
                        return (enum command_verb)i;
        return VERB_UNKNOWN;
}

/* The text of the child @name, or "". */
static enum err child_text(const xmlNode *parent, const char *name, size_t max, char **ret, struct error *e)
{
        const xmlNode *child = NULL;
        enum err r = parent ? xml_only_child(parent, name, NULL, &child, e) : ERR_OK;

        if (r)
                return r;
        if (child)
                return xml_text(child, max, ret, e);
        *ret = strdup("");
        return *ret ? ERR_OK : error_no_memory(e);
}

static enum err location_text(const xmlNode *parent, const char *name, char **ret, struct error *e)
{
        const xmlNode *place;
        enum err r = xml_only_child(parent, name, SYNCML_NS, &place, e);

        return r ? r : child_text(place, "LocURI", COMMAND_LOCATION_MAX, ret, e);
}

static void enroll_name_done(struct enroll_name *n)
{
        free(n->model);
        free(n->logical);
        free(n->version);
}

/* ModelName=AC_…/LogicalName_…;Hash=… after decoding; any other form is a name as a whole. */
static enum err enroll_name_parse(const char *segment, struct enroll_name *ret, struct error *e)
{
        static const char model_key[] = "ModelName=", logical_key[] = "/LogicalName_", hash_key[] = ";Hash=";
        CLEANUP(free_p) char *text = strdup(segment);
        const char *logical, *hash;

        if (!text)
                return error_no_memory(e);
        percent_decode(text);
        logical = strstr(text, logical_key);
        if (strncmp(text, model_key, sizeof model_key - 1) != 0 || !logical) {
                ret->model = STEAL(text);
                return ERR_OK;
        }
        ret->model = strndup(text + sizeof model_key - 1, (size_t)(logical - text) - (sizeof model_key - 1));
        logical += sizeof logical_key - 1;
        hash = strstr(logical, hash_key);
        ret->logical = hash ? strndup(logical, (size_t)(hash - logical)) : strdup(logical);
        if (hash)
                ret->version = strdup(hash + sizeof hash_key - 1);
        return ret->model && ret->logical && (ret->version || !hash) ? ERR_OK : error_no_memory(e);
}

/* Base64 of one DER certificate, line ends allowed. */
static enum err read_certificate(const xmlNode *data, struct view text, struct command *command,
                                 struct error *e)
{
        CLEANUP(free_p) unsigned char *der = NULL;
        CLEANUP(x509_free_p) X509 *cert = NULL;
        EVP_ENCODE_CTX *ctx = NULL;
        int len = 0, last = 0;
        bool bad;
        enum err r;

        if (text.len > 2 * COMMAND_CERTIFICATE_MAX)
                return xml_refuse(data, e, "the certificate is larger than %d octets",
                                  COMMAND_CERTIFICATE_MAX);
        der = malloc(text.len + 16);
        ctx = EVP_ENCODE_CTX_new();
        if (!der || !ctx) {
                EVP_ENCODE_CTX_free(ctx);
                return error_no_memory(e);
        }
        EVP_DecodeInit(ctx);
        bad = EVP_DecodeUpdate(ctx, der, &len, text.data, (int)text.len) < 0 ||
              EVP_DecodeFinal(ctx, der + len, &last) < 0;
        EVP_ENCODE_CTX_free(ctx);
        if (bad || len + last <= 0)
                return xml_refuse(data, e, "it is not base64 of a certificate");
        r = x509_parse((struct view){der, (size_t)(len + last)}, &cert, NULL);
        if (r)
                return xml_refuse(data, e, "it is not a certificate");
        r = bytes_copy(&command->certificate, der, (size_t)(len + last), e);
        if (r)
                return r;
        command->kind = COMMAND_ROOT;
        return ERR_OK;
}

static enum err read_enrollment(const xmlNode *data, struct view text, const char *segment,
                                struct command *command, struct error *e)
{
        CLEANUP(enroll_name_done) struct enroll_name name = {0};
        enum err r = enroll_name_parse(segment, &name, e);
        char path[320];

        if (r == ERR_OK)
                r = request_read(text, &name, command, e);
        if (r) {
                xml_path(data, path, sizeof path);
                return error_context(e, r, "%s (line %ld, command %s)", path, xmlGetLineNo(data),
                                     command->id);
        }
        command->kind = COMMAND_ENROLL;
        return ERR_OK;
}

/* What it carries cannot be used; the rest of the message is executed, and this one is answered so. */
static enum err set_wrong(struct command *c, const struct error *why, struct error *e)
{
        struct error *problem = calloc(1, sizeof *problem);

        if (!problem)
                return error_no_memory(e);
        *problem = *why;
        secret_done(&c->data);
        secret_done(&c->challenge);
        settings_done(&c->settings);
        strings_done(&c->notes);
        c->kind = COMMAND_WRONG;
        c->problem = problem;
        return ERR_OK;
}

/*
 * Root certificates and enrollments are understood here, what other nodes of ours take is kept, and the data
 * of nodes nobody knows is not: their commands are answered 404 without it.
 */
static enum err read_data(const xmlNode *data, const struct location *l, struct command *c, struct error *e)
{
        const bool writes = c->verb == VERB_ADD || c->verb == VERB_REPLACE;
        CLEANUP(node_place_done) struct node_place place = {0};
        CLEANUP(content_done) struct content content = {0};
        struct error why = {0};
        enum err r;

        if (!data || (!writes && c->verb != VERB_EXEC))
                return ERR_OK;
        r = node_find(l, &place, &why);
        if (r == ERR_NOT_FOUND)
                return ERR_OK;
        if (r == ERR_OK)
                r = xml_content(data, COMMAND_DATA_MAX, &content, &why);
        if (r == ERR_OK && content.text.len == 0)
                return ERR_OK;
        if (r == ERR_OK && writes && place.kind == NODE_CERTIFICATE)
                r = read_certificate(data, content.text, c, &why);
        else if (r == ERR_OK && writes && place.kind == NODE_DOCUMENT)
                r = read_enrollment(data, content.text, place.instance, c, &why);
        else if (r == ERR_OK)
                r = secret_copy(&c->data, content.text, &why);
        if (r == ERR_NO_MEMORY)
                return error_no_memory(e);
        return r ? set_wrong(c, &why, e) : ERR_OK;
}

/* @item may be NULL: the command has none. */
static enum err read_item(const xmlNode *element, const xmlNode *item, enum command_verb verb,
                          struct commands *ret, struct error *e)
{
        CLEANUP(command_done) struct command c = {.verb = verb, .name = strdup((const char *)element->name)};
        const xmlNode *holder = item ? item : element;
        const xmlNode *data, *meta;
        CLEANUP(location_done) struct location location = {0};
        enum err r = c.name ? xml_only_child(holder, "Data", SYNCML_NS, &data, e) : error_no_memory(e);

        if (r == ERR_OK)
                r = xml_only_child(holder, "Meta", SYNCML_NS, &meta, e);
        if (r)
                return r;
        if (strlen(c.name) > COMMAND_TEXT_MAX)
                return xml_refuse(element->parent, e, "it holds a command with a name that is too long");
        if (!meta)
                meta = xml_child(element, "Meta", SYNCML_NS); /* one for all items */
        r = child_text(element, "CmdID", COMMAND_TEXT_MAX, &c.id, e);
        if (r == ERR_OK)
                r = location_text(holder, "Target", &c.location, e);
        if (r == ERR_OK)
                r = child_text(meta, "Format", COMMAND_TEXT_MAX, &c.format, e);
        if (r == ERR_OK)
                r = child_text(meta, "Type", COMMAND_TEXT_MAX, &c.type, e);
        if (r)
                return r;
        r = location_split(c.location, &location, e);
        c.user = location.user;
        c.has_data = data != NULL;
        if (r == ERR_OK)
                r = read_data(data, &location, &c, e);
        return r ? r : commands_add(ret, &c, e);
}

static enum err read_body(const xmlNode *parent, unsigned nesting, struct commands *ret, struct error *e);

static enum err read_group(const xmlNode *element, enum command_verb verb, unsigned nesting,
                           struct commands *ret, struct error *e)
{
        CLEANUP(command_done) struct command end = {.verb = VERB_ATOMIC_END};
        enum err r;

        if (nesting >= NESTING_MAX)
                return xml_refuse(element, e, "commands are nested deeper than %d levels", NESTING_MAX);
        r = read_item(element, NULL, verb, ret, e);
        if (r == ERR_OK)
                r = read_body(element, nesting + 1, ret, e);
        if (r == ERR_OK && verb == VERB_ATOMIC_BEGIN)
                r = commands_add(ret, &end, e);
        return r;
}

static enum err read_command(const xmlNode *element, unsigned nesting, struct commands *ret, struct error *e)
{
        enum command_verb verb = verb_of((const char *)element->name);
        const xmlNode *item = xml_child(element, "Item", SYNCML_NS);
        enum err r = ERR_OK;

        if (verb == VERB_ATOMIC_BEGIN || verb == VERB_SEQUENCE)
                return read_group(element, verb, nesting, ret, e);
        if (!item || verb == VERB_STATUS || verb == VERB_RESULTS)
                return read_item(element, NULL, verb, ret, e);
        for (; r == ERR_OK && item; item = xml_next_element(item))
                if (xml_is(item, "Item", SYNCML_NS))
                        r = read_item(element, item, verb, ret, e);
        return r;
}

static enum err read_body(const xmlNode *parent, unsigned nesting, struct commands *ret, struct error *e)
{
        static const char *const no_commands[] = {"Final", "CmdID", "Meta", "NoResp"};

        for (const xmlNode *node = xml_first_element(parent); node; node = xml_next_element(node)) {
                bool command = true;
                enum err r;

                for (size_t i = 0; i < N_ELEMENTS(no_commands); i++)
                        command = command && !xml_is(node, no_commands[i], NULL);
                if (!command)
                        continue;
                if (strcmp(xml_namespace(node), SYNCML_NS) != 0)
                        return xml_refuse(node, e, "it is in the namespace '%.120s' and not in %s",
                                          xml_namespace(node), SYNCML_NS);
                r = read_command(node, nesting, ret, e);
                if (r)
                        return r;
        }
        return ERR_OK;
}

static enum err read_header(const xmlNode *header, struct commands *ret, struct error *e)
{
        enum err r = child_text(header, "SessionID", COMMAND_TEXT_MAX, &ret->session_id, e);

        if (r == ERR_OK)
                r = child_text(header, "MsgID", COMMAND_TEXT_MAX, &ret->message_id, e);
        if (r == ERR_OK)
                r = location_text(header, "Source", &ret->source, e);
        if (r == ERR_OK)
                r = location_text(header, "Target", &ret->target, e);
        return r;
}

enum err syncml_read(struct view doc, struct commands *ret, struct error *e)
{
        CLEANUP(xml_free_p) xmlDoc *xml = NULL;
        const xmlNode *root, *header, *body;
        enum err r = xml_parse(doc, "The document", &xml, e);

        if (r)
                return r;
        root = xmlDocGetRootElement(xml);
        if (!xml_is(root, "SyncML", NULL))
                return xml_refuse(root, e, "the document must begin with the element SyncML");
        if (!xml_is(root, "SyncML", SYNCML_NS))
                return xml_refuse(root, e, "it is in the namespace '%.120s' and not in %s",
                                  xml_namespace(root), SYNCML_NS);
        r = xml_only_child(root, "SyncHdr", SYNCML_NS, &header, e);
        if (r == ERR_OK)
                r = xml_only_child(root, "SyncBody", SYNCML_NS, &body, e);
        if (r)
                return r;
        if (!header || !body)
                return xml_refuse(root, e, "the element %s is missing", header ? "SyncBody" : "SyncHdr");
        r = read_header(header, ret, e);
        return r ? r : read_body(body, 0, ret, e);
}
