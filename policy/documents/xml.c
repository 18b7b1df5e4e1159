/* XML with every lock shut, and the few questions the readers ask of a tree. */
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "documents/readers.h"

static inline void context_free_p(xmlParserCtxt **c)
{
        if (*c)
                xmlFreeParserCtxt(*c);
}

/* libxml2 keeps texts in memory it frees without wiping; short ones (≤ 3 octets) in a dictionary, which stay.
 */
static void wipe_texts(const xmlDoc *doc)
{
        xmlNode *node = xmlDocGetRootElement(doc);

        while (node) {
                if ((node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE ||
                     node->type == XML_COMMENT_NODE) &&
                    node->content && !(doc->dict && xmlDictOwns(doc->dict, node->content)))
                        wipe(node->content, strlen((const char *)node->content));
                if (node->type == XML_ELEMENT_NODE && node->children) {
                        node = node->children;
                        continue;
                }
                while (node && !node->next)
                        node = node->parent && node->parent->type == XML_ELEMENT_NODE ? node->parent : NULL;
                if (node)
                        node = node->next;
        }
}

void xml_free_p(xmlDoc **doc)
{
        if (!*doc)
                return;
        wipe_texts(*doc);
        xmlFreeDoc(*doc);
        *doc = NULL;
}

static bool too_deep(const xmlDoc *doc)
{
        const xmlNode *node = xmlDocGetRootElement(doc);
        unsigned depth = 1;

        while (node) {
                if (node->type == XML_ELEMENT_NODE && node->children) {
                        node = node->children;
                        if (++depth > DOCUMENT_DEPTH_MAX + 1) /* text inside the deepest element */
                                return true;
                        continue;
                }
                while (node && !node->next) {
                        node = node->parent && node->parent->type == XML_ELEMENT_NODE ? node->parent : NULL;
                        depth--;
                }
                if (node)
                        node = node->next;
        }
        return false;
}

static enum err malformed(const xmlParserCtxt *context, const char *what, struct error *e)
{
        const char *message = context->lastError.message ? context->lastError.message : "malformed";
        size_t n = strcspn(message, "\r\n");

        if (context->lastError.code == XML_ERR_NO_MEMORY)
                return error_no_memory(e);
        return error_set(e, ERR_DOCUMENT, "%s is not well-formed XML at line %d: %.*s", what,
                         context->lastError.line, (int)(n > 160 ? 160 : n), message);
}

enum err xml_parse(struct view text, const char *what, xmlDoc **ret, struct error *e)
{
        static const char doctype[] = "<!DOCTYPE";
        CLEANUP(context_free_p) xmlParserCtxt *context = NULL;
        CLEANUP(xml_free_p) xmlDoc *doc = NULL;

        if (text.len == 0)
                return error_set(e, ERR_DOCUMENT, "%s is empty", what);
        if (text.len > DOCUMENT_MAX)
                return error_set(e, ERR_TOO_LARGE, "%s is larger than 1 MiB", what);
        /* before the parser sees it: entities are expanded while a DTD is read, not when it is asked about */
        if (memmem(text.data, text.len, doctype, sizeof doctype - 1))
                return error_set(e, ERR_DOCUMENT, "%s holds a DOCTYPE, which is refused", what);
        context = xmlNewParserCtxt();
        if (!context)
                return error_no_memory(e);
        /*
         * UTF-8 in spite of a declaration: .NET writes encoding="utf-16" into strings. Saying so by name
         * would make libxml2 convert from UTF-8 to UTF-8, by way of a second copy, which nobody could wipe.
         */
        doc = xmlCtxtReadMemory(context, (const char *)text.data, (int)text.len, NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                        XML_PARSE_COMPACT | XML_PARSE_IGNORE_ENC);
        if (context->input && context->input->base && context->input->end > context->input->base)
                wipe((void *)(uintptr_t)context->input->base,
                     (size_t)(context->input->end - context->input->base));
        if (!doc || !context->wellFormed)
                return malformed(context, what, e);
        if (doc->intSubset || !xmlDocGetRootElement(doc))
                return error_set(e, ERR_DOCUMENT, "%s holds a DOCTYPE or no element", what);
        if (too_deep(doc))
                return error_set(e, ERR_TOO_LARGE, "%s is nested deeper than %d elements", what,
                                 DOCUMENT_DEPTH_MAX);
        *ret = STEAL(doc);
        return ERR_OK;
}

const char *xml_namespace(const xmlNode *node)
{
        return node->ns && node->ns->href ? (const char *)node->ns->href : "";
}

bool xml_is(const xmlNode *node, const char *name, const char *ns)
{
        return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 &&
               (!ns || strcmp(xml_namespace(node), ns) == 0);
}

