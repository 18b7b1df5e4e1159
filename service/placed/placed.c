#include "placed/placed.h"

#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "enroll/enrollment.h"
#include "objects/objects.h"
#include "placed/read.h"
#include "policy/command.h"
#include "policy/profile.h"
#include "work/watch.h"

#define LOCATION "profiles.d/"

enum { LOCATION_SIZE = sizeof LOCATION + PLACED_NAME_MAX };

struct placed {
        struct daemon *d;
        struct watch *watch;
        bool busy, again; /* files is being worked through; and something changed meanwhile */
        struct placed_files files;
        size_t at; /* which of them */
        struct worker_job *job;
        struct commands commands; /* of that one */
        struct command *command;  /* borrows from commands */
        struct named_files named;
        char digest[65];
        enum err result;
        struct error error;
};

bool is_placed(const char *location)
{
        return strncmp(location, LOCATION, strlen(LOCATION)) == 0;
}

static void look(struct placed *placed);
static void next_file(struct placed *placed);

static void forget_one(struct placed *placed)
{
        commands_done(&placed->commands);
        placed->commands = (struct commands){0};
        placed->command = NULL;
        named_files_done(&placed->named);
}

static void location_of(const struct placed_file *file, char ret[LOCATION_SIZE])
{
        (void)snprintf(ret, LOCATION_SIZE, LOCATION "%s", file->name);
}

static struct profile_entry *find(struct daemon *d, const char *location)
{
        for (struct profile_entry *p = model_profiles(d->model); p; p = p->next)
                if (strcmp(p->location, location) == 0)
                        return p;
        return NULL;
}

/* What is wrong with the file is told; what it was before stays. */
static void skip(struct placed *placed, const struct error *why)
{
        struct error told = *why;

        (void)error_context(&told, told.code, "Profile file %s", placed->files.items[placed->at].name);
        log_error(LOG_ERR, &told);
        forget_one(placed);
        placed->at++;
        next_file(placed);
}

static void begun(void *ctx, struct certificate *certificate, const struct error *failure)
{
        CLEANUP(free_p) char *name = ctx;
        struct error e;

        (void)certificate;
        if (!failure)
                return;
        e = *failure;
        (void)error_context(&e, e.code, "Profile '%s'", name);
        log_error(LOG_ERR, &e);
}

/* A device's certificate that needs nobody's hand. @changed: it may have to be another one. */
static void enroll(struct placed *placed, const struct profile_entry *entry, bool changed)
{
        struct daemon *d = placed->d;
        CLEANUP(profile_done) struct profile profile = {0};
        const struct certificate *existing = model_find_origin(d->model, entry->id, NO_OWNER);
        struct enrollment_order order = {.profile = entry->id, .owner = NO_OWNER, .if_needed = true};
        struct enrollment_ops ops = {.begun = begun};
        struct error e = {0};

        if (profile_from_settings(&placed->command->settings, true, &profile, NULL) ||
            profile.type != PROFILE_DEVICE || profile_challenge_kind(&profile) == CHALLENGE_ASK)
                return;
        if (existing && ((existing->enrollment && !existing->noting) || !changed))
                return;
        ops.ctx = strdup(entry->name);
        if (!ops.ctx || enrollment_start(d, &order, &ops, &e)) {
                log_error(LOG_ERR, &e);
                free(ops.ctx);
        }
}

/* The file's text, and the files that it names, against what is stored. */
static enum err settle(struct placed *placed, struct error *e)
{
        struct daemon *d = placed->d;
        CLEANUP(stored_profile_done) struct stored_profile old = {0};
        char location[LOCATION_SIZE];
        struct profile_entry *entry;
        struct intake in = {.owner = NO_OWNER,
                            .settings = placed->command->settings,
                            .notes = placed->command->notes,
                            .location = location,
                            .digest = placed->digest,
                            .root = placed->named.root,
                            .bundle = secret_view(&placed->named.bundle),
                            .client = bytes_view(&placed->named.client.chain),
                            .client_key = placed->named.client.key};
        bool changed = true;
        enum err r;

        location_of(&placed->files.items[placed->at], location);
        entry = find(d, location);
        if (!entry) {
                r = profile_take(d, &in, &entry, e);
        } else {
                r = store_profile_read(d->store, entry->id, &old, e);
                changed = !r && strcmp(old.digest, placed->digest) != 0;
                stored_profile_done(&old);
                old = (struct stored_profile){0};
                if (!r && changed)
                        r = profile_change(d, entry, &in, &old, e);
        }
        if (r)
                return r;
        enroll(placed, entry, changed);
        return ERR_OK;
}

