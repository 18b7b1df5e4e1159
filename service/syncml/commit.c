/*
 * What was staged is done. First what is deleted goes (that has no way back), then everything is written,
 * then the enrollments begin; where one of these fails, what was written is put back.
 */
#include <string.h>

#include "daemon/log.h"
#include "enroll/enrollment.h"
#include "objects/objects.h"
#include "transaction.h"

static void remove_next(struct transaction *t);
static void begin_next(struct transaction *t);

static void end(struct transaction *t)
{
        t->at = NULL;
        t->done(t->ctx);
}

static void failed(struct transaction *t, size_t command, const struct error *e)
{
        refuse_error(t, command, e);
        t->failed = t->results[command].code;
        log_error(LOG_NOTICE, e);
}

/* The way back of one draft. */
static enum err put_back(struct transaction *t, struct draft *draft, struct error *e)
{
        struct daemon *d = t->d;
        struct profile_entry *profile = instance_profile(d, &draft->next);
        struct instance *instance = instance_find(d->instances, (uid_t)draft->next.owner, draft->next.key);
        enum err r = ERR_OK;

        if (draft->made_anchor)
                r = store_anchor_remove(d->store, (uid_t)draft->next.owner, draft->next.anchor, e);
        if (!r && draft->made_profile && profile)
                r = profile_forget(d, profile, e);
        if (!r && draft->changed_profile && profile)
                r = profile_restore(d, profile, &draft->old_profile, e);
        if (r || !instance)
                return r;
        return draft->original ? instance_put(d, instance, &draft->before, NULL, e)
                               : instance_drop(d, instance, e);
}

static void undo(struct transaction *t)
{
        for (struct draft *draft = t->drafts; draft; draft = draft->next_draft) {
                struct error e = {0};

                if (draft->begun || (draft->removes && t->results[draft->removed_by].code == STATUS_OK))
                        t->results[draft->begun ? draft->delivered_by : draft->removed_by].code =
                                STATUS_ROLLBACK_FAILED;
                else if (draft->written && put_back(t, draft, &e))
                        log_error(LOG_ERR, &e);
        }
        end(t);
}

/* Third: the enrollments. */

static void accepted(struct transaction *t, struct draft *draft, const struct certificate *certificate)
{
        struct instance *instance = instance_find(t->d->instances, (uid_t)draft->next.owner, draft->next.key);
        struct error e = {0};

        draft->begun = true;
        t->results[draft->delivered_by].code = certificate->enrollment ? STATUS_ACCEPTED : STATUS_OK;
        if (!instance)
                return;
        instance->stored.due = false;
        instance->stored.awaited = true;
        if (store_instance_write(t->d->store, &instance->stored, &e) ||
            store_instance_challenge(t->d->store, &instance->stored, (struct view){0}, &e))
                log_error(LOG_WARNING, &e);
}

static void begun(void *ctx, struct certificate *certificate, const struct error *failure)
{
        struct transaction *t = ctx;
        struct draft *draft = t->at;

        if (failure) {
                failed(t, draft->delivered_by, failure);
                undo(t);
                return;
        }
        accepted(t, draft, certificate);
        t->at = draft->next_draft;
        begin_next(t);
}

static void begin(void *ctx)
{
        struct transaction *t = ctx;
        const struct enrollment_ops ops = {begun, t};
        char profile[ID_LEN + 1];
        struct enrollment_order order = {
                .profile = profile, .owner = (uid_t)t->at->next.owner, .if_needed = true};
        struct error e = {0};
        const struct profile_entry *entry = instance_profile(t->d, &t->at->next);

        if (!entry) {
                (void)error_set(&e, ERR_NOT_FOUND, "The profile was removed meanwhile");
                failed(t, t->at->delivered_by, &e);
                undo(t);
                return;
        }
        memcpy(profile, entry->id, sizeof profile);
        if (enrollment_start(t->d, &order, &ops, &e)) {
                failed(t, t->at->delivered_by, &e);
                undo(t);
        }
}

/* A request that is under way asks for what the profile said before. */
static void begin_next(struct transaction *t)
{
        struct certificate *c;
        struct error e = {0};

        while (t->at && (t->at->gone || !t->at->delivers))
                t->at = t->at->next_draft;
        if (!t->at) {
                end(t);
                return;
        }
        c = instance_certificate(t->d, &t->at->next);
        if (!c || !c->enrollment) {
                begin(t);
        } else if (enrollment_end(c, begin, t, &e)) {
                failed(t, t->at->delivered_by, &e);
                undo(t);
        }
}

