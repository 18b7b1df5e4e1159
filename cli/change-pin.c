/* scepter change-pin */
#include "cli/cli.h"

#include "cli/args.h"
#include "cli/input.h"
#include "cli/object.h"
#include "cli/output.h"
#include "cli/resolve.h"

enum err verb_change_pin(struct cli *cli, int argc, char **argv, struct error *e)
{
        CLEANUP(free_p) char *path = NULL;
        CLEANUP(close_p) int old = -1;
        CLEANUP(close_p) int fresh = -1;
        struct bus_writer *w;
        const char *word;
        size_t n;
        enum err r = args_parse(argc, argv, NULL, 0, 1, 1, &word, &n, e);

        if (!r)
                r = resolve_certificate(cli, word, &path, e);
        if (!r)
                r = input_pin(word, /* again= */ false, NULL, &old, e);
        if (!r)
                r = input_pin(word, /* again= */ true, NULL, &fresh, e);
        if (r)
                return r;
        w = bus_client_begin(path, BUS_INTERFACE_CERTIFICATE, "ChangePin");
        bus_write_fd(w, old);
        bus_write_fd(w, fresh);
        bus_open_array(w, "{sv}");
        bus_close(w);
        r = cli_call(cli, w, NULL, e);
        if (r)
                return error_context(e, r, "Certificate '%s'", word);
        if (cli->json)
                return output_json(cli, json_pack("{s:s}", "changed", object_id(path)), e);
        output_line(cli->out, "The key of '%s' has the new PIN.", word);
        return ERR_OK;
}
