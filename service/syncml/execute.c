/*
 * Manager.ApplySyncML: the commands of a document in their order, and the answer. In this version: Add of
 * roots and of enrollments; what a later version knows is answered with the code that says so.
 */
#include <string.h>

#include "base/ossl.h"
#include "enroll/enrollment.h"
#include "enroll/facts.h"
#include "internal.h"
#include "policy/answer.h"
#include "policy/profile.h"

struct applying {
        struct later later;
        struct commands commands;
        struct command_result *results;
        size_t at;   /* the command that is being executed */
        char *login; /* option "user"; NULL: none */
        uid_t user;  /* NO_OWNER: ./User nodes do not exist */
        enum err result;
        struct error error;
};

static void applying_free(struct applying *applying)
{
        commands_done(&applying->commands);
        free(applying->results);
        free(applying->login);
        bus_call_unref(applying->later.call);
        free(applying);
}

static void fail(struct applying *applying, const struct error *e)
{
        bus_call_fail(applying->later.call, e);
        applying_free(applying);
}

static void answer(struct applying *applying)
{
        CLEANUP(free_p) char *text = NULL;
        CLEANUP(close_p) int fd = -1;
        struct error e = {0};
        struct bus_writer *w;
        enum err r = answer_write(&applying->commands, applying->results, 1, &text, &e);

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

static unsigned status_of(enum err code)
{
        switch (code) {
        case ERR_OK:
                return STATUS_OK;
        case ERR_EXISTS:
                return STATUS_ALREADY_EXISTS;
        case ERR_NOT_FOUND:
                return STATUS_NOT_FOUND;
        case ERR_UNSUPPORTED:
                return STATUS_NOT_SUPPORTED;
        case ERR_DENIED:
                return STATUS_PERMISSION_DENIED;
        case ERR_DISK_FULL:
                return STATUS_DEVICE_FULL;
        default:
                return STATUS_COMMAND_FAILED;
        }
}

static uid_t owner_of(const struct applying *applying, const struct command *command)
{
        return command->user ? applying->user : NO_OWNER;
}

static unsigned add_root(struct applying *applying, const struct command *command)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        bool known = false;
        enum err r = x509_parse(bytes_view(&command->certificate), &cert, NULL);

        if (!r)
                r = store_anchor_add(applying->later.d->store, owner_of(applying, command), cert, &known,
                                     NULL);
        return r ? status_of(r) : known ? STATUS_ALREADY_EXISTS : STATUS_OK;
}

static void next(struct applying *applying);

static void begun(void *ctx, struct certificate *certificate, const struct error *failure)
{
        struct applying *applying = ctx;

        (void)certificate;
        applying->results[applying->at].code = failure ? status_of(failure->code) : STATUS_ACCEPTED;
        applying->at++;
        next(applying);
}

/* Starts the enrollment; true: the answer comes through begun(). */
static bool enroll(struct applying *applying, struct profile_entry *profile, struct command *command)
{
        struct daemon *d = applying->later.d;
        const struct enrollment_ops ops = {begun, applying};
        struct enrollment_order order = {.profile = profile->id, .owner = owner_of(applying, command)};
        enum err r;

        order.challenge = command->challenge;
        command->challenge = (struct secret){0};
        r = enrollment_start(d, &order, &ops, NULL);
        secret_done(&order.challenge);
        if (r)
                applying->results[applying->at].code = status_of(r);
        return r == ERR_OK;
}

/* An Add of the enrollment that is there already, with the same content, starts nothing (facts §6.2). */
static unsigned existing_status(const struct applying *applying, const struct profile_entry *profile)
{
        const struct certificate *certificate =
                model_find_origin(applying->later.d->model, profile->id,
                                  owner_of(applying, &applying->commands.items[applying->at]));

        if (certificate && (certificate->enrollment || certificate->current))
                return STATUS_ALREADY_EXISTS;
        return 0;
}

static struct profile_entry *known_profile(const struct applying *applying, const struct command *command)
{
        for (struct profile_entry *p = model_profiles(applying->later.d->model); p; p = p->next)
                if (p->owner == NO_OWNER && strcmp(p->location, command->location) == 0)
                        return p;
        return NULL;
}

/* true: goes on later. */
static bool add_enrollment(struct applying *applying, struct command *command)
{
        struct daemon *d = applying->later.d;
        struct command_result *result = &applying->results[applying->at];
        const struct intake in = {.settings = command->settings,
                                  .notes = command->notes,
                                  .owner = NO_OWNER,
                                  .location = command->location};
        struct profile_entry *profile = known_profile(applying, command);
        struct error e = {0};
        enum err r = ERR_OK;

        if (profile) {
                result->code = existing_status(applying, profile);
                if (result->code)
                        return false;
        } else {
                r = profile_take(d, &in, &profile, &e);
        }
        if (r) {
                result->code = status_of(r);
                return false;
        }
        return enroll(applying, profile, command);
}

/* true: goes on later. */
static bool execute(struct applying *applying, struct command *command)
{
        struct command_result *result = &applying->results[applying->at];

        if (command->user && applying->user == NO_OWNER) {
                result->code = STATUS_NOT_FOUND;
                return false;
        }
        switch (command->verb) {
        case VERB_ADD:
        case VERB_REPLACE:
                if (command->kind == COMMAND_ENROLL)
                        return add_enrollment(applying, command);
                result->code = command->kind == COMMAND_ROOT ? add_root(applying, command) : STATUS_NOT_FOUND;
                return false;
        case VERB_GET:
        case VERB_EXEC:
        case VERB_DELETE:
                result->code = STATUS_NOT_FOUND;
                return false;
        case VERB_SEQUENCE:
        case VERB_ALERT:
        case VERB_STATUS:
        case VERB_RESULTS:
        case VERB_ATOMIC_END:
                result->code = STATUS_OK;
                return false;
        case VERB_ATOMIC_BEGIN: /* all or nothing comes with a later version: better nothing */
        case VERB_UNKNOWN:
        case _VERB_MAX:
                break;
        }
        result->code = STATUS_NOT_SUPPORTED;
        return false;
}

/* What stands in an Atomic that is not executed. */
static void skip_atomic(struct applying *applying)
{
        applying->results[applying->at++].code = STATUS_NOT_SUPPORTED;
        while (applying->at < applying->commands.count &&
               applying->commands.items[applying->at].verb != VERB_ATOMIC_END)
                applying->results[applying->at++].code = STATUS_NOT_EXECUTED;
}

static void next(struct applying *applying)
{
        while (applying->at < applying->commands.count) {
                if (applying->commands.items[applying->at].verb == VERB_ATOMIC_BEGIN) {
                        skip_atomic(applying);
                        continue;
                }
                if (execute(applying, &applying->commands.items[applying->at]))
                        return;
                applying->at++;
        }
        answer(applying);
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
        if (r)
                fail(applying, &e);
        else
                next(applying);
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
                facts_uid(waiting->applying->login, &waiting->applying->user, &waiting->applying->error);
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
                        r = pool_submit(d->pool, run_login, login_done, waiting, e);
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
