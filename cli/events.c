/* scepter events: lines of JSON from the service, as they are or for people. */
#include "cli/cli.h"

#include <string.h>

#include "cli/args.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "cli/table.h"
#include "cli/time.h"
#include "cli/value.h"

enum { EVENTS_MAX = 32 * 1024 * 1024 };

/* A line that is no object is left out: one damaged event must not hide the others. */
static enum err parse_lines(const char *text, json_t **ret, struct error *e)
{
        CLEANUP(json_decref_p) json_t *list = json_array();

        if (!list)
                return error_no_memory(e);
        while (*text) {
                size_t len = strcspn(text, "\n");
                json_t *event = len ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;

                if (json_is_object(event)) {
                        if (json_array_append_new(list, event) < 0)
                                return error_no_memory(e);
                } else {
                        json_decref(event);
                }
                text += len;
                text += *text == '\n';
        }
        *ret = STEAL(list);
        return ERR_OK;
}

static enum err print_events(struct cli *cli, const json_t *list, struct error *e)
{
        static const char *const headers[] = {"TIME", "EVENT", "CERTIFICATE", "MESSAGE", NULL};
        CLEANUP(table_done) struct table t = {0};

        table_init(&t, headers);
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *event = json_array_get(list, i);
                CLEANUP(free_p) char *number = NULL;
                char when[TIME_TEXT];
                enum err r = value_text(json_object_get(event, "event"), &number, e);

                if (r)
                        return r;
                time_text(value_number(event, "time"), when);
                table_add(&t, when, COLOR_NONE);
                table_add(&t, number, COLOR_NONE);
                table_add(&t, value_string(event, "name"), COLOR_NONE);
                table_add(&t, value_string(event, "message"), COLOR_NONE);
        }
        return table_print(&t, cli->out, cli->color, e);
}

enum err verb_events(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        CLEANUP(json_decref_p) json_t *list = NULL;
        CLEANUP(free_p) char *path = NULL, *text = NULL;
        CLEANUP(close_p) int fd = -1;
        const struct arg_option options[] = {{"--follow", NULL, NULL, "later"}};
        struct bus_writer *w;
        const char *word;
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 0, 1, &word, &n, e);

        if (!r && n)
                r = resolve_certificate(cli, word, &path, e);
        if (r)
                return r;
        w = bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, "GetEvents");
        bus_open_array(w, "{sv}");
        if (path)
                bus_entry_path(w, BUS_OPTION_CERTIFICATE, path);
        bus_close(w);
        r = cli_call(cli, w, &reader, e);
        if (!r)
                r = bus_read_fd(reader, "events", &fd, e);
        if (!r)
                r = output_fd_read(fd, EVENTS_MAX, &text, e);
        if (!r)
                r = parse_lines(text, &list, e);
        if (r)
                return r;
        return cli->json ? output_json(cli, json_pack("{s:O}", "events", list), e)
                         : print_events(cli, list, e);
}
