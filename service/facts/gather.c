/* Asking the sources of all facts that are needed, in the table's order, and what came of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/parse.h"
#include "bus-server/server.h"
#include "daemon/account.h"
#include "daemon/log.h"
#include "facts.h"
#include "internal.h"

/* Of each answer, and of all together. A scaled clock (tests) does not go below the time a loaded machine
 * needs to say that there is no such service. */
enum { ANSWER_SECONDS = 5, GATHER_SECONDS = 15, ANSWER_LEAST_MS = 100 };

struct fact_values {
        char *value[_FACT_MAX];
        struct error *why[_FACT_MAX]; /* where there is no value */
};

/* What a local source said in the thread. */
struct found {
        struct found *next;
        size_t row;
        enum err result;
        char *value;
        struct error why;
};

/* The way of one fact through its sources. */
struct seek {
        struct facts_gather *gather;
        enum fact fact;
        size_t row;
        bool over;
        enum err later; /* a source does not answer now: its code */
        char *because;  /* what each source said, or NULL */
        const char *remedy;
        int rank; /* of the remedy */
};

struct facts_gather {
        struct daemon *d;
        unsigned refs; /* the caller, the task, each question */
        uint32_t needed;
        bool of_user, looked, over;
        facts_gathered *done;
        void *ctx;
        struct place place;
        struct found *found;
        struct fact_values *values;
        struct seek seeks[_FACT_MAX];
        unsigned open;
        uint64_t end; /* CLOCK_MONOTONIC, microseconds */
        sd_event_source *deadline;
};

void fact_values_free(struct fact_values *values)
{
        if (!values)
                return;
        for (size_t i = 0; i < _FACT_MAX; i++) {
                free(values->value[i]);
                free(values->why[i]);
        }
        free(values);
}

static enum err get(void *ctx, enum fact fact, char **ret, struct error *e)
{
        const struct fact_values *values = ctx;

        if (values && values->why[fact])
                return error_copy(e, values->why[fact]);
        if (!values || !values->value[fact])
                return error_set(e, ERR_NOT_FOUND, "nobody was asked for it");
        *ret = strdup(values->value[fact]);
        return *ret ? ERR_OK : error_no_memory(e);
}

struct facts facts_of(struct fact_values *values)
{
        return (struct facts){values, get};
}

static void place_done(struct place *place)
{
        if (place->file)
                facts_file_done(place->file);
        free(place->file);
        free(place->login);
}

static void gather_unref(struct facts_gather *g)
{
        if (--g->refs)
                return;
        for (size_t i = 0; i < _FACT_MAX; i++)
                free(g->seeks[i].because);
        while (g->found) {
                struct found *found = g->found;

                g->found = found->next;
                free(found->value);
                free(found);
        }
        place_done(&g->place);
        fact_values_free(g->values);
        free(g);
}

/* Nobody is told any more, and nobody asked. */
static void end(struct facts_gather *g)
{
        g->over = true;
        g->deadline = sd_event_source_disable_unref(g->deadline);
        gather_unref(g);
}

void facts_gather_cancel(struct facts_gather *g)
{
        if (g)
                end(g);
}

static void finish(struct facts_gather *g)
{
        facts_gathered *done = g->done;
        void *ctx = g->ctx;
        struct fact_values *values = STEAL(g->values);

        end(g);
        done(ctx, values);
}

static void seek_over(struct seek *seek)
{
        seek->over = true;
        if (--seek->gather->open == 0)
                finish(seek->gather);
}

