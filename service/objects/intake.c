/* Manager.AddProfile: a document of a stranger, read by a parse worker, and the files it names. */
#include <string.h>
#include <sys/stat.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "internal.h"
#include "keys/groups.h"
#include "named-files.h"
#include "policy/profile.h"

enum err parse_start(struct daemon *d, int fd, const char *format, uid_t owner, worker_done *done, void *ctx,
                     struct error *e)
{
        CLEANUP(secret_done) struct secret document = {0};
        struct job job = {.kind = JOB_PARSE, .of.parse = {.format = format}};
        enum err r = memfd_read_secret(fd, BUS_DOCUMENT_MAX, &document, e);

        if (r)
                return r;
        if (!document.len)
                return error_set(e, ERR_DOCUMENT, "The document is empty");
        job.of.parse.document = secret_view(&document);
        return workers_start(d->workers, &job, NULL, owner, done, ctx, NULL, e);
}

struct adding {
        struct later later;
        uid_t owner;
        struct {
                char *value;
                int fd;
        } given[BUS_FILES_MAX]; /* of option "files": the message's strings do not outlive the call's handler
                                 */
        size_t n_given;
        struct commands commands;
        struct command *command; /* of these */
        struct strings groups;   /* that it names */
        enum err result;
        struct error error;
};

static void adding_free(struct adding *adding)
{
        for (size_t i = 0; i < adding->n_given; i++) {
                free(adding->given[i].value);
                close_p(&adding->given[i].fd);
        }
        commands_done(&adding->commands);
        strings_done(&adding->groups);
        bus_call_unref(adding->later.call);
        free(adding);
}

/* Never opened here, only taken as the caller passed it. */
static enum err take_file(const struct adding *adding, const struct setting *named, struct named_files *ret,
                          struct error *e)
{
        CLEANUP(secret_done) struct secret content = {0};
        const bool challenge = strcmp(named->key, "Server.Challenge") == 0;
        int fd = -1;
        enum err r;

        if (challenge && strncmp(named->value, "file:", 5) != 0)
                return error_set(e, ERR_FILE_REFUSED,
                                 "%s names a credential or a socket, which only root's files in "
                                 "/etc/scepter/profiles.d may",
                                 named->key);
        for (size_t i = 0; i < adding->n_given; i++)
                if (strcmp(adding->given[i].value, named->value) == 0)
                        fd = adding->given[i].fd;
        if (fd < 0) {
                (void)error_set(e, ERR_FILE_NEEDED, "%s names a file that the service does not open for you",
                                named->key);
                return error_remedy(e, ERR_FILE_NEEDED,
                                    "Pass its content in the option 'files' under the value as written.");
        }
        r = memfd_read_secret(fd, NAMED_FILE_MAX, &content, e);
        if (r)
                return error_context(e, r, "%s", named->key);
        return named_files_take(ret, adding->later.d->ksp, named, secret_view(&content), e);
}

static enum err take_files(struct adding *adding, const struct settings *settings, struct named_files *ret,
                           struct error *e)
{
        CLEANUP(profile_done) struct profile profile = {0};
        CLEANUP(settings_done) struct settings named = {0};
        /* Whether there is an anchor shows when the files are there. */
        enum err r = profile_from_settings(settings, true, &profile, e);

        if (!r)
                r = profile_file_values(&profile, &named, e);
        for (size_t i = 0; !r && i < named.count; i++) {
                r = take_file(adding, &named.items[i], ret, e);
                if (r == ERR_FILE_NEEDED) {
                        /* As it stands in the file: without its section. */
                        const char *dot = strchr(named.items[i].key, '.');
                        const char *const details[] = {dot ? dot + 1 : named.items[i].key,
                                                       named.items[i].value};

                        bus_call_fail_with(adding->later.call, e, details, N_ELEMENTS(details));
                }
        }
        return r;
}

static X509 *root_of(const struct commands *commands)
{
        for (size_t i = 0; i < commands->count; i++) {
                X509 *cert;

                if (commands->items[i].kind == COMMAND_ROOT &&
                    x509_parse(bytes_view(&commands->items[i].certificate), &cert, NULL) == ERR_OK)
                        return cert;
        }
        return NULL;
}

enum err intake_one_profile(const struct commands *commands, struct command **ret, struct error *e)
{
        *ret = NULL;
        for (size_t i = 0; i < commands->count; i++) {
                if (commands->items[i].kind == COMMAND_WRONG)
                        return error_copy(e, commands->items[i].problem);
                if (commands->items[i].kind != COMMAND_ENROLL)
                        continue;
                if (*ret)
                        return error_set(e, ERR_DOCUMENT,
                                         "The document holds more than one profile: apply it with 'scepter "
                                         "syncml apply'");
                *ret = &commands->items[i];
        }
        return *ret ? ERR_OK : error_set(e, ERR_DOCUMENT, "The document holds no SCEP profile");
}

static enum err add_parsed(struct adding *adding, struct error *e)
{
        struct daemon *d = adding->later.d;
        CLEANUP(named_files_done) struct named_files files = {0};
        const struct command *command = adding->command;
        struct profile_entry *entry;
        struct intake in = {.owner = adding->owner};
        char path[OBJECT_PATH_MAX];
        struct bus_writer *w;
        enum err r = take_files(adding, &command->settings, &files, e);

