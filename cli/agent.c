/*
 * scepter agent: asks for PINs at the terminal when the service needs them (org.scepter1.Agent), and so shows
 * what a desktop's agent has to do:
 *
 *  1. RegisterAgent; and again whenever org.scepter1 has come back to the bus
 *  2. RequestPin, from the owner of that name alone: the user is told why and asked, twice for a new PIN
 *  3. Cancel, or the service that leaves, ends the question; the user's Ctrl-C at it answers Cancelled
 */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "cli/args.h"
#include "cli/input.h"
#include "cli/object.h"
#include "cli/output.h"
#include "cli/value.h"

#define AGENT_PATH  "/org/scepter1/agent"
#define BUS_ITSELF  "org.freedesktop.DBus"
#define NAME_CHANGE "NameOwnerChanged"

struct agent {
        struct cli *cli;
        char *service;    /* unique name of the one that may ask; NULL: it is not there */
        int signals, all; /* all: epoll, of the signals and the bus */
        bool ended;       /* a signal has said so */
        bool back;        /* the service is there again */
        struct bus_incoming question;
};

static enum err read_owner(struct agent *agent, struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *reader = NULL;
        struct bus_writer *w =
                bus_client_begin_at(BUS_ITSELF, "/org/freedesktop/DBus", BUS_ITSELF, "GetNameOwner");
        const char *name;
        enum err r;

        bus_write_string(w, BUS_NAME);
        r = cli_call(agent->cli, w, &reader, e);
        if (!r)
                r = bus_read_string(reader, "owner", &name, e);
        if (r)
                return r;
        free(agent->service);
        agent->service = strdup(name);
        return agent->service ? ERR_OK : error_no_memory(e);
}

static enum err enlist(struct agent *agent, struct error *e)
{
        struct bus_writer *w = bus_client_begin(BUS_PATH, BUS_INTERFACE_MANAGER, "RegisterAgent");
        enum err r;

        agent->back = false;
        bus_write_path(w, AGENT_PATH);
        bus_open_array(w, "{sv}");
        bus_close(w);
        r = cli_call(agent->cli, w, NULL, e);
        return r ? r : read_owner(agent, e);
}

static void refuse(struct agent *agent, const struct bus_incoming *call, enum err code, const char *why)
{
        struct error e = {0};

        (void)error_set(&e, code, "%s", why);
        bus_client_answer(agent->cli->client, call, -1, &e);
}

/* The service has left or come back. */
static enum err note_service(struct agent *agent, struct bus_incoming *signal, struct error *e)
{
        const char *name, *old, *owner;

        if (strcmp(signal->sender, BUS_ITSELF) != 0 || strcmp(signal->member, NAME_CHANGE) != 0 ||
            bus_read_string(signal->args, "name", &name, NULL) || strcmp(name, BUS_NAME) != 0 ||
            bus_read_string(signal->args, "old", &old, NULL) ||
            bus_read_string(signal->args, "new", &owner, NULL))
                return ERR_OK;
        if (agent->service && strcmp(owner, agent->service) == 0) /* activated by our own call */
                return ERR_OK;
        free(STEAL(agent->service));
        agent->back = *owner;
        return error_set(e, ERR_CANCELLED, "The service has left");
}

static enum err note_call(struct agent *agent, struct bus_incoming *call, struct error *e)
{
        const char *reason;

        if (!agent->service || strcmp(call->sender, agent->service) != 0) {
                refuse(agent, call, ERR_DENIED, "Only the service may ask for a PIN");
        } else if (strcmp(call->interface, BUS_INTERFACE_AGENT) != 0) {
                refuse(agent, call, ERR_UNSUPPORTED, "This is an agent and nothing else");
        } else if (strcmp(call->member, "RequestPin") == 0 && !agent->question.args) {
                agent->question = *call;
                *call = (struct bus_incoming){0};
        } else if (strcmp(call->member, "RequestPin") == 0) {
                refuse(agent, call, ERR_BUSY, "Another PIN is being asked for");
        } else if (strcmp(call->member, "Cancel") == 0) {
                if (!bus_read_string(call->args, "reason", &reason, NULL))
                        return error_set(e, ERR_CANCELLED, "The service does not need it any more (%s)",
                                         reason);
        } else {
                refuse(agent, call, ERR_UNSUPPORTED, "There is no such method");
        }
        return ERR_OK;
}

