#include "apply/apply.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "apply/files.h"
#include "apply/network.h"
#include "apply/trust.h"
#include "apply/units.h"
#include "bus-client/client.h"

struct applying {
        const char *id;
        const struct state *state;
        struct bus_client *bus; /* once it is needed */
};

static enum err need_bus(struct applying *a, struct error *e)
{
        return a->bus ? ERR_OK : bus_client_open(NULL, &a->bus, e);
}

/* What the consumer got is what it would get now, if this is the same. */
static enum err make_stamp(const struct applying *a, const struct consumer *c, char ret[65], struct error *e)
{
        struct text text = TEXT(1024 * 1024);
        CLEANUP(free_p) char *all = NULL;
        enum err r;

        text_addf(&text, "%s %llu %s\n", a->state->fingerprint, (unsigned long long)a->state->generation,
                  c->digest);
        text_add_n(&text, (const char *)a->state->content[CONSUMER_ANCHOR].data,
                   a->state->content[CONSUMER_ANCHOR].len);
        r = text_finish(&text, &all, e);
        return r ? r : digest_text(str_view(all), ret, e);
}

static enum err put(const struct file_spec *spec, struct applied *applied, bool *ret_changed, struct error *e)
{
        CLEANUP(free_p) char *line = NULL;
        char digest[65];
        bool changed = false;
        enum err r = digest_text(spec->content, digest, e);

        if (!r && asprintf(&line, "%s %s", digest, spec->path) < 0) {
                line = NULL;
                return error_no_memory(e);
        }
        /* Before it is written: what is there has to be known to be taken away one day. */
        if (!r)
                r = strings_add(&applied->files, line, e);
        if (!r)
                r = file_put(spec, &changed, e);
        *ret_changed = *ret_changed || changed;
        return r;
}

static enum err put_files(const struct applying *a, const struct consumer *c, struct applied *applied,
                          bool *ret_changed, struct error *e)
{
        struct file_spec spec = {.mode = (mode_t)c->mode};
        enum err r = file_owner(c->owner, c->group, &spec.uid, &spec.gid, e);

        for (int i = 0; !r && i < _CONSUMER_FILE_MAX; i++) {
                if (!c->path[i])
                        continue;
                if (i == CONSUMER_KEY && !a->state->content[i].len) {
                        (void)error_set(e, ERR_CONSUMER,
                                        "Key=%s: the key is in software and is not handed out", c->path[i]);
                        return error_remedy(e, ERR_CONSUMER,
                                            "Use KeyUri= in the consumer, or a profile with Protection=tpm.");
                }
                spec.path = c->path[i];
                spec.content = bytes_view(&a->state->content[i]);
                r = put(&spec, applied, ret_changed, e);
        }
        return r;
}

static enum err put_trust(const struct applying *a, bool again, struct applied *applied, struct error *e)
{
        char path[TRUST_PATH_MAX];
        const struct file_spec spec = {
                .path = path, .content = bytes_view(&a->state->content[CONSUMER_ANCHOR]), .mode = 0644};
        bool changed = false;
        enum err r;

        trust_path(a->id, path);
        applied->trust = true;
        r = put(&spec, applied, &changed, e);
        return r || !(changed || again) ? r : trust_update(e);
}

/* What stood in its files before, for a connection that does not come up with the new ones. */
struct kept {
        struct bytes content[_CONSUMER_FILE_MAX];
        bool there[_CONSUMER_FILE_MAX];
};

static void kept_done(struct kept *kept)
{
        for (int i = 0; i < _CONSUMER_FILE_MAX; i++)
                bytes_done(&kept->content[i]);
}

static enum err keep_files(const struct consumer *c, struct kept *kept, struct error *e)
{
        for (int i = 0; i < _CONSUMER_FILE_MAX; i++) {
                struct error why = {0};
                enum err r = c->path[i] ? file_get(c->path[i], &kept->content[i], &why) : ERR_NOT_FOUND;

                if (r && r != ERR_NOT_FOUND)
                        return error_copy(e, &why);
                kept->there[i] = !r;
        }
        return ERR_OK;
}

static enum err put_back(const struct consumer *c, const struct kept *kept, struct error *e)
{
        struct file_spec spec = {.mode = (mode_t)c->mode};
        enum err r = file_owner(c->owner, c->group, &spec.uid, &spec.gid, e);
        bool changed;

        for (int i = 0; !r && i < _CONSUMER_FILE_MAX; i++) {
                if (!kept->there[i])
                        continue;
                spec.path = c->path[i];
                spec.content = bytes_view(&kept->content[i]);
                r = file_put(&spec, &changed, e);
        }
        return r;
}

/* A machine that loses its network by a new certificate could not even ask for another one. */
static enum err do_network(struct applying *a, const struct consumer *c, const struct kept *kept,
                           struct error *e)
{
        struct error why = {0}, again = {0};
        bool down = false;
        enum err r = need_bus(a, e), back;