static xmlNode *element_from(xmlNode *node)
{
        while (node && node->type != XML_ELEMENT_NODE)
                node = node->next;
        return node;
}

xmlNode *xml_first_element(const xmlNode *parent)
{
        return element_from(parent->children);
}

xmlNode *xml_next_element(const xmlNode *after)
{
        return element_from(after->next);
}

xmlNode *xml_child(const xmlNode *parent, const char *name, const char *ns)
{
        for (xmlNode *node = xml_first_element(parent); node; node = xml_next_element(node))
                if (xml_is(node, name, ns))
                        return node;
        return NULL;
}

enum err xml_only_child(const xmlNode *parent, const char *name, const char *ns, const xmlNode **ret,
                        struct error *e)
{
        const xmlNode *found = xml_child(parent, name, ns);

        for (const xmlNode *node = found ? xml_next_element(found) : NULL; node;
             node = xml_next_element(node))
                if (xml_is(node, name, ns))
                        return xml_refuse(node, e, "it is there twice");
        *ret = found;
        return ERR_OK;
}

void xml_path(const xmlNode *node, char *ret, size_t size)
{
        const xmlNode *way[DOCUMENT_DEPTH_MAX + 2];
        size_t n = 0, used = 0;

        for (; node && node->type == XML_ELEMENT_NODE && n < N_ELEMENTS(way); node = node->parent)
                way[n++] = node;
        ret[0] = 0;
        while (n && used < size) {
                n--;
                used += (size_t)snprintf(ret + used, size - used, "%s%.64s", used ? "/" : "",
                                         (const char *)way[n]->name);
        }
}

enum err xml_refuse(const xmlNode *node, struct error *e, const char *fmt, ...)
{
        char path[320], problem[320];
        va_list ap;

        xml_path(node, path, sizeof path);
        va_start(ap, fmt);
        (void)vsnprintf(problem, sizeof problem, fmt, ap);
        va_end(ap);
        return error_set(e, ERR_DOCUMENT, "%s (line %ld): %s", path, xmlGetLineNo(node), problem);
}

static enum err too_long(const xmlNode *node, size_t max, struct error *e)
{
        char path[320];

        xml_path(node, path, sizeof path);
        return error_set(e, ERR_TOO_LARGE, "%s (line %ld): it is longer than %zu octets", path,
                         xmlGetLineNo(node), max);
}

void content_done(struct content *c)
{
        if (c->own) {
                wipe(c->own, c->text.len);
                xmlFree(c->own);
        }
        *c = (struct content){0};
}

enum err xml_content(const xmlNode *node, size_t max, struct content *ret, struct error *e)
{
        const xmlNode *text = node->children;
        struct content c = {0};

        if (xml_first_element(node))
                return xml_refuse(node, e, "it must hold text, not elements");
        if (!text) {
                c.text = str_view("");
        } else if (!text->next && (text->type == XML_TEXT_NODE || text->type == XML_CDATA_SECTION_NODE)) {
                c.text = str_view(text->content ? (const char *)text->content : "");
        } else {
                c.own = xmlNodeGetContent(node);
                if (!c.own)
                        return error_no_memory(e);
                c.text = str_view((const char *)c.own);
        }
        if (c.text.len > max) {
                content_done(&c);
                return too_long(node, max, e);
        }
        *ret = c;
        return ERR_OK;
}

enum err xml_secret(const xmlNode *node, size_t max, struct secret *ret, struct error *e)
{
        CLEANUP(content_done) struct content c = {0};
        enum err r = xml_content(node, max, &c, e);

        return r || c.text.len == 0 ? r : secret_copy(ret, c.text, e);
}

static bool blank(uint8_t c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Not by way of xml_secret(): a locked page for every value of a document costs more than all of its parsing,
 * and the text stands in libxml2's memory anyway, until xml_free_p() wipes that. */
enum err xml_text(const xmlNode *node, size_t max, char **ret, struct error *e)
{
        CLEANUP(content_done) struct content c = {0};
        enum err r = xml_content(node, max, &c, e);
        size_t start = 0, end = c.text.len;
        char *copy;

        if (r)
                return r;
        while (start < end && blank(c.text.data[start]))
                start++;
        while (end > start && blank(c.text.data[end - 1]))
                end--;
        for (size_t i = start; i < end; i++)
                if (c.text.data[i] < ' ' || c.text.data[i] == 0x7f)
                        return xml_refuse(node, e, "the value holds line ends or control characters");
        copy = strndup((const char *)c.text.data + start, end - start);
        if (!copy)
                return error_no_memory(e);
        *ret = copy;
        return ERR_OK;
}
