/*
 * scepterd: reads its arguments, makes its parts in order, runs the loop. No state but on main()'s stack.
 * Order: secrets (no dumps), configuration, loop, store, keys, workers, objects, key socket, what was under
 * way, READY.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#include "base/file.h"
#include "base/ossl.h"
#include "base/parse.h"
#include "check.h"
#include "daemon.h"
#include "enroll/apply.h"
#include "enroll/due.h"
#include "enroll/enrollment.h"
#include "enroll/network.h"
#include "events/events.h"
#include "keys/groups.h"
#include "keys/server.h"
#include "load.h"
#include "log.h"
#include "objects/objects.h"
#include "pin/line.h"
#include "pin/pin.h"
#include "placed/placed.h"
#include "syncml/instances.h"

enum { HOST_KEY_MAX = 256, OWNER_AUTH_MAX = 256, FILES = 8192, NAME_THREADS = 4 };
static const uint64_t watch_usec = 10 * 1000000;

struct arguments {
        const char *config;                      /* NULL: /etc/scepter/scepter.conf, if it is there */
        char network[PATH_MAX], parse[PATH_MAX]; /* the programs of the workers */
        char applier[PATH_MAX];
        bool exec_workers, weak_workers, exec_apply;
        bool check_config, print_config;
        unsigned clock_scale;
        const char *clock_file; /* NULL: none */
};

bool daemon_is_root(const struct daemon *d, uid_t uid)
{
        return uid == 0 || uid == d->own_uid;
}

static void usage(FILE *out)
{
        (void)fputs(
                "Usage: scepterd [--config FILE] [--exec-workers] [--weak-workers] [--exec-apply] "
                "[--clock-scale N]\n"
                "                [--clock-file FILE] | --check-config | --print-config\n"
                "\n"
                "The service that enrolls and renews SCEP certificates with hardware keys.\n"
                "  --config FILE     instead of /etc/scepter/scepter.conf\n"
                "  --exec-workers    start workers directly instead of through systemd's sockets (tests)\n"
                "  --weak-workers    accept workers without Landlock (kernels before 5.13)\n"
                "  --exec-apply      start scepter-apply directly instead of as a unit of systemd (tests)\n"
                "  --clock-scale N   let waits of N seconds pass in one (tests)\n"
                "  --clock-file FILE add the seconds in FILE, eight octets, to the clock (tests)\n"
                "  --check-config    say what is wrong in scepter.conf, profiles.d and consumers.d, and end\n"
                "  --print-config    print the configuration with its defaults, and end\n"
                "  --help, --version\n",
                out);
}

/* 0: go on; else the exit status plus one. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
        enum {
                OPT_CONFIG = 256,
                OPT_EXEC,
                OPT_WEAK,
                OPT_APPLY,
                OPT_SCALE,
                OPT_CLOCK,
                OPT_CHECK,
                OPT_PRINT,
                OPT_HELP,
                OPT_VERSION
        };
        static const struct option options[] = {
                {"config", required_argument, NULL, OPT_CONFIG},
                {"exec-workers", no_argument, NULL, OPT_EXEC},
                {"weak-workers", no_argument, NULL, OPT_WEAK},
                {"exec-apply", no_argument, NULL, OPT_APPLY},
                {"clock-scale", required_argument, NULL, OPT_SCALE},
                {"clock-file", required_argument, NULL, OPT_CLOCK},
                {"check-config", no_argument, NULL, OPT_CHECK},
                {"print-config", no_argument, NULL, OPT_PRINT},
                {"help", no_argument, NULL, OPT_HELP},
                {"version", no_argument, NULL, OPT_VERSION},
                {NULL, 0, NULL, 0},
        };
        uint64_t scale;
        int c;

        *ret = (struct arguments){.clock_scale = 1};
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (c) {
                case OPT_CONFIG:
                        ret->config = optarg;
                        break;
                case OPT_EXEC:
                        ret->exec_workers = true;
                        break;
                case OPT_WEAK:
                        ret->weak_workers = true;
                        break;
                case OPT_APPLY:
                        ret->exec_apply = true;
                        break;
                case OPT_SCALE:
                        if (!parse_u64(optarg, 1000000, &scale) || scale == 0) {
                                (void)fprintf(stderr,
                                              "scepterd: --clock-scale takes a number from 1 to 1000000\n");
                                return 3;
                        }
                        ret->clock_scale = (unsigned)scale;
                        break;
                case OPT_CLOCK:
                        ret->clock_file = optarg;
                        break;
                case OPT_CHECK:
                        ret->check_config = true;
                        break;
                case OPT_PRINT:
                        ret->print_config = true;
                        break;
                case OPT_HELP:
                        usage(stdout);
                        return 1;
                case OPT_VERSION:
                        (void)puts("scepterd " SCEPTER_VERSION);
                        return 1;
                default:
                        usage(stderr);
                        return 3;
                }
        }
        if (optind < argc) {
                (void)fprintf(stderr, "scepterd: unexpected argument '%s'\n", argv[optind]);
                usage(stderr);
                return 3;
        }
        return 0;
}

/* The programs this one starts stand beside it. */
static enum err find_beside(const char *name, char ret[PATH_MAX], struct error *e)
{
        ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 32);
        char *slash;

        if (n < 0)
                return errno_error(e, errno, "This program's own path could not be read");
        ret[n] = 0;
        slash = strrchr(ret, '/');
        strcpy(slash + 1, name);
        if (access(ret, X_OK) < 0)
                return errno_error(e, errno, "The program %s cannot be started", ret);
        return ERR_OK;
}

