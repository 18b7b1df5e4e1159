/* scepter list, show, cancel, remove, key test */
#include "cli/cli.h"

#include <string.h>
#include <time.h>

#include "cli/args.h"
#include "cli/input.h"
#include "cli/object.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "cli/table.h"
#include "cli/time.h"
#include "cli/value.h"

enum { CHAIN_MAX = 1024 * 1024 };

static void add_time(struct table *t, uint64_t when, uint64_t now, enum color color)
{
        char text[TIME_TEXT];

        time_relative_text(when, now, text);
        table_add(t, text, color);
}

static enum err print_list(struct cli *cli, const json_t *list, struct error *e)
{
        static const char *const headers[] = {"NAME", "HEALTH", "ACTIVITY", "EXPIRES", "RENEWS", "ID", NULL};
        CLEANUP(table_done) struct table t = {0};
        uint64_t now = (uint64_t)time(NULL);

        table_init(&t, headers);
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *c = json_array_get(list, i);
                const char *health = value_string(c, "health"), *activity = value_string(c, "activity");

                table_add(&t, value_string(c, "name"), COLOR_NONE);
                table_add(&t, health, color_of_state(health));
                table_add(&t, activity, color_of_state(activity));
                add_time(&t, value_number(c, "notAfter"), now, color_of_state(health));
                add_time(&t, value_number(c, "renewAt"), now, COLOR_NONE);
                table_add(&t, value_string(c, "id"), COLOR_NONE);
        }
        return table_print(&t, cli->out, cli->color, e);
}

enum err verb_list(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(json_decref_p) json_t *list = NULL;
        size_t n;
        enum err r = args_parse(argc, argv, NULL, 0, 0, 0, NULL, &n, e);

        if (!r)
                r = object_certificates(cli, /* name= */ NULL, &list, e);
        if (r)
                return r;
        return cli->json ? output_json(cli, json_pack("{s:O}", "certificates", list), e)
                         : print_list(cli, list, e);
}

/* Calls a method whose only argument is its options, of which it gets none. */
static enum err call_plain(struct cli *cli, const char *path, const char *method, struct bus_reader **ret,
                           struct error *e)
{
        struct bus_writer *w = bus_client_begin(path, BUS_INTERFACE_CERTIFICATE, method);

        bus_open_array(w, "{sv}");
        bus_close(w);
        return cli_call(cli, w, ret, e);
}

static enum err call_test(struct cli *cli, const char *path, int pin, struct bus_reader **ret,
                          struct error *e)
{
        struct bus_writer *w = bus_client_begin(path, BUS_INTERFACE_CERTIFICATE, "TestKey");

        bus_open_array(w, "{sv}");
        if (pin >= 0)
                bus_entry_fd(w, BUS_OPTION_PIN, pin);
        bus_close(w);
        return cli_call(cli, w, ret, e);
}

static enum err read_chain(struct cli *cli, const char *path, char **ret, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        CLEANUP(close_p) int fd = -1;
        enum err r = call_plain(cli, path, "GetChain", &reader, e);

        if (!r)
                r = bus_read_fd(reader, "chain", &fd, e);
        return r ? r : output_fd_read(fd, CHAIN_MAX, ret, e);
}

static enum err print_pem(struct cli *cli, const char *path, bool whole_chain, struct error *e)
{
        static const char end_line[] = "-----END CERTIFICATE-----";
        CLEANUP(free_p) char *pem = NULL;
        enum err r = read_chain(cli, path, &pem, e);
        char *end;

        if (r)
                return r;
        end = whole_chain ? NULL : strstr(pem, end_line);
        if (end) {
                end += sizeof end_line - 1;
                end[*end == '\n'] = 0;
        }
        if (cli->json)
                return output_json(cli, json_pack("{s:s}", whole_chain ? "chain" : "pem", pem), e);
        fputs(pem, cli->out);
        return ERR_OK;
}

static enum err print_certificate(struct cli *cli, json_t *object, struct error *e)
{
        static const struct output_field fields[] = {
                {"Name", "name", 's'},
                {"Id", "id", 's'},
                {"Health", "health", 's'},
                {"Activity", "activity", 's'},
                {"Since", "activitySince", 't'},
                {"Step", "progress", 's'},
                {"Subject", "subject", 's'},
                {"Serial number", "serialNumber", 's'},
                {"Thumbprint", "thumbprint", 's'},
                {"Valid from", "notBefore", 't'},
                {"Expires", "notAfter", 't'},
                {"Renews", "renewAt", 't'},
                {"Key", "keyAlgorithm", 's'},
                {"Key protection", "keyProtection", 's'},
                {"  because", "keyProtectionReason", 's'},
                {"Key attributes", "keyAttributes", 's'},
                {"Key groups", "groups", 's'},
                {"Answered by", "respondentServerUrl", 's'},
                {"Profile", "profile", 's'},
                {"Deviation", "deviations", 'l'},
                {"Name now", "newNames", 'l'},
                {"Uri", "uris", 'l'},
        };
        const json_t *last_error = json_object_get(object, "lastError"),
                     *owner = json_object_get(object, "owner");
        static const char lost[] = ", whose uid is another account's now: the certificate is root's alone";
        enum err r = output_fields(cli, object, fields, N_ELEMENTS(fields), e);