/* There is no value: what every source said, and what to do (@remedy NULL: what they offered). */
static void seek_fails(struct seek *seek, const char *remedy)
{
        struct error *why = calloc(1, sizeof *why);

        if (!why) {
                seek_over(seek);
                return;
        }
        if (seek->later) {
                (void)error_set(why, seek->later, "%s", seek->because ? seek->because : "no source answers");
                (void)error_remedy(why, seek->later,
                                   "Try again; if it persists, look at the journal of the service that does "
                                   "not answer.");
        } else if (!seek->because) {
                (void)error_set(why, ERR_NOT_FOUND, "it is about a person, and the profile is the device's");
                (void)error_remedy(
                        why, ERR_NOT_FOUND,
                        "Make it a profile of users (Type=user), or use a variable of the device.");
        } else {
                (void)error_set(why, ERR_NOT_FOUND, "%s", seek->because);
                if (!remedy)
                        remedy = seek->remedy;
                if (remedy)
                        (void)error_remedy(why, ERR_NOT_FOUND, "%s", remedy);
        }
        seek->gather->values->why[seek->fact] = why;
        seek_over(seek);
}

static bool is_missing(enum err r)
{
        switch (r) {
        case ERR_NOT_FOUND:
        case ERR_INVALID:
        case ERR_NO_SERVICE:
        case ERR_DENIED:
        case ERR_UNSUPPORTED:
        case ERR_FAILED:
        case ERR_FILE_REFUSED:
        case ERR_TOO_LARGE:
                return true;
        default:
                return false;
        }
}

static void add_because(struct seek *seek, const struct fact_row *row, const char *text)
{
        const struct fact_source *source = row->source;
        const char *name = source->look == look_facts_file ? seek->gather->place.facts_path : source->name;
        const bool with_key = row->key && source->look != look_facts_file;
        char *all;

        if (asprintf(&all, "%s%s%s%s%s: %s", seek->because ? seek->because : "", seek->because ? "; " : "",
                     name ? name : "", name && with_key ? " " : "", with_key ? row->key : "", text) < 0)
                return;
        free(seek->because);
        seek->because = all;
}

/* A refusal is what somebody has to see to; then a source that is there and has none; then one that is not
 * there. */
static void offer_remedy(struct seek *seek, const char *remedy, int rank)
{
        if (!remedy || rank <= seek->rank)
                return;
        seek->remedy = remedy;
        seek->rank = rank;
}

static void note(struct seek *seek, const struct fact_row *row, enum err r, const char *message)
{
        enum { ABSENT = 1, NONE, REFUSED };
        char text[ERROR_MESSAGE_MAX];

        switch (r) {
        case ERR_NO_SERVICE:
                offer_remedy(seek, row->source->absent, ABSENT);
                message = "no such service runs here";
                break;
        case ERR_DENIED:
        case ERR_FILE_REFUSED:
                offer_remedy(seek, row->source->refused, REFUSED);
                (void)snprintf(text, sizeof text, "refused (%s)", message);
                message = text;
                break;
        case ERR_TIMEOUT:
                message = "it does not answer";
                break;
        default:
                offer_remedy(seek, row->source->none, NONE);
        }
        add_because(seek, row, message);
        if (!seek->later && !is_missing(r))
                seek->later = r;
}

static void seek_next(struct seek *seek);

/* What the source of the row the seek stands at said. Takes @value. */
static void seek_told(struct seek *seek, enum err r, char *value, const char *message)
{
        CLEANUP(free_p) char *own = value;
        const struct fact_row *row = &fact_rows[seek->row];
        const char *wrong = r ? NULL : fact_settle(seek->fact, own);
        char text[128];

        if (!r && !wrong) {
                seek->gather->values->value[seek->fact] = STEAL(own);
                seek_over(seek);
                return;
        }
        if (wrong) {
                (void)snprintf(text, sizeof text, "what it says %s", wrong);
                r = ERR_NOT_FOUND;
                message = text;
        }
        note(seek, row, r, message);
        seek->row++;
        seek_next(seek);
}

static uint64_t now_usec(struct facts_gather *g)
{
        uint64_t now = 0;

        (void)sd_event_now(g->d->event, CLOCK_MONOTONIC, &now);
        return now;
}