/* No core dumps, no ptrace by others, files private unless said otherwise. */
static void close_up(void)
{
        const struct rlimit none = {0, 0};
        struct rlimit files;

        (void)setrlimit(RLIMIT_CORE, &none);
        /* The soft limit of 1024 is for programs that use select(2); keys and bus have as many connections.
         */
        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES) {
                files.rlim_cur = files.rlim_max < FILES ? files.rlim_max : FILES;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)umask(0077);
        /* tpm2-tss logs to standard error by itself; what matters comes back as an error. */
        (void)setenv("TSS2_LOG", "all+NONE", 0);
        (void)signal(SIGPIPE, SIG_IGN);
}

/* A stable name for this machine that tells nothing about it. */
static enum err read_device_id(char **ret, struct error *e)
{
        static const sd_id128_t application =
                SD_ID128_MAKE(5c, e1, 0d, 41, 7f, 2b, 4e, 6a, 9d, 03, 8a, 11, 52, c7, be, 60);
        char text[SD_ID128_STRING_MAX] = "unknown";
        sd_id128_t id;

        if (sd_id128_get_machine_app_specific(application, &id) >= 0)
                (void)sd_id128_to_string(id, text);
        *ret = strdup(text);
        return *ret ? ERR_OK : error_no_memory(e);
}

static void trim_line_end(struct secret *secret)
{
        while (secret->len &&
               (secret->data[secret->len - 1] == '\n' || secret->data[secret->len - 1] == '\r'))
                secret->len--;
}

