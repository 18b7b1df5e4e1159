#include "execute.h"

#include <systemd/sd-event.h>

#include "transaction.h"

struct execution {
        struct transaction transaction;
        size_t at;     /* the command that is being executed */
        size_t atomic; /* of the Atomic that is being committed, */
        size_t end;    /* and the place of its end; 0: none is */
        bool waiting;  /* for the end of a commit */
        bool yield;    /* one came to its end in this turn */
        sd_event_source *turn;
        void (*done)(void *ctx);
        void *ctx;
};

static void set(struct execution *x, size_t command, unsigned code)
{
        refuse(&x->transaction, command, code, NULL);
}

static bool is_success(unsigned code)
{
        return code >= 200 && code < 300;
}

/* Where the Atomic that begins at @from ends; commands_decode() takes any nesting. */
static size_t end_of_atomic(const struct commands *c, size_t from)
{
        unsigned depth = 0;

        for (size_t i = from; i < c->count; i++) {
                if (c->items[i].verb == VERB_ATOMIC_BEGIN)
                        depth++;
                if (c->items[i].verb == VERB_ATOMIC_END && --depth == 0)
                        return i;
        }
        return c->count;
}

/* What succeeded was put back, unless it has said that it could not be. */
static void atomic_failed(struct execution *x, size_t begin, size_t upto)
{
        for (size_t i = begin + 1; i < upto; i++)
                if (is_success(x->transaction.results[i].code))
                        set(x, i, STATUS_ROLLED_BACK);
        set(x, begin, STATUS_ATOMIC_FAILED);
}

/* false: refused, and its code is set. */
static bool stage_in_atomic(struct execution *x, size_t i)
{
        switch (x->transaction.commands->items[i].verb) {
        case VERB_ADD:
        case VERB_REPLACE:
        case VERB_EXEC:
        case VERB_DELETE:
                return transaction_stage(&x->transaction, i);
        case VERB_SEQUENCE:
        case VERB_ALERT:
        case VERB_STATUS:
        case VERB_RESULTS:
        case VERB_ATOMIC_END:
                set(x, i, STATUS_OK);
                return true;
        case VERB_GET:
                refuse(&x->transaction, i, STATUS_COMMAND_FAILED, "A Get has no place in an Atomic");
                return false;
        case VERB_ATOMIC_BEGIN:
                refuse(&x->transaction, i, STATUS_COMMAND_FAILED, "An Atomic has no place in an Atomic");
                return false;
        case VERB_UNKNOWN:
        case _VERB_MAX:
                break;
        }
        set(x, i, STATUS_NOT_SUPPORTED);
        return false;
}

static void committed(void *ctx);

static void start_atomic(struct execution *x)
{
        const size_t begin = x->at, end = end_of_atomic(x->transaction.commands, begin);

        for (size_t i = begin + 1; i < end; i++) {
                if (stage_in_atomic(x, i))
                        continue;
                atomic_failed(x, begin, i);
                while (++i < end)
                        set(x, i, STATUS_NOT_EXECUTED);
                transaction_drop(&x->transaction);
                x->at = end + 1;
                return;
        }
        set(x, begin, STATUS_OK);
        x->atomic = begin;
        x->end = end;
        x->waiting = true;
        transaction_commit(&x->transaction, committed, x);
}

/* One command by itself; the transaction may end in a later turn. */
static void start_one(struct execution *x)
{
        struct transaction *t = &x->transaction;

        switch (t->commands->items[x->at].verb) {
        case VERB_ADD:
        case VERB_REPLACE:
        case VERB_EXEC:
        case VERB_DELETE:
                if (transaction_stage(t, x->at)) {
                        x->waiting = true;
                        transaction_commit(t, committed, x);
                        return;
                }
                transaction_drop(t);
                break;
        case VERB_GET:
                transaction_get(t, x->at);
                break;
        case VERB_SEQUENCE:
        case VERB_ALERT:
        case VERB_STATUS:
        case VERB_RESULTS:
        case VERB_ATOMIC_END:
                set(x, x->at, STATUS_OK);
                break;
        case VERB_ATOMIC_BEGIN:
        case VERB_UNKNOWN:
        case _VERB_MAX:
                set(x, x->at, STATUS_NOT_SUPPORTED);
                break;
        }
        x->at++;
}

static void end(struct execution *x)
{
        (void)sd_event_source_disable_unref(x->turn);
        x->done(x->ctx);
        free(x);
}

/* Up to the next command that changes something; what is written belongs to a turn of its own. */
static int on_turn(sd_event_source *source, void *ctx)
{
        struct execution *x = ctx;

        (void)source;
        while (!x->waiting && x->at < x->transaction.commands->count) {
                if (x->transaction.commands->items[x->at].verb == VERB_ATOMIC_BEGIN)
                        start_atomic(x);
                else
                        start_one(x);
                if (x->yield)
                        break;
        }
        x->yield = false;
        if (!x->waiting && x->at >= x->transaction.commands->count)
                end(x);
        else if (!x->waiting)
                (void)sd_event_source_set_enabled(x->turn, SD_EVENT_ONESHOT);
        return 0;
}

static void committed(void *ctx)
{
        struct execution *x = ctx;

        if (x->end) {
                if (x->transaction.failed)
                        atomic_failed(x, x->atomic, x->end);
                x->at = x->end + 1;
                x->end = 0;
        } else {
                x->at++;
        }
        transaction_drop(&x->transaction);
        x->waiting = false;
        x->yield = true;
        (void)sd_event_source_set_enabled(x->turn, SD_EVENT_ONESHOT);
}

enum err commands_execute(struct daemon *d, const struct commands *commands, struct command_result *results,
                          uid_t user, void (*done)(void *ctx), void *ctx, struct error *e)
{
        struct execution *x = calloc(1, sizeof *x);
        int r;

        if (!x)
                return error_no_memory(e);
        x->transaction = (struct transaction){.d = d, .commands = commands, .results = results, .user = user};
        x->done = done;
        x->ctx = ctx;
        r = sd_event_add_defer(d->event, &x->turn, on_turn, x);
        if (r < 0) {
                free(x);
                return errno_error(e, -r, "The event loop took no turn");
        }
        return ERR_OK;
}
