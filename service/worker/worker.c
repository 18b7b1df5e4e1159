#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "base/secret.h"
#include "channel/stream.h"

enum { DEFAULT_FD = 3, EXIT_USAGE = 2, RESULT_ID = 0 };

struct options {
        bool weak;
        int fd;
};

static int usage(const struct worker *worker)
{
        (void)fprintf(stderr,
                      "usage: %s [--fd N] [--weak-workers]\n"
                      "Started by scepterd or its sockets; there is nothing to run by hand.\n",
                      worker->program);
        return EXIT_USAGE;
}

static bool options_read(int argc, char **argv, struct options *ret)
{
        static const struct option names[] = {
                {"fd", required_argument, NULL, 'f'},
                {"weak-workers", no_argument, NULL, 'w'},
                {0},
        };
        uint64_t number;
        int c;

        while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
                switch (c) {
                case 'f':
                        if (!parse_u64(optarg, 1023, &number))
                                return false;
                        ret->fd = (int)number;
                        break;
                case 'w':
                        ret->weak = true;
                        break;
                default:
                        return false;
                }
        }
        return optind == argc;
}

static enum err libraries_init(const struct worker *worker, struct error *e)
{
        const enum err r = ossl_begin(e);

        if (r)
                return r;
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return error_set(e, ERR_FAILED, "SIGPIPE could not be ignored");
        if (OPENSSL_init_crypto(OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS |
                                        OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                                NULL) != 1)
                return ossl_error(e, ERR_FAILED, "OpenSSL could not be initialised");
        return worker->prepare(e);
}

/* A worker may be started ahead of a job that does not come: its stream ends before it has begun. */
static bool has_job(int fd)
{
        uint8_t first;
        ssize_t n;

        do
                n = recv(fd, &first, sizeof first, MSG_PEEK);
        while (n < 0 && errno == EINTR);
        return n != 0;
}

static enum err job_run(const struct worker *worker, int fd, struct bytes *ret, struct result_http *http,
                        struct error *e)
{
        CLEANUP(secret_done) struct secret body = {0};
        struct frame_header header;
        struct job job;
        enum err r = channel_receive(fd, FRAME_WORKER_MAX, &header, &body, e);

        if (!r && header.type != FRAME_JOB)
                return error_set(e, ERR_PROTOCOL, "A worker's stream begins with frame %d instead of a job",
                                 (int)header.type);
        if (!r)
                r = job_decode(secret_view(&body), &job, e);
        if (!r && (job.kind == JOB_PARSE) != (worker->sandbox == SANDBOX_PARSE))
                return error_set(e, ERR_PROTOCOL, "%s does not do the job '%s'", worker->program,
                                 job_kind_name(job.kind));
        return r ? r : worker->work(fd, &job, ret, http, e);
}

static enum err send_failure(int fd, const struct error *failure, const struct result_http *http,
                             struct error *e)
{
        struct result result = {.kind = RESULT_FAILED};
        CLEANUP(bytes_done) struct bytes record = {0};
        enum err r;

        result_from_error(failure, &result.of.failed);
        result.of.failed.http = *http;
        r = result_encode(&result, &record, e);
        return r ? r : channel_send(fd, FRAME_RESULT, RESULT_ID, bytes_view(&record), e);
}

int worker_main(const struct worker *worker, int argc, char **argv)
{
        struct options options = {.fd = DEFAULT_FD};
        struct result_http http = {0};
        struct bytes record = {0};
        struct error error = {0};
        int landlock = 0, type;
        socklen_t len = sizeof type;
        enum err r;

        if (!options_read(argc, argv, &options))
                return usage(worker);
        if (getsockopt(options.fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
                return usage(worker);
        (void)fcntl(options.fd, F_SETFD, FD_CLOEXEC);
        r = libraries_init(worker, &error);
        if (!r)
                r = sandbox_apply(worker->sandbox, options.weak, &landlock, &error);
        if (!r && !has_job(options.fd))
                return EXIT_SUCCESS;
        if (!r)
                r = job_run(worker, options.fd, &record, &http, &error);
        if (!r)
                r = channel_send(options.fd, FRAME_RESULT, RESULT_ID, bytes_view(&record), &error);
        else
                r = send_failure(options.fd, &error, &http, &error);
        wipe(record.data, record.len);
        bytes_done(&record);
        return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
