#include "workers.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "channel/frame.h"
#include "keys/access.h"
#include "keys/tls-sign.h"
#include "keys/unwrap.h"
#include "process.h"

enum {
        RUNNING_MAX = 16,       /* in all */
        RUNNING_USERS_MAX = 10, /* for users; the rest is kept for the device and root */
        RUNNING_USER_MAX = 2,   /* for one user */
        WAITING_MAX = 4096,
        DEADLINE_SLACK_USEC = 15 * 1000000,
        PARSE_DEADLINE_USEC = 30 * 1000000,
        OPERATION_USEC = 100 * 1000000, /* one at the TPM: it may take 90 s */
        AT_ONCE_USEC = 1,               /* how late a timer may be that is due now */
        IDLE_USEC = 5 * 1000000,        /* a worker that was started ahead waits so long for its job */
};

struct workers {
        struct workers_config config;
        struct worker_process network, parse; /* started ahead of their job */
        sd_event_source *idle;                /* ends them when none came */
        struct worker_job *jobs;              /* running and waiting, oldest first */
        unsigned n_jobs;
};

struct worker_job {
        struct workers *workers;
        struct worker_job *next;
        enum job_kind kind;
        uid_t owner;
        bool running;
        bool more;              /* a process for the next job is started beside it */
        uint64_t deadline_usec; /* how long it may take once it runs */
        struct bytes record;    /* the encoded job; wiped when it was sent */
        struct key_grant grant;
        struct secret pin; /* of grant.key */
        struct ksp_op op;  /* the granted operation while it is at the TPM */
        bool op_pending, op_in_pool, abandoned;
        uint32_t op_id;
        enum frame_type op_type;
        uint16_t op_scheme; /* FRAME_TLS_SIGN */
        struct bytes op_data;
        struct key_unwrap op_unwrap; /* FRAME_UNWRAP; borrows from op_octets */
        struct bytes op_octets;
        struct error key_failure; /* of the key that was to open the reply */
        worker_done *done;
        void *ctx;

        struct worker_process process;
        sd_event_source *io, *timer;
        struct secret in; /* frame being received */
        size_t in_have;
        struct bytes out; /* frame being sent */
        size_t out_sent;
};

static void start_waiting(struct workers *workers);

static struct worker_process *spare_of(struct workers *workers, enum job_kind kind)
{
        return kind == JOB_PARSE ? &workers->parse : &workers->network;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct workers *workers = ctx;

        (void)source;
        (void)usec;
        (void)sd_event_source_disable_unref(STEAL(workers->idle));
        worker_process_end(&workers->network);
        worker_process_end(&workers->parse);
        return 0;
}

void workers_warm(struct workers *workers, enum job_kind kind)
{
        struct worker_process *spare = spare_of(workers, kind);

        if (worker_process_alive(spare) || workers->n_jobs >= RUNNING_MAX)
                return;
        worker_process_end(spare);
        (void)sd_event_source_disable_unref(STEAL(workers->idle));
        if (worker_process_start(&workers->config, kind, spare, NULL) ||
            sd_event_add_time_relative(workers->config.event, &workers->idle, CLOCK_MONOTONIC, IDLE_USEC, 0,
                                       on_idle, workers) < 0)
                worker_process_end(spare); /* the job will start its own, or tell why not */
}

enum err workers_new(const struct workers_config *config, struct workers **ret, struct error *e)
{
        struct workers *workers = calloc(1, sizeof *workers);

        if (!workers)
                return error_no_memory(e);
        workers->config = *config;
        workers->network = workers->parse = NO_PROCESS;
        *ret = workers;
        return ERR_OK;
}

static void unlink_job(struct worker_job *job)
{
        for (struct worker_job **p = &job->workers->jobs; *p; p = &(*p)->next) {
                if (*p == job) {
                        *p = job->next;
                        job->workers->n_jobs--;
                        return;
                }
        }
}

