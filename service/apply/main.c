/*
 * scepter-apply: hands one certificate to the consumers that root configured for it. Root's part of the
 * service, started by systemd for one certificate at a time (scepter-apply@.service), which ends when that is
 * done. It believes nothing but root's own files: what the daemon keeps is read with the daemon's rights and
 * parsed before it is written anywhere (state.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "apply/apply.h"
#include "base/ossl.h"
#include "base/parse.h"
#include "daemon/config.h"

enum { ID_DIGITS = 32 };

static void usage(FILE *out)
{
        (void)fputs("Usage: scepter-apply [--config FILE] CERTIFICATE\n"
                    "\n"
                    "Hands a certificate (its id) to what consumers.d says; started by systemd.\n"
                    "  --config FILE     instead of /etc/scepter/scepter.conf\n"
                    "  --help, --version\n",
                    out);
}

/* The directory says what may be taken away: nobody else may write it. */
static enum err check_applied(const char *path, struct error *e)
{
        struct stat st;

        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return errno_error(e, errno, "The directory %s could not be made", path);
        if (lstat(path, &st) < 0)
                return errno_error(e, errno, "The directory %s could not be examined", path);
        if (!S_ISDIR(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
            (st.st_mode & (S_IWGRP | S_IWOTH)))
                return error_set(e, ERR_FILE_REFUSED, "%s is not root's directory alone", path);
        return ERR_OK;
}

static enum err undo(const struct config *config, const char *id, const struct outcome *before,
                     struct error *e)
{
        enum err r = apply_undo(before, e);

        return r ? r : outcome_remove(config->applied, id, e);
}

static enum err apply(const struct config *config, const char *id, bool *ret_failed, struct error *e)
{
        CLEANUP(consumers_done) struct consumers consumers = {0};
        CLEANUP(outcome_done) struct outcome before = {0};
        CLEANUP(outcome_done) struct outcome after = {0};
        CLEANUP(state_done) struct state state = {0};
        enum err r = check_applied(config->applied, e);

        if (!r)
                r = consumers_read(config->consumers, geteuid(), &consumers, e);
        if (r)
                return r;
        /* Damaged: everything is done again, which is harmless. */
        r = outcome_read(config->applied, id, &before, NULL);
        if (r == ERR_NO_MEMORY)
                return error_no_memory(e);
        r = state_read(config->state, id, &state, e);
        if (r == ERR_NOT_FOUND)
                return undo(config, id, &before, e);
        if (!r)
                r = apply_all(id, &state, &consumers, &before, &after, e);
        if (!r)
                r = outcome_write(config->applied, id, &after, e);
        *ret_failed = !r && outcome_failed(&after);
        return r;
}

static void close_up(void)
{
        const struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)umask(0077);
        (void)signal(SIGPIPE, SIG_IGN);
}

/* -1: go on; else the exit status. */
static int parse_arguments(int argc, char **argv, const char **ret_config, const char **ret_id)
{
        enum { OPT_CONFIG = 256, OPT_HELP, OPT_VERSION };
        static const struct option options[] = {{"config", required_argument, NULL, OPT_CONFIG},
                                                {"help", no_argument, NULL, OPT_HELP},
                                                {"version", no_argument, NULL, OPT_VERSION},
                                                {NULL, 0, NULL, 0}};
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (c == OPT_CONFIG) {
                        *ret_config = optarg;
                } else if (c == OPT_HELP) {
                        usage(stdout);
                        return 0;
                } else if (c == OPT_VERSION) {
                        (void)puts("scepter-apply " SCEPTER_VERSION);
                        return 0;
                } else {
                        usage(stderr);
                        return 2;
                }
        }
        if (argc - optind != 1 || !is_lower_hex(argv[optind], ID_DIGITS)) {
                (void)fputs("scepter-apply: the id of one certificate is needed, 32 digits of 0-9a-f\n",
                            stderr);
                usage(stderr);
                return 2;
        }
        *ret_id = argv[optind];
        return -1;
}

int main(int argc, char **argv)
{
        static const char default_config[] = "/etc/scepter/scepter.conf";
        CLEANUP(config_done) struct config config = {0};
        const char *path = NULL, *id = NULL;
        struct error e = {0};
        bool failed = false;
        int status = parse_arguments(argc, argv, &path, &id);
        enum err r;

        if (status >= 0)
                return status;
        close_up();
        if (!path && access(default_config, F_OK) == 0)
                path = default_config;
        r = ossl_begin(&e);
        if (!r)
                r = config_read(path, &config, &e);
        if (!r)
                r = apply(&config, id, &failed, &e);
        if (r)
                (void)fprintf(stderr, "%s. %s\n", e.message, e.remedy);
        return r || failed ? 1 : 0;
}
