#include "objects/ask.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "enroll/enrollment.h"
#include "internal.h"
#include "pin/pin.h"

struct pin_question {
        struct daemon *d;
        struct certificate *certificate;
        uint64_t newest; /* agent, when it began: those that come later are asked after it */
        uint64_t number; /* of the agent that is asked; */
        char *agent;     /* its name, */
        char *path;      /* and object */
        uint64_t until;  /* CLOCK_BOOTTIME, milliseconds */
};

/* What an agent is told about the PIN it is asked for. */
struct wanted {
        const char *reason;
        unsigned tries; /* UINT_MAX: as many as somebody likes, or not known */
};

static void on_answer(void *ctx, struct bus_reader *answer, const struct error *failure);

static uint64_t now_ms(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void question_free(struct pin_question *question)
{
        free(question->agent);
        free(question->path);
        free(question);
}

static void tell_cancel(struct pin_question *question, const char *reason)
{
        struct bus_writer *w = bus_question(question->agent, question->path, BUS_INTERFACE_AGENT, "Cancel");

        bus_write_string(w, reason);
        bus_server_tell(question->d->bus, w);
}

/* The certificate waits on. */
static void give_up(struct pin_question *question)
{
        struct certificate *certificate = question->certificate;

        certificate->asked = question->newest;
        certificate->question = NULL;
        question_free(question);
}

static unsigned tries_left(struct daemon *d, const struct certificate *c)
{
        CLEANUP(close_p) int fd = -1;
        unsigned left = UINT_MAX;

        if (store_generation(d->store, c->id, c->current, false, &fd, NULL) ||
            pin_left(d->pins, fd, clock_now(&d->clock), &left, NULL))
                left = UINT_MAX;
        return c->pin_tries && c->pin_tries < left ? c->pin_tries : left;
}

static bool what_is_wanted(struct daemon *d, struct certificate *c, struct wanted *ret)
{
        const struct record *record = model_details(d->model, c);

        if (!record)
                return false;
        *ret = (struct wanted){"new-key", UINT_MAX};
        /* Only a renewal has the PIN of the key before it; it is that key's tries which count. */
        if (record->renewing && strcmp(record->key_protection, "user-verified") == 0) {
                const bool wrong = strcmp(record->error_name, err_name(ERR_TPM_WRONG_AUTH)) == 0;

                *ret = (struct wanted){wrong ? "wrong" : "renewal", tries_left(d, c)};
        }
        return true;
}

static enum err send_question(struct pin_question *question, const struct wanted *wanted, struct error *e)
{
        struct daemon *d = question->d;
        const uint64_t ms = clock_wait_usec(&d->clock, ASK_SECONDS) / 1000;
        struct bus_writer *w =
                bus_question(question->agent, question->path, BUS_INTERFACE_AGENT, "RequestPin");
        char path[OBJECT_PATH_MAX];

        certificate_path(question->certificate->id, path);
        bus_write_path(w, path);
        bus_open_array(w, "{sv}");
        bus_entry_string(w, BUS_ASK_NAME, question->certificate->name);
        bus_entry_string(w, BUS_ASK_REASON, wanted->reason);
        if (wanted->tries != UINT_MAX)
                bus_entry_u32(w, BUS_ASK_TRIES, wanted->tries);
        bus_entry_u32(w, BUS_ASK_MINIMUM, KEY_PIN_MIN);
        bus_entry_u32(w, BUS_ASK_MAXIMUM, KEY_PIN_MAX);
        bus_close(w);
        question->until = now_ms() + ms;
        return bus_server_ask(d->bus, w, (int)ms, on_answer, question, e);
}

/* The next older agent. false: there is none. */
static bool ask_next(struct pin_question *question)
{
        struct daemon *d = question->d;
        struct certificate *c = question->certificate;
        const struct agent *agent;
        struct wanted wanted;

        while ((agent = agents_find(&d->agents, c->owner, question->number, c->asked))) {
                struct error e = {0};

                question->number = agent->number;
                free(STEAL(question->agent));
                free(STEAL(question->path));
                question->agent = strdup(agent->name);
                question->path = strdup(agent->path);
                if (!question->agent || !question->path || !what_is_wanted(d, c, &wanted) || !wanted.tries)
                        return false;
                if (!send_question(question, &wanted, &e))
                        return true;
                log_error(LOG_WARNING, &e);
        }
        return false;
}

static void next_or_give_up(struct pin_question *question)
{
        struct daemon *d = question->d;
        const uid_t uid = question->certificate->owner;

        if (ask_next(question))
                return;
        give_up(question);
        ask_look(d, uid);
}

/* Who answered sees what becomes of it where everybody does: at the certificate. */
static void begun(void *ctx, struct certificate *certificate, const struct error *failure)
{
        (void)ctx;
        (void)certificate;
        (void)failure;
}

static void go_on(struct pin_question *question, struct secret *pin)
{
        const struct enrollment_ops ops = {begun, NULL};
        struct renewal_order order = {.pin = *pin};
        struct daemon *d = question->d;
        struct certificate *c = question->certificate;
        struct error e = {0};

        *pin = (struct secret){0};
        give_up(question);
        if (enrollment_renew(d, c, &order, &ops, &e))
                log_error(LOG_WARNING, &e);
        secret_done(&order.pin);
        ask_look(d, c->owner);
}

static enum err read_pin(const struct pin_question *question, struct bus_reader *answer, struct secret *ret,
                         struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r;

        if (strcmp(bus_reader_sender(answer), question->agent) != 0)
                return error_set(e, ERR_DENIED, "%s answered, who was not asked", bus_reader_sender(answer));
        r = bus_read_fd(answer, "pin", &fd, e);
        return r ? r : pin_read(fd, ret, e);
}

static void on_answer(void *ctx, struct bus_reader *answer, const struct error *failure)
{
        CLEANUP(secret_done) struct secret pin = {0};
        struct pin_question *question = ctx;
        struct daemon *d = question->d;
        const uid_t uid = question->certificate->owner;
        struct error e = {0};
        bool late;

        if (!failure && !read_pin(question, answer, &pin, &e)) {
                go_on(question, &pin);
                return;
        }
        late = failure && failure->code == ERR_TIMEOUT && now_ms() >= question->until;
        if (late)
                tell_cancel(question, ASK_TIMEOUT);
        if (late || (failure && failure->code == ERR_CANCELLED)) {
                give_up(question);
                ask_look(d, uid);
                return;
        }
        if (!failure)
                (void)error_context(&e, e.code, "The agent's answer about '%s'", question->certificate->name);
        log_error(failure ? LOG_DEBUG : LOG_WARNING, failure ? failure : &e);
        next_or_give_up(question);
}

/* Something about which somebody may be asked. */
static bool waits(const struct daemon *d, const struct certificate *c, uid_t uid)
{
        return c->owner == uid && c->activity == ACTIVITY_WAITING_FOR_USER && !c->enrollment && !c->leaving &&
               model_find_profile(d->model, c->profile) && agents_find(&d->agents, uid, UINT64_MAX, c->asked);
}

static bool is_asked(struct daemon *d, uid_t uid)
{
        struct certificate *c;

        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order)
                if (c->question && c->owner == uid)
                        return true;
        return false;
}

