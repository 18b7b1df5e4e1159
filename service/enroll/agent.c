#include "agent.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/ossl.h"
#include "base/secret.h"
#include "policy/command.h"

struct agent_question {
        int fd;
        char *path;
        sd_event_source *io, *limit;
        struct secret text; /* one octet more than a challenge may have */
        size_t len;
        agent_answered *answered;
        void *ctx;
};

void agent_question_free(struct agent_question *question)
{
        if (!question)
                return;
        (void)sd_event_source_disable_unref(question->io);
        (void)sd_event_source_disable_unref(question->limit);
        close_p(&question->fd);
        secret_done(&question->text);
        free(question->path);
        free(question);
}

static void end(struct agent_question *question, const struct error *failure)
{
        struct secret challenge = {0};

        if (!failure) {
                challenge = question->text;
                challenge.len = question->len;
                question->text = (struct secret){0};
        }
        question->answered(question->ctx, &challenge, failure);
        secret_done(&challenge);
        agent_question_free(question);
}

static void fail(struct agent_question *question, enum err code, const char *what)
{
        struct error e = {0};

        (void)error_set(&e, code, "The agent for challenges at %s %s", question->path, what);
        (void)error_remedy(&e, code,
                           "See what the agent's own log says; 'scepter enroll NAME --challenge-file FILE' "
                           "does without it.");
        end(question, &e);
}

static void finish(struct agent_question *question)
{
        const uint8_t *text = question->text.data;

        while (question->len && (text[question->len - 1] == '\n' || text[question->len - 1] == '\r'))
                question->len--;
        if (!question->len)
                fail(question, ERR_CHALLENGE_NEEDED, "gave none");
        else
                end(question, NULL);
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct agent_question *question = ctx;
        ssize_t n = read(fd, question->text.data + question->len, question->text.len - question->len);

        (void)source;
        (void)events;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0) {
                fail(question, ERR_CHALLENGE_NEEDED, "broke the connection");
                return 0;
        }
        question->len += (size_t)n;
        if (n == 0)
                finish(question);
        else if (question->len == question->text.len)
                fail(question, ERR_TOO_LARGE, "wrote more than a challenge can have");
        return 0;
}

static int on_limit(sd_event_source *source, uint64_t usec, void *ctx)
{
        (void)source;
        (void)usec;
        fail(ctx, ERR_TIMEOUT, "did not answer in time");
        return 0;
}

/* The own name, which tells the agent whom it is for. */
static void bind_name(int fd, const char *id, const char *name)
{
        struct sockaddr_un own = {.sun_family = AF_UNIX};
        int n = snprintf(own.sun_path + 1, sizeof own.sun_path - 1, "%016llx/scepter/%s/%s",
                         (unsigned long long)random_number(), id, name);
        size_t len = n < 0 ? 0 : (size_t)n;

        if (len > sizeof own.sun_path - 2) /* a long name is cut */
                len = sizeof own.sun_path - 2;
        /* Without it the agent learns less, and can still answer. */
        (void)bind(fd, (struct sockaddr *)&own,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len));
}

static enum err open_connection(struct agent_question *question, const char *id, const char *name,
                                struct error *e)
{
        struct sockaddr_un to = {.sun_family = AF_UNIX};

        if (strlen(question->path) >= sizeof to.sun_path)
                return error_set(e, ERR_INVALID, "The path of a socket has at most %zu octets",
                                 sizeof to.sun_path - 1);
        (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", question->path);
        question->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (question->fd < 0)
                return errno_error(e, errno, "No socket could be made");
        bind_name(question->fd, id, name);
        if (connect(question->fd, (struct sockaddr *)&to, sizeof to) < 0) {
                (void)error_set(e, ERR_CHALLENGE_NEEDED,
                                "The agent for challenges at %s cannot be reached: %s", question->path,
                                strerror(errno));
                return error_remedy(
                        e, ERR_CHALLENGE_NEEDED,
                        "Start the agent that listens there; 'scepter enroll NAME --challenge-file "
                        "FILE' does without it.");
        }
        (void)shutdown(question->fd, SHUT_WR);
        return ERR_OK;
}

enum err agent_ask(struct daemon *d, const char *path, const char *id, const char *name,
                   agent_answered *answered, void *ctx, struct agent_question **ret, struct error *e)
{
        struct agent_question *question = calloc(1, sizeof *question);
        enum err r = question ? ERR_OK : error_no_memory(e);
        int failed = 0;

        if (r)
                return r;
        *question = (struct agent_question){.fd = -1, .path = strdup(path), .answered = answered, .ctx = ctx};
        if (!question->path)
                r = error_no_memory(e);
        if (!r)
                r = secret_new(&question->text, COMMAND_CHALLENGE_MAX + 3, e);
        if (!r)
                r = open_connection(question, id, name, e);
        if (!r)
                failed = sd_event_add_io(d->event, &question->io, question->fd, EPOLLIN, on_input, question);
        if (!r && failed >= 0)
                failed = sd_event_add_time_relative(d->event, &question->limit, CLOCK_MONOTONIC,
                                                    AGENT_SECONDS * UINT64_C(1000000), 0, on_limit, question);
        if (!r && failed < 0)
                r = errno_error(e, -failed, "The event loop took no agent");
        if (r) {
                agent_question_free(question);
                return r;
        }
        *ret = question;
        return ERR_OK;
}
