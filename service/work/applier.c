#include "work/applier.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "bus-server/server.h"
#include "bus/read.h"
#include "bus/write.h"

#define SYSTEMD         "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

/* Longer than the unit may run (TimeoutStartSec=), so that its own end is heard of. */
static const uint64_t limit_usec = UINT64_C(11) * 60 * 1000000;
enum { ANSWER_MS = 25 * 1000, UNIT_NAME = 64 };

struct applier_job {
        struct daemon *d;
        applier_ended *ended;
        void *ctx;
        char unit[UNIT_NAME];
        sd_event_source *limit;

        /* as a unit */
        struct bus_listener *listener;
        char *path, *systemd; /* of its job, and who answered so; NULL: not known yet */
        bool asking;          /* a question's answer comes: the memory must stay */
        bool cancelled;

        /* as a child */
        sd_event_source *child;
        pid_t pid; /* 0: reaped */
};

/* sd-event has to reap the child, whoever is interested. */
static void let_go_of_child(struct applier_job *job)
{
        if (job->child && job->pid) {
                (void)kill(job->pid, SIGKILL);
                (void)sd_event_source_set_userdata(job->child, NULL);
                (void)sd_event_source_set_floating(job->child, true);
                (void)sd_event_source_unref(job->child);
        } else {
                (void)sd_event_source_disable_unref(job->child);
        }
        job->child = NULL;
}

static void job_free(struct applier_job *job)
{
        (void)sd_event_source_disable_unref(STEAL(job->limit));
        bus_listener_free(STEAL(job->listener));
        let_go_of_child(job);
        free(job->path);
        free(job->systemd);
        free(job);
}

static void end(struct applier_job *job, const struct error *failure)
{
        job->ended(job->ctx, failure);
        applier_cancel(job);
}

void applier_cancel(struct applier_job *job)
{
        if (!job)
                return;
        job->cancelled = true;
        if (!job->asking)
                job_free(job);
}

static int on_limit(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct applier_job *job = ctx;
        struct error e = {0};

        (void)source;
        (void)usec;
        (void)error_set(&e, ERR_CONSUMER, "%s has not ended after %llu minutes", job->unit,
                        (unsigned long long)limit_usec / 60000000);
        (void)error_remedy(&e, ERR_CONSUMER, "See what it does: systemctl status %s.", job->unit);
        end(job, &e);
        return 0;
}

/* A unit that says no more than this was not even begun, or died. */
static void end_badly(struct applier_job *job, const char *what)
{
        struct error e = {0};

        (void)error_set(&e, ERR_CONSUMER, "%s: %s", job->unit, what);
        (void)error_remedy(&e, ERR_CONSUMER, "See why: journalctl -u %s.", job->unit);
        end(job, &e);
}

/* JobRemoved(u id, o job, s unit, s result) */
static void on_job_removed(void *ctx, struct bus_reader *args)
{
        struct applier_job *job = ctx;
        const char *path, *unit, *result;
        uint32_t id;

        if (job->cancelled || !job->path || strcmp(bus_reader_sender(args), job->systemd) != 0 ||
            bus_read_u32(args, "id", &id, NULL) || bus_read_path(args, "job", &path, NULL) ||
            bus_read_string(args, "unit", &unit, NULL) || bus_read_string(args, "result", &result, NULL) ||
            strcmp(path, job->path) != 0)
                return;
        if (strcmp(result, "done") == 0)
                end(job, NULL);
        else
                end_badly(job, result);
}

static void refused(struct applier_job *job, const struct error *failure)
{
        struct error e = {0};

        (void)error_set(&e, ERR_CONSUMER, "systemd does not start %s: %s", job->unit, failure->message);
        (void)error_remedy(&e, ERR_CONSUMER,
                           "Check that the unit scepter-apply@.service and the polkit rule of scepter are "
                           "installed.");
        end(job, &e);
}