static void free_job(struct worker_job *job)
{
        wipe(job->record.data, job->record.len);
        bytes_done(&job->record);
        wipe(job->out.data, job->out.len);
        bytes_done(&job->out);
        secret_done(&job->in);
        bytes_done(&job->op_data);
        bytes_done(&job->op_octets);
        bytes_done(&job->op.signature);
        secret_done(&job->op.plain);
        secret_done(&job->grant.password);
        secret_done(&job->pin);
        ksp_key_unref(job->grant.key);
        ksp_key_unref(job->grant.tls);
        free(job);
}

/* Takes the job out of everything. Its memory stays while the granted operation is at work. */
static void end_job(struct worker_job *job)
{
        (void)sd_event_source_disable_unref(STEAL(job->io));
        (void)sd_event_source_disable_unref(STEAL(job->timer));
        worker_process_end(&job->process); /* it has its result out or is not wanted any more */
        unlink_job(job);
        if (job->op_pending)
                job->abandoned = true;
        else
                free_job(job);
}

void workers_free(struct workers *workers)
{
        if (!workers)
                return;
        while (workers->jobs)
                end_job(workers->jobs);
        (void)sd_event_source_disable_unref(workers->idle);
        worker_process_end(&workers->network);
        worker_process_end(&workers->parse);
        free(workers);
}

void worker_job_cancel(struct worker_job *job)
{
        struct workers *workers = job->workers;

        end_job(job);
        start_waiting(workers);
}

static void finish(struct worker_job *job, const struct result *result, const struct error *failure)
{
        struct workers *workers = job->workers;
        CLEANUP(secret_done) struct secret in = job->in; /* the result borrows from it */
        worker_done *done = job->done;
        void *ctx = job->ctx;

        job->in = (struct secret){0};
        end_job(job);
        done(ctx, result, failure);
        start_waiting(workers);
}

static void fail(struct worker_job *job, enum err code, const char *what)
{
        struct error e = {0};

        (void)error_set(&e, code, "The worker for the job '%s' %s", job_kind_name(job->kind), what);
        finish(job, NULL, &e);
}

