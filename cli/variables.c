#include "cli/variables.h"

#include <string.h>

#include "cli/table.h"
#include "cli/value.h"

static int take_pair(json_t *resolved, const char *key, const char *value)
{
        static const char subject[] = "Subject.Name", name[] = "Subject.AlternativeName.";

        if (strcmp(key, subject) == 0)
                return json_object_set_new(resolved, "subjectName", json_string(value));
        if (strncmp(key, name, sizeof name - 1) == 0) /* they come in their order */
                return json_array_append_new(json_object_get(resolved, "alternativeName"),
                                             json_string(value));
        return json_object_set_new(json_object_get(resolved, "variables"), key, json_string(value));
}

static enum err read_values(struct bus_reader *r, json_t *resolved, struct error *e)
{
        enum err err = bus_read_enter(r, "values", e);

        while (!err && bus_read_more(r)) {
                const char *key, *value;

                err = bus_read_enter(r, "values", e);
                if (!err)
                        err = bus_read_string(r, "values", &key, e);
                if (!err)
                        err = bus_read_string(r, key, &value, e);
                if (err)
                        return err;
                bus_read_leave(r);
                if (take_pair(resolved, key, value) < 0)
                        return error_no_memory(e);
        }
        return err;
}

enum err variables_resolve(struct cli *cli, const char *path, const char *user, json_t **ret, struct error *e)
{
        CLEANUP(json_decref_p)
        json_t *resolved = json_pack("{s:{},s:s,s:[]}", "variables", "subjectName", "", "alternativeName");
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        struct bus_writer *w;
        enum err r;

        if (!resolved)
                return error_no_memory(e);
        w = bus_client_begin(path, BUS_INTERFACE_PROFILE, "Resolve");
        bus_open_array(w, "{sv}");
        if (user)
                bus_entry_string(w, BUS_OPTION_USER, user);
        bus_close(w);
        r = cli_call(cli, w, &reader, e);
        if (!r)
                r = read_values(reader, resolved, e);
        if (r)
                return r;
        *ret = STEAL(resolved);
        return ERR_OK;
}

enum err variables_print(struct cli *cli, const json_t *resolved, struct error *e)
{
        const json_t *names = json_object_get(resolved, "alternativeName");
        CLEANUP(table_done) struct table t;
        const char *name;
        json_t *value;

        table_init_plain(&t, 2);
        json_object_foreach(json_object_get(resolved, "variables"), name, value)
        {
                char written[128];

                (void)snprintf(written, sizeof written, "{{%s}}", name);
                table_add(&t, written, COLOR_NONE);
                table_add(&t, json_string_value(value), COLOR_NONE);
        }
        table_add(&t, "Resolved SubjectName", COLOR_NONE);
        table_add(&t, value_string(resolved, "subjectName"), COLOR_NONE);
        for (size_t i = 0; i < json_array_size(names); i++) {
                table_add(&t, "Resolved AlternativeName", COLOR_NONE);
                table_add(&t, json_string_value(json_array_get(names, i)), COLOR_NONE);
        }
        return table_print(&t, cli->out, cli->color, e);
}
