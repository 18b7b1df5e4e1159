/*
 * The two inner levels of an enrollment: CertificateRequest (in no namespace), and inside it, as text once
 * more, ConfigurationParameters. Each level is parsed as XML; nothing is unescaped by replacing text.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "documents/readers.h"
#include "policy/csp.h"
#include "policy/profile.h"
#include "policy/windows.h"

#define CONFIGURATION_NS                                                                                     \
        "http://schemas.microsoft.com/SystemCenterConfigurationManager/2012/03/07/CertificateEnrollment/"    \
        "ConfigurationParameters"

struct request {
        struct command *command;
        struct strings urls; /* NDESUrl first, then the others of NDESUrls */
        char *validity, *validity_unit;
        bool key_length, key_usage;
        xmlDoc *configuration;              /* kept for the nodes */
        const xmlNode *nodes[SETTINGS_MAX]; /* of each setting: for the path in an error */
};

static void request_done(struct request *r)
{
        strings_done(&r->urls);
        free(r->validity);
        free(r->validity_unit);
        xml_free_p(&r->configuration);
}

/* "{GUID}", "{ID}", "…... Hash: 1,010,143,298": what log writers put in the place of a value. */
static bool redacted(const char *value)
{
        size_t n = strlen(value);

        if (strstr(value, "... Hash:"))
                return true;
        return n > 2 && value[0] == '{' && value[n - 1] == '}' && value[1] != '{' &&
               strspn(value + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz _") == n - 2;
}

static enum err element_text(const xmlNode *node, size_t max, char **ret, struct error *e)
{
        CLEANUP(free_p) char *text = NULL;
        enum err r = xml_text(node, max, &text, e);

        if (r)
                return r;
        if (redacted(text)) {
                (void)xml_refuse(node, e, "the value '%.60s' was redacted by whoever wrote this copy", text);
                return error_remedy(e, ERR_DOCUMENT, "Apply the document itself, not its copy from a log.");
        }
        *ret = STEAL(text);
        return ERR_OK;
}

static enum err at_element(const xmlNode *node, enum err r, struct error *e)
{
        char path[320];

        xml_path(node, path, sizeof path);
        return error_context(e, r, "%s", path);
}

/* A setting whose value stands in @node; an empty one is not there. It is judged with all the others. */
static enum err put(struct request *q, const xmlNode *node, const char *key, const char *value,
                    struct error *e)
{
        const size_t at = q->command->settings.count;
        enum err r = *value ? settings_add(&q->command->settings, key, value, 0, e) : ERR_OK;

        if (r == ERR_OK && *value)
                q->nodes[at] = node;
        return r ? at_element(node, r, e) : ERR_OK;
}

/* The settings do not make a profile: where the first stands that is wrong by itself, or all of it. */
static enum err at_culprit(const struct request *q, const xmlNode *root, enum err r, struct error *e)
{
        const struct settings *settings = &q->command->settings;

        for (size_t i = 0; i < settings->count; i++) {
                enum err one = profile_check_setting(settings->items[i].key, settings->items[i].value, 0, e);

                if (one)
                        return at_element(q->nodes[i] ? q->nodes[i] : root, one, e);
        }
        return at_element(root, r, e);
}

static enum err note(struct request *q, const xmlNode *node, const char *text, struct error *e)
{
        char path[320], sentence[512];

        /* enough is said by then, and a document must not fail for being talkative */
        if (q->command->notes.count >= STRINGS_MAX)
                return ERR_OK;
        xml_path(node, path, sizeof path);
        (void)snprintf(sentence, sizeof sentence, "%s %s", path, text);
        utf8_scrub(sentence, sizeof sentence);
        return strings_add(&q->command->notes, sentence, e);
}

/* Handlers: one per element of ConfigurationParameters. @key: the setting it becomes, where it is one. */

static enum err take_text(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        CLEANUP(free_p) char *text = NULL;
        enum err r = element_text(node, SETTING_VALUE_MAX, &text, e);

        return r ? r : put(q, node, key, text, e);
}

/* Read only to see that nobody redacted it: opaque ids that the device does not need. */
static enum err take_nothing(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        CLEANUP(free_p) char *text = NULL;

        (void)q;
        (void)key;
        return element_text(node, SETTING_VALUE_MAX, &text, e);
}

/* "path (line n): sentence", for what the conversions of policy/windows.h say. */
static enum err at_line(const xmlNode *node, enum err r, struct error *e)
{
        char path[320];

        xml_path(node, path, sizeof path);
        return error_context(e, r, "%s (line %ld)", path, xmlGetLineNo(node));
}

static enum err take_retry_count(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        CLEANUP(free_p) char *text = NULL, *value = NULL;
        bool cut = false;
        enum err r = element_text(node, 64, &text, e);

        if (r)
                return r;
        r = windows_retry_count(text, &value, &cut, e);
        if (r)
                return at_line(node, r, e);
        r = put(q, node, key, value, e);
        return !r && cut ? note(q, node, "was cut to 30", e) : r;
}

static enum err take_protection(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        CLEANUP(free_p) char *text = NULL, *value = NULL;
        enum err r = element_text(node, 64, &text, e);

        if (r)
                return r;
        r = windows_protection(text, &value, e);
        return r ? at_line(node, r, e) : put(q, node, key, value, e);
}

static enum err take_key_usage(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        CLEANUP(free_p) char *text = NULL, *value = NULL;
        bool no_signature = false;
        enum err r = element_text(node, 64, &text, e);

        if (r)
                return r;
        r = windows_key_usage(text, &value, &no_signature, e);
        if (r)
                return at_line(node, r, e);
        r = put(q, node, key, value, e);
        q->key_usage = true;
        if (r == ERR_OK && no_signature)
                r = note(q, node,
                         "asks for key encipherment alone; TLS client authentication needs digital signature",
                         e);
        return r;
}

static enum err take_key_length(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        CLEANUP(free_p) char *text = NULL, *value = NULL;
        enum err r = element_text(node, 64, &text, e);

        if (r)
                return r;
        r = windows_key_length(text, &value, e);
        if (r)
                return at_line(node, r, e);
        q->key_length = true;
        return put(q, node, key, value, e);
}

static enum err take_hashes(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        CLEANUP(strings_done) struct strings families = {0};
        CLEANUP(free_p) char *value = NULL;
        bool sha1 = false;
        enum err r = ERR_OK;

        for (const xmlNode *h = xml_first_element(node); h; h = xml_next_element(h)) {
                CLEANUP(free_p) char *text = NULL;

                r = element_text(h, 64, &text, e);
                if (r == ERR_OK)
                        r = strings_add(&families, text, e);
                if (r)
                        return r;
        }
        r = windows_hash(&families, &value, &sha1, e);
        if (r)
                return at_line(node, r, e);
        r = put(q, node, key, value, e);
        if (r == ERR_OK && sha1)
                r = put(q, node, "Server.AllowLegacy", "sha1", e);
        return r == ERR_OK && sha1 ? note(q, node, "names SHA-1 alone", e) : r;
}

static enum err add_url(struct request *q, const xmlNode *node, struct error *e)
{
        CLEANUP(free_p) char *text = NULL;
        enum err r = element_text(node, PROFILE_URL_MAX, &text, e);

        if (r || !*text || strings_contain(&q->urls, text))
                return r;
        r = profile_check_setting("Server.Url", text, 0, e);
        if (r)
                return at_element(node, r, e);
        if (q->urls.count >= PROFILE_URLS_MAX)
                return note(q, node, "is one URL too many and was set aside", e);
        return strings_add(&q->urls, text, e);
}

static enum err take_urls(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        enum err r = ERR_OK;

        (void)key;
        for (const xmlNode *u = xml_first_element(node); r == ERR_OK && u; u = xml_next_element(u))
                r = add_url(q, u, e);
        return r;
}

static enum err take_validity(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        (void)key;
        return element_text(node, 16, &q->validity, e);
}

static enum err take_validity_unit(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        (void)key;
        return element_text(node, 16, &q->validity_unit, e);
}

static enum err take_extended_key_usage(struct request *q, const xmlNode *node, const char *key,
                                        struct error *e)
{
        for (const xmlNode *map = xml_first_element(node); map; map = xml_next_element(map)) {
                const xmlNode *oid;
                enum err r = xml_only_child(map, "EKUOID", CONFIGURATION_NS, &oid, e);

                if (r)
                        return r;
                if (!oid)
                        return xml_refuse(map, e, "the element EKUOID is missing");
                r = take_text(q, oid, key, e);
                if (r)
                        return r;
        }
        return ERR_OK;
}

static enum err take_attestation(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        CLEANUP(free_p) char *text = NULL;
        bool wished = false;
        enum err r = element_text(node, 64, &text, e);

        (void)key;
        if (r)
                return r;
        r = windows_attestation(text, &wished, e);
        if (r)
                return at_line(node, r, e);
        return wished ? note(q, node, "wishes for an attestation, which the request will not have", e)
                      : ERR_OK;
}

static const struct element {
        const char *name;
        enum err (*take)(struct request *q, const xmlNode *node, const char *key, struct error *e);
        const char *key;
} configuration[] = {
        {"ExpirationThreshold", take_text, "Renewal.Threshold"},
        {"RetryCount", take_retry_count, "Renewal.RetryCount"},
        {"RetryDelay", take_text, "Renewal.RetryDelay"},
        {"TemplateName", take_text, "Subject.TemplateName"},
        {"SubjectNameFormat", take_nothing, NULL},
        {"SubjectAlternativeNameFormat", take_nothing, NULL},
        {"KeyStorageProviderSetting", take_protection, "Key.Protection"},
        {"KeyUsage", take_key_usage, "Subject.KeyUsage"},
        {"KeyLength", take_key_length, "Key.Algorithm"},
        {"HashAlgorithms", take_hashes, "Subject.Hash"},
        {"NDESUrls", take_urls, NULL},
        {"CAThumbprint", take_text, "Server.CaThumbprint"},
        {"ValidityPeriod", take_validity, NULL},
        {"ValidityPeriodUnit", take_validity_unit, NULL},
        {"EKUMapping", take_extended_key_usage, "Subject.ExtendedKeyUsage"},
        {"AttestPrivateKey", take_attestation, NULL},
};

static enum err take_elements(struct request *q, const xmlNode *parent, const char *ns,
                              const struct element *table, size_t n, struct error *e)
{
        uint32_t seen = 0;

        for (const xmlNode *node = xml_first_element(parent); node; node = xml_next_element(node)) {
                const struct element *found = NULL;
                enum err r;

                for (size_t i = 0; i < n && !found; i++)
                        if (xml_is(node, table[i].name, ns))
                                found = &table[i];
                if (found && (seen & UINT32_C(1) << (found - table)))
                        return xml_refuse(node, e, "it is there twice");
                seen |= found ? UINT32_C(1) << (found - table) : 0;
                r = found ? found->take(q, node, found->key, e)
                          : note(q, node, "is not known and was set aside", e);
                if (r)
                        return r;
        }
        return ERR_OK;
}

static enum err read_configuration(struct request *q, const xmlNode *document, struct error *e)
{
        CLEANUP(content_done) struct content content = {0};
        const xmlNode *root;
        enum err r = xml_content(document, COMMAND_DATA_MAX, &content, e);

        if (r == ERR_OK)
                r = xml_parse(content.text, "CertificateRequest/ConfigurationParametersDocument",
                              &q->configuration, e);
        if (r)
                return r;
        root = xmlDocGetRootElement(q->configuration);
        if (!xml_is(root, "ConfigurationParameters", CONFIGURATION_NS))
                return xml_refuse(
                        root, e,
                        "it is '%.60s' in the namespace '%.200s' and not ConfigurationParameters in %s",
                        (const char *)root->name, xml_namespace(root), CONFIGURATION_NS);
        r = take_elements(q, root, CONFIGURATION_NS, configuration, N_ELEMENTS(configuration), e);
        if (r)
                return r;
        if (!q->key_length)
                return xml_refuse(root, e, "the element KeyLength is missing");
        if (!q->key_usage)
                return xml_refuse(root, e, "the element KeyUsage is missing");
        return ERR_OK;
}

/* RequestParameters */

static enum err take_token(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        struct secret *s = &q->command->challenge;
        enum err r;

        (void)key;
        r = xml_secret(node, COMMAND_CHALLENGE_MAX, s, e);
        if (r || !s->len)
                return r;
        /* it goes into the request as it stands, so blanks around it would spoil it */
        while (s->len && strchr(" \t\r\n", s->data[s->len - 1]))
                s->data[--s->len] = 0;
        while (s->len && strchr(" \t\r\n", s->data[0]))
                memmove(s->data, s->data + 1, s->len--);
        for (size_t i = 0; i < s->len; i++)
                if (s->data[i] < ' ' || s->data[i] == 0x7f)
                        return xml_refuse(node, e, "the challenge holds line ends or control characters");
        if (redacted((const char *)s->data)) {
                (void)xml_refuse(node, e, "the challenge was redacted by whoever wrote this copy");
                return error_remedy(e, ERR_DOCUMENT, "Apply the document itself, not its copy from a log.");
        }
        return ERR_OK;
}

static void xml_string_free_p(xmlChar **s)
{
        if (*s)
                xmlFree(*s);
}

static enum err add_alternative_name(struct request *q, const xmlNode *node, struct error *e)
{
        CLEANUP(xml_string_free_p) xmlChar *type = xmlGetNoNsProp(node, (const xmlChar *)"AltNameType");
        CLEANUP(xml_string_free_p) xmlChar *oid = xmlGetNoNsProp(node, (const xmlChar *)"OID");
        CLEANUP(free_p) char *text = NULL, *entry = NULL;
        enum err r = element_text(node, 2048, &text, e);

        if (r || !*text)
                return r;
        r = windows_alternative_name(type ? (const char *)type : "", (const char *)oid, text, &entry, e);
        return r ? at_line(node, r, e) : put(q, node, "Subject.AlternativeName", entry, e);
}

static enum err take_alternative_names(struct request *q, const xmlNode *node, const char *key,
                                       struct error *e)
{
        const xmlNode *sans;
        enum err r = xml_only_child(node, "SANs", "", &sans, e);

        (void)key;
        if (r)
                return r;
        for (const xmlNode *san = sans ? xml_first_element(sans) : NULL; san; san = xml_next_element(san)) {
                r = xml_is(san, "SAN", "") ? add_alternative_name(q, san, e)
                                           : note(q, san, "is not known and was set aside", e);

                if (r)
                        return r;
        }
        return ERR_OK;
}

static enum err take_url(struct request *q, const xmlNode *node, const char *key, struct error *e)
{
        (void)key;
        return add_url(q, node, e);
}

static const struct element parameters[] = {
        {"CertificateRequestToken", take_token, NULL},
        {"SubjectName", take_text, "Subject.Name"},
        {"Issuers", take_text, "Document.Issuers"},
        {"SubjectAlternativeName", take_alternative_names, NULL},
        {"NDESUrl", take_url, NULL},
};

/* What stands in no single element. */
static enum err finish(struct request *q, const xmlNode *root, const struct enroll_name *name,
                       struct error *e)
{
        CLEANUP(free_p) char *validity = NULL;
        char profile_name[PROFILE_NAME_MAX + 1];
        const char *shown = name->logical ? name->logical : name->model;
        enum err r = ERR_OK;

        for (size_t i = 0; r == ERR_OK && i < q->urls.count; i++)
                r = settings_add(&q->command->settings, "Server.Url", q->urls.items[i], 0, e);
        if (r == ERR_OK && q->validity && *q->validity) {
                r = windows_validity(q->validity, q->validity_unit ? q->validity_unit : "", &validity, e);
                r = r ? at_element(root, r, e) : put(q, root, "Subject.Validity", validity, e);
        }
        profile_name_from(shown, profile_name, sizeof profile_name);
        if (r == ERR_OK)
                r = put(q, root, "Profile.Name", profile_name, e);
        if (r == ERR_OK)
                r = put(q, root, "Profile.Type", q->command->user ? "user" : "device", e);
        if (r == ERR_OK)
                r = put(q, root, "Server.Challenge", "ask", e);
        /* Windows renews by a new request with a new challenge (facts §2.8) */
        if (r == ERR_OK)
                r = put(q, root, "Renewal.Method", "challenge", e);
        if (r == ERR_OK)
                r = put(q, root, "Document.Origin", "syncml", e);
        if (r == ERR_OK)
                r = put(q, root, "Document.ModelName", name->model, e);
        if (r == ERR_OK && name->logical)
                r = put(q, root, "Document.LogicalName", name->logical, e);
        if (r == ERR_OK && name->version)
                r = put(q, root, "Document.Version", name->version, e);
        return r;
}

static enum err check_whole(const struct request *q, const xmlNode *root, const xmlNode *request,
                            struct error *e)
{
        struct profile checked = {0};
        enum err r;

        if (!settings_get(&q->command->settings, "Subject.Name"))
                return xml_refuse(request, e, "the element SubjectName is missing or empty");
        if (q->urls.count == 0)
                return xml_refuse(request, e, "the element NDESUrl is missing or empty");
        /* the anchor may stand in a command before this one; the executor knows */
        r = profile_from_settings(&q->command->settings, /* have_anchor= */ true, &checked, e);
        if (r)
                return at_culprit(q, root, r, e);
        profile_done(&checked);
        return ERR_OK;
}

enum err request_read(struct view text, const struct enroll_name *name, struct command *command,
                      struct error *e)
{
        CLEANUP(request_done) struct request q = {.command = command};
        CLEANUP(xml_free_p) xmlDoc *xml = NULL;
        const xmlNode *root, *document, *request;
        enum err r = xml_parse(text, "The data", &xml, e);

        if (r)
                return r;
        root = xmlDocGetRootElement(xml);
        if (!xml_is(root, "CertificateRequest", ""))
                return xml_refuse(
                        root, e, "it is '%.60s' in the namespace '%.200s' and not CertificateRequest in none",
                        (const char *)root->name, xml_namespace(root));
        r = xml_only_child(root, "ConfigurationParametersDocument", "", &document, e);
        if (r == ERR_OK)
                r = xml_only_child(root, "RequestParameters", "", &request, e);
        if (r)
                return r;
        if (!document || !request)
                return xml_refuse(root, e, "the element %s is missing",
                                  document ? "RequestParameters" : "ConfigurationParametersDocument");
        for (const xmlNode *node = xml_first_element(root); node; node = xml_next_element(node)) {
                if (node == document || node == request)
                        continue;
                r = note(&q, node, "is not known and was set aside", e);
                if (r)
                        return r;
        }
        /* first, so that the server chosen for this device is tried first */
        r = take_elements(&q, request, "", parameters, N_ELEMENTS(parameters), e);
        if (r == ERR_OK)
                r = read_configuration(&q, document, e);
        if (r == ERR_OK)
                r = finish(&q, root, name, e);
        return r ? r : check_whole(&q, root, request, e);
}
