/* scepter events: lines of JSON from the service, as they are or for people; and with --follow those that
 * come.
 */
#include "cli/cli.h"

#include <string.h>
#include <time.h>

#include "cli/args.h"
#include "cli/follow.h"
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
                CLEANUP(free_p) char *name = NULL;
                char when[TIME_TEXT];
                enum err r = value_text(json_object_get(event, "event"), &name, e);

                if (r)
                        return r;
                time_text(value_number(event, "time"), when);
                table_add(&t, when, COLOR_NONE);
                table_add(&t, name, COLOR_NONE);
                table_add(&t, value_string(event, "name"), COLOR_NONE);
                table_add(&t, value_string(event, "message"), COLOR_NONE);
        }
        return table_print(&t, cli->out, cli->color, e);
}

/* *ret_coming: with @follow, the pipe. */
static enum err call_events(struct cli *cli, const char *path, uint64_t since, bool follow, json_t **ret,
                            int *ret_coming, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        CLEANUP(free_p) char *text = NULL;
        CLEANUP(close_p) int past = -1;
        struct bus_writer *w =
                bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, follow ? "FollowEvents" : "GetEvents");
        enum err r;

        bus_open_array(w, "{sv}");
        if (path)
                bus_entry_path(w, BUS_OPTION_CERTIFICATE, path);
        if (since)
                bus_entry_u64(w, BUS_OPTION_SINCE, since);
        bus_close(w);
        r = cli_call(cli, w, &reader, e);
        if (!r)
                r = bus_read_fd(reader, "past", &past, e);
        if (!r && follow)
                r = bus_read_fd(reader, "coming", ret_coming, e);
        if (!r)
                r = output_fd_read(past, EVENTS_MAX, &text, e);
        return r ? r : parse_lines(text, ret, e);
}

enum err verb_events(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(json_decref_p) json_t *list = NULL;
        CLEANUP(free_p) char *path = NULL;
        CLEANUP(close_p) int coming = -1;
        bool follow = false;
        const char *word, *time_word = NULL;
        const struct arg_option options[] = {{"--follow", &follow, NULL, NULL},
                                             {"--since", NULL, &time_word, NULL}};
        uint64_t since = 0;
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 0, 1, &word, &n, e);

        if (!r && time_word && !time_read(time_word, (uint64_t)time(NULL), &since))
                r = error_set(
                        e, ERR_INVALID,
                        "--since takes '2027-11-21', '2027-11-21 15:04', @SECONDS, or how long ago: 90s, "
                        "15m, 2h, 7d");
        if (!r && n)
                r = resolve_certificate(cli, word, &path, e);
        if (!r)
                r = call_events(cli, path, since, follow, &list, &coming, e);
        if (r)
                return r;
        if (follow)
                return follow_run(cli, list, coming, path != NULL, e);
        return cli->json ? output_json(cli, json_pack("{s:O}", "events", list), e)
                         : print_events(cli, list, e);
}
