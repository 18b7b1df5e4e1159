/* scepter profile …, scepter syncml apply */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "cli/args.h"
#include "cli/input.h"
#include "cli/object.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "cli/table.h"
#include "cli/value.h"
#include "cli/variables.h"

/* The files a profile names, as they are handed over with it. */
struct named_files {
        size_t n;
        struct {
                char *value;
                int fd;
        } file[BUS_FILES_MAX];
};

static void named_files_done(struct named_files *files)
{
        for (size_t i = 0; i < files->n; i++) {
                free(files->file[i].value);
                close_p(&files->file[i].fd);
        }
        files->n = 0;
}

static void file_needed_done(struct bus_file_needed *needed)
{
        bus_file_needed_done(needed);
}

struct add_request {
        const char *file, *format;
        bool own;
        int document;
};

static struct bus_writer *begin_add(const struct add_request *request, const struct named_files *files)
{
        struct bus_writer *w = bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, "AddProfile");

        bus_write_string(w, request->format);
        bus_write_fd(w, request->document);
        bus_open_array(w, "{sv}");
        if (request->own)
                bus_entry_bool(w, BUS_OPTION_OWN, true);
        if (files->n) {
                bus_entry_open(w, BUS_OPTION_FILES, "a{sh}");
                bus_open_array(w, "{sh}");
                for (size_t i = 0; i < files->n; i++) {
                        bus_open_entry(w);
                        bus_write_string(w, files->file[i].value);
                        bus_write_fd(w, files->file[i].fd);
                        bus_close(w);
                }
                bus_close(w);
                bus_entry_close(w);
        }
        bus_close(w);
        return w;
}

/* Opens the file the service asks for, if the profile does name it. */
static enum err add_named(const struct add_request *request, struct bus_file_needed *needed,
                          struct named_files *files, struct error *e)
{
        char *text = NULL;
        int fd = -1;
        enum err r;

        if (!needed->key || !needed->value)
                return error_set(e, ERR_PROTOCOL, "The service asks for a file and does not say which");
        for (size_t i = 0; i < files->n; i++)
                if (strcmp(files->file[i].value, needed->value) == 0)
                        return error_set(e, ERR_PROTOCOL, "The service asks for '%s' twice", needed->value);
        if (files->n == N_ELEMENTS(files->file))
                return error_set(e, ERR_TOO_LARGE, "%s names more than %d files", request->file,
                                 BUS_FILES_MAX);
        r = output_fd_read(request->document, BUS_DOCUMENT_MAX, &text, e);
        if (r)
                return r;
        r = input_named_file(request->file, text, needed->key, needed->value, &fd, e);
        wipe_free(text, strlen(text)); /* profiles may hold challenges */
        if (r)
                return r;
        files->file[files->n].value = STEAL(needed->value);
        files->file[files->n++].fd = fd;
        return ERR_OK;
}

/* Asks, and asks again with each file that turns out to be needed. */
static enum err add_profile(struct cli *cli, const struct add_request *request, char **ret, struct error *e)
{
        CLEANUP(named_files_done) struct named_files files = {.n = 0};
        enum err r = cli_connect(cli, e);

        while (!r) {
                CLEANUP(file_needed_done) struct bus_file_needed needed = {0};
                CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
                const char *path;

                r = bus_client_call(cli->client, begin_add(request, &files), &reader, &needed, e);
                if (r == ERR_FILE_NEEDED) {
                        r = add_named(request, &needed, &files, e);
                        continue;
                }
                if (!r)
                        r = bus_read_path(reader, "profile", &path, e);
                if (r)
                        break;
                *ret = strdup(path);
                return *ret ? ERR_OK : error_no_memory(e);
        }
        return r;
}

static enum err print_added(struct cli *cli, const char *path, struct error *e)
{
        CLEANUP(json_decref_p) json_t *object = NULL;
        enum err r = object_profile(cli, path, &object, e);
        const json_t *notes;

