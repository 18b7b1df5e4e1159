#include "cli/follow.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/bytes.h"
#include "cli/output.h"
#include "cli/time.h"
#include "cli/value.h"

enum { CHUNK = 16 * 1024, LINE_MAX_OCTETS = 64 * 1024 };

#define COLUMNS "%-16s  %-17s  %-16s  %s"

/* One event, or the note that some are missing. */
static enum err print(struct cli *cli, json_t *event, struct error *e)
{
        const uint64_t missing = value_number(event, "missing");
        CLEANUP(free_p) char *name = NULL;
        char when[TIME_TEXT];
        enum err r;

        if (cli->json)
                return output_json(cli, json_incref(event), e);
        if (missing) {
                output_line(cli->out, "(%llu events are missing here: they came faster than they were read)",
                            (unsigned long long)missing);
                return ERR_OK;
        }
        r = value_text(json_object_get(event, "event"), &name, e);
        if (r)
                return r;
        time_text(value_number(event, "time"), when);
        output_line(cli->out, COLUMNS, when, name, value_string(event, "name"),
                    value_string(event, "message"));
        return ERR_OK;
}

struct stream {
        struct cli *cli;
        bool one, ended;
        char line[LINE_MAX_OCTETS];
        size_t len;
};

/* A line that is no object is left out, as in the list. */
static enum err take_line(struct stream *stream, struct error *e)
{
        CLEANUP(json_decref_p)
        json_t *event = json_loadb(stream->line, stream->len, JSON_REJECT_DUPLICATES, NULL);

        stream->len = 0;
        if (!json_is_object(event))
                return ERR_OK;
        stream->ended = stream->one && strcmp(value_string(event, "event"), "CERT_REMOVED") == 0;
        return print(stream->cli, event, e);
}

static enum err take(struct stream *stream, const char *data, size_t len, struct error *e)
{
        for (size_t i = 0; i < len && !stream->ended; i++) {
                enum err r;

                if (data[i] != '\n') {
                        if (stream->len == sizeof stream->line)
                                return error_set(e, ERR_PROTOCOL, "The service sent a line without an end");
                        stream->line[stream->len++] = data[i];
                        continue;
                }
                r = take_line(stream, e);
                if (r)
                        return r;
        }
        return ERR_OK;
}

static enum err read_some(struct stream *stream, int fd, struct error *e)
{
        char data[CHUNK];
        ssize_t n = read(fd, data, sizeof data);
        enum err r;

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return ERR_OK;
        if (n < 0)
                return errno_error(e, errno, "The events of the service could not be read");
        if (n == 0) {
                r = error_set(e, ERR_NO_SERVICE, "The service has left, and no more events come");
                return error_remedy(
                        e, r, "Look whether it was restarted (systemctl status scepterd), and follow again.");
        }
        r = take(stream, data, (size_t)n, e);
        if (!r && fflush(stream->cli->out) == EOF)
                return errno_error(e, errno, "The output could not be written");
        return r;
}

static enum err print_past(struct cli *cli, const json_t *past, struct error *e)
{
        enum err r = ERR_OK;

        if (!cli->json)
                output_line(cli->out, COLUMNS, "TIME", "EVENT", "CERTIFICATE", "MESSAGE");
        for (size_t i = 0; !r && i < json_array_size(past); i++)
                r = print(cli, json_array_get(past, i), e);
        if (!r && fflush(cli->out) == EOF)
                r = errno_error(e, errno, "The output could not be written");
        return r;
}

enum err follow_run(struct cli *cli, const json_t *past, int fd, bool one, struct error *e)
{
        CLEANUP(free_p) struct stream *stream = calloc(1, sizeof *stream);
        CLEANUP(close_p) int signals = -1;
        sigset_t wanted, before;
        enum err r = ERR_OK;

        if (!stream)
                return error_no_memory(e);
        stream->cli = cli;
        stream->one = one;
        (void)sigemptyset(&wanted);
        (void)sigaddset(&wanted, SIGINT);
        (void)sigaddset(&wanted, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &wanted, &before);
        signals = signalfd(-1, &wanted, SFD_CLOEXEC);
        if (signals < 0)
                r = errno_error(e, errno, "Signals cannot be waited for");
        if (!r)
                r = print_past(cli, past, e);
        while (!r && !stream->ended) {
                /* The output is looked at for its end alone: 'scepter events --follow | head' ends. */
                struct pollfd what[] = {{fd, POLLIN, 0}, {signals, POLLIN, 0}, {fileno(cli->out), 0, 0}};

                if (poll(what, N_ELEMENTS(what), -1) < 0 && errno != EINTR)
                        r = errno_error(e, errno, "Events cannot be waited for");
                else if (what[1].revents || (what[2].revents & (POLLERR | POLLHUP)))
                        break;
                else if (what[0].revents)
                        r = read_some(stream, fd, e);
        }
        /* The signal has done its work: it must not be delivered after all. */
        for (struct pollfd left = {signals, POLLIN, 0}; signals >= 0 && poll(&left, 1, 0) > 0;) {
                struct signalfd_siginfo info;

                if (read(signals, &info, sizeof info) != sizeof info)
                        break;
        }
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}
