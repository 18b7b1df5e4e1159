#include "network.h"

#include "bus-server/server.h"
#include "bus/names.h"
#include "bus/read.h"
#include "bus/write.h"
#include "daemon/log.h"
#include "due.h"

#define NETWORK_MANAGER      "org.freedesktop.NetworkManager"
#define NETWORK_MANAGER_PATH "/org/freedesktop/NetworkManager"

/* NMState: from here on servers beyond the link can be reached. 60 becomes 70 once a portal lets us out. */
enum { NM_STATE_CONNECTED_SITE = 60, ANSWER_MS = 5000 };

struct network_watch {
        struct daemon *d;
        struct bus_listener *listener;
        uint32_t state;    /* NMState; 0: not known */
        bool asking, anew; /* anew: it changed while we asked */
};

static void ask(struct network_watch *watch);

static void on_state(void *ctx, struct bus_reader *answer, const struct error *failure)
{
        struct network_watch *watch = ctx;
        const uint32_t before = watch->state;
        struct error e = {0};
        uint32_t state = 0;

        watch->asking = false;
        if (failure || bus_read_enter(answer, "State", &e) || bus_read_u32(answer, "State", &state, &e))
                return; /* there is none; it will be heard when it comes */
        watch->state = state;
        if (before && state > before && state >= NM_STATE_CONNECTED_SITE)
                due_network_up(watch->d);
        if (watch->anew)
                ask(watch);
}

/* A signal can come from anybody: the state is asked for. */
static void ask(struct network_watch *watch)
{
        struct bus_writer *w;
        struct error e = {0};

        watch->anew = watch->asking;
        if (watch->asking)
                return;
        w = bus_question(NETWORK_MANAGER, NETWORK_MANAGER_PATH, BUS_INTERFACE_PROPERTIES, "Get");
        bus_write_string(w, NETWORK_MANAGER);
        bus_write_string(w, "State");
        if (bus_server_ask(watch->d->bus, w, ANSWER_MS, on_state, watch, &e))
                log_error(LOG_WARNING, &e);
        else
                watch->asking = true;
}

static void on_signal(void *ctx, struct bus_reader *args)
{
        (void)args;
        ask(ctx);
}

static const struct bus_signal_name state_changed = {NETWORK_MANAGER, NETWORK_MANAGER_PATH, NETWORK_MANAGER,
                                                     "StateChanged"};

enum err network_watch_new(struct daemon *d, struct network_watch **ret, struct error *e)
{
        struct network_watch *watch = calloc(1, sizeof *watch);
        enum err r;

        if (!watch)
                return error_no_memory(e);
        watch->d = d;
        r = bus_server_listen(d->bus, &state_changed, on_signal, watch, &watch->listener, e);
        if (r) {
                free(watch);
                return r;
        }
        ask(watch);
        *ret = watch;
        return ERR_OK;
}

void network_watch_stop(struct network_watch *watch)
{
        if (watch)
                bus_listener_free(STEAL(watch->listener));
}

void network_watch_free(struct network_watch *watch)
{
        free(watch);
}
