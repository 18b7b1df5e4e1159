/* Manager.ApplySyncML: the document goes to a parse worker, its commands are executed, and the answer goes
 * back. */
#include <string.h>

#include "daemon/account.h"
#include "internal.h"
#include "policy/answer.h"
#include "syncml/execute.h"
#include "syncml/instances.h"

struct applying {
        struct later later;
        struct commands commands;
        struct command_result *results;
        char *login; /* option "user"; NULL: none */
        uid_t user;  /* NO_OWNER: ./User nodes do not exist */
        enum err result;
        struct error error;
};

static void applying_free(struct applying *applying)
{
        for (size_t i = 0; applying->results && i < applying->commands.count; i++)
                command_result_done(&applying->results[i]);
        free(applying->results);
        commands_done(&applying->commands);
        free(applying->login);
        bus_call_unref(applying->later.call);
        free(applying);
}

static void fail(struct applying *applying, const struct error *e)
{
        bus_call_fail(applying->later.call, e);
        applying_free(applying);
}

static void answer(void *ctx)
{
        struct applying *applying = ctx;
        CLEANUP(free_p) char *text = NULL;
        CLEANUP(close_p) int fd = -1;
        struct error e = {0};
        struct bus_writer *w;
        CLEANUP(answer_alerts_done) struct answer_alerts alerts = {0};
        enum err r = instances_take_alerts(applying->later.d, applying->user, &alerts, &e);

        if (!r)
                r = answer_write(&applying->commands, applying->results, &alerts, 1, &text, &e);
        if (!r)
                r = memfd_make("scepter-answer", str_view(text), &fd, &e);
        if (!r) {
                w = bus_call_begin(applying->later.call);
                bus_write_fd(w, fd);
                r = bus_call_reply(applying->later.call, w, &e);
        }
        if (r)
                fail(applying, &e);
        else
                applying_free(applying);
}

static void on_parsed(void *ctx, const struct result *result, const struct error *failure)
{
        struct applying *applying = ctx;
        struct error e = {0};
        enum err r;

        if (failure) {
                fail(applying, failure);
                return;
        }
        r = commands_decode(result->of.parsed.commands, &applying->commands, &e);
        if (!r) {
                applying->results = calloc(applying->commands.count + 1, sizeof *applying->results);
                if (!applying->results)
                        r = error_no_memory(&e);
        }
        if (!r)
                r = commands_execute(applying->later.d, &applying->commands, applying->results,
                                     applying->user, answer, applying, &e);
        if (r)
                fail(applying, &e);
}

static enum err start(struct applying *applying, int fd, struct error *e)
{
        return parse_start(applying->later.d, fd, BUS_FORMAT_SYNCML, bus_call_uid(applying->later.call),
                           on_parsed, applying, e);
}

struct waiting {
        struct applying *applying;
        int fd;
};

static void run_login(void *ctx)
{
        struct waiting *waiting = ctx;

        waiting->applying->result =
                account_uid(waiting->applying->login, &waiting->applying->user, &waiting->applying->error);
}

static void login_done(void *ctx)
{
        struct waiting *waiting = ctx;
        struct applying *applying = waiting->applying;
        CLEANUP(close_p) int fd = waiting->fd;
        enum err r = applying->result;

        free(waiting);
        if (!r)
                r = start(applying, fd, &applying->error);
        if (r)
                fail(applying, &applying->error);
}

enum err manager_apply_syncml(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        struct bus_reader *reader = bus_call_reader(call);
        const char *user = NULL;
        const struct bus_option options[] = {BUS_OPTION_AS_STRING(BUS_OPTION_USER, user)};
        CLEANUP(close_p) int fd = -1;
        struct applying *applying;
        struct waiting *waiting;
        enum err r = bus_read_fd(reader, "document", &fd, e);

        if (!r)
                r = bus_options_read(reader, options, N_ELEMENTS(options), e);
        if (r)
                return r;
        applying = calloc(1, sizeof *applying);
        if (!applying)
                return error_no_memory(e);
        applying->later = (struct later){d, bus_call_ref(call)};
        applying->user = NO_OWNER;
        if (!user) {
                r = start(applying, fd, e);
        } else {
                waiting = malloc(sizeof *waiting);
                applying->login = strdup(user);
                r = waiting && applying->login ? ERR_OK : error_no_memory(e);
                if (!r) {
                        *waiting = (struct waiting){applying, steal_fd(&fd)};
                        r = pool_submit(d->names, run_login, login_done, waiting, e);
                        if (r)
                                fd = waiting->fd;
                }
                if (r)
                        free(waiting);
        }
        if (r)
                applying_free(applying);
        return r;
}