        if (!r)
                r = network_apply(a->bus, c, a->state->key_id, &down, &why);
        if (!r || !down)
                return r && why.code != ERR_OK ? error_copy(e, &why) : r;
        back = put_back(c, kept, &again);
        if (!back)
                back = network_restore(a->bus, c, &again);
        if (!back)
                (void)error_set(e, ERR_CONSUMER,
                                "With the new certificate %s; with the one before it is up again",
                                why.message);
        else
                (void)error_set(e, ERR_CONSUMER, "With the new certificate %s; with the one before: %s",
                                why.message, again.message);
        return error_remedy(
                e, ERR_CONSUMER,
                "See why: journalctl -u NetworkManager -u wpa_supplicant, and the log of the RADIUS "
                "server.");
}

static enum err do_units(struct applying *a, const struct consumer *c, struct error *e)
{
        enum err r = ERR_OK;

        for (int verb = 0; !r && verb < _UNIT_VERB_MAX; verb++)
                for (size_t i = 0; !r && i < c->units[verb].count; i++) {
                        r = need_bus(a, e);
                        if (!r)
                                r = unit_do(a->bus, (enum unit_verb)verb, c->units[verb].items[i], e);
                }
        return r;
}

/* @done: it was done with the same before. */
static enum err apply_one(struct applying *a, const struct consumer *c, bool done, struct applied *applied,
                          struct error *e)
{
        CLEANUP(kept_done) struct kept kept = {0};
        bool changed = false;
        enum err r = ERR_OK;

        if (c->failure.code != ERR_OK)
                return error_copy(e, &c->failure);
        if (c->connection)
                r = keep_files(c, &kept, e);
        if (!r)
                r = put_files(a, c, applied, &changed, e);
        if (!r && c->trust)
                r = put_trust(a, !done, applied, e);
        if (r || (done && !changed))
                return r;
        if (c->connection)
                r = do_network(a, c, &kept, e);
        return r ? r : do_units(a, c, e);
}

static enum err set(char **text, const char *value, struct error *e)
{
        free(*text);
        *text = strdup(value);
        return *text ? ERR_OK : error_no_memory(e);
}

static enum err tell(struct applied *applied, const char *stamp, const struct error *why, struct error *e)
{
        enum err r;

        (void)fprintf(stderr, "Consumer %s: %s%s%s\n", applied->consumer,
                      why->code == ERR_OK ? "applied" : why->message, why->code == ERR_OK ? "" : ". ",
                      why->remedy);
        if (why->code == ERR_OK)
                return set(&applied->stamp, stamp, e);
        r = set(&applied->error, err_name(why->code), e);
        if (!r)
                r = set(&applied->message, why->message, e);
        return r ? r : set(&applied->remedy, why->remedy, e);
}

static enum err handle(struct applying *a, const struct consumer *c, const struct outcome *before,
                       struct outcome *ret, struct error *e)
{
        const struct applied *last = outcome_find(before, c->name);
        struct applied *applied = outcome_add(ret, c->name);
        struct error why = {0};
        char stamp[65] = "";
        enum err r = applied ? make_stamp(a, c, stamp, e) : error_no_memory(e);

        if (r)
                return r;
        applied->at = (uint64_t)time(NULL);
        if (apply_one(a, c, last && *stamp && strcmp(last->stamp, stamp) == 0, applied, &why)) {
                /* What was written before is still ours to take away one day. */
                for (size_t i = 0; last && !r && i < last->files.count; i++)
                        if (!strings_contain(&applied->files, last->files.items[i]) &&
                            applied->files.count < STRINGS_MAX)
                                r = strings_add(&applied->files, last->files.items[i], e);
                applied->trust = applied->trust || (last && last->trust);
        }
        return r ? r : tell(applied, stamp, &why, e);
}

enum err apply_all(const char *id, const struct state *state, const struct consumers *consumers,
                   const struct outcome *before, struct outcome *ret, struct error *e)
{
        CLEANUP(outcome_done) struct outcome outcome = {.generation = state->generation};
        struct applying applying = {id, state, NULL};
        enum err r = set(&outcome.name, state->name, e);

        for (size_t i = 0; !r && state->device && i < consumers->count; i++)
                if (consumer_follows(&consumers->items[i], state->name))
                        r = handle(&applying, &consumers->items[i], before, &outcome, e);
        bus_client_close(applying.bus);
        if (r)
                return r;
        *ret = outcome;
        outcome = (struct outcome){0};
        return ERR_OK;
}

static enum err undo_one(const struct applied *applied, struct error *e)
{
        enum err r = ERR_OK;

        for (size_t i = 0; !r && i < applied->files.count; i++) {
                char digest[65];
                const char *path = strchr(applied->files.items[i], ' ');

                if (!path || path - applied->files.items[i] != 64)
                        continue;
                (void)snprintf(digest, sizeof digest, "%.64s", applied->files.items[i]);
                r = file_take_away(path + 1, digest, e);
        }
        return r;
}

enum err apply_undo(const struct outcome *before, struct error *e)
{
        bool trust = false;
        enum err r = ERR_OK;

        for (size_t i = 0; !r && i < before->count; i++) {
                trust = trust || before->items[i].trust;
                r = undo_one(&before->items[i], e);
        }
        return r || !trust ? r : trust_update(e);
}
