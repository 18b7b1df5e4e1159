/*
 * scepter-worker: the process that reads what strangers send. One job comes over the stream, one result goes
 * back, and the process ends. Steps: 1. initialise the libraries; 2. close the sandbox; 3. read the job; 4.
 * do it;
 * 5. send the result. It logs nothing: what went wrong is in the result.
 *
 * scepter-worker --kind parse|network [--fd N] [--weak-workers]
 * Exit status: 0 a result was sent, also that of a failure; 1 none could be; 2 usage.
 */
#include <fcntl.h>
#include <getopt.h>
#include <libxml/parser.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "channel/stream.h"
#include "granted-key.h"
#include "network/network.h"
#include "parse.h"
#include "sandbox/sandbox.h"
#include "scep-http/http.h"

enum { DEFAULT_FD = 3, EXIT_USAGE = 2, RESULT_ID = 0 };

struct options {
        enum sandbox_kind kind;
        bool has_kind, weak;
        int fd;
};

static int usage(void)
{
        (void)fputs("usage: scepter-worker --kind parse|network [--fd N] [--weak-workers]\n"
                    "Started by scepterd or its sockets; there is nothing to run by hand.\n",
                    stderr);
        return EXIT_USAGE;
}

static bool options_read(int argc, char **argv, struct options *ret)
{
        static const struct option names[] = {
                {"kind", required_argument, NULL, 'k'},
                {"fd", required_argument, NULL, 'f'},
                {"weak-workers", no_argument, NULL, 'w'},
                {0},
        };
        uint64_t number;
        int c;

        while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
                switch (c) {
                case 'k':
                        ret->has_kind = strcmp(optarg, "parse") == 0 || strcmp(optarg, "network") == 0;
                        ret->kind = strcmp(optarg, "parse") == 0 ? SANDBOX_PARSE : SANDBOX_NETWORK;
                        break;
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
        return ret->has_kind && optind == argc;
}

/* Everything a library wants from the file system or the kernel at its start, before both are out of reach.
 */
static enum err libraries_init(enum sandbox_kind kind, struct error *e)
{
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return error_set(e, ERR_FAILED, "SIGPIPE could not be ignored");
        if (OPENSSL_init_crypto(OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS |
                                        OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                                NULL) != 1)
                return ossl_error(e, ERR_FAILED, "OpenSSL could not be initialised");
        if (kind == SANDBOX_NETWORK)
                return http_global_init(e);
        xmlInitParser();
        return ERR_OK;
}

static enum err public_of(struct view der, X509 **ret_cert, EVP_PKEY **ret, struct error *e)
{
        enum err r = x509_parse(der, ret_cert, e);

        if (r)
                return r;
        *ret = X509_get0_pubkey(*ret_cert);
        return *ret ? ERR_OK : ossl_error(e, ERR_PROTOCOL, "The job's own certificate has no key");
}

static const struct job_link *link_of(const struct job *job)
{
        switch (job->kind) {
        case JOB_EXCHANGE:
                return &job->of.exchange.link;
        case JOB_PROBE:
                return &job->of.probe.link;
        case JOB_FETCH:
                return &job->of.fetch.link;
        default:
                return &job->of.discover.link;
        }
}

static enum err unwrap(void *ctx, const struct key_unwrap *how, struct view wrapped, struct secret *ret,
                       struct error *e)
{
        return granted_unwrap(*(const int *)ctx, how, wrapped, ret, e);
}

/* The keys the job needs: that of its client certificate, and, for an exchange, the recipient's. */
static enum err network_job(int fd, const struct job *job, struct bytes *ret, struct result_http *http,
                            struct error *e)
{
        const bool exchanges = job->kind == JOB_EXCHANGE;
        const struct job_link *link = link_of(job);
        CLEANUP(granted_keys_done) struct granted_keys keys = {0};
        CLEANUP(x509_free_p) X509 *recipient = NULL;
        CLEANUP(x509_free_p) X509 *client = NULL;
        EVP_PKEY *recipient_key = NULL, *client_key = NULL;
        struct network_client with = {.failure = &keys.client_failure};
        enum err r = ERR_OK;

        if (exchanges)
                r = public_of(job->of.exchange.recipient, &recipient, &recipient_key, e);
        if (!r && link->client.n)
                r = public_of(link->client.at[0], &client, &client_key, e);
        if (!r && (recipient_key || client_key))
                r = granted_keys_open(fd, recipient_key, client_key, &keys, e);
        if (r)
                return r;
        with.key = keys.client;
        switch (job->kind) {
        case JOB_EXCHANGE:
                return network_exchange(&job->of.exchange,
                                        &(struct network_opener){keys.recipient, unwrap, &fd},
                                        with.key ? &with : NULL, ret, http, e);
        case JOB_PROBE:
                return network_probe(&job->of.probe, with.key ? &with : NULL, ret, http, e);
        case JOB_FETCH:
                return network_fetch(&job->of.fetch, with.key ? &with : NULL, ret, http, e);
        default:
                return network_discover(&job->of.discover, with.key ? &with : NULL, ret, http, e);
        }
}

static enum err job_do(int fd, enum sandbox_kind kind, const struct job *job, struct bytes *ret,
                       struct result_http *http, struct error *e)
{
        bool parses = job->kind == JOB_PARSE;

        if (parses != (kind == SANDBOX_PARSE))
                return error_set(e, ERR_PROTOCOL, "A worker of this kind does not do the job '%s'",
                                 job_kind_name(job->kind));
        switch (job->kind) {
        case JOB_PARSE:
                return parse_document(&job->of.parse, ret, e);
        case JOB_DISCOVER:
        case JOB_EXCHANGE:
        case JOB_PROBE:
        case JOB_FETCH:
                return network_job(fd, job, ret, http, e);
        case _JOB_KIND_MAX:
                break;
        }
        return error_set(e, ERR_PROTOCOL, "There is no job of kind %d", (int)job->kind);
}

static enum err job_run(int fd, enum sandbox_kind kind, struct bytes *ret, struct result_http *http,
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
        return r ? r : job_do(fd, kind, &job, ret, http, e);
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

int main(int argc, char **argv)
{
        struct options options = {.fd = DEFAULT_FD};
        struct result_http http = {0};
        struct bytes record = {0};
        struct error error = {0};
        int landlock = 0, type;
        socklen_t len = sizeof type;
        enum err r;

        if (!options_read(argc, argv, &options))
                return usage();
        if (getsockopt(options.fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
                return usage();
        (void)fcntl(options.fd, F_SETFD, FD_CLOEXEC);
        r = libraries_init(options.kind, &error);
        if (!r)
                r = sandbox_apply(options.kind, options.weak, &landlock, &error);
        if (!r)
                r = job_run(options.fd, options.kind, &record, &http, &error);
        if (!r)
                r = channel_send(options.fd, FRAME_RESULT, RESULT_ID, bytes_view(&record), &error);
        else
                r = send_failure(options.fd, &error, &http, &error);
        wipe(record.data, record.len);
        bytes_done(&record);
        return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