static void on_answer(void *ctx, struct bus_reader *reader, const struct error *failure)
{
        struct seek *seek = ctx;
        struct facts_gather *g = seek->gather;
        const struct fact_row *row = &fact_rows[seek->row];
        struct error e = {0};
        char *value = NULL;
        enum err r;

        if (g->over || seek->over) {
                gather_unref(g);
                return;
        }
        if (failure) {
                r = error_copy(&e, failure);
        } else {
                r = row->source->answer(&g->place, row->key, reader, &value, &e);
                if (r == ERR_DENIED) { /* it is about somebody else, and so may be all that follows */
                        note(seek, row, ERR_NOT_FOUND, e.message);
                        seek->later = ERR_OK;
                        seek_fails(seek, e.remedy);
                        gather_unref(g);
                        return;
                }
        }
        seek_told(seek, r, value, e.message);
        gather_unref(g);
}

static enum err ask(struct seek *seek, const struct fact_row *row, struct error *e)
{
        struct facts_gather *g = seek->gather;
        const uint64_t now = now_usec(g), left = g->end > now ? g->end - now : 0;
        uint64_t timeout = clock_wait_usec(&g->d->clock, ANSWER_SECONDS) / 1000;
        enum err r;

        if (row->source->of_login && !g->place.login)
                return error_copy(e, &g->place.login_why);
        if (!g->d->bus)
                return error_set(e, ERR_CANCELLED, "the service ends");
        if (timeout < ANSWER_LEAST_MS)
                timeout = ANSWER_LEAST_MS;
        if (timeout > left / 1000 + 1)
                timeout = left / 1000 + 1;
        r = bus_server_ask(g->d->bus, row->source->question(&g->place, row->key), (int)timeout, on_answer,
                           seek, e);
        if (!r)
                g->refs++;
        return r;
}

static const struct found *find_found(const struct facts_gather *g, size_t row)
{
        for (const struct found *found = g->found; found; found = found->next)
                if (found->row == row)
                        return found;
        return NULL;
}

/* On to the next source of the fact, from the row it stands at. */
static void seek_next(struct seek *seek)
{
        struct facts_gather *g = seek->gather;
        const struct fact_row *row;
        const struct found *found;
        struct error e = {0};
        enum err r;

        do {
                seek->row = fact_row_next(seek->row, seek->fact, g->of_user);
                row = &fact_rows[seek->row];
        } while (row->source && row->stand_in && seek->later && ++seek->row);
        if (!row->source) {
                seek_fails(seek, NULL);
                return;
        }
        if (row->source->question) {
                r = ask(seek, row, &e);
                if (r)
                        seek_told(seek, r, NULL, e.message);
                return;
        }
        found = find_found(g, seek->row);
        if (!found)
                seek_told(seek, ERR_NO_MEMORY, NULL, "there was no memory for it");
        else if (found->result)
                seek_told(seek, found->result, NULL, found->why.message);
        else
                seek_told(seek, ERR_OK, strdup(found->value), "");
}

/* A thread of the pool: every local source that may be needed. Those behind one that has a value are not
 * looked at. */
static void look(struct facts_gather *g, enum fact fact)
{
        for (size_t i = fact_row_next(0, fact, g->of_user); fact_rows[i].source;
             i = fact_row_next(i + 1, fact, g->of_user)) {
                const struct fact_row *row = &fact_rows[i];
                struct found *found;

                if (!row->source->look)
                        continue;
                found = calloc(1, sizeof *found);
                if (!found)
                        return;
                found->row = i;
                found->result = row->source->look(&g->place, row->key, &found->value, &found->why);
                found->next = g->found;
                g->found = found;
                if (!found->result) {
                        CLEANUP(free_p) char *value = strdup(found->value);

                        if (value && !fact_settle(fact, value))
                                return;
                }
        }
}

static bool is_needed(const struct facts_gather *g, size_t fact)
{
        return g->needed & UINT32_C(1) << fact;
}

static bool needs_login(const struct facts_gather *g)
{
        for (size_t i = 0; g->of_user && i < _FACT_MAX; i++)
                if (is_needed(g, i) && fact_of_user((enum fact)i))
                        return true;
        return false;
}