/* Sends what is in job->out; true: all is sent. */
static bool flush(struct worker_job *job, bool *ret_broken)
{
        *ret_broken = false;
        while (job->out_sent < job->out.len) {
                ssize_t n = send(job->process.fd, job->out.data + job->out_sent, job->out.len - job->out_sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return false;
                if (n < 0) {
                        *ret_broken = true;
                        return false;
                }
                job->out_sent += (size_t)n;
        }
        wipe(job->out.data, job->out.len);
        bytes_done(&job->out);
        job->out_sent = 0;
        return true;
}

/* Puts a frame into job->out and begins to send it. */
static enum err send_frame(struct worker_job *job, enum frame_type type, uint32_t id, struct view body,
                           struct error *e)
{
        const struct frame_header header = {type, id, body.len};
        uint8_t *frame = malloc(FRAME_HEADER + body.len + 1);
        bool broken;

        if (!frame)
                return error_no_memory(e);
        frame_header_encode(&header, frame);
        if (body.len)
                memcpy(frame + FRAME_HEADER, body.data, body.len);
        job->out = (struct bytes){frame, FRAME_HEADER + body.len};
        job->out_sent = 0;
        if (!flush(job, &broken))
                (void)sd_event_source_set_io_events(job->io, EPOLLIN | (broken ? 0 : EPOLLOUT));
        return ERR_OK;
}

static void answer_operation(struct worker_job *job)
{
        struct fields_writer w = FIELDS_WRITER(FRAME_KEYS_MAX, true);
        CLEANUP(bytes_done) struct bytes body = {0};
        struct error e = {0};
        enum err r;

        if (job->op.result) {
                r = frame_error_encode(&job->op.error, &body, &e);
                if (!r)
                        r = send_frame(job, FRAME_ERROR, job->op_id, bytes_view(&body), &e);
        } else {
                fields_put(&w, FRAME_TAG_DATA,
                           job->op_type == FRAME_TLS_SIGN ? bytes_view(&job->op.signature)
                                                          : secret_view(&job->op.plain));
                r = fields_finish(&w, &body, &e);
                if (!r)
                        r = send_frame(job, FRAME_ANSWER, job->op_id, bytes_view(&body), &e);
                wipe(body.data, body.len);
        }
        secret_done(&job->op.plain);
        bytes_done(&job->op.signature);
        if (r)
                finish(job, NULL, &e);
}

static void run_operation(void *ctx)
{
        struct worker_job *job = ctx;

        if (job->op_type == FRAME_TLS_SIGN)
                job->op.result = tls_sign(job->grant.tls, job->op.uid, job->op_scheme, job->op.data,
                                          &job->op.signature, &job->op.error);
        else if (job->op_type == FRAME_UNWRAP)
                job->op.result = password_unwrap(secret_view(&job->grant.password), &job->op_unwrap,
                                                 job->op.data, &job->op.plain, &job->op.error);
        else
                (void)ksp_run(&job->op);
}

static void operation_done(void *ctx)
{
        struct worker_job *job = ctx;

        job->op_pending = false;
        if (job->op.result && job->op_type != FRAME_TLS_SIGN)
                job->key_failure = job->op.error;
        if (job->abandoned)
                free_job(job);
        else
                answer_operation(job);
}

/* The worker asks for a private operation. */
static enum err take_request(struct worker_job *job, const struct frame_header *h, struct view body,
                             struct error *e)
{
        struct key_request request;
        enum err r = key_request_decode(h->type, body, &request, e);

        if (r)
                return r;
        /* An answer it has not taken yet stands in the way of the next one. */
        if (job->op_pending || job->out.data)
                return error_set(e, ERR_PROTOCOL, "The worker asked twice at once");
        job->op_id = h->id;
        job->op_type = h->type;
        job->op_scheme = request.tls_scheme;
        r = access_decide(&(struct key_access){.grant = &job->grant}, NULL, h->type, e);
        if (r) {
                job->op.result = r;
                (void)error_copy(&job->op.error, e);
                answer_operation(job);
                return ERR_OK;
        }
        bytes_done(&job->op_data);
        r = bytes_copy(&job->op_data, request.data.data, request.data.len, e);
        if (!r && h->type == FRAME_UNWRAP)
                r = unwrap_copy(&request.unwrap, &job->op_octets, &job->op_unwrap, e);
        if (r)
                return r;
        job->op.key = job->grant.key;
        job->op.use = h->type == FRAME_DERIVE ? KSP_USE_DERIVE : KSP_USE_DECRYPT;
        job->op.pin = secret_view(&job->pin);
        job->op.uid = job->grant.uid;
        job->op.decrypt = request.decrypt;
        job->op.decrypt.label = (struct view){0}; /* borrowed from a frame that goes; no server uses one */
        job->op.data = bytes_view(&job->op_data);
        job->op_pending = true;
        r = pool_submit(job->workers->config.pool, run_operation, operation_done, job, e);
        if (r)
                job->op_pending = false;
        return r;
}

static void take_result(struct worker_job *job, struct view body)
{
        struct result result;
        struct error e = {0};

        if (result_decode(body, job->kind, &result, &e)) {
                (void)error_context(&e, e.code, "The worker for the job '%s'", job_kind_name(job->kind));
                finish(job, NULL, &e);
        } else if (result.kind == RESULT_FAILED) {
                (void)result_error(&result.of.failed, &e);
                /* The worker knows no more than that it could not open the reply. */
                if (err_exit_status(job->key_failure.code) == EXIT_TPM)
                        e = job->key_failure;
                finish(job, &result, &e);
        } else {
                finish(job, &result, NULL);
        }
}

/* One frame is whole. false: the job is over. */
static bool take_frame(struct worker_job *job, const struct frame_header *h)
{
        const struct view body = {job->in.data + FRAME_HEADER, h->len};
        struct error e = {0};

        if (h->type == FRAME_RESULT) {
                take_result(job, body);
                return false;
        }
        if (take_request(job, h, body, &e)) {
                finish(job, NULL, &e);
                return false;
        }
        job->in_have = 0;
        return true;
}

enum { FIRST_BUFFER = 64 * 1024 };

/* Reads what is there. false: the job is over. */
static bool receive(struct worker_job *job)
{
        struct frame_header h = {0};
        struct error e = {0};

        for (;;) {
                size_t want = FRAME_HEADER;
                ssize_t n;

                if (job->in_have >= FRAME_HEADER) {
                        if (frame_header_decode(job->in.data, FRAME_WORKER_MAX, &h, &e)) {
                                finish(job, NULL, &e);
                                return false;
                        }
                        want = FRAME_HEADER + h.len;
                        if (job->in_have >= want) {
                                if (!take_frame(job, &h))
                                        return false;
                                continue;
                        }
                }
                if (want > job->in.len) {
                        struct secret larger = {0};

                        if (secret_new(&larger, want > FIRST_BUFFER ? want : FIRST_BUFFER, &e)) {
                                finish(job, NULL, &e);
                                return false;
                        }
                        if (job->in_have)
                                memcpy(larger.data, job->in.data, job->in_have);
                        secret_done(&job->in);
                        job->in = larger;
                }
                n = recv(job->process.fd, job->in.data + job->in_have, want - job->in_have, MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return true;
                if (n <= 0) {
                        fail(job, ERR_WORKER, "ended without a result");
                        return false;
                }
                job->in_have += (size_t)n;
        }
}

static int on_stream(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct worker_job *job = ctx;
        bool broken;

        (void)source;
        (void)fd;
        if ((events & EPOLLOUT) && job->out.data && flush(job, &broken))
                (void)sd_event_source_set_io_events(job->io, EPOLLIN);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                (void)receive(job);
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *ctx)
{
        (void)source;
        (void)usec;
        fail(ctx, ERR_TIMEOUT, "did not end in time");
        return 0;
}

static enum err start_job(struct worker_job *job, struct error *e)
{
        const struct workers_config *config = &job->workers->config;
        struct worker_process *spare = spare_of(job->workers, job->kind);
        enum err r = ERR_OK;
        int failed;

        if (worker_process_alive(spare))
                worker_process_move(&job->process, spare);
        else
                r = worker_process_start(config, job->kind, &job->process, e);
        if (r)
                return r;
        (void)sd_event_source_disable_unref(STEAL(job->timer));
        failed = sd_event_add_io(config->event, &job->io, job->process.fd, EPOLLIN, on_stream, job);
        if (failed >= 0)
                failed = sd_event_add_time_relative(config->event, &job->timer, CLOCK_MONOTONIC,
                                                    job->deadline_usec, 0, on_deadline, job);
        if (failed < 0)
                return errno_error(e, -failed, "The event loop took no source");
        job->running = true;
        r = send_frame(job, FRAME_JOB, 1, bytes_view(&job->record), e);
        wipe(job->record.data, job->record.len);
        bytes_done(&job->record);
        if (!r && job->more)
                workers_warm(job->workers, job->kind);
        return r;
}

static bool is_user(const struct worker_job *job)
{
        return job->owner != 0 && job->owner != (uid_t)-1;
}

/* Whether the line lets this one in now. */
static bool may_run(const struct worker_job *job)
{
        unsigned all = 0, users = 0, mine = 0;

        for (const struct worker_job *other = job->workers->jobs; other; other = other->next) {
                if (!other->running)
                        continue;
                all++;
                users += is_user(other);
                mine += other->owner == job->owner;
        }
        if (all >= RUNNING_MAX)
                return false;
        return !is_user(job) || (users < RUNNING_USERS_MAX && mine < RUNNING_USER_MAX);
}

static void start_waiting(struct workers *workers)
{
        bool again = true;

        while (again) {
                again = false;
                for (struct worker_job *job = workers->jobs; job; job = job->next) {
                        struct error e = {0};

                        if (job->running || !may_run(job))
                                continue;
                        if (start_job(job, &e)) {
                                finish(job, NULL, &e);
                                return; /* finish() has started the next ones */
                        }
                        again = true;
                        break;
                }
        }
}

/* A job begins in the next turn, so that done() is never called from within workers_start(). */
static int on_begin(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct worker_job *job = ctx;

        (void)source;
        (void)usec;
        (void)sd_event_source_disable_unref(STEAL(job->timer));
        start_waiting(job->workers);
        return 0;
}

static uint64_t deadline_of(const struct job *job, const struct key_grant *grant)
{
        const uint64_t keys = (grant->uses + grant->tls_uses) * (uint64_t)OPERATION_USEC;

        switch (job->kind) {
        case JOB_DISCOVER: /* two operations at each URL, perhaps twice */
                return job->of.discover.link.total_ms * 1000 * (4 * job->of.discover.urls.n + 1) +
                       DEADLINE_SLACK_USEC + keys;
        case JOB_EXCHANGE:
                return job->of.exchange.link.total_ms * 1000 + DEADLINE_SLACK_USEC + keys;
        case JOB_PROBE: /* three operations, the redirects of each included */
                return job->of.probe.link.total_ms * 1000 * 3 + DEADLINE_SLACK_USEC + keys;
        case JOB_FETCH:
                return job->of.fetch.link.total_ms * 1000 * job->of.fetch.urls.n + DEADLINE_SLACK_USEC + keys;
        case JOB_PARSE:
        case _JOB_KIND_MAX:
                break;
        }
        return PARSE_DEADLINE_USEC;
}

enum err workers_start(struct workers *workers, const struct job *job, const struct worker_grant *grant,
                       uid_t owner, worker_done *done, void *ctx, struct worker_job **ret, struct error *e)
{
        struct worker_job *made, **end = &workers->jobs;
        int failed;
        enum err r;

        if (workers->n_jobs >= WAITING_MAX)
                return error_set(e, ERR_LIMIT, "Too many jobs are waiting for a worker");
        made = calloc(1, sizeof *made);
        if (!made)
                return error_no_memory(e);
        *made = (struct worker_job){.workers = workers,
                                    .kind = job->kind,
                                    .owner = owner,
                                    .done = done,
                                    .ctx = ctx,
                                    .grant = {.uid = grant ? grant->uid : 0},
                                    .more = grant && grant->more,
                                    .process = NO_PROCESS};
        if (grant && grant->key) {
                made->grant.key = ksp_key_ref(grant->key);
                made->grant.derives = !key_alg_is_rsa(ksp_key_alg(grant->key));
        }
        if (grant && (grant->key || grant->password.len))
                made->grant.uses = 1;
        if (grant && grant->tls) {
                made->grant.tls = ksp_key_ref(grant->tls);
                made->grant.tls_uses = GRANT_TLS_SIGNATURES;
        }
        made->deadline_usec = deadline_of(job, &made->grant);
        r = grant && grant->password.len ? secret_copy(&made->grant.password, grant->password, e) : ERR_OK;
        if (!r && grant && grant->pin.len)
                r = secret_copy(&made->pin, grant->pin, e);
        if (!r)
                r = job_encode(job, &made->record, e);
        if (r) {
                free_job(made);
                return r;
        }
        /* 0 would let the loop gather it with other timers, for up to 250 ms */
        failed = sd_event_add_time_relative(workers->config.event, &made->timer, CLOCK_MONOTONIC, 0,
                                            AT_ONCE_USEC, on_begin, made);
        if (failed < 0) {
                free_job(made);
                return errno_error(e, -failed, "The event loop took no source");
        }
        while (*end)
                end = &(*end)->next;
        *end = made;
        workers->n_jobs++;
        if (ret)
                *ret = made;
        return ERR_OK;
}
