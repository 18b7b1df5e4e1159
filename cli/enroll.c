/*
 * scepter enroll and renew [--wait]. The way of waiting: (1) Subscribe, so that signals about a user's own
 * objects come; (2) Enroll or Renew, which answers at once; (3) match rules on the object; (4) read its
 * properties, and again after every signal, until its activity is one that does not go on by itself. Reading
 * after matching leaves no gap.
 */
#include "cli/cli.h"

#include <string.h>
#include <time.h>

#include "cli/args.h"
#include "cli/enroll.h"
#include "cli/input.h"
#include "cli/object.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "cli/time.h"
#include "cli/value.h"
#include "cli/watch.h"

static enum err call_enroll(struct cli *cli, const char *profile, int challenge, int pin, const char *user,
                            char **ret, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        struct bus_writer *w = bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, "Enroll");
        const char *path;
        enum err r;

        bus_write_path(w, profile);
        bus_open_array(w, "{sv}");
        if (challenge >= 0)
                bus_entry_fd(w, BUS_OPTION_CHALLENGE, challenge);
        if (pin >= 0)
                bus_entry_fd(w, BUS_OPTION_PIN, pin);
        if (user)
                bus_entry_string(w, BUS_OPTION_USER, user);
        bus_close(w);
        r = cli_call(cli, w, &reader, e);
        if (!r)
                r = bus_read_path(reader, "certificate", &path, e);
        if (r)
                return r;
        *ret = strdup(path);
        return *ret ? ERR_OK : error_no_memory(e);
}

static enum err last_error(const json_t *object, enum err otherwise, const char *text, struct error *e)
{
        const json_t *last = json_object_get(object, "lastError");
        enum err code = err_from_name(value_string(last, "name"));
        enum err r;

        if (!*value_string(last, "name") || code == ERR_OK)
                return error_set(e, otherwise, "Certificate '%s': %s", value_string(object, "name"), text);
        r = error_set(e, code, "Certificate '%s': %s", value_string(object, "name"),
                      value_string(last, "message"));
        return *value_string(last, "remedy") ? error_remedy(e, r, "%s", value_string(last, "remedy")) : r;
}

enum err enroll_outcome(const json_t *object, bool *ret_ended, struct error *e)
{
        const char *activity = value_string(object, "activity"), *name = value_string(object, "name");

        *ret_ended = true;
        if (strcmp(activity, "idle") == 0)
                /* Cancelled, or a certificate that is there. */
                return value_number(object, "notAfter")
                               ? ERR_OK
                               : last_error(object, ERR_CANCELLED, "the request was ended", e);
        if (strcmp(activity, "failed") == 0)
                return last_error(object, ERR_FAILED, "the enrollment failed", e);
        /* It is being handed to its consumers, or one of them could not take it. */
        if (strcmp(activity, "apply-pending") == 0 &&
            *value_string(json_object_get(object, "lastError"), "name"))
                return last_error(object, ERR_FAILED, "it is installed, but not yet applied everywhere", e);
        if (strcmp(activity, "pending") == 0)
                return error_set(e, ERR_PENDING, "Certificate '%s': the CA holds the request for approval",
                                 name);
        if (strcmp(activity, "needs-challenge") == 0)
                return error_set(e, ERR_CHALLENGE_NEEDED, "Certificate '%s': a challenge is needed", name);
        if (strcmp(activity, "waiting-for-user") == 0)
                return last_error(object, ERR_PIN_NEEDED, "it waits for the PIN of its key", e);
        if (strcmp(activity, "removing") == 0)
                return error_set(e, ERR_CANCELLED, "Certificate '%s': it is being removed", name);
        *ret_ended = false;
        return ERR_OK;
}

static double seconds_since(const struct timespec *start)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

struct progress {
        struct timespec start;
        char last[128];
};

/* One line for each step. */
static void print_progress(struct cli *cli, struct progress *p, const json_t *object)
{
        const char *step = value_string(object, "progress");
        char line[sizeof p->last];

        (void)snprintf(line, sizeof line, "%s%s%s", value_string(object, "activity"), *step ? ": " : "",
                       step);
        if (cli->json || strcmp(line, p->last) == 0)
                return;
        strcpy(p->last, line);
        output_line(cli->err, "[%6.1f s] %s", seconds_since(&p->start), line);
}

static enum err wait_for_end(struct cli *cli, const char *path, json_t **ret, struct error *e)
{
        struct progress progress = {.last = ""};
        enum err r = bus_client_watch(cli->client, path, e);

