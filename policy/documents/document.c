#include "documents/document.h"

#include "base/parse.h"
#include "documents/readers.h"

static enum document_format guess(struct view doc)
{
        size_t i = 0;

        if (doc.len >= 3 && doc.data[0] == 0xef && doc.data[1] == 0xbb && doc.data[2] == 0xbf)
                i = 3;
        while (i < doc.len && (doc.data[i] == ' ' || (doc.data[i] >= '\t' && doc.data[i] <= '\r')))
                i++;
        return i < doc.len && doc.data[i] == '<' ? DOCUMENT_SYNCML : DOCUMENT_INI;
}

enum err document_read(enum document_format format, struct view doc, struct commands *ret, struct error *e)
{
        CLEANUP(commands_done) struct commands c = {0};
        enum err r;

        if (doc.len > DOCUMENT_MAX)
                return error_set(e, ERR_TOO_LARGE, "The document has %zu octets; at most 1 MiB (%d) is read",
                                 doc.len, DOCUMENT_MAX);
        if (doc.len == 0)
                return error_set(e, ERR_DOCUMENT, "The document is empty");
        if (!utf8_valid(doc))
                return error_set(e, ERR_DOCUMENT, "The document is not UTF-8 text");
        if (format == DOCUMENT_AUTO)
                format = guess(doc);
        c.format = format;
        r = format == DOCUMENT_SYNCML ? syncml_read(doc, &c, e) : ini_read(doc, &c, e);
        if (r == ERR_OK)
                r = commands_settle(&c, e);
        if (r)
                return r;
        *ret = c;
        c = (struct commands){0};
        return ERR_OK;
}
