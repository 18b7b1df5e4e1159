/* The table of verbs, and the way of a command line through it. */
#include "cli/cli.h"

#include <string.h>

#include "base/bytes.h"
#include "cli/args.h"
#include "cli/output.h"
#include "cli/polkit.h"

const struct verb verbs[] = {
        {"profile add", "FILE [--format auto|syncml|ini] [--user]", "Add a profile from a file, a pipe or -",
         true, verb_profile_add},
        {"profile list", "", "List the profiles", false, verb_profile_list},
        {"profile show", "PROFILE [--resolve] [--user NAME]", "Show the settings of a profile", true,
         verb_profile_show},
        {"profile remove", "PROFILE [--with-certificates]", "Remove a profile", true, verb_profile_remove},
        {"syncml apply", "FILE [--user NAME]", "Execute a SyncML document and print its answer", true,
         verb_syncml_apply},
        {"enroll", "PROFILE [--wait] [--challenge-file FILE|-] [--for USER]", "Get a certificate", true,
         verb_enroll},
        {"renew", "CERT [--wait] [--accept]", "Renew a certificate now", true, verb_renew},
        {"list", "", "List the certificates", false, verb_list},
        {"show", "CERT [--pem|--chain|--uri]", "Show a certificate and the state of its enrollment", false,
         verb_show},
        {"wait", "CERT [--applied]", "Wait until there is a certificate", false, verb_wait},
        {"cancel", "CERT", "Cancel a running request", true, verb_cancel},
        {"remove", "CERT", "Remove a certificate and its key", true, verb_remove},
        {"diagnose", "[PROFILE|CERT|URL]", "Walk every step and say what is wrong", true, verb_diagnose},
        {"events", "[CERT] [--follow] [--since TIME]", "Show what happened, and what happens", false,
         verb_events},
        {"tpm", "", "Show the state of the TPM", false, verb_tpm},
        {"key test", "CERT", "Use the private key once and check the result", true, verb_key_test},
        {"change-pin", "CERT", "Give the key of a certificate another PIN", true, verb_change_pin},
        {"agent", "", "Ask for PINs here when the service needs them", false, verb_agent},
        {"attest --verify", "FILE [--nonce FILE] [--ca FILE] [--ek-ca FILE] [--attester NAME]",
         "Check what attest has written", false, verb_attest_verify},
        {"attest", "CERT [--nonce FILE] [--output FILE]", "Write down what the TPM says about a key", true,
         verb_attest},
        {NULL, NULL, NULL, false, NULL},
};

static bool word_matches(const char *words, int argc, char **argv, int *ret_words)
{
        int n = 0;

        while (*words) {
                size_t len = strcspn(words, " ");

                if (n == argc || strlen(argv[n]) != len || memcmp(argv[n], words, len) != 0)
                        return false;
                n++;
                words += len;
                words += *words == ' ';
        }
        *ret_words = n;
        return true;
}

const struct verb *verb_find(int argc, char **argv, int *ret_words)
{
        for (const struct verb *v = verbs; v->words; v++)
                if (word_matches(v->words, argc, argv, ret_words))
                        return v;
        return NULL;
}

void verbs_help(FILE *out)
{
        fprintf(out, "Usage: scepter [--json] [--no-color] VERB …\n\n");
        for (const struct verb *v = verbs; v->words; v++)
                if (v->run)
                        fprintf(out, "  scepter %s%s%s\n        %s\n", v->words, *v->usage ? " " : "",
                                v->usage, v->description);
        fprintf(out,
                "\nPROFILE and CERT are names or ids. Exit status: 0 done, 1 failed, 2 usage, 3 not found,\n"
                "4 not authorised, 5 TPM, 6 server refused, 7 network, 8 pending.\n");
}

enum err cli_connect(struct cli *cli, struct error *e)
{
        return cli->client ? ERR_OK : bus_client_open(cli->address, &cli->client, e);
}

enum err cli_call(struct cli *cli, struct bus_writer *w, struct bus_reader **ret, struct error *e)
{
        enum err r = cli_connect(cli, e);

