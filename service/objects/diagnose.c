/* Manager.Diagnose: one line of JSON for each finding, as it is made, into a socket the caller reads. */
#include "diagnose/diagnose.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"
#include "policy/values.h"

/* At once, and how much of a diagnosis waits for a caller that does not read: then it is cut off. */
enum { RUNNING_MAX = 16, PER_USER = 1, UNREAD_MAX = 256 * 1024 };

struct diagnosing {
        struct daemon *d;
        uid_t caller;
        int fd;
        struct diagnosis *run;
        struct diagnosing *next;
};

static void forget(struct diagnosing *x)
{
        for (struct diagnosing **p = &x->d->diagnosing; *p; p = &(*p)->next) {
                if (*p == x) {
                        *p = x->next;
                        break;
                }
        }
        close_p(&x->fd);
        free(x);
}

static void send_line(struct diagnosing *x, json_t *line)
{
        char *text = line ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
        struct iovec parts[] = {{text, text ? strlen(text) : 0}, {(char[]){'\n'}, 1}};
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

        json_decref(line);
        /* the buffer takes a whole diagnosis; who went away reads nothing more, and gets no half line */
        if (text && x->fd >= 0 &&
            sendmsg(x->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(parts[0].iov_len + 1))
                (void)close(steal_fd(&x->fd));
        free(text);
}

static void found(void *ctx, const struct diagnose_row *row, const char *observed, const char *remedy)
{
        send_line(ctx, json_pack("{ssssssssssss}", "step", diagnose_step_name(row->step), "result",
                                 diagnose_result_name(row->result), "code", row->name, "observed", observed,
                                 "cause", row->cause, "remedy", remedy));
}

static void done(void *ctx, const struct error *failure)
{
        struct diagnosing *x = ctx;

        if (failure)
                send_line(x, json_pack("{ssssss}", "error", err_name(failure->code), "message",
                                       failure->message, "remedy", failure->remedy));
        forget(x);
}

void diagnosing_stop(struct daemon *d)
{
        while (d->diagnosing) {
                diagnosis_cancel(d->diagnosing->run);
                forget(d->diagnosing);
        }
}

static enum err within_limit(const struct daemon *d, const struct bus_call *call, struct error *e)
{
        unsigned all = 0, own = 0;

        for (const struct diagnosing *x = d->diagnosing; x; x = x->next) {
                all++;
                own += x->caller == bus_call_uid(call);
        }
        if (all < RUNNING_MAX && (bus_call_is_root(call) || own < PER_USER))
                return ERR_OK;
        (void)error_set(e, ERR_LIMIT, "A user has at most %d diagnosis at a time, all together %d", PER_USER,
                        RUNNING_MAX);
        return error_remedy(e, ERR_LIMIT, "Wait for the other to end, then try again.");
}

/* Whom @text means, and whether this caller may ask. A hidden object answers as a missing one. */
static enum err read_target(struct daemon *d, const struct bus_call *call, const char *text,
                            struct diagnose_target *ret, struct error *e)
{
        static const char profiles[] = BUS_PATH_PROFILES "/", certificates[] = BUS_PATH_CERTIFICATES "/";
        const bool root = bus_call_is_root(call);
        const struct certificate *c;
        const char *wrong;

        ret->owner = NO_OWNER;
        if (!*text) {
                for (const struct profile_entry *p = model_profiles(d->model); p; p = p->next)
                        ret->n_profiles += root || p->owner == NO_OWNER || p->owner == bus_call_uid(call);
                return ERR_OK;
        }
        if (strncmp(text, certificates, sizeof certificates - 1) == 0) {
                c = model_find(d->model, text + sizeof certificates - 1);
                if (!c || !certificate_visible(call, c))
                        return error_set(e, ERR_NOT_FOUND, "There is no such certificate");
                ret->certificate = c->id;
                ret->owner = c->owner;
                return ERR_OK;
        }
        if (strncmp(text, profiles, sizeof profiles - 1) == 0) {
                const struct profile_entry *p = model_find_profile(d->model, text + sizeof profiles - 1);
                enum err r = enroll_permitted(call, p, NULL, e);

                if (r)
                        return r;
                ret->owner = enroll_owner(call, p);
                ret->profile = p->id;
                c = model_find_origin(d->model, p->id, ret->owner); /* what was made from it tells more */
                ret->certificate = c ? c->id : NULL;
                return ERR_OK;
        }
        wrong = url_wrong(text);
        if (wrong)
                return error_set(e, ERR_INVALID, "'%.200s' is neither an object nor a URL: it %s", text,
                                 wrong);
        ret->url = text;
        return ERR_OK;
}

enum err manager_diagnose(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        struct bus_reader *reader = bus_call_reader(call);
        struct diagnose_target target = {0};
        CLEANUP(close_p) int theirs = -1;
        int pair[2] = {-1, -1}, size = UNREAD_MAX;
        struct diagnosing *x;
        struct diagnose_ops ops = {found, done, NULL};
        struct bus_writer *w;
        const char *text;
        enum err r = bus_read_string(reader, "target", &text, e);

        if (!r)
                r = bus_options_read(reader, NULL, 0, e);
        if (!r)
                r = read_target(d, call, text, &target, e);
        if (!r)
                r = within_limit(d, call, e);
        if (r)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return errno_error(e, errno, "There is no socket for the findings");
        theirs = pair[1];
        (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        x = calloc(1, sizeof *x);
        if (!x) {
                (void)close(pair[0]);
                return error_no_memory(e);
        }
        *x = (struct diagnosing){.d = d, .caller = bus_call_uid(call), .fd = pair[0], .next = d->diagnosing};
        d->diagnosing = x;
        ops.ctx = x;
        r = diagnosis_start(d, &target, &ops, &x->run, e);
        if (r) {
                forget(x);
                return r;
        }
        w = bus_call_begin(call);
        bus_write_fd(w, theirs);
        return bus_call_reply(call, w, e);
}