        if (r)
                return r;
        if (!files.root)
                files.root = root_of(&adding->commands);
        in.settings = command->settings;
        in.notes = command->notes;
        in.location = command->location;
        in.root = files.root;
        in.bundle = secret_view(&files.bundle);
        in.client = bytes_view(&files.client.chain);
        in.client_key = files.client.key;
        in.challenge = files.challenge.len ? secret_view(&files.challenge) : secret_view(&command->challenge);
        r = profile_take(d, &in, &entry, e);
        if (r)
                return r;
        profile_path(entry->id, path);
        w = bus_call_begin(adding->later.call);
        bus_write_path(w, path);
        return bus_call_reply(adding->later.call, w, e);
}

static void give_up(struct adding *adding, const struct error *e)
{
        if (!bus_call_answered(adding->later.call))
                bus_call_fail(adding->later.call, e);
        adding_free(adding);
}

static void finish(struct adding *adding)
{
        struct error e = {0};

        if (add_parsed(adding, &e))
                give_up(adding, &e);
        else
                adding_free(adding);
}

/* What is wrong with the profile is found before the name services are asked on its behalf. */
static enum err groups_of(struct adding *adding, struct error *e)
{
        CLEANUP(profile_done) struct profile profile = {0};
        enum err r = profile_from_settings(&adding->command->settings, true, &profile, e);

        return r ? r : strings_copy(&adding->groups, &profile.groups, e);
}

static void run_groups(void *ctx)
{
        struct adding *adding = ctx;

        adding->result = key_groups_check(&adding->groups, &adding->error);
}

static void have_groups(void *ctx)
{
        struct adding *adding = ctx;

        if (adding->result)
                give_up(adding, &adding->error);
        else
                finish(adding);
}

static void on_parsed(void *ctx, const struct result *result, const struct error *failure)
{
        struct adding *adding = ctx;
        struct error e = {0};
        enum err r = failure ? error_copy(&e, failure)
                             : commands_decode(result->of.parsed.commands, &adding->commands, &e);

        if (!r)
                r = intake_one_profile(&adding->commands, &adding->command, &e);
        if (!r)
                r = groups_of(adding, &e);
        if (!r && !adding->groups.count)
                finish(adding);
        else if (r || pool_submit(adding->later.d->names, run_groups, have_groups, adding, &e))
                give_up(adding, &e);
}

static enum err keep_files(struct adding *adding, struct bus_files *files, struct error *e)
{
        for (size_t i = 0; i < files->n; i++) {
                adding->given[i].value = strdup(files->file[i].value);
                adding->given[i].fd = steal_fd(&files->file[i].fd);
                adding->n_given = i + 1;
                if (!adding->given[i].value)
                        return error_no_memory(e);
        }
        return ERR_OK;
}

struct arguments {
        const char *format; /* the call's */
        int fd;
        bool own;
        struct bus_files files;
};

static void arguments_done(struct arguments *arguments)
{
        bus_files_done(&arguments->files);
        close_p(&arguments->fd);
}

static enum err read_arguments(struct bus_call *call, struct arguments *ret, struct error *e)
{
        struct bus_reader *reader = bus_call_reader(call);
        const struct bus_option options[] = {
                BUS_OPTION_AS_BOOL(BUS_OPTION_OWN, ret->own),
                BUS_OPTION_AS_FILES(BUS_OPTION_FILES, ret->files),
        };
        enum err r = bus_read_string(reader, "format", &ret->format, e);

        if (!r)
                r = bus_read_fd(reader, "document", &ret->fd, e);
        if (!r)
                r = bus_options_read(reader, options, N_ELEMENTS(options), e);
        if (!r && strcmp(ret->format, BUS_FORMAT_AUTO) != 0 && strcmp(ret->format, BUS_FORMAT_INI) != 0 &&
            strcmp(ret->format, BUS_FORMAT_SYNCML) != 0)
                r = error_set(e, ERR_INVALID, "A profile is of the format auto, ini or syncml, not '%s'",
                              ret->format);
        return r;
}

enum err add_profile_is_own(struct bus_call *call, bool *ret, struct error *e)
{
        CLEANUP(arguments_done) struct arguments arguments = {.fd = -1, .files = BUS_FILES_NONE};
        enum err r = read_arguments(call, &arguments, e);

        *ret = arguments.own;
        return r;
}

enum err manager_add_profile(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        CLEANUP(arguments_done) struct arguments arguments = {.fd = -1, .files = BUS_FILES_NONE};
        struct adding *adding;
        enum err r = read_arguments(call, &arguments, e);

        if (r)
                return r;
        adding = calloc(1, sizeof *adding);
        if (!adding)
                return error_no_memory(e);
        adding->later = (struct later){d, bus_call_ref(call)};
        adding->owner = arguments.own ? bus_call_uid(call) : NO_OWNER;
        r = keep_files(adding, &arguments.files, e);
        if (!r)
                r = parse_start(d, arguments.fd, arguments.format, bus_call_uid(call), on_parsed, adding, e);
        if (r)
                adding_free(adding);
        return r;
}