        if (r)
                return r;
        if (cli->json)
                return output_json(cli, json_incref(object), e);
        output_line(cli->out, "Profile '%s' is added (%s).", value_string(object, "name"), object_id(path));
        notes = json_object_get(object, "notes");
        for (size_t i = 0; i < json_array_size(notes); i++)
                output_line(cli->out, "  note: %s", json_string_value(json_array_get(notes, i)));
        return ERR_OK;
}

enum err verb_profile_add(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(free_p) char *path = NULL;
        CLEANUP(close_p) int document = -1;
        const char *word, *format = NULL;
        bool user = false;
        const struct arg_option options[] = {{"--format", NULL, &format, NULL},
                                             {"--user", &user, NULL, NULL}};
        struct add_request request;
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (r)
                return r;
        if (!format)
                format = BUS_FORMAT_AUTO;
        if (strcmp(format, BUS_FORMAT_AUTO) != 0 && strcmp(format, BUS_FORMAT_INI) != 0 &&
            strcmp(format, BUS_FORMAT_SYNCML) != 0)
                return error_set(e, ERR_INVALID, "There is no format '%s'", format);
        r = input_document(word, STDIN_FILENO, BUS_DOCUMENT_MAX, &document, e);
        if (r)
                return r;
        request = (struct add_request){word, format, user, document};
        r = add_profile(cli, &request, &path, e);
        return r ? r : print_added(cli, path, e);
}

enum err verb_profile_list(struct cli *cli, int argc, char **argv, struct error *e)
{
        static const char *const headers[] = {"NAME", "TYPE", "PROTECTION", "SUBJECT", "ID", NULL};
        CLEANUP(json_decref_p) json_t *list = NULL;
        CLEANUP(table_done) struct table t = {0};
        size_t n;
        enum err r = args_parse(argc, argv, NULL, 0, 0, 0, NULL, &n, e);

        if (!r)
                r = object_profiles(cli, &list, e);
        if (r)
                return r;
        if (cli->json)
                return output_json(cli, json_pack("{s:O}", "profiles", list), e);
        table_init(&t, headers);
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *p = json_array_get(list, i);

                table_add(&t, value_string(p, "name"), COLOR_NONE);
                table_add(&t, value_string(p, "type"), COLOR_NONE);
                table_add(&t, value_string(p, "protection"), COLOR_NONE);
                table_add(&t, value_string(p, "subjectName"), COLOR_NONE);
                table_add(&t, value_string(p, "id"), COLOR_NONE);
        }
        return table_print(&t, cli->out, cli->color, e);
}