static void on_started(void *ctx, struct bus_reader *answer, const struct error *failure)
{
        struct applier_job *job = ctx;
        struct error e = {0};
        const char *path;

        job->asking = false;
        if (job->cancelled) {
                job_free(job);
                return;
        }
        if (failure || bus_read_path(answer, "job", &path, &e)) {
                refused(job, failure ? failure : &e);
                return;
        }
        job->path = strdup(path);
        job->systemd = strdup(bus_reader_sender(answer));
        if (!job->path || !job->systemd) {
                (void)error_no_memory(&e);
                end(job, &e);
        }
}

static void on_subscribed(void *ctx, struct bus_reader *answer, const struct error *failure)
{
        (void)ctx;
        (void)answer;
        (void)failure; /* subscribed before: no matter */
}

static enum err start_unit(struct applier_job *job, struct error *e)
{
        static const struct bus_signal_name removed = {SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved"};
        struct bus_writer *w;
        enum err r = bus_server_listen(job->d->bus, &removed, on_job_removed, job, &job->listener, e);

        if (!r)
                r = bus_server_ask(job->d->bus,
                                   bus_question(SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe"),
                                   ANSWER_MS, on_subscribed, NULL, e);
        if (r)
                return r;
        w = bus_question(SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StartUnit");
        bus_write_string(w, job->unit);
        bus_write_string(w, "replace");
        r = bus_server_ask(job->d->bus, w, ANSWER_MS, on_started, job, e);
        job->asking = !r;
        return r;
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *ctx)
{
        struct applier_job *job = ctx;

        if (!job) { /* nobody waits any more */
                (void)sd_event_source_set_floating(source, false);
                return 0;
        }
        job->pid = 0;
        if (info->si_code == CLD_EXITED && info->si_status == 0)
                end(job, NULL);
        else
                end_badly(job, info->si_code == CLD_EXITED ? "failed" : "was killed");
        return 0;
}

static enum err start_child(struct applier_job *job, const char *certificate, struct error *e)
{
        const struct applier_config *config = &job->d->applier;
        const char *argv[] = {config->exec, "--config", config->config, certificate, NULL};
        /* posix_spawn() does not change the strings. */
        union {
                const char **in;
                char **out;
        } args = {argv};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, defaults;
        int failed = posix_spawn_file_actions_init(&actions);

        if (failed)
                return errno_error(e, failed, "No child could be prepared");
        (void)posix_spawnattr_init(&attributes);
        (void)sigemptyset(&none);
        (void)sigemptyset(&defaults);
        (void)sigaddset(&defaults, SIGPIPE);
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        if (!failed)
                failed = posix_spawn(&job->pid, config->exec, &actions, &attributes, args.out, environ);
        (void)posix_spawnattr_destroy(&attributes);
        (void)posix_spawn_file_actions_destroy(&actions);
        if (failed)
                return errno_error(e, failed, "%s could not be started", config->exec);
        failed = sd_event_add_child(job->d->event, &job->child, job->pid, WEXITED, on_child, job);
        return failed < 0 ? errno_error(e, -failed, "The event loop took no source") : ERR_OK;
}

enum err applier_start(struct daemon *d, const char *certificate, applier_ended *ended, void *ctx,
                       struct applier_job **ret, struct error *e)
{
        struct applier_job *job = calloc(1, sizeof *job);
        enum err r = job ? ERR_OK : error_no_memory(e);
        int failed;

        if (r)
                return r;
        *job = (struct applier_job){.d = d, .ended = ended, .ctx = ctx};
        (void)snprintf(job->unit, sizeof job->unit, "scepter-apply@%s.service", certificate);
        failed = sd_event_add_time_relative(d->event, &job->limit, CLOCK_MONOTONIC, limit_usec, 0, on_limit,
                                            job);
        if (failed < 0)
                r = errno_error(e, -failed, "The event loop took no source");
        if (!r)
                r = d->applier.exec ? start_child(job, certificate, e) : start_unit(job, e);
        if (r) {
                applier_cancel(job);
                return r;
        }
        *ret = job;
        return ERR_OK;
}
