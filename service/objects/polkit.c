#include "objects/polkit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus-server/server.h"

#define POLKIT           "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_AUTHORITY "org.freedesktop.PolicyKit1.Authority"

enum {
        CHECKS_PER_USER = 8,
        ANSWER_MS = 10 * 60 * 1000, /* somebody looks for his password */
        CANCEL_MS = 10 * 1000,
        ALLOW_USER_INTERACTION = 1,
};

struct polkit_check {
        struct polkit_check *next;
        struct daemon *d;
        struct bus_call *call;
        const char *action;
        char cancellation[32]; /* its name at polkit */
        polkit_answered *done;
        void *ctx;
};

static void forget(struct polkit_check *check)
{
        struct polkit_check **p = &check->d->polkit_checks;

        while (*p != check)
                p = &(*p)->next;
        *p = check->next;
        free(check);
}

static void on_cancelled(void *ctx, struct bus_reader *answer, const struct error *failure)
{
        (void)ctx;
        (void)answer;
        (void)failure; /* it had ended by itself */
}

/* Nobody waits for the dialogue any more. */
static void cancel(const struct polkit_check *check)
{
        struct bus_writer *w =
                bus_question(POLKIT, POLKIT_PATH, POLKIT_AUTHORITY, "CancelCheckAuthorization");

        bus_write_string(w, check->cancellation);
        if (bus_server_ask(check->d->bus, w, CANCEL_MS, on_cancelled, NULL, NULL))
                return; /* it stays until its agent gives up */
}

struct decision {
        bool granted;
        bool challenge; /* a password would change the answer */
        bool dismissed; /* the dialogue was closed */
};

/* (bba{ss}) */
static enum err read_decision(struct bus_reader *answer, struct decision *ret, struct error *e)
{
        enum err r = bus_read_enter(answer, "result", e);

        if (!r)
                r = bus_read_bool(answer, "is_authorized", &ret->granted, e);
        if (!r)
                r = bus_read_bool(answer, "is_challenge", &ret->challenge, e);
        if (!r)
                r = bus_read_enter(answer, "details", e);
        while (!r && bus_read_more(answer)) {
                const char *key;

                r = bus_read_enter(answer, "detail", e);
                if (!r)
                        r = bus_read_string(answer, "key", &key, e);
                if (r)
                        return r;
                ret->dismissed = ret->dismissed || strcmp(key, "polkit.dismissed") == 0;
                bus_read_leave(answer);
        }
        return r;
}

static void refuse(const struct polkit_check *check, const struct decision *decision, struct error *e)
{
        if (decision->dismissed) {
                (void)error_set(e, ERR_DENIED, "The question for a password was dismissed (%s)",
                                check->action);
                (void)error_remedy(e, ERR_DENIED, "Try again and enter the password, or run it as root.");
        } else if (decision->challenge) {
                (void)error_set(e, ERR_DENIED, "This needs a password, and none was given (%s)",
                                check->action);
                (void)error_remedy(
                        e, ERR_DENIED,
                        "Run it where polkit can ask for one (a desktop session, or a terminal with "
                        "pkttyagent), or as root.");
        } else {
                (void)error_set(e, ERR_DENIED, "polkit does not allow you this (%s)", check->action);
        }
}

static void no_answer(struct polkit_check *check, const struct error *failure, struct error *e)
{
        if (failure->code == ERR_TIMEOUT)
                cancel(check);
        (void)error_set(e, ERR_DENIED, "polkit gave no answer, so only root may do this: %s",
                        failure->message);
        (void)error_remedy(e, ERR_DENIED,
                           "Run it as root, or see to polkit: systemctl status polkit.service.");
}

static void on_answer(void *ctx, struct bus_reader *answer, const struct error *failure)
{
        struct polkit_check *check = ctx;
        struct decision decision = {0};
        struct error bad, refusal = {0};

        if (!failure && read_decision(answer, &decision, &bad))
                failure = &bad;
        if (failure)
                no_answer(check, failure, &refusal);
        else if (!decision.granted)
                refuse(check, &decision, &refusal);
        check->done(check->ctx, refusal.code ? &refusal : NULL);
        forget(check);
}

static enum err within_limit(const struct daemon *d, const struct bus_call *call, struct error *e)
{
        unsigned n = 0;

        for (const struct polkit_check *other = d->polkit_checks; other; other = other->next)
                n += bus_call_uid(other->call) == bus_call_uid(call);
        if (n < CHECKS_PER_USER)
                return ERR_OK;
        (void)error_set(e, ERR_LIMIT, "%u calls of this user wait for polkit already", n);
        return error_remedy(e, ERR_LIMIT, "Answer the questions that are open, or wait, then try again.");
}

static struct bus_writer *question(const struct polkit_check *check, const char *name)
{
        struct bus_writer *w = bus_question(POLKIT, POLKIT_PATH, POLKIT_AUTHORITY, "CheckAuthorization");

        bus_open_struct(w);
        bus_write_string(w, "system-bus-name");
        bus_open_array(w, "{sv}");
        bus_entry_string(w, "name", bus_call_sender(check->call));
        bus_close(w);
        bus_close(w);
        bus_write_string(w, check->action);
        bus_open_array(w, "{ss}");
        bus_entry_pair(w, "method", bus_call_member(check->call));
        if (name)
                bus_entry_pair(w, "name", name);
        bus_close(w);
        bus_write_u32(w, bus_call_interactive(check->call) ? ALLOW_USER_INTERACTION : 0);
        bus_write_string(w, check->cancellation);
        return w;
}

enum err polkit_ask(struct daemon *d, struct bus_call *call, const char *action, const char *name,
                    polkit_answered *done, void *ctx, struct error *e)
{
        struct polkit_check *check;
        enum err r = within_limit(d, call, e);

        if (r)
                return r;
        check = calloc(1, sizeof *check);
        if (!check)
                return error_no_memory(e);
        *check = (struct polkit_check){.d = d, .call = call, .action = action, .done = done, .ctx = ctx};
        (void)snprintf(check->cancellation, sizeof check->cancellation, "scepter-%" PRIu64, ++d->polkit_last);
        r = bus_server_ask(d->bus, question(check, name), ANSWER_MS, on_answer, check, e);
        if (r) {
                free(check);
                return r;
        }
        check->next = d->polkit_checks;
        d->polkit_checks = check;
        return ERR_OK;
}
