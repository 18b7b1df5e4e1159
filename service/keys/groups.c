#include "groups.h"

#include <string.h>
#include <sys/inotify.h>
#include <systemd/sd-event.h>

#include "daemon/account.h"
#include "daemon/log.h"
#include "owners.h"
#include "server.h"

/* BURST_USEC: groupadd(8) and its like touch /etc/group and passwd more than once. */
enum { FIRST_USEC = 5 * 1000000, AGAIN_USEC = 10 * 1000000, BURST_USEC = 200 * 1000 };
static const uint64_t fresh_usec = UINT64_C(300) * 1000000;

/* A group: one of a profile. */
struct group {
        char *name;
        gid_t gid;
        enum err known; /* ERR_OK: its gid is; ERR_NOT_FOUND: there is none; else: not asked, or no answer */
};

struct group_list {
        struct group *items;
        size_t n;
};

struct key_groups {
        struct daemon *d;
        struct pool *pool; /* of one thread: a name service that hangs keeps nothing else waiting */
        struct group_list known;
        struct group_list asked; /* the thread's while busy, and so are these */
        struct owner_list owners;
        bool owners_answered;
        bool busy, again; /* again: something changed meanwhile */
        bool awaited;
        sd_event_source *timer, *watch;
};

static void list_done(struct group_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                free(list->items[i].name);
        free(list->items);
        *list = (struct group_list){0};
}

static const struct group *find(const struct group_list *list, const char *name)
{
        for (size_t i = 0; i < list->n; i++)
                if (strcmp(list->items[i].name, name) == 0)
                        return &list->items[i];
        return NULL;
}

static bool list_add(struct group_list *list, const char *name)
{
        struct group *larger = realloc(list->items, (list->n + 1) * sizeof *larger);

        if (!larger)
                return false;
        list->items = larger;
        larger[list->n] = (struct group){.name = strdup(name), .known = ERR_BUSY};
        if (!larger[list->n].name)
                return false;
        list->n++;
        return true;
}

/* Each group that a profile names, once. */
static bool collect(struct daemon *d, struct group_list *ret)
{
        for (const struct profile_entry *p = model_profiles(d->model); p; p = p->next)
                for (size_t i = 0; i < p->groups.count; i++)
                        if (!find(ret, p->groups.items[i]) && !list_add(ret, p->groups.items[i]))
                                return false;
        return true;
}

static void run_ask(void *ctx)
{
        struct key_groups *groups = ctx;
        struct group_list *asked = &groups->asked;

        groups->owners_answered = owners_ask(&groups->owners);
        for (size_t i = 0; i < asked->n; i++)
                asked->items[i].known = account_gid(asked->items[i].name, &asked->items[i].gid, NULL);
}

/* A name service that does not answer changes nothing. Says what is new. */
static void settle(struct group *now, const struct group *before)
{
        const enum err was = before ? before->known : ERR_BUSY;

        if (now->known != ERR_OK && now->known != ERR_NOT_FOUND && before) {
                now->known = before->known;
                now->gid = before->gid;
        }
        if (now->known == ERR_NOT_FOUND && was != ERR_NOT_FOUND)
                log_line(LOG_WARNING,
                         "The group '%s', which a profile names in Groups=, does not exist, ignoring it",
                         now->name);
        else if (now->known != ERR_OK && now->known != ERR_NOT_FOUND && !before)
                log_line(LOG_WARNING,
                         "The group '%s', which a profile names in Groups=, could not be looked up yet; it "
                         "is tried again",
                         now->name);
}

static void set_timer(struct key_groups *groups, uint64_t usec)
{
        (void)sd_event_source_set_time_relative(groups->timer, usec);
        (void)sd_event_source_set_enabled(groups->timer, SD_EVENT_ONESHOT);
}

static void open_door(struct key_groups *groups)
{
        if (!groups->awaited)
                return;
        groups->awaited = false;
        key_server_open(groups->d->keys);
}

static void have_asked(void *ctx)
{
        struct key_groups *groups = ctx;
        bool answered = groups->owners_answered;
        const bool any = groups->asked.n || groups->owners.n;

        groups->busy = false;
        owners_settle(groups->d, &groups->owners);
        owners_done(&groups->owners);
        for (size_t i = 0; i < groups->asked.n; i++) {
                struct group *group = &groups->asked.items[i];

                answered = answered && (group->known == ERR_OK || group->known == ERR_NOT_FOUND);
                settle(group, find(&groups->known, group->name));
        }
        list_done(&groups->known);
        groups->known = groups->asked;
        groups->asked = (struct group_list){0};
        open_door(groups);
        if (groups->again)
                key_groups_look(groups);
        else if (any)
                set_timer(groups, answered ? fresh_usec : AGAIN_USEC);
}

