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

enum err watch_signal(struct cli *cli, bool *ret_moved, struct error *e)
{
        struct bus_signal signal = {0};
        enum err r = bus_client_next(cli->client, LOOK_AGAIN_MS, &signal, e);

        *ret_moved = !r && signal.args && strcmp(signal.member, "NameOwnerChanged") == 0;
        bus_signal_done(&signal);
        return r;
}

enum err watch_wait(struct cli *cli, struct error *e)
{
        bool moved;
        enum err r = watch_signal(cli, &moved, e);

        return !r && moved ? watch_subscribe(cli, e) : r;
}
