/* scepter tpm */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/object.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/value.h"

enum { ANSWER_MS = 3000 };

/*
 * What the service shows is what the TPM last said; looking has the TPM asked again, and the answer comes as
 * a signal. A TPM that does not answer in time is shown as it was.
 */
static enum err ask_afresh(struct cli *cli, struct error *e)
{
        CLEANUP(json_decref_p) json_t *before = NULL;
        bool answered = false;
        enum err r = cli_connect(cli, e);

        if (!r)
                r = bus_client_watch(cli->client, BUS_PATH, e);
        if (!r)
                r = object_properties(cli, BUS_PATH, BUS_INTERFACE_MANAGER, &before, e);
        while (!r && !answered) {
                CLEANUP(bus_signal_done) struct bus_signal signal = {0};

                r = bus_client_next(cli->client, ANSWER_MS, &signal, e);
                answered = !signal.args || strcmp(signal.member, "PropertiesChanged") == 0;
        }
        return r;
}

/* "lockout-counter" is shown as "Lockout counter". */
static void add_label(struct table *t, const char *key)
{
        char label[64];

        (void)snprintf(label, sizeof label, "%s", key);
        for (char *p = label; *p; p++)
                if (*p == '-')
                        *p = ' ';
        if (label[0] >= 'a' && label[0] <= 'z')
                label[0] = (char)(label[0] - 'a' + 'A');
        table_add(t, label, COLOR_NONE);
}

enum err verb_tpm(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(json_decref_p) json_t *object = NULL;
        CLEANUP(table_done) struct table t = {0};
        const char *key, *state;
        json_t *value;
        size_t n;
        enum err r = args_parse(argc, argv, NULL, 0, 0, 0, NULL, &n, e);

        if (!r)
                r = ask_afresh(cli, e);
        if (!r)
                r = object_properties(cli, BUS_PATH, BUS_INTERFACE_MANAGER, &object, e);
        if (r)
                return r;
        if (cli->json)
                return output_json(cli, json_incref(object), e);
        table_init_plain(&t, 2);
        state = value_string(object, "tpmState");
        table_add(&t, "State", COLOR_NONE);
        table_add(&t, state, color_of_state(state));
        table_add(&t, "Default key protection", COLOR_NONE);
        table_add(&t, value_string(object, "defaultKeyProtection"), COLOR_NONE);
        json_object_foreach(json_object_get(object, "tpmInfo"), key, value)
        {
                if (strcmp(key, "state") == 0 || strcmp(key, "checked") == 0)
                        continue; /* said above; counts the answers, for programs */
                add_label(&t, key);
                table_add(&t, json_string_value(value), COLOR_NONE);
        }
        return table_print(&t, cli->out, cli->color, e);
}
