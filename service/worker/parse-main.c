/*
 * scepter-parse: one document in, the commands it holds out (policy/documents). No files, no network.
 */
#include <libxml/parser.h>
#include <string.h>

#include "base/secret.h"
#include "documents/document.h"
#include "worker.h"

static enum err prepare(struct error *e)
{
        (void)e;
        xmlInitParser();
        return ERR_OK;
}

static bool format_of(const char *name, enum document_format *ret)
{
        static const char *const names[] = {
                [DOCUMENT_AUTO] = "auto", [DOCUMENT_SYNCML] = "syncml", [DOCUMENT_INI] = "ini"};

        for (size_t i = 0; i < N_ELEMENTS(names); i++) {
                if (strcmp(names[i], name) == 0) {
                        *ret = (enum document_format)i;
                        return true;
                }
        }
        return false;
}

static enum err work(int fd, const struct job *job, struct bytes *ret, struct result_http *http,
                     struct error *e)
{
        const struct job_parse *parse = &job->of.parse;
        CLEANUP(commands_done) struct commands commands = {0};
        struct result result = {.kind = RESULT_PARSED};
        enum document_format format;
        struct bytes encoded = {0};
        enum err r;

        (void)fd, (void)http;
        if (!format_of(parse->format, &format))
                return error_set(e, ERR_INVALID,
                                 "'%s' is no format of documents; there are auto, syncml and ini",
                                 parse->format);
        r = document_read(format, parse->document, &commands, e);
        if (!r)
                r = commands_encode(&commands, &encoded, e);
        if (!r) {
                result.of.parsed.commands = bytes_view(&encoded);
                r = result_encode(&result, ret, e);
        }
        wipe(encoded.data, encoded.len);
        bytes_done(&encoded);
        return r && parse->origin ? error_context(e, r, "%s", parse->origin) : r;
}

int main(int argc, char **argv)
{
        static const struct worker worker = {
                .program = "scepter-parse",
                .sandbox = SANDBOX_PARSE,
                .prepare = prepare,
                .work = work,
        };

        return worker_main(&worker, argc, argv);
}