        (void)clock_gettime(CLOCK_MONOTONIC, &progress.start);
        while (!r) {
                CLEANUP(json_decref_p) json_t *object = NULL;
                bool ended = false;

                r = object_certificate(cli, path, &object, e);
                if (r == ERR_NOT_FOUND)
                        return error_set(e, ERR_CANCELLED, "Certificate %s was removed meanwhile",
                                         object_id(path));
                if (r)
                        return r;
                print_progress(cli, &progress, object);
                r = enroll_outcome(object, &ended, e);
                if (ended) {
                        if (!r)
                                *ret = STEAL(object);
                        return r;
                }
                r = watch_wait(cli, e);
        }
        return r;
}

static enum err print_result(struct cli *cli, json_t *object, struct error *e)
{
        char expires[TIME_TEXT];

        if (cli->json)
                return output_json(cli, json_incref(object), e);
        time_text(value_number(object, "notAfter"), expires);
        output_line(cli->out, "Certificate '%s' is %s until %s, its key is %s (%s).",
                    value_string(object, "name"), value_string(object, "health"), expires,
                    value_string(object, "keyProtection"), value_string(object, "id"));
        return ERR_OK;
}

enum err verb_enroll(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(json_decref_p) json_t *object = NULL;
        CLEANUP(free_p) char *profile = NULL, *path = NULL;
        CLEANUP(close_p) int challenge = -1;
        const char *word, *file = NULL, *user = NULL;
        bool wait = false;
        const struct arg_option options[] = {{"--wait", &wait, NULL, NULL},
                                             {"--challenge-file", NULL, &file, NULL},
                                             {"--for", NULL, &user, NULL}};
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (!r && file)
                r = input_challenge(file, STDIN_FILENO, &challenge, e);
        if (!r)
                r = resolve_profile(cli, word, &profile, e);
        if (!r && wait)
                r = watch_subscribe(cli, e);
        if (r)
                return r;
        r = call_enroll(cli, profile, challenge, -1, user, &path, e);
        if (r == ERR_PIN_NEEDED) { /* the service knows which profiles make such keys */
                CLEANUP(close_p) int pin = -1;

                r = input_pin(word, /* again= */ true, NULL, &pin, e);
                if (!r)
                        r = call_enroll(cli, profile, challenge, pin, user, &path, e);
        }
        if (r)
                return error_context(e, r, "Profile '%s'", word);
        if (!wait && !cli->json) {
                output_line(cli->out, "The enrollment of '%s' has started: %s.", word, object_id(path));
                return ERR_OK;
        }
        r = wait ? wait_for_end(cli, path, &object, e) : object_certificate(cli, path, &object, e);
        return r ? r : print_result(cli, object, e);
}

static enum err call_renew(struct cli *cli, const char *path, bool accept, int pin, struct error *e)
{
        struct bus_writer *w = bus_client_begin(path, BUS_INTERFACE_CERTIFICATE, "Renew");

        bus_open_array(w, "{sv}");
        if (accept)
                bus_entry_bool(w, BUS_OPTION_ACCEPT, true);
        if (pin >= 0)
                bus_entry_fd(w, BUS_OPTION_PIN, pin);
        bus_close(w);
        return cli_call(cli, w, NULL, e);
}

enum err verb_renew(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(json_decref_p) json_t *object = NULL;
        CLEANUP(free_p) char *path = NULL;
        const char *word;
        bool wait = false, accept = false;
        const struct arg_option options[] = {{"--wait", &wait, NULL, NULL},
                                             {"--accept", &accept, NULL, NULL}};
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (!r)
                r = resolve_certificate(cli, word, &path, e);
        if (!r && wait)
                r = watch_subscribe(cli, e);
        if (!r)
                r = call_renew(cli, path, accept, -1, e);
        if (r == ERR_PIN_NEEDED) {
                CLEANUP(close_p) int pin = -1;

                r = input_pin(word, /* again= */ false, NULL, &pin, e);
                if (!r)
                        r = call_renew(cli, path, accept, pin, e);
        }
        if (r)
                return r;
        if (!wait && !cli->json) {
                output_line(cli->out, "The renewal of '%s' has started.", word);
                return ERR_OK;
        }
        r = wait ? wait_for_end(cli, path, &object, e) : object_certificate(cli, path, &object, e);
        return r ? r : print_result(cli, object, e);
}