/* Everything that has come. ERR_CANCELLED: a question that is being asked is over. */
static enum err take_all(void *ctx, struct error *e)
{
        struct agent *agent = ctx;
        struct pollfd signals = {agent->signals, POLLIN, 0};
        enum err r = ERR_OK;

        agent->ended = agent->ended || poll(&signals, 1, 0) > 0;
        if (agent->ended)
                return error_set(e, ERR_CANCELLED, "The agent ends");
        while (!r) {
                CLEANUP(bus_incoming_done) struct bus_incoming incoming = {0};

                r = bus_client_take(agent->cli->client, &incoming, e);
                if (!r && !incoming.args)
                        return ERR_OK;
                if (!r)
                        r = incoming.call ? note_call(agent, &incoming, e)
                                          : note_service(agent, &incoming, e);
        }
        return r;
}

static void explain(struct agent *agent, const json_t *options)
{
        const char *name = value_string(options, BUS_ASK_NAME),
                   *reason = value_string(options, BUS_ASK_REASON);
        const json_t *tries = json_object_get(options, BUS_ASK_TRIES);
        FILE *out = agent->cli->err;

        if (strcmp(reason, "new-key") == 0)
                output_line(out, "The certificate '%s' gets a key: choose its PIN.", name);
        else if (strcmp(reason, "wrong") == 0)
                output_line(out, "That was not the PIN of '%s'.", name);
        else
                output_line(out, "The certificate '%s' is to be renewed, with the PIN of its key.", name);
        if (json_integer_value(tries) == 1)
                output_line(out, "One try is left: after another wrong PIN none is taken for a day.");
        else if (tries)
                output_line(out, "%llu tries are left.", (unsigned long long)json_integer_value(tries));
}

/* Until it has a form that the service takes. */
static enum err ask_user(struct agent *agent, const json_t *options, int *ret_fd, struct error *e)
{
        const struct input_beside beside = {agent->all, take_all, agent};
        const bool again = strcmp(value_string(options, BUS_ASK_REASON), "new-key") == 0;

        explain(agent, options);
        for (;;) {
                CLEANUP(close_p) int fd = -1;
                struct stat st = {0};
                enum err r = input_pin(value_string(options, BUS_ASK_NAME), again, &beside, &fd, e);

                if (!r && fstat(fd, &st) < 0)
                        r = errno_error(e, errno, "The PIN could not be looked at");
                if (!r && (uint64_t)st.st_size < value_number(options, BUS_ASK_MINIMUM))
                        r = error_set(e, ERR_INVALID, "A PIN has at least %llu characters",
                                      (unsigned long long)value_number(options, BUS_ASK_MINIMUM));
                if (r == ERR_INVALID || r == ERR_TOO_LARGE) {
                        output_line(agent->cli->err, "%s.", e->message);
                        continue;
                }
                if (!r)
                        *ret_fd = steal_fd(&fd);
                return r;
        }
}

static enum err tell(struct agent *agent, const char *path, const json_t *options, const struct error *why,
                     struct error *e)
{
        const char *name = value_string(options, BUS_ASK_NAME);
        enum err r = ERR_OK;

        if (agent->cli->json)
                r = output_json(agent->cli,
                                json_pack("{s:s, s:s, s:s, s:b}", "certificate", object_id(path), "name",
                                          name, "reason", value_string(options, BUS_ASK_REASON), "answered",
                                          !why),
                                e);
        else if (why)
                output_line(agent->cli->out, "'%s': %s.", name, why->message);
        else
                output_line(agent->cli->out, "'%s': the service has the PIN.", name);
        if (!r && fflush(agent->cli->out) == EOF)
                return errno_error(e, errno, "The output could not be written");
        return r;
}