        if (r) {
                bus_writer_free(w);
                return r;
        }
        return bus_client_call(cli->client, w, ret, /* needed= */ NULL, e);
}

void cli_done(struct cli *cli)
{
        bus_client_close(STEAL(cli->client));
}

static void add_usage(const struct verb *verb, struct error *e)
{
        (void)error_remedy(e, e->code, "Usage: scepter %s%s%s", verb->words, *verb->usage ? " " : "",
                           verb->usage);
}

/* "add|list|…": what may follow a first word; empty where nothing does. */
static void second_words(const char *first, struct text *t)
{
        size_t len = strlen(first);

        for (const struct verb *v = verbs; v->words; v++)
                if (v->run && strncmp(v->words, first, len) == 0 && v->words[len] == ' ')
                        text_addf(t, "%s%s", t->len ? "|" : "", v->words + len + 1);
}

static enum err unknown_verb(int argc, char **argv, struct error *e)
{
        CLEANUP(text_done) struct text after = TEXT(256);
        CLEANUP(free_p) char *list = NULL;
        enum err r;

        if (argc)
                second_words(argv[0], &after);
        if (after.len && text_finish(&after, &list, NULL) == ERR_OK) {
                r = argc == 1 ? error_set(e, ERR_INVALID, "The verb '%s' is incomplete", argv[0])
                              : error_set(e, ERR_INVALID, "There is no verb '%s %s'", argv[0], argv[1]);
                return error_remedy(e, r, "Usage: scepter %s %s …", argv[0], list);
        }
        if (argc == 0)
                r = error_set(e, ERR_INVALID, "What to do is missing");
        else
                r = error_set(e, ERR_INVALID, "There is no verb '%s'", argv[0]);
        return error_remedy(e, r,
                            "Usage: scepter [--json] [--no-color] VERB …; scepter --help lists the verbs.");
}

static enum err run_verb(struct cli *cli, int argc, char **argv, struct error *e)
{
        int words;
        const struct verb *verb = verb_find(argc, argv, &words);
        pid_t agent;
        enum err r;

        if (!verb)
                return unknown_verb(argc, argv, e);
        if (!verb->run) {
                r = error_set(e, ERR_INVALID, "'scepter %s' is not in this version (" SCEPTER_VERSION ")",
                              verb->words);
                return error_remedy(e, r, "Upgrade scepter; scepter --help lists what this version does.");
        }
        agent = verb->asks ? polkit_agent_start() : 0;
        r = verb->run(cli, argc - words, argv + words, e);
        polkit_agent_stop(agent);
        /* args_parse() failed: nothing has been asked of the service, and its words are about this command
         * line. */
        if (r == ERR_INVALID && !cli->client && strcmp(e->remedy, err_default_remedy(r)) == 0)
                add_usage(verb, e);
        return r;
}

int cli_run(struct cli *cli, int argc, char **argv)
{
        struct global_flags flags;
        struct error e = {0};
        int words;
        enum err r;

        argc = args_take_global(argc, argv, &flags);
        cli->json = cli->json || flags.json;
        cli->color = cli->color && !flags.no_color && !cli->json;
        if (flags.version) {
                fprintf(cli->out, "scepter " SCEPTER_VERSION "\n");
                return 0;
        }
        if (flags.help) {
                const struct verb *verb = verb_find(argc, argv, &words);

                if (verb && verb->run)
                        fprintf(cli->out, "Usage: scepter %s%s%s\n%s.\n", verb->words,
                                *verb->usage ? " " : "", verb->usage, verb->description);
                else
                        verbs_help(cli->out);
                return 0;
        }
        r = run_verb(cli, argc, argv, &e);
        if (r == ERR_OK && fflush(cli->out) == EOF)
                r = error_set(&e, ERR_IO, "The output could not be written");
        if (r == ERR_OK)
                return cli->status;
        output_error(cli, &e);
        return err_exit_status(r);
}
