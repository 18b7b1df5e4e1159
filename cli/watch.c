#include "cli/watch.h"

#include <string.h>

enum { LOOK_AGAIN_MS = 60 * 1000 };

enum err watch_subscribe(struct cli *cli, struct error *e)
{
        struct bus_writer *w = bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, "Subscribe");

        bus_open_array(w, "{sv}");
        bus_close(w);
        return cli_call(cli, w, NULL, e);
}

enum err watch_wait(struct cli *cli, struct error *e)
{
        struct bus_signal signal = {0};
        enum err r = bus_client_next(cli->client, LOOK_AGAIN_MS, &signal, e);

        /* The service came back: it knows nothing of our subscription. */
        if (!r && signal.args && strcmp(signal.member, "NameOwnerChanged") == 0)
                r = watch_subscribe(cli, e);
        bus_signal_done(&signal);
        return r;
}
