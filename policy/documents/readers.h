/* The two readers behind document_read(), and what the levels of a SyncML document share. Inside this folder
 * only. */
#pragma once

#include <libxml/tree.h>

#include "documents/document.h"

MUST_CHECK enum err ini_read(struct view doc, struct commands *ret, struct error *e);
MUST_CHECK enum err syncml_read(struct view doc, struct commands *ret, struct error *e);

/* The profile name of an Enroll node, taken apart (facts: ModelName=AC_…/LogicalName_…;Hash=…). */
struct enroll_name {
        char *model, *logical, *version; /* logical and version may be NULL */
};

/* Fills settings, challenge and notes of @command from the text of its Data element, a CertificateRequest. */
MUST_CHECK enum err request_read(struct view text, const struct enroll_name *name, struct command *command,
                                 struct error *e);

/*
 * XML in memory with every lock shut: no DOCTYPE, no entities but the five, no network, bounded depth. @text
 * is UTF-8 without a NUL (utf8_valid()), whatever encoding it declares. @what is how an error speaks of the
 * document. *ret: xml_free_p, which wipes every text first.
 */
MUST_CHECK enum err xml_parse(struct view text, const char *what, xmlDoc **ret, struct error *e);
void xml_free_p(xmlDoc **doc);

/* First child element @name; @ns NULL: in any namespace, "": in none. NULL: there is none. Likewise the next
 * one. */
xmlNode *xml_child(const xmlNode *parent, const char *name, const char *ns);
/* The same where there may be one alone: ERR_DOCUMENT with the path of the second. *ret: NULL for none. */
MUST_CHECK enum err xml_only_child(const xmlNode *parent, const char *name, const char *ns,
                                   const xmlNode **ret, struct error *e);
xmlNode *xml_next_element(const xmlNode *after);
xmlNode *xml_first_element(const xmlNode *parent);
bool xml_is(const xmlNode *node, const char *name, const char *ns);
/* "" for none. Borrowed. */
const char *xml_namespace(const xmlNode *node);
/* The text inside, blanks around it left out, of at most @max octets; *ret: free() after wiping if it is
 * secret. With the element's path: ERR_TOO_LARGE where it is longer, ERR_DOCUMENT where it has elements in it
 * or control characters. */
MUST_CHECK enum err xml_text(const xmlNode *node, size_t max, char **ret, struct error *e);
/* The same as it stands (line ends included), without a copy where it is one piece of text, which is the
 * rule. *ret: content_done(); borrowed from the document until then. */
struct content {
        struct view text;
        xmlChar *own; /* put together of several pieces */
};
MUST_CHECK enum err xml_content(const xmlNode *node, size_t max, struct content *ret, struct error *e);
void content_done(struct content *c);
/* The same into locked memory, as it stands (line ends included). Empty text leaves *ret alone. */
MUST_CHECK enum err xml_secret(const xmlNode *node, size_t max, struct secret *ret, struct error *e);
/* "SyncML/SyncBody/Add/Item" into @ret. */
void xml_path(const xmlNode *node, char *ret, size_t size);
/* ERR_DOCUMENT "path (line n): problem". */
enum err xml_refuse(const xmlNode *node, struct error *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
