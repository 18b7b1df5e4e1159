#include "followers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "store/record.h"
#include "store/store.h"

/* A line that came before its reader has joined. */
struct early {
        struct early *next;
        store_id certificate;
        uint64_t serial;
        struct bytes line;
};

struct follower {
        struct followers *followers;
        struct follower *next;
        uid_t uid;
        bool root;
        store_id certificate; /* "": all */
        int fd;
        struct bytes rest; /* of a line of which a part is in the pipe */
        size_t rest_sent;
        uint64_t missing; /* lines that found no room since */
        bool joined;
        struct early *early, **early_end; /* until then */
        unsigned n_early;
        sd_event_source *io;
};

struct followers {
        struct sd_event *event;
        struct follower *first;
        unsigned n;
};

enum err followers_new(struct sd_event *event, struct followers **ret, struct error *e)
{
        struct followers *followers = calloc(1, sizeof *followers);

        if (!followers)
                return error_no_memory(e);
        followers->event = event;
        *ret = followers;
        return ERR_OK;
}

static void drop_early(struct follower *follower)
{
        while (follower->early) {
                struct early *early = follower->early;

                follower->early = early->next;
                bytes_done(&early->line);
                free(early);
        }
}

static void forget(struct follower *follower)
{
        for (struct follower **p = &follower->followers->first; *p; p = &(*p)->next) {
                if (*p == follower) {
                        *p = follower->next;
                        follower->followers->n--;
                        break;
                }
        }
        (void)sd_event_source_disable_unref(follower->io);
        close_p(&follower->fd);
        bytes_done(&follower->rest);
        drop_early(follower);
        free(follower);
}

void followers_free(struct followers *followers)
{
        if (!followers)
                return;
        while (followers->first)
                forget(followers->first);
        free(followers);
}

unsigned followers_count(const struct followers *followers)
{
        return followers->n;
}

/* Keeps the rest of a line that the pipe took a part of. false: no memory. */
static bool keep_rest(struct follower *follower, struct view rest)
{
        follower->rest_sent = 0;
        return bytes_copy(&follower->rest, rest.data, rest.len, NULL) == ERR_OK;
}

/* As much as there is room for. false: nobody reads any more. */
static bool put(struct follower *follower, struct view line, size_t *ret)
{
        ssize_t n;

        do
                n = write(follower->fd, line.data, line.len);
        while (n < 0 && errno == EINTR);
        *ret = n > 0 ? (size_t)n : 0;
        return n >= 0 || errno == EAGAIN;
}

/* A whole line, none of it, or a part whose rest waits. false: the follower is of no use any more. */
static bool put_line(struct follower *follower, struct view line, bool *ret_none)
{
        size_t n;

        if (!put(follower, line, &n))
                return false;
        *ret_none = n == 0;
        return n == 0 || n == line.len || keep_rest(follower, (struct view){line.data + n, line.len - n});
}

/* What stands before the next line: the rest of one, and that some are missing. */
static bool catch_up(struct follower *follower)
{
        bool none = false;

        if (follower->rest.data) {
                const struct view rest = {follower->rest.data + follower->rest_sent,
                                          follower->rest.len - follower->rest_sent};
                size_t n;

                if (!put(follower, rest, &n))
                        return false;
                follower->rest_sent += n;
                if (n < rest.len)
                        return true;
                bytes_done(&follower->rest);
        }
        if (follower->missing) {
                char text[48];
                int n = snprintf(text, sizeof text, "{\"missing\":%llu}\n",
                                 (unsigned long long)follower->missing);

                if (!put_line(follower, (struct view){(const uint8_t *)text, (size_t)n}, &none))
                        return false;
                if (!none)
                        follower->missing = 0;
        }
        return true;
}

static bool waits(const struct follower *follower)
{
        return follower->rest.data || follower->missing;
}

/* EPOLLERR comes without being asked for: the reader has closed his end. */
static int on_pipe(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
        struct follower *follower = ctx;

        (void)source;
        (void)fd;
        if ((events & (EPOLLERR | EPOLLHUP)) || !catch_up(follower))
                forget(follower);
        else
                (void)sd_event_source_set_io_events(follower->io, waits(follower) ? EPOLLOUT : 0);
        return 0;
}