static void run_named(void *ctx)
{
        struct placed *placed = ctx;

        placed->error = (struct error){0};
        placed->result = placed_named(&placed->command->settings, placed->d->config.profiles,
                                      placed->d->own_uid, secret_view(&placed->files.items[placed->at].text),
                                      placed->d->ksp, &placed->named, placed->digest, &placed->error);
}

static void have_named(void *ctx)
{
        struct placed *placed = ctx;
        struct error e = placed->error;

        if (!placed->result)
                placed->result = settle(placed, &e);
        if (placed->result) {
                skip(placed, &e);
                return;
        }
        forget_one(placed);
        placed->at++;
        next_file(placed);
}

static void on_parsed(void *ctx, const struct result *result, const struct error *failure)
{
        struct placed *placed = ctx;
        struct error e = {0};
        enum err r = ERR_OK;

        placed->job = NULL;
        if (failure)
                r = error_copy(&e, failure);
        if (!r)
                r = commands_decode(result->of.parsed.commands, &placed->commands, &e);
        if (!r)
                r = intake_one_profile(&placed->commands, &placed->command, &e);
        if (!r)
                r = pool_submit(settings_get(&placed->command->settings, "Key.Groups") ? placed->d->names
                                                                                       : placed->d->pool,
                                run_named, have_named, placed, &e);
        if (r)
                skip(placed, &e);
}

/* Files that are gone. One that cannot be read now is not gone. */
static void drop_gone(struct placed *placed)
{
        struct daemon *d = placed->d;
        struct profile_entry *next;

        for (struct profile_entry *p = model_profiles(d->model); p; p = next) {
                bool there = !is_placed(p->location);
                struct error e = {0};

                next = p->next;
                for (size_t i = 0; !there && i < placed->files.count; i++)
                        there = strcmp(p->location + strlen(LOCATION), placed->files.items[i].name) == 0;
                if (!there && profile_forget(d, p, &e))
                        log_error(LOG_ERR, &e);
        }
}

static void next_file(struct placed *placed)
{
        struct job job = {.kind = JOB_PARSE, .of.parse = {.format = "ini"}};
        struct placed_file *file;
        struct error e = {0};

        if (placed->at >= placed->files.count) {
                placed_files_done(&placed->files);
                placed->busy = false;
                if (placed->again)
                        look(placed);
                return;
        }
        file = &placed->files.items[placed->at];
        if (file->failure.code != ERR_OK) {
                log_error(LOG_ERR, &file->failure);
                placed->at++;
                next_file(placed);
                return;
        }
        job.of.parse.document = secret_view(&file->text);
        if (!file->text.len)
                (void)error_set(&e, ERR_DOCUMENT, "it is empty");
        if (e.code != ERR_OK ||
            workers_start(placed->d->workers, &job, NULL, NO_OWNER, on_parsed, placed, &placed->job, &e))
                skip(placed, &e);
}

static void run_read(void *ctx)
{
        struct placed *placed = ctx;

        placed->error = (struct error){0};
        placed->result =
                placed_read(placed->d->config.profiles, placed->d->own_uid, &placed->files, &placed->error);
}

static void have_read(void *ctx)
{
        struct placed *placed = ctx;

        if (placed->result)
                log_error(LOG_ERR, &placed->error);
        else if (!placed->files.missing) /* a directory that is not mounted takes nothing away */
                drop_gone(placed);
        placed->at = 0;
        next_file(placed);
}

static void look(struct placed *placed)
{
        struct error e = {0};

        placed->again = placed->busy;
        if (placed->busy)
                return;
        if (pool_submit(placed->d->pool, run_read, have_read, placed, &e))
                log_error(LOG_ERR, &e);
        else
                placed->busy = true;
}

static void on_change(void *ctx)
{
        look(ctx);
}

enum err placed_start(struct daemon *d, struct error *e)
{
        struct placed *placed = calloc(1, sizeof *placed);
        enum err r;

        if (!placed)
                return error_no_memory(e);
        placed->d = d;
        d->placed = placed;
        r = watch_new(d->event, d->config.profiles, on_change, placed, &placed->watch, e);
        if (!r)
                look(placed);
        return r;
}

void placed_stop(struct daemon *d)
{
        if (!d->placed)
                return;
        watch_free(STEAL(d->placed->watch));
        if (d->placed->job)
                worker_job_cancel(STEAL(d->placed->job));
}

void placed_end(struct daemon *d)
{
        struct placed *placed = STEAL(d->placed);

        if (!placed)
                return;
        forget_one(placed);
        placed_files_done(&placed->files);
        free(placed);
}