enum err verb_profile_show(struct cli *cli, int argc, char **argv, struct error *e)
{
        static const struct output_field fields[] = {
                {"Name", "name", 's'},
                {"Id", "id", 's'},
                {"Type", "type", 's'},
                {"Url", "url", 'l'},
                {"CaThumbprint", "caThumbprint", 's'},
                {"CaIdentifier", "caIdentifier", 's'},
                {"PkiClientSuffix", "pkiClientSuffix", 's'},
                {"RequireCaps", "requireCaps", 's'},
                {"AllowLegacy", "allowLegacy", 's'},
                {"Challenge", "challengeKind", 's'},
                {"ClientCertificate", "clientCertificate", 's'},
                {"FollowRollover", "followRollover", 's'},
                {"PendingLimit", "pendingLimit", 'd'},
                {"Protection", "protection", 's'},
                {"Algorithm", "algorithm", 's'},
                {"ReuseAtRenewal", "reuseAtRenewal", 's'},
                {"AllowDowngrade", "allowDowngrade", 's'},
                {"Groups", "groups", 's'},
                {"SubjectName", "subjectName", 's'},
                {"AlternativeName", "alternativeName", 'l'},
                {"KeyUsage", "keyUsage", 's'},
                {"ExtendedKeyUsage", "extendedKeyUsage", 'l'},
                {"Hash", "hash", 's'},
                {"Validity", "validity", 's'},
                {"TemplateName", "templateName", 's'},
                {"Threshold", "threshold", 's'},
                {"Method", "method", 's'},
                {"RetryCount", "retryCount", 's'},
                {"RetryDelay", "retryDelay", 's'},
                {"AfterExpiry", "afterExpiry", 's'},
                {"Note", "notes", 'l'},
                {"Certificate", "certificates", 'l'},
        };
        CLEANUP(json_decref_p) json_t *object = NULL;
        CLEANUP(json_decref_p) json_t *resolved = NULL;
        CLEANUP(free_p) char *path = NULL;
        const char *word, *user = NULL;
        bool resolve = false;
        const struct arg_option options[] = {{"--resolve", &resolve, NULL, NULL},
                                             {"--user", NULL, &user, NULL}};
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (!r && user && !resolve)
                r = error_set(e, ERR_INVALID, "Option --user belongs to --resolve");
        if (!r)
                r = resolve_profile(cli, word, &path, e);
        if (!r)
                r = object_profile(cli, path, &object, e);
        if (r)
                return r;
        if (resolve) {
                r = variables_resolve(cli, path, user, &resolved, e);
                if (r)
                        return error_context(e, r, "Profile '%s'", word);
        }
        if (cli->json) {
                if (resolved && json_object_set(object, "resolved", resolved) < 0)
                        return error_no_memory(e);
                return output_json(cli, json_incref(object), e);
        }
        r = output_fields(cli, object, fields, N_ELEMENTS(fields), e);
        return r || !resolved ? r : variables_print(cli, resolved, e);
}

enum err verb_profile_remove(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(free_p) char *path = NULL;
        struct bus_writer *w;
        const char *word;
        bool with_certificates = false;
        const struct arg_option options[] = {{"--with-certificates", &with_certificates, NULL, NULL}};
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (!r)
                r = resolve_profile(cli, word, &path, e);
        if (r)
                return r;
        w = bus_client_begin(path, BUS_INTERFACE_PROFILE, "Remove");
        bus_open_array(w, "{sv}");
        if (with_certificates)
                bus_entry_bool(w, BUS_OPTION_WITH_CERTIFICATES, true);
        bus_close(w);
        r = cli_call(cli, w, NULL, e);
        if (r)
                return error_context(e, r, "Profile '%s'", word);
        if (cli->json)
                return output_json(cli,
                                   json_pack("{s:s,s:b}", "removed", object_id(path), "withCertificates",
                                             with_certificates),
                                   e);
        output_line(cli->out, "Profile '%s' is removed%s.", word,
                    with_certificates ? " with its certificates" : "");
        return ERR_OK;
}

enum err verb_syncml_apply(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        CLEANUP(close_p) int document = -1;
        CLEANUP(close_p) int answer = -1;
        CLEANUP(free_p) char *text = NULL;
        const char *word, *user = NULL;
        const struct arg_option options[] = {{"--user", NULL, &user, NULL}};
        struct bus_writer *w;
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (!r)
                r = input_document(word, STDIN_FILENO, BUS_DOCUMENT_MAX, &document, e);
        if (r)
                return r;
        w = bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, "ApplySyncML");
        bus_write_fd(w, document);
        bus_open_array(w, "{sv}");
        if (user)
                bus_entry_string(w, BUS_OPTION_USER, user);
        bus_close(w);
        r = cli_call(cli, w, &reader, e);
        if (!r)
                r = bus_read_fd(reader, "answer", &answer, e);
        if (r)
                return r;
        r = output_fd_read(answer, 4 * BUS_DOCUMENT_MAX, &text, e);
        if (r)
                return r;
        if (cli->json)
                return output_json(cli, json_pack("{s:s}", "answer", text), e);
        return fputs(text, cli->out) < 0 ? errno_error(e, errno, "The output could not be written") : ERR_OK;
}