/* Second: disk and memory. */

static enum err write_profile(struct transaction *t, struct draft *draft, struct error *e)
{
        struct profile_entry *profile = instance_profile(t->d, &draft->next);
        CLEANUP(secret_done) struct secret stored = {0};
        struct intake in = {.settings = draft->settings,
                            .notes = draft->notes,
                            .owner = (uid_t)draft->next.owner,
                            .managed = draft->next.owner != NO_OWNER,
                            .location = draft->next.key,
                            .challenge = secret_view(&draft->challenge)};
        enum err r;

        if (!in.challenge.len && draft->has_challenge) {
                r = store_instance_challenge_read(t->d->store, &draft->next, &stored, e);
                if (r)
                        return r;
                in.challenge = secret_view(&stored);
        }
        if (profile) {
                r = profile_change(t->d, profile, &in, &draft->old_profile, e);
                draft->changed_profile = !r;
        } else {
                r = profile_take(t->d, &in, &profile, e);
                draft->made_profile = !r;
        }
        if (r)
                return r;
        draft->next.due = true;
        return record_set_text(&draft->next.profile, profile->id, e);
}

static enum err write_draft(struct transaction *t, struct draft *draft, struct error *e)
{
        struct stored_instance copy = {0};
        bool known = false;
        enum err r = ERR_OK;

        draft->written = true;
        if (draft->original)
                r = stored_instance_copy(&draft->original->stored, &draft->before, e);
        if (!r && draft->root) {
                r = store_anchor_add(t->d->store, (uid_t)draft->next.owner, draft->root, &known, e);
                draft->made_anchor = !r && !known;
        }
        if (!r && draft->delivers)
                r = write_profile(t, draft, e);
        else if (!r && draft->challenge.len)
                r = store_instance_challenge(t->d->store, &draft->next, secret_view(&draft->challenge), e);
        if (!r)
                r = stored_instance_copy(&draft->next, &copy, e);
        if (!r)
                r = instance_put(t->d, draft->original, &copy, NULL, e);
        stored_instance_done(&copy);
        return r;
}

/* A root that was replaced, once nothing can fail any more. */
static void drop_old_root(struct transaction *t, const struct draft *draft)
{
        struct error e = {0};

        if (!draft->written || !draft->before.key || !*draft->before.anchor ||
            strcmp(draft->before.anchor, draft->next.anchor) == 0 ||
            instance_root_shared(t->d, &draft->before))
                return;
        if (store_anchor_remove(t->d->store, (uid_t)draft->before.owner, draft->before.anchor, &e))
                log_error(LOG_WARNING, &e);
}

static void write_all_drafts(struct transaction *t)
{
        for (struct draft *draft = t->drafts; draft; draft = draft->next_draft) {
                struct error e = {0};

                if (!draft->gone && write_draft(t, draft, &e)) {
                        failed(t, draft->delivers ? draft->delivered_by : draft->touched_by, &e);
                        undo(t);
                        return;
                }
        }
        for (struct draft *draft = t->drafts; draft; draft = draft->next_draft)
                drop_old_root(t, draft);
        t->at = t->drafts;
        begin_next(t);
}

/* First: what is deleted. */

static void removed(void *ctx, const struct error *failure)
{
        struct transaction *t = ctx;
        struct draft *draft = t->at;
        struct error e = {0};
        enum err r = ERR_OK;

        if (failure)
                r = error_copy(&e, failure);
        else
                r = instance_drop(t->d, draft->original, &e);
        if (r) {
                failed(t, draft->removed_by, &e);
                draft->removes = false;
                undo(t);
                return;
        }
        draft->original = NULL;
        t->at = draft->next_draft;
        remove_next(t);
}

static void remove_next(struct transaction *t)
{
        struct error e = {0};

        while (t->at && !t->at->removes)
                t->at = t->at->next_draft;
        if (!t->at) {
                write_all_drafts(t);
                return;
        }
        t->at->original->stored.leaving = true; /* a restart goes on with it */
        if (store_instance_write(t->d->store, &t->at->original->stored, &e)) {
                failed(t, t->at->removed_by, &e);
                t->at->removes = false;
                undo(t);
                return;
        }
        instance_remove(t->d, &t->at->original->stored, removed, t);
}

void transaction_commit(struct transaction *t, void (*done)(void *ctx), void *ctx)
{
        t->failed = 0;
        t->done = done;
        t->ctx = ctx;
        t->at = t->drafts;
        remove_next(t);
}
