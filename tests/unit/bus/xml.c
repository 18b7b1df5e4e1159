#include "xml.h"

#include <stdio.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

static void attribute(xmlNode *node, const char *name, char *ret, size_t size)
{
        xmlChar *value = xmlGetProp(node, (const xmlChar *)name);

        snprintf(ret, size, "%s", value ? (const char *)value : "");
        xmlFree(value);
}

static bool is_element(const xmlNode *node, const char *name)
{
        return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static void read_args(xmlNode *method, struct xml_member *m)
{
        for (xmlNode *arg = method->children; arg; arg = arg->next) {
                char type[32], direction[8];

                if (!is_element(arg, "arg"))
                        continue;
                attribute(arg, "type", type, sizeof type);
                attribute(arg, "direction", direction, sizeof direction);
                strcat(strcmp(direction, "in") == 0 ? m->in : m->out, type);
        }
}

static bool comment_before(const xmlNode *node)
{
        const xmlNode *p = node->prev;

        while (p && p->type == XML_TEXT_NODE)
                p = p->prev;
        return p && p->type == XML_COMMENT_NODE;
}

static void read_interface(xmlNode *interface, struct xml_interface *ret)
{
        memset(ret, 0, sizeof *ret);
        attribute(interface, "name", ret->name, sizeof ret->name);
        for (xmlNode *node = interface->children; node; node = node->next) {
                struct xml_member *m = &ret->member[ret->n];

                if (is_element(node, "method"))
                        m->kind = 'm';
                else if (is_element(node, "property"))
                        m->kind = 'p';
                else if (is_element(node, "signal"))
                        m->kind = 's';
                else
                        continue;
                attribute(node, "name", m->name, sizeof m->name);
                m->has_comment = comment_before(node);
                if (m->kind == 'p')
                        attribute(node, "type", m->out, sizeof m->out);
                else
                        read_args(node, m);
                ret->n++;
        }
}

bool xml_interface_read(const char *text, size_t len, struct xml_interface *ret)
{
        xmlDoc *doc =
                xmlReadMemory(text, (int)len, "introspection", NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);
        bool found = false;

        if (!doc)
                return false;
        for (xmlNode *node = xmlDocGetRootElement(doc)->children; node && !found; node = node->next) {
                if (is_element(node, "interface")) {
                        read_interface(node, ret);
                        found = true;
                }
        }
        xmlFreeDoc(doc);
        return found;
}