/* The TPM's owner password, where a unit's LoadCredential= or LoadCredentialEncrypted= gives it. */
static void read_owner_auth(struct secret *ret)
{
        static const char name[] = "scepter.tpm-owner-auth";
        const char *credentials = secure_getenv("CREDENTIALS_DIRECTORY");
        CLEANUP(close_p) int dir = credentials ? open(credentials, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        struct error why = {0};
        enum err r = dir < 0 ? ERR_NOT_FOUND : file_read_secret(dir, name, OWNER_AUTH_MAX, ret, &why);

        if (r && r != ERR_NOT_FOUND)
                log_line(LOG_WARNING, "The credential %s could not be read, ignoring: %s", name, why.message);
        trim_line_end(ret);
}

/* Missing: the daemon starts, and software keys say what is wrong. */
static enum err open_keys(struct daemon *d, struct error *e)
{
        CLEANUP(secret_done) struct secret secret = {0};
        CLEANUP(secret_done) struct secret owner_auth = {0};
        struct ksp_config config = {.tcti = d->config.tcti};
        struct error why = {0};

        if (file_read_secret(AT_FDCWD, d->config.host_key, HOST_KEY_MAX, &secret, &why))
                log_line(LOG_WARNING, "The host secret %s could not be read, ignoring: %s",
                         d->config.host_key, why.message);
        trim_line_end(&secret);
        read_owner_auth(&owner_auth);
        config.host_secret = secret_view(&secret);
        config.owner_auth = secret_view(&owner_auth);
        d->has_host_secret = secret.len > 0;
        return ksp_open(&config, &d->ksp, e);
}

static void resume(struct daemon *d)
{
        struct certificate *certificate;
        uint64_t order = 0;

        while ((certificate = model_next(d->model, order))) {
                struct error e = {0};

                order = certificate->order;
                if (activity_is_running(certificate->activity) && enrollment_resume(d, certificate, &e))
                        log_error(LOG_ERR, &e);
                if (certificate->activity == ACTIVITY_REMOVING && certificate_remove_rest(d, certificate, &e))
                        log_error(LOG_ERR, &e);
        }
        instances_resume(d);
}

static void on_clock(void *ctx)
{
        due_recheck(ctx);
}

static void on_bus_lost(void *ctx)
{
        struct daemon *d = ctx;

        log_line(LOG_ERR, "The system bus went away; the service ends and is started anew");
        (void)sd_event_exit(d->event, 1);
}

/* A TPM command over its limit never comes back: the daemon ends with a named fault, and systemd starts it
 * anew. */
static int on_watch(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct daemon *d = ctx;
        struct timespec t;
        uint64_t limit, since = ksp_busy_since(d->ksp, &limit);

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        if (since && (uint64_t)t.tv_sec * 1000000 > since + limit) {
                log_line(LOG_ERR,
                         "The TPM has not answered a command for %llu s (TpmFailed); the service ends and is "
                         "started anew",
                         (unsigned long long)limit / 1000000);
                _exit(1);
        }
        (void)sd_event_source_set_time(source, usec + watch_usec);
        (void)sd_event_source_set_enabled(source, SD_EVENT_ON);
        return 0;
}

static enum err make_loop(struct daemon *d, struct error *e)
{
        static const int signals[] = {SIGTERM, SIGINT, SIGCHLD};
        sigset_t set;
        int r;

        (void)sigemptyset(&set);
        for (size_t i = 0; i < N_ELEMENTS(signals); i++)
                (void)sigaddset(&set, signals[i]);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        r = sd_event_default(&d->event);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, watch_usec, 0, on_watch, d);
        (void)sd_event_set_watchdog(d->event, true);
        return r < 0 ? errno_error(e, -r, "The event loop could not be made") : ERR_OK;
}

static enum err make_parts(struct daemon *d, const struct arguments *arguments, struct error *e)
{
        struct workers_config workers = {.weak = arguments->weak_workers};
        enum err r = make_loop(d, e);

        if (!r)
                r = store_open(d->config.state, &d->store, e);
        if (!r)
                r = event_log_new(d->event, d->store, &d->clock, &d->events, e);
        if (!r)
                r = model_new(d->store, &d->model, e);
        if (!r)
                r = read_device_id(&d->device_id, e);
        if (!r)
                r = open_keys(d, e);
        if (!r)
                r = ksp_provider_load(d->libctx, &d->provider, e);
        if (!r)
                r = pool_new(d->event, 0, &d->pool, e);
        if (!r)
                r = pool_new(d->event, NAME_THREADS, &d->names, e);
        workers.event = d->event;
        workers.pool = d->pool;
        workers.ksp = d->ksp;
        workers.network = arguments->exec_workers ? arguments->network : NULL;
        workers.parse = arguments->exec_workers ? arguments->parse : NULL;
        workers.runtime = d->config.runtime;
        if (!r)
                r = workers_new(&workers, &d->workers, e);
        if (!r)
                r = load_state(d, e);
        if (!r)
                r = instances_load(d->store, &d->instances, e);
        if (!r)
                r = tpm_status_new(d, e);
        if (!r)
                r = key_groups_new(d, &d->key_groups, e);
        if (!r)
                r = pin_guard_new(&d->pins, e);
        if (!r)
                r = pin_line_new(d->pool, &d->pin_line, e);
        if (!r)
                r = key_server_new(d, &d->keys, e);
        return r ? r : objects_start(d, on_bus_lost, d, e);
}