static void run_look(void *ctx)
{
        struct facts_gather *g = ctx;

        if (needs_login(g) && account_login(g->place.uid, &g->place.login, &g->place.login_why))
                g->place.login = NULL;
        for (size_t i = 0; i < _FACT_MAX; i++)
                if (is_needed(g, i))
                        look(g, (enum fact)i);
}

/* What is wrong with the facts file, once for each state of it. */
static void tell_of_file(struct daemon *d, const struct facts_file *file)
{
        struct timespec *told = &d->facts_told;

        if (!file || file->missing ||
            (told->tv_sec == file->edited.tv_sec && told->tv_nsec == file->edited.tv_nsec))
                return;
        *told = file->edited;
        if (file->result)
                log_line(LOG_WARNING, "Nothing of the facts file %s is used: %s", d->config.facts,
                         file->why.message);
        for (size_t i = 0; i < file->unknown.count; i++)
                log_line(LOG_WARNING, "%s, %s, ignoring it", d->config.facts, file->unknown.items[i]);
}

static void looked(void *ctx)
{
        struct facts_gather *g = ctx;

        g->looked = true;
        if (!g->over) {
                tell_of_file(g->d, g->place.file);
                /* The last one ends the gathering, which this reference outlives. */
                for (size_t i = 0; i < _FACT_MAX && !g->over; i++)
                        if (is_needed(g, i) && !g->seeks[i].over)
                                seek_next(&g->seeks[i]);
        }
        if (!g->over && !g->open)
                finish(g); /* nothing was needed */
        gather_unref(g);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct facts_gather *g = ctx;

        (void)source;
        (void)usec;
        g->refs++;
        for (size_t i = 0; i < _FACT_MAX && !g->over; i++) {
                struct seek *seek = &g->seeks[i];

                if (!is_needed(g, i) || seek->over)
                        continue;
                if (g->looked)
                        note(seek, &fact_rows[seek->row], ERR_TIMEOUT, "");
                else
                        seek->because = strdup("the files and name services of this machine do not answer");
                seek->later = ERR_TIMEOUT;
                seek_fails(seek, NULL);
        }
        gather_unref(g);
        return 0;
}

enum err facts_gather(struct daemon *d, uid_t owner, uint32_t needed, facts_gathered *done, void *ctx,
                      struct facts_gather **ret, struct error *e)
{
        struct facts_gather *g = calloc(1, sizeof *g);
        const uint64_t wait = clock_wait_usec(&d->clock, GATHER_SECONDS);
        const uint64_t least = (uint64_t)ANSWER_LEAST_MS * 1000 * GATHER_SECONDS / ANSWER_SECONDS;
        enum err r = ERR_OK;
        int n;

        if (!g)
                return error_no_memory(e);
        *g = (struct facts_gather){.d = d, .refs = 1, .done = done, .ctx = ctx};
        g->needed = needed;
        g->of_user = owner != NO_OWNER;
        g->place.root = "";
        g->place.credentials = secure_getenv("CREDENTIALS_DIRECTORY");
        g->place.facts_path = d->config.facts;
        g->place.own = d->own_uid;
        g->place.uid = owner;
        g->values = calloc(1, sizeof *g->values);
        for (size_t i = 0; i < _FACT_MAX; i++) {
                g->seeks[i].gather = g;
                g->seeks[i].fact = (enum fact)i;
                g->open += is_needed(g, i) ? 1 : 0;
        }
        g->end = now_usec(g) + (wait > least ? wait : least);
        n = g->values ? sd_event_add_time(d->event, &g->deadline, CLOCK_MONOTONIC, g->end, 0, on_deadline, g)
                      : 0;
        if (!g->values)
                r = error_no_memory(e);
        else if (n < 0)
                r = errno_error(e, -n, "The time for gathering facts could not be limited");
        if (!r)
                r = pool_submit(needs_login(g) ? d->names : d->pool, run_look, looked, g, e);
        if (r) {
                end(g);
                return r;
        }
        g->refs++;
        *ret = g;
        return ERR_OK;
}
