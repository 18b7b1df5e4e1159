/* scepter wait: until there is a certificate of a name, whoever enrolls it, and whenever. */
#include <string.h>

#include "cli/args.h"
#include "cli/object.h"
#include "cli/output.h"
#include "cli/value.h"
#include "cli/watch.h"

static bool is_there(const json_t *certificate, bool applied)
{
        const char *health = value_string(certificate, "health");
        const char *activity = value_string(certificate, "activity");

        if (strcmp(health, "valid") != 0 && strcmp(health, "expiring") != 0)
                return false;
        return !applied || (strcmp(activity, "apply-pending") != 0 && strcmp(activity, "installing") != 0);
}

/* *ret: of the first that is there. */
static enum err look(struct cli *cli, const char *word, bool applied, char **ret, struct error *e)
{
        CLEANUP(json_decref_p) json_t *list = NULL;
        enum err r = object_certificates(cli, NULL, &list, e);

        for (size_t i = 0; !r && i < json_array_size(list); i++) {
                const json_t *certificate = json_array_get(list, i);

                if ((strcmp(value_string(certificate, "name"), word) != 0 &&
                     strcmp(value_string(certificate, "id"), word) != 0) ||
                    !is_there(certificate, applied))
                        continue;
                *ret = strdup(value_string(certificate, "path"));
                return *ret ? ERR_OK : error_no_memory(e);
        }
        return r;
}

/* A service that is being started anew may not be there yet: it is waited for, too. */
static enum err look_again(struct cli *cli, const char *word, bool applied, bool moved, char **ret,
                           struct error *e)
{
        enum err r = moved ? watch_subscribe(cli, e) : ERR_OK;

        if (!r)
                r = look(cli, word, applied, ret, e);
        return r == ERR_NO_SERVICE ? ERR_OK : r;
}

static enum err wait_until_there(struct cli *cli, const char *word, bool applied, char **ret, struct error *e)
{
        enum err r = cli_connect(cli, e);

        if (!r)
                r = bus_client_match(cli->client, "type='signal',sender='" BUS_NAME "'", e);
        if (!r)
                r = bus_client_match(cli->client,
                                     "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                     "arg0='" BUS_NAME "'",
                                     e);
        if (!r)
                r = watch_subscribe(cli, e);
        if (!r)
                r = look(cli, word, applied, ret, e);
        while (!r && !*ret) {
                bool moved;

                r = watch_signal(cli, &moved, e);
                if (!r)
                        r = look_again(cli, word, applied, moved, ret, e);
        }
        return r;
}

enum err verb_wait(struct cli *cli, int argc, char **argv, struct error *e)
{
        const char *word = NULL;
        bool applied = false;
        const struct arg_option options[] = {{"--applied", &applied, NULL, NULL}};
        CLEANUP(json_decref_p) json_t *certificate = NULL;
        CLEANUP(free_p) char *path = NULL;
        size_t n;
        enum err r = args_parse(argc, argv, options, N_ELEMENTS(options), 1, 1, &word, &n, e);

        if (!r)
                r = wait_until_there(cli, word, applied, &path, e);
        if (!r && cli->json)
                r = object_certificate(cli, path, &certificate, e);
        return r || !cli->json ? r : output_json(cli, json_incref(certificate), e);
}