static void drop_questions(struct key_groups *groups)
{
        list_done(&groups->asked);
        owners_done(&groups->owners);
}

void key_groups_look(struct key_groups *groups)
{
        struct error e = {0};
        bool any = true;

        if (!groups)
                return;
        groups->again = groups->busy;
        if (groups->busy)
                return;
        if (!collect(groups->d, &groups->asked) || !owners_collect(groups->d, &groups->owners))
                drop_questions(groups);
        else if (!(any = groups->asked.n || groups->owners.n))
                list_done(&groups->known);
        else if ((groups->pool || pool_new(groups->d->event, 1, &groups->pool, &e) == ERR_OK) &&
                 pool_submit(groups->pool, run_ask, have_asked, groups, &e) == ERR_OK)
                groups->busy = true;
        else
                drop_questions(groups);
        if (!groups->busy && (any || groups->known.n))
                set_timer(groups, AGAIN_USEC);
}

/* What is awaited for so long does not keep root's programs waiting any longer. */
static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct key_groups *groups = ctx;

        (void)source;
        (void)usec;
        if (groups->awaited)
                log_line(
                        LOG_WARNING,
                        "The groups in Groups= of profiles, or the accounts of users, are still being looked "
                        "up; until then members of groups may use no key");
        open_door(groups);
        key_groups_look(groups);
        return 0;
}

static int on_etc(sd_event_source *source, const struct inotify_event *event, void *ctx)
{
        struct key_groups *groups = ctx;

        (void)source;
        if (event->len && (strcmp(event->name, "group") == 0 || strcmp(event->name, "passwd") == 0) &&
            !groups->awaited)
                set_timer(groups, BURST_USEC);
        return 0;
}

enum err key_groups_new(struct daemon *d, struct key_groups **ret, struct error *e)
{
        struct key_groups *groups = calloc(1, sizeof *groups);
        int failed;

        if (!groups)
                return error_no_memory(e);
        groups->d = d;
        failed = sd_event_add_time_relative(d->event, &groups->timer, CLOCK_MONOTONIC, FIRST_USEC, 0,
                                            on_timer, groups);
        if (failed < 0) {
                key_groups_free(groups);
                return errno_error(e, -failed, "The event loop took no timer");
        }
        failed = sd_event_add_inotify(d->event, &groups->watch, "/etc", IN_MOVED_TO | IN_CLOSE_WRITE, on_etc,
                                      groups);
        if (failed < 0)
                log_line(LOG_WARNING, "/etc cannot be watched, ignoring: %s", strerror(-failed));
        key_groups_look(groups);
        groups->awaited = groups->busy;
        if (!groups->busy)
                (void)sd_event_source_set_enabled(groups->timer, SD_EVENT_OFF);
        *ret = groups;
        return ERR_OK;
}

void key_groups_free(struct key_groups *groups)
{
        if (!groups)
                return;
        pool_free(groups->pool);
        (void)sd_event_source_disable_unref(groups->timer);
        (void)sd_event_source_disable_unref(groups->watch);
        list_done(&groups->known);
        drop_questions(groups);
        free(groups);
}

bool key_groups_are_awaited(const struct key_groups *groups)
{
        return groups->awaited;
}

unsigned key_groups_of(const struct daemon *d, const struct certificate *certificate,
                       gid_t ret[PROFILE_GROUPS_MAX])
{
        const struct profile_entry *profile = NULL;
        unsigned n = 0;

        if (certificate->owner == NO_OWNER && d->key_groups->known.n)
                profile = model_find_profile(d->model, certificate->profile);

        if (!profile)
                return 0;
        for (size_t i = 0; i < profile->groups.count && n < PROFILE_GROUPS_MAX; i++) {
                const struct group *group = find(&d->key_groups->known, profile->groups.items[i]);

                if (group && group->known == ERR_OK)
                        ret[n++] = group->gid;
        }
        return n;
}

enum err key_groups_check(const struct strings *names, struct error *e)
{
        gid_t gid;

        for (size_t i = 0; i < names->count; i++) {
                enum err r = account_gid(names->items[i], &gid, e);

                if (r == ERR_NOT_FOUND) {
                        (void)error_set(e, ERR_PROFILE, "Key.Groups: there is no group '%s' on this machine",
                                        names->items[i]);
                        return error_remedy(e, ERR_PROFILE,
                                            "Create the group (groupadd --system %s), or correct Groups=.",
                                            names->items[i]);
                }
                if (r)
                        return error_context(e, r, "Key.Groups");
        }
        return ERR_OK;
}
