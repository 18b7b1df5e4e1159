/* scepter diagnose: findings as they come from the service, for people or as lines of JSON. */
#include "cli/cli.h"

#include <string.h>

#include "cli/args.h"
#include "cli/object.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "cli/table.h"
#include "cli/value.h"

struct told {
        unsigned notes, faults;
        struct error failure; /* the service's, where it could not go on */
};

static enum color color_of(const char *result)
{
        if (strcmp(result, "fault") == 0)
                return COLOR_BAD;
        return strcmp(result, "note") == 0 ? COLOR_WARN : COLOR_GOOD;
}

/* The step and what was seen; beneath a note or fault, why that may be and what to do. */
static void print_finding(struct cli *cli, const json_t *finding)
{
        const char *result = value_string(finding, "result"), *cause = value_string(finding, "cause");
        const char *remedy = value_string(finding, "remedy");
        const enum color color = color_of(result);

        fprintf(cli->out, "%s%-5s%s ", cli->color ? color_on(color) : "", result,
                cli->color ? color_off(color) : "");
        output_line(cli->out, " %-12s %s%s%s%s", value_string(finding, "step"),
                    value_string(finding, "observed"), color == COLOR_GOOD ? "" : "  [",
                    color == COLOR_GOOD ? "" : value_string(finding, "code"), color == COLOR_GOOD ? "" : "]");
        if (*cause)
                output_line(cli->out, "                    %s", cause);
        if (*remedy)
                output_line(cli->out, "                    → %s", remedy);
        (void)fflush(cli->out);
}

static enum err take_line(struct cli *cli, const char *line, struct told *told, struct error *e)
{
        CLEANUP(json_decref_p) json_t *finding = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *result;

        if (!json_is_object(finding))
                return error_set(e, ERR_PROTOCOL, "The service answered something that is no finding");
        if (json_object_get(finding, "error")) {
                const enum err code = err_from_name(value_string(finding, "error"));

                (void)error_set(&told->failure, code ? code : ERR_FAILED, "%s",
                                value_string(finding, "message"));
                return error_remedy(&told->failure, ERR_OK, "%s", value_string(finding, "remedy"));
        }
        result = value_string(finding, "result");
        told->faults += strcmp(result, "fault") == 0;
        told->notes += strcmp(result, "note") == 0;
        if (cli->json)
                return output_json(cli, json_incref(finding), e);
        print_finding(cli, finding);
        return ERR_OK;
}

static enum err read_findings(struct cli *cli, int fd, struct told *told, struct error *e)
{
        FILE *stream = fdopen(fd, "r");
        char *line = NULL;
        size_t size = 0;
        ssize_t n;
        enum err r = ERR_OK;

        if (!stream) {
                close_p(&fd);
                return error_no_memory(e);
        }
        while (!r && (n = getline(&line, &size, stream)) > 0)
                r = take_line(cli, line, told, e);
        free(line);
        (void)fclose(stream);
        return r ? r : told->failure.code ? error_copy(e, &told->failure) : ERR_OK;
}

static enum err diagnose(struct cli *cli, const char *target, struct told *told, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        struct bus_writer *w = bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, "Diagnose");
        int fd = -1;
        enum err r;

        bus_write_string(w, target);
        bus_open_array(w, "{sv}");
        bus_close(w);
        r = cli_call(cli, w, &reader, e);
        if (!r)
                r = bus_read_fd(reader, "findings", &fd, e);
        return r ? r : read_findings(cli, fd, told, e);
}

static enum err diagnose_each(struct cli *cli, const json_t *list, struct told *told, struct error *e)
{
        struct error why = {0};
        size_t denied = 0;
        enum err r = ERR_OK;

        for (size_t i = 0; !r && i < json_array_size(list); i++) {
                const json_t *object = json_array_get(list, i);

                if (!cli->json)
                        output_line(cli->out, "%s (%s)", value_string(object, "name"),
                                    value_string(object, "id"));
                r = diagnose(cli, value_string(object, "path"), told, &why);
                if (r == ERR_DENIED) { /* another's, or the device's: the rest may be the caller's own */
                        denied++;
                        if (!cli->json)
                                output_line(cli->out, "%-5s  %s", "-", why.message);
                        r = ERR_OK;
                }
        }
        if (r || (denied && denied == json_array_size(list)))
                return error_copy(e, &why);
        return ERR_OK;
}

/* A URL, else a certificate, else a profile. */
static enum err find_target(struct cli *cli, const char *word, char **ret, struct error *e)
{
        struct error why = {0};
        enum err r;

        if (strstr(word, "://")) {
                *ret = strdup(word);
                return *ret ? ERR_OK : error_no_memory(e);
        }
        r = resolve_certificate(cli, word, ret, &why);
        if (r == ERR_NOT_FOUND)
                r = resolve_profile(cli, word, ret, e);
        else if (r)
                return error_copy(e, &why);
        if (r != ERR_NOT_FOUND)
                return r;
        (void)error_set(e, r, "There is neither a certificate nor a profile '%s'", word);
        return error_remedy(e, r, "See which there are: scepter list, scepter profile list.");
}

enum err verb_diagnose(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(json_decref_p) json_t *list = NULL;
        CLEANUP(free_p) char *target = NULL;
        struct told told = {0};
        const char *word;
        size_t n;
        enum err r = args_parse(argc, argv, NULL, 0, 0, 1, &word, &n, e);

        if (!r && n) {
                r = find_target(cli, word, &target, e);
                if (!r)
                        r = diagnose(cli, target, &told, e);
        } else if (!r) {
                r = object_profiles(cli, &list, e);
                if (!r)
                        r = json_array_size(list) ? diagnose_each(cli, list, &told, e)
                                                  : diagnose(cli, "", &told, e);
        }
        if (r)
                return r;
        if (!cli->json)
                output_line(cli->out, "%s",
                            told.faults  ? "There are faults."
                            : told.notes ? "There is no fault; the notes may be of interest."
                                         : "There is no fault.");
        cli->status = told.faults > 0;
        return ERR_OK;
}