static void free_parts(struct daemon *d)
{
        struct certificate *certificate;
        uint64_t order = 0;

        clock_watch_free(d->clock_watch);
        follow_stop(d);
        placed_stop(d);
        due_stop(d);
        enrollments_stop_beginning(d);
        network_watch_stop(d->network);
        objects_stop(d);
        network_watch_free(d->network);
        key_server_free(d->keys);
        key_groups_free(d->key_groups);
        while (d->model && (certificate = model_next(d->model, order))) {
                order = certificate->order;
                if (certificate->enrollment)
                        enrollment_abandon(certificate->enrollment);
        }
        workers_free(d->workers);
        pool_free(d->names);
        pool_free(d->pool);
        pin_line_free(d->pin_line);
        pin_guard_free(d->pins);
        readings_stop(d);
        placed_end(d);
        follow_end(d);
        due_end(d);
        enrollments_end(d);
        event_log_free(d->events);
        tpm_status_free(d);
        instances_free(d->instances);
        model_free(d->model);
        ksp_provider_unload(&d->provider);
        ksp_close(d->ksp);
        store_close(d->store);
        (void)sd_event_unref(d->event);
        free(d->device_id);
        config_done(&d->config);
}

static enum err run(struct daemon *d, const struct arguments *arguments, struct error *e)
{
        enum err r = config_read(arguments->config, &d->config, e);
        int status;

        if (!r)
                r = make_parts(d, arguments, e);
        if (r)
                return r;
        resume(d);
        r = due_start(d, e);
        if (!r)
                r = network_watch_new(d, &d->network, e);
        if (!r)
                r = placed_start(d, e);
        if (!r)
                r = follow_start(d, e);
        if (!r)
                r = clock_watch_new(d->event, arguments->clock_file, on_clock, d, &d->clock_watch, e);
        if (r)
                return r;
        log_line(LOG_NOTICE, "Ready, version %s", SCEPTER_VERSION);
        (void)sd_notify(0, "READY=1");
        status = sd_event_loop(d->event);
        (void)sd_notify(0, "STOPPING=1");
        return status == 0 ? ERR_OK : error_set(e, ERR_FAILED, "The service ended on its own account");
}

/* --check-config, --print-config. The exit status. */
static int about_config(const struct arguments *arguments, uid_t own)
{
        CLEANUP(config_done) struct config config = {0};
        struct error e = {0};
        enum err r = config_read(arguments->config, &config, &e);

        if (!r && arguments->check_config)
                r = config_check(&config, own, stderr, &e);
        if (!r && arguments->print_config)
                config_print(&config, stdout);
        if (r)
                (void)fprintf(stderr, "scepterd: %s\n  %s\n", e.message, e.remedy);
        return r ? 1 : 0;
}

int main(int argc, char **argv)
{
        static const char default_config[] = "/etc/scepter/scepter.conf";
        struct arguments arguments;
        struct daemon d = {.own_uid = geteuid()};
        struct error e = {0};
        int status = parse_arguments(argc, argv, &arguments);
        enum err r = ERR_OK;

        if (status)
                return status - 1;
        close_up();
        if (!arguments.config && access(default_config, F_OK) == 0)
                arguments.config = default_config;
        if (arguments.check_config || arguments.print_config)
                return about_config(&arguments, d.own_uid);
        d.clock.scale = arguments.clock_scale;
        r = ossl_begin(&e);
        if (!r && arguments.clock_file)
                r = clock_open(&d.clock, arguments.clock_file, &e);
        if (!r && arguments.exec_workers)
                r = find_beside("scepter-worker", arguments.network, &e);
        if (!r && arguments.exec_workers)
                r = find_beside("scepter-parse", arguments.parse, &e);
        if (!r && arguments.exec_apply)
                r = find_beside("scepter-apply", arguments.applier, &e);
        if (arguments.exec_apply)
                d.applier = (struct applier_config){arguments.applier,
                                                    arguments.config ? arguments.config : default_config};
        if (!r)
                r = run(&d, &arguments, &e);
        free_parts(&d);
        if (r)
                log_error(LOG_ERR, &e);
        return r ? 1 : 0;
}