static enum err answer(struct agent *agent, struct error *e)
{
        CLEANUP(bus_incoming_done) struct bus_incoming question = agent->question;
        CLEANUP(json_decref_p) json_t *options = NULL;
        CLEANUP(close_p) int fd = -1;
        struct error why = {0};
        const char *path = "/";
        enum err r = bus_read_path(question.args, "certificate", &path, &why);

        if (!r)
                r = value_read(question.args, &options, &why);
        if (!r)
                r = ask_user(agent, options, &fd, &why);
        bus_client_answer(agent->cli->client, &question, fd, r ? &why : NULL);
        agent->question = (struct bus_incoming){0};
        return tell(agent, path, options, r ? &why : NULL, e);
}

static enum err wait_at(int epoll, int fd, struct error *e)
{
        struct epoll_event event = {.events = EPOLLIN};

        return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0
                       ? errno_error(e, errno, "Questions cannot be waited for")
                       : ERR_OK;
}

static enum err begin(struct agent *agent, struct error *e)
{
        enum err r = cli_connect(agent->cli, e);

        if (r)
                return r;
        agent->all = epoll_create1(EPOLL_CLOEXEC);
        if (agent->all < 0)
                return errno_error(e, errno, "Questions cannot be waited for");
        r = wait_at(agent->all, agent->signals, e);
        if (!r)
                r = wait_at(agent->all, bus_client_fd(agent->cli->client), e);
        if (!r)
                r = bus_client_match(agent->cli->client,
                                     "type='signal',sender='" BUS_ITSELF "',member='" NAME_CHANGE
                                     "',arg0='" BUS_NAME "'",
                                     e);
        if (!r)
                r = enlist(agent, e);
        if (!r && !agent->cli->json)
                output_line(agent->cli->err, "PINs are asked for here from now on; Ctrl-C ends it.");
        return r;
}

static enum err serve(struct agent *agent, struct error *e)
{
        enum err r = begin(agent, e);

        while (!r && !agent->ended) {
                struct pollfd what = {agent->all, POLLIN, 0};

                r = take_all(agent, e);
                if (r == ERR_CANCELLED) { /* before it was asked */
                        bus_incoming_done(&agent->question);
                        r = ERR_OK;
                } else if (!r && agent->question.args)
                        r = answer(agent, e);
                else if (!r && poll(&what, 1, -1) < 0 && errno != EINTR)
                        r = errno_error(e, errno, "Questions cannot be waited for");
                if (!r && agent->back)
                        r = enlist(agent, e);
        }
        return r;
}

enum err verb_agent(struct cli *cli, int argc, char **argv, struct error *e)
{
        struct agent agent = {.cli = cli, .signals = -1, .all = -1};
        CLEANUP(close_p) int tty = -1;
        sigset_t wanted, before;
        size_t n;
        enum err r = args_parse(argc, argv, NULL, 0, 0, 0, NULL, &n, e);

        if (!r)
                r = input_terminal(&tty, e);
        if (r)
                return r;
        (void)sigemptyset(&wanted);
        (void)sigaddset(&wanted, SIGINT);
        (void)sigaddset(&wanted, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &wanted, &before);
        agent.signals = signalfd(-1, &wanted, SFD_CLOEXEC);
        r = agent.signals < 0 ? errno_error(e, errno, "Signals cannot be waited for") : serve(&agent, e);
        if (agent.ended) { /* the signal has done its work: it must not be delivered after all */
                struct signalfd_siginfo info;

                (void)!read(agent.signals, &info, sizeof info);
        }
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        bus_incoming_done(&agent.question);
        close_p(&agent.signals);
        close_p(&agent.all);
        free(agent.service);
        return r;
}
