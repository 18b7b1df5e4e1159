#include "pin/line.h"

struct pin_line {
        struct pool *pool;
        struct pin_job *waiting; /* by their turns */
        struct pin_job *at_work; /* in the pool */
        uint64_t turn;           /* its, or that of the last one */
};

enum err pin_line_new(struct pool *pool, struct pin_line **ret, struct error *e)
{
        struct pin_line *line = calloc(1, sizeof *line);

        if (!line)
                return error_no_memory(e);
        line->pool = pool;
        *ret = line;
        return ERR_OK;
}

static void cancel(struct pin_job *job)
{
        struct error e = {0};

        (void)error_set(&e, ERR_CANCELLED, "Whoever asked is gone");
        job->done(job, &e);
}

void pin_line_free(struct pin_line *line)
{
        if (line && line->at_work) /* the pool ended first, and told nobody */
                cancel(line->at_work);
        free(line);
}

static void start(struct pin_line *line);

static void run(void *ctx)
{
        struct pin_line *line = ctx;

        line->at_work->run(line->at_work);
}

static void done(void *ctx)
{
        struct pin_line *line = ctx;
        struct pin_job *job = STEAL(line->at_work);

        job->done(job, NULL);
        start(line);
}

static void start(struct pin_line *line)
{
        while (!line->at_work && line->waiting) {
                struct pin_job *job = line->waiting;
                struct error e = {0};

                line->waiting = job->next;
                line->at_work = job;
                line->turn = job->turn;
                if (pool_submit(line->pool, run, done, line, &e)) {
                        line->at_work = NULL;
                        job->done(job, &e);
                }
        }
}

/* The nth of a user stands behind the nth of all others. */
enum err pin_line_join(struct pin_line *line, struct pin_job *job, struct error *e)
{
        const bool is_at_work = line->at_work && line->at_work->uid == job->uid;
        unsigned n = is_at_work;
        struct pin_job **p;

        job->turn = line->turn + is_at_work;
        for (p = &line->waiting; *p; p = &(*p)->next) {
                if ((*p)->uid != job->uid)
                        continue;
                job->turn = (*p)->turn + 1;
                n++;
        }
        if (n >= PIN_JOBS_MAX) {
                (void)error_set(e, ERR_LIMIT, "More than %d operations with a PIN at once", PIN_JOBS_MAX);
                return error_remedy(e, ERR_LIMIT, "Wait for one of them to end, then try again.");
        }
        for (p = &line->waiting; *p && (*p)->turn <= job->turn; p = &(*p)->next)
                ;
        job->next = *p;
        *p = job;
        start(line);
        return ERR_OK;
}

void pin_line_leave(struct pin_line *line, const void *whose)
{
        struct pin_job **p = &line->waiting;

        while (*p) {
                struct pin_job *job = *p;

                if (job->whose != whose) {
                        p = &job->next;
                        continue;
                }
                *p = job->next;
                cancel(job);
        }
}
