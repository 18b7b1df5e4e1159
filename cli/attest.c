/* scepter attest: the bundle comes from the service, and is checked by a program of its own, which needs
 * OpenSSL. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "bus/names.h"
#include "cli/args.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/resolve.h"

static enum err call_attest(struct cli *cli, const char *path, int nonce, int pin, struct bus_reader **ret,
                            struct error *e)
{
        struct bus_writer *w = bus_client_begin(path, BUS_INTERFACE_CERTIFICATE, "Attest");

        bus_write_fd(w, nonce);
        bus_open_array(w, "{sv}");
        if (pin >= 0)
                bus_entry_fd(w, BUS_OPTION_PIN, pin);
        bus_close(w);
        return cli_call(cli, w, ret, e);
}

/* In place: what is named may be a pipe or a device. */
static enum err write_output(const char *name, const char *text, struct error *e)
{
        CLEANUP(close_p) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);

        if (fd < 0)
                return errno_error(e, errno, "%s could not be opened", name);
        return write_all(fd, str_view(text), e);
}

static enum err fetch(struct cli *cli, const char *word, int nonce, char **ret, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        CLEANUP(free_p) char *path = NULL;
        CLEANUP(close_p) int fd = -1;
        enum err r = resolve_certificate(cli, word, &path, e);

        if (r)
                return r;
        r = call_attest(cli, path, nonce, -1, &reader, e);
        if (r == ERR_PIN_NEEDED) {
                CLEANUP(close_p) int pin = -1;

                r = input_pin(word, /* again= */ false, NULL, &pin, e);
                if (!r)
                        r = call_attest(cli, path, nonce, pin, &reader, e);
        }
        if (!r)
                r = bus_read_fd(reader, "bundle", &fd, e);
        return r ? error_context(e, r, "Certificate '%s'", word) : output_fd_read(fd, BUS_BUNDLE_MAX, ret, e);
}

enum err verb_attest(struct cli *cli, int argc, char **argv, struct error *e)
{
        const char *nonce_file = NULL, *output = NULL, *word;
        const struct arg_option options[] = {{"--nonce", NULL, &nonce_file, NULL},
                                             {"--output", NULL, &output, NULL}};
        CLEANUP(free_p) char *bundle = NULL;
        CLEANUP(close_p) int nonce = -1;
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (!r)
                r = nonce_file ? input_document(nonce_file, STDIN_FILENO, BUS_NONCE_MAX, &nonce, e)
                               : memfd_make("scepter-nonce", (struct view){0}, &nonce, e);
        if (!r)
                r = fetch(cli, word, nonce, &bundle, e);
        if (r)
                return r;
        if (!output) {
                fputs(bundle, cli->out);
                return ERR_OK;
        }
        r = write_output(output, bundle, e);
        if (r)
                return r;
        if (cli->json)
                return output_json(cli, json_pack("{s:s}", "output", output), e);
        output_line(cli->out, "What the TPM says about the key of '%s' is in %s.", word, output);
        return ERR_OK;
}

/* Beside us in a build, else where it was installed. */
static void find_verify(char ret[PATH_MAX])
{
        static const char name[] = "scepter-verify";
        ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - sizeof name);
        char *slash;

        ret[n < 0 ? 0 : n] = 0;
        slash = strrchr(ret, '/');
        if (slash)
                strcpy(slash + 1, name);
        if (!slash || access(ret, X_OK) < 0)
                strcpy(ret, SCEPTER_VERIFY);
}

/* A file that is open for the program that is started. */
struct handed {
        char path[32];
        int fd;
};

/* Its words, which borrow. */
struct command {
        const char *words[16];
        size_t count;
        struct handed files[4];
        size_t n_files;
};

static void command_done(struct command *command)
{
        for (size_t i = 0; i < command->n_files; i++)
                close_p(&command->files[i].fd);
}

/* @name is opened here, whatever it is, and outlives execv(). @option may be NULL. */
static enum err add_file(struct command *command, const char *option, const char *name, size_t max,
                         struct error *e)
{
        struct handed *file = &command->files[command->n_files];
        enum err r;

        if (!name)
                return ERR_OK;
        r = input_document(name, STDIN_FILENO, max, &file->fd, e);
        if (r)
                return r;
        command->n_files++;
        if (fcntl(file->fd, F_SETFD, 0) < 0)
                return errno_error(e, errno, "%s could not be handed on", name);
        (void)snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
        if (option)
                command->words[command->count++] = option;
        command->words[command->count++] = file->path;
        return ERR_OK;
}

static enum err execute(struct command *command, struct error *e)
{
        char path[PATH_MAX];
        /* execv() does not change the strings. */
        union {
                const char **in;
                char **out;
        } words = {command->words};
        enum err r;

        find_verify(path);
        (void)execv(path, words.out);
        r = errno_error(e, errno, "The program %s could not be started", path);
        return error_remedy(e, r, "Install scepter again: this program is part of it.");
}

enum err verb_attest_verify(struct cli *cli, int argc, char **argv, struct error *e)
{
        const char *nonce = NULL, *ca = NULL, *ek_ca = NULL, *attester = NULL, *word;
        const struct arg_option options[] = {{"--nonce", NULL, &nonce, NULL},
                                             {"--ca", NULL, &ca, NULL},
                                             {"--ek-ca", NULL, &ek_ca, NULL},
                                             {"--attester", NULL, &attester, NULL}};
        CLEANUP(command_done) struct command command = {.words = {"scepter-verify"}, .count = 1};
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (r)
                return r;
        if (cli->json)
                command.words[command.count++] = "--json";
        if (attester) {
                command.words[command.count++] = "--attester";
                command.words[command.count++] = attester;
        }
        r = add_file(&command, "--nonce", nonce, BUS_NONCE_MAX, e);
        if (!r)
                r = add_file(&command, "--ca", ca, BUS_DOCUMENT_MAX, e);
        if (!r)
                r = add_file(&command, "--ek-ca", ek_ca, BUS_DOCUMENT_MAX, e);
        if (!r)
                r = add_file(&command, /* option= */ NULL, word, BUS_BUNDLE_MAX, e);
        return r ? r : execute(&command, e);
}