        if (r)
                return r;
        if (json_array_size(json_object_get(object, "newNames")))
                output_line(cli->out,
                            "The profile gives other names now; to ask for them: scepter renew --accept %s",
                            value_string(object, "name"));
        if (*value_string(owner, "name"))
                output_line(cli->out, "Owner: %s%s", value_string(owner, "name"),
                            value_number(owner, "uid") == BUS_LOST_OWNER ? lost : "");
        if (*value_string(last_error, "name")) {
                output_line(cli->out, "Last error: %s (%s), %llu failed attempts",
                            value_string(last_error, "message"), value_string(last_error, "name"),
                            (unsigned long long)value_number(object, "attempts"));
                output_line(cli->out, "  %s", value_string(last_error, "remedy"));
        }
        return ERR_OK;
}

static enum err print_uris(struct cli *cli, const json_t *object, struct error *e)
{
        json_t *uris = json_object_get(object, "uris");

        if (cli->json)
                return output_json(cli, json_pack("{s:O}", "uris", uris ? uris : json_null()), e);
        for (size_t i = 0; i < json_array_size(uris); i++)
                output_line(cli->out, "%s", json_string_value(json_array_get(uris, i)));
        return ERR_OK;
}

enum err verb_show(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(json_decref_p) json_t *object = NULL;
        CLEANUP(free_p) char *path = NULL;
        const char *word;
        bool pem = false, chain = false, uri = false;
        const struct arg_option options[] = {
                {"--pem", &pem, NULL, NULL}, {"--chain", &chain, NULL, NULL}, {"--uri", &uri, NULL, NULL}};
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (!r && pem + chain + uri > 1)
                r = error_set(e, ERR_INVALID, "--pem, --chain and --uri exclude each other");
        if (!r)
                r = resolve_certificate(cli, word, &path, e);
        if (r)
                return r;
        if (pem || chain) {
                r = print_pem(cli, path, chain, e);
                return r ? error_context(e, r, "Certificate '%s'", word) : ERR_OK;
        }
        r = object_certificate(cli, path, &object, e);
        if (r)
                return r;
        if (uri)
                return print_uris(cli, object, e);
        return cli->json ? output_json(cli, json_incref(object), e) : print_certificate(cli, object, e);
}

/* cancel and remove: resolve, call, tell. */
static enum err simple_verb(struct cli *cli, int argc, char **argv, const char *method, const char *done,
                            struct error *e)
{
        CLEANUP(free_p) char *path = NULL;
        const char *word;
        size_t n;
        enum err r = args_parse(argc, argv, NULL, 0, 1, 1, &word, &n, e);

        if (!r)
                r = resolve_certificate(cli, word, &path, e);
        if (r)
                return r;
        r = call_plain(cli, path, method, NULL, e);
        if (r)
                return error_context(e, r, "Certificate '%s'", word);
        if (cli->json)
                return output_json(cli, json_pack("{s:s}", done, object_id(path)), e);
        output_line(cli->out, "Certificate '%s' is %s.", word, done);
        return ERR_OK;
}

enum err verb_cancel(struct cli *cli, int argc, char **argv, struct error *e)
{
        return simple_verb(cli, argc, argv, "Cancel", "cancelled", e);
}

enum err verb_remove(struct cli *cli, int argc, char **argv, struct error *e)
{
        return simple_verb(cli, argc, argv, "Remove", "removed", e);
}

enum err verb_key_test(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        CLEANUP(json_decref_p) json_t *result = NULL;
        CLEANUP(free_p) char *path = NULL;
        const char *word;
        size_t n;
        enum err r = args_parse(argc, argv, NULL, 0, 1, 1, &word, &n, e);

        if (!r)
                r = resolve_certificate(cli, word, &path, e);
        if (r)
                return r;
        r = call_test(cli, path, -1, &reader, e);
        if (r == ERR_PIN_NEEDED) {
                CLEANUP(close_p) int pin = -1;

                r = input_pin(word, /* again= */ false, NULL, &pin, e);
                if (!r)
                        r = call_test(cli, path, pin, &reader, e);
        }
        if (!r)
                r = value_read(reader, &result, e);
        if (r)
                return error_context(e, r, "Certificate '%s'", word);
        if (cli->json)
                return output_json(cli, json_incref(result), e);
        output_line(cli->out, "The key of '%s' works: %s with %s (%s) took %llu.%03llu ms.", word,
                    value_string(result, "operation"), value_string(result, "algorithm"),
                    value_string(result, "protection"),
                    (unsigned long long)value_number(result, "usec") / 1000,
                    (unsigned long long)value_number(result, "usec") % 1000);
        return ERR_OK;
}