void ask_look(struct daemon *d, uid_t uid)
{
        struct certificate *c;

        if (!d->bus || uid == NO_OWNER || !ask_can(d, uid) || is_asked(d, uid))
                return;
        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order) {
                struct pin_question *question = waits(d, c, uid) ? calloc(1, sizeof *question) : NULL;

                if (!question)
                        continue;
                *question = (struct pin_question){
                        .d = d, .certificate = c, .newest = d->agents.last, .number = UINT64_MAX};
                c->question = question;
                if (ask_next(question))
                        return;
                give_up(question);
        }
}

void ask_anew(struct certificate *certificate, const struct error *why, unsigned tries)
{
        const bool locked = why->code == ERR_PIN_LOCKED || (why->code == ERR_TPM_WRONG_AUTH && !tries);

        /* Where none would be tried, none is asked for: the next reminder looks again. */
        certificate->asked = locked ? UINT64_MAX : 0;
        certificate->pin_tries = tries;
}

bool ask_can(const struct daemon *d, uid_t uid)
{
        return agents_find(&d->agents, uid, UINT64_MAX, 0) != NULL;
}

bool ask_end(struct daemon *d, struct certificate *certificate, const char *reason)
{
        struct pin_question *question = certificate->question;

        if (!question)
                return false;
        bus_server_drop(d->bus, on_answer, question);
        tell_cancel(question, reason);
        give_up(question);
        return true;
}

void ask_without(struct daemon *d, const char *agent)
{
        struct certificate *c;

        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order) {
                if (!c->question || strcmp(c->question->agent, agent) != 0)
                        continue;
                bus_server_drop(d->bus, on_answer, c->question);
                next_or_give_up(c->question);
                return;
        }
}

void ask_stop(struct daemon *d)
{
        struct certificate *c;

        for (uint64_t order = 0; d->model && (c = model_next(d->model, order)); order = c->order)
                (void)ask_end(d, c, ASK_STOPPED);
}