/* false: the follower is gone. */
static bool tell(struct follower *follower, struct view line)
{
        bool none = false;

        if (waits(follower)) {
                follower->missing++;
                return true;
        }
        if (!put_line(follower, line, &none)) {
                forget(follower);
                return false;
        }
        follower->missing += none;
        if (waits(follower))
                (void)sd_event_source_set_io_events(follower->io, EPOLLOUT);
        return true;
}

static bool may_see(const struct follower *follower, uid_t owner)
{
        return owner == NO_OWNER || follower->root || follower->uid == owner;
}

static void keep_early(struct follower *follower, const char *certificate, uint64_t serial, struct view line)
{
        struct early *early = follower->n_early < FOLLOWERS_EARLY_MAX ? calloc(1, sizeof *early) : NULL;

        if (!early || bytes_copy(&early->line, line.data, line.len, NULL)) {
                free(early);
                follower->missing++;
                return;
        }
        (void)snprintf(early->certificate, sizeof early->certificate, "%s", certificate);
        early->serial = serial;
        *follower->early_end = early;
        follower->early_end = &early->next;
        follower->n_early++;
}

void followers_tell(struct followers *followers, const char *certificate, uid_t owner, uint64_t serial,
                    struct view line)
{
        for (struct follower *f = followers->first, *next; f; f = next) {
                next = f->next;
                if (!may_see(f, owner) || (*f->certificate && strcmp(f->certificate, certificate) != 0))
                        continue;
                if (f->joined)
                        (void)tell(f, line);
                else
                        keep_early(f, certificate, serial, line);
        }
}

static int by_certificate(const void *key, const void *mark)
{
        return strcmp(key, ((const struct follower_mark *)mark)->certificate);
}

void followers_join(struct follower *follower, const struct follower_mark *marks, size_t n)
{
        const uint64_t missing = follower->missing;

        /* What did not fit came last: it is told of behind the others. */
        follower->missing = 0;
        follower->joined = true;
        for (const struct early *early = follower->early; early; early = early->next) {
                const struct follower_mark *mark =
                        n ? bsearch(early->certificate, marks, n, sizeof *marks, by_certificate) : NULL;

                if ((!mark || early->serial > mark->serial) && !tell(follower, bytes_view(&early->line)))
                        return;
        }
        drop_early(follower);
        follower->missing += missing;
        if (waits(follower))
                (void)sd_event_source_set_io_events(follower->io, EPOLLOUT);
}

static enum err within_limits(const struct followers *followers, const struct follower_viewer *viewer,
                              struct error *e)
{
        unsigned same = 0, users = 0;

        for (const struct follower *f = followers->first; f; f = f->next) {
                users += !f->root;
                same += !f->root && f->uid == viewer->uid;
        }
        if (!viewer->root && same >= FOLLOWERS_USER_MAX)
                return error_set(e, ERR_LIMIT, "This user follows events %u times already", same);
        if (followers->n >= FOLLOWERS_MAX || (!viewer->root && users >= FOLLOWERS_USERS_MAX))
                return error_set(e, ERR_LIMIT, "Events are followed %u times already", followers->n);
        return ERR_OK;
}

enum err followers_add(struct followers *followers, const struct follower_viewer *viewer, int *ret_fd,
                       struct follower **ret, struct error *e)
{
        struct follower *follower;
        int ends[2], r;
        enum err err = within_limits(followers, viewer, e);

        if (err)
                return err;
        follower = calloc(1, sizeof *follower);
        if (!follower)
                return error_no_memory(e);
        if (pipe2(ends, O_CLOEXEC) < 0) {
                free(follower);
                return errno_error(e, errno, "No pipe could be made");
        }
        *follower = (struct follower){.followers = followers,
                                      .next = followers->first,
                                      .uid = viewer->uid,
                                      .root = viewer->root,
                                      .fd = ends[1]};
        (void)snprintf(follower->certificate, sizeof follower->certificate, "%s",
                       viewer->certificate ? viewer->certificate : "");
        follower->early_end = &follower->early;
        followers->first = follower;
        followers->n++;
        /* Our end alone does not wait: the reader's is his own affair. */
        r = fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0
                    ? -errno
                    : sd_event_add_io(followers->event, &follower->io, ends[1], 0, on_pipe, follower);
        if (r < 0) {
                forget(follower);
                (void)close(ends[0]);
                return errno_error(e, -r, "The event loop took no source");
        }
        *ret_fd = ends[0];
        *ret = follower;
        return ERR_OK;
}
