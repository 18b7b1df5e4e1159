/* What is on the disk is taken up: after a restart, for a renewal, and once the disk takes writes again. */
#include <string.h>

#include "internal.h"
#include "policy/command.h"
#include "tell.h"

static enum activity activity_of(const struct record *record)
{
        enum activity activity = ACTIVITY_FAILED;

        (void)activity_from_name(record->activity, &activity);
        return activity;
}

/* What a restart finds: the plan in the record, the challenge in its file, the key where it was put. */
enum err step_resume(struct enrollment *en, struct error *e)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        CLEANUP(close_p) int fd = -1;
        uint64_t current;
        enum err r;

        if (!activity_is_running(activity_of(&en->record))) {
                /* Its end had reached the disk, and the write failed behind that. */
                if (activity_is_at_rest(activity_of(&en->record)))
                        tell_installed(en);
                return ERR_OK;
        }
        if (en->have_plan) /* of an attempt that failed */
                plan_done(&en->plan);
        en->have_plan = false;
        sk_X509_pop_free(STEAL(en->anchors), X509_free);
        secret_done(&en->challenge);
        r = plan_from_pairs(&en->record.plan, &en->plan, e);
        if (r)
                return r;
        en->have_plan = true;
        en->generation = en->record.requested;
        r = store_current(en->d->store, en->id, &current, e);
        if (!r)
                r = resume_anchors(en, e);
        if (!r)
                r = store_profile_read(en->d->store, en->record.profile, &stored, e);
        if (r == ERR_NOT_FOUND) /* removed since: the plan goes on without its files */
                r = ERR_OK;
        if (!r)
                r = server_link_load(
                        en->d, en->record.profile, settings_get(&stored.settings, "Server.CaBundle"),
                        settings_get(&stored.settings, "Server.ClientCertificate"), &en->link, e);
        if (r)
                return r;
        if (!r && store_generation(en->d->store, en->id, en->generation, false, &fd, NULL) == ERR_OK &&
            file_read_secret(fd, "challenge", COMMAND_CHALLENGE_MAX, &en->challenge, NULL))
                secret_done(&en->challenge);
        if (!r && current && current == en->generation)
                return step_finish_install(en, e);
        if (!r && strcmp(en->record.activity, activity_name(ACTIVITY_INSTALLING)) == 0)
                r = record_move(en, LIFE_FALL_BACK, e);
        return r ? r : step_key(en, e);
}

void enrollment_resumed(struct enrollment *en)
{
        if (enrollment_failed(en))
                return;
        if (!activity_is_running(activity_of(&en->record))) { /* it had ended but for the record */
                enrollment_publish(en, "");
                enrollment_free(en);
                return;
        }
        if (en->certificate->activity == ACTIVITY_PENDING) {
                enrollment_publish(en, "pending");
                enrollment_wait(en);
        } else {
                enrollment_next_discover(en);
        }
}

enum err enrollment_take(struct daemon *d, struct certificate *certificate, struct enrollment **ret,
                         struct error *e)
{
        struct enrollment *en;
        enum err r;

        if (certificate->enrollment)
                return error_set(e, ERR_BUSY, "An enrollment of '%s' is under way already",
                                 certificate->name);
        en = enrollment_new(d);
        if (!en)
                return error_no_memory(e);
        memcpy(en->id, certificate->id, sizeof en->id);
        en->owner = certificate->account;
        r = store_record_read(d->store, en->id, &en->record, e);
        if (r) {
                enrollment_free(en);
                return r;
        }
        en->certificate = certificate;
        certificate->enrollment = en;
        *ret = en;
        return ERR_OK;
}

enum err enrollment_resume(struct daemon *d, struct certificate *certificate, struct error *e)
{
        struct enrollment *en = NULL;
        enum err r = enrollment_take(d, certificate, &en, e);

        if (r)
                return r;
        en->stage = "resume";
        enrollment_step(en, step_resume, enrollment_resumed);
        return ERR_OK;
}
