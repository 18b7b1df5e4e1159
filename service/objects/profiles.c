/* Profiles come, change and go: checked once more, then disk, bus and memory. */
#include <string.h>

#include "internal.h"
#include "keys/groups.h"
#include "policy/profile.h"

enum { PROFILES_PER_USER = 16 };

static unsigned profiles_of(struct daemon *d, uid_t owner)
{
        unsigned count = 0;

        for (const struct profile_entry *p = model_profiles(d->model); p; p = p->next)
                count += p->owner == owner && !p->managed;
        return count;
}

/* What is stored of it. @self: the profile it replaces, or NULL. */
static enum err prepare(struct daemon *d, const struct intake *in, const struct profile_entry *self,
                        struct stored_profile *ret, struct error *e)
{
        CLEANUP(profile_done) struct profile profile = {0};
        const bool own = in->owner != NO_OWNER && !in->managed;
        const struct profile_entry *same;
        enum err r = profile_from_settings(&in->settings, in->root != NULL || self, &profile, e);

        if (r)
                return r;
        if (own && profile.type != PROFILE_USER)
                return error_set(e, ERR_PROFILE, "A profile of one's own has Type=user");
        if (own && !profile_only_variables(&profile))
                return error_set(e, ERR_PROFILE,
                                 "In a profile of one's own, subject and alternative names consist of "
                                 "variables alone");
        if (!self && own && profiles_of(d, in->owner) >= PROFILES_PER_USER)
                return error_set(e, ERR_LIMIT, "A user has at most %d profiles of his own",
                                 PROFILES_PER_USER);
        same = model_profile_named(d->model, profile.name, in->owner);
        if (same && same != self)
                return error_set(e, ERR_EXISTS, "There is a profile '%s' already", profile.name);
        ret->owner = in->owner;
        ret->managed = in->managed;
        r = profile_to_settings(&profile, false, &ret->settings, e);
        if (!r)
                r = strings_copy(&ret->notes, &in->notes, e);
        if (!r)
                r = record_set_text(&ret->digest, in->digest ? in->digest : "", e);
        return r ? r : record_set_text(&ret->location, in->location ? in->location : "", e);
}

static enum err write_client(struct daemon *d, const char *id, const struct intake *in, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = store_file_write(d->store, STORE_PROFILES, id, "client-cert.pem", 0600, in->client, e);

        if (!r)
                r = store_directory(d->store, STORE_PROFILES, id, &fd, e);
        return r ? r : ksp_key_save(in->client_key, fd, "client-key.pem", e);
}

static enum err write_files(struct daemon *d, const char *id, const struct intake *in, struct error *e)
{
        enum err r = ERR_OK;

        if (in->root)
                r = store_pem_write(d->store, STORE_PROFILES, id, "root.pem", in->root, e);
        if (!r && in->bundle.len)
                r = store_file_write(d->store, STORE_PROFILES, id, "ca-bundle.pem", 0600, in->bundle, e);
        if (!r && in->client_key)
                r = write_client(d, id, in, e);
        if (!r && in->challenge.len)
                r = store_file_write(d->store, STORE_PROFILES, id, "challenge", 0600, in->challenge, e);
        return r;
}

enum err profile_take(struct daemon *d, const struct intake *in, struct profile_entry **ret, struct error *e)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        store_id id;
        enum err r = prepare(d, in, NULL, &stored, e);

        if (!r)
                r = store_new_id(id, e);
        if (r)
                return r;
        r = write_files(d, id, in, e);
        if (!r) /* last: a profile without it is none */
                r = store_profile_write(d->store, id, &stored, e);
        if (!r)
                r = model_add_profile(d->model, id, &stored, ret, e);
        if (r) {
                (void)!store_remove(d->store, STORE_PROFILES, id, NULL);
                return r;
        }
        if ((*ret)->groups.count)
                key_groups_look(d->key_groups);
        if (d->bus) {
                char path[OBJECT_PATH_MAX];
                struct bus_object object;

                describe_profile_object(d, *ret, path, &object);
                bus_server_added(d->bus, &object);
        }
        return ERR_OK;
}

/* Who asks for its properties next reads them anew. */
static void show_again(struct daemon *d, const struct profile_entry *profile)
{
        char path[OBJECT_PATH_MAX];

        shown_profile_free(STEAL(d->shown_profile));
        if (!d->bus)
                return;
        profile_path(profile->id, path);
        bus_server_changed(d->bus, path, &profile_interface, profile_property_names);
}

/* Who may use the keys of its certificates is what the profile says now. */
static void groups_changed(struct daemon *d, const struct profile_entry *profile)
{
        struct certificate *certificate;
        uint64_t order = 0;

        key_groups_look(d->key_groups);
        while ((certificate = model_next(d->model, order))) {
                order = certificate->order;
                if (strcmp(certificate->profile, profile->id) == 0)
                        objects_certificate_changed(d, certificate);
        }
}

enum err profile_restore(struct daemon *d, struct profile_entry *profile, const struct stored_profile *old,
                         struct error *e)
{
        CLEANUP(strings_done) struct strings groups = {0};
        enum err r = strings_copy(&groups, &profile->groups, e);

        if (!r)
                r = store_profile_write(d->store, profile->id, old, e);
        if (!r)
                r = model_change_profile(profile, old, e);
        if (r)
                return r;
        show_again(d, profile);
        if (!strings_equal(&groups, &profile->groups))
                groups_changed(d, profile);
        return ERR_OK;
}

enum err profile_change(struct daemon *d, struct profile_entry *profile, const struct intake *in,
                        struct stored_profile *ret_old, struct error *e)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0}, old = {0};
        const struct intake files = {.challenge = in->challenge};
        enum err r = prepare(d, in, profile, &stored, e);

        if (!r)
                r = store_profile_read(d->store, profile->id, &old, e);
        if (!r) /* the challenge first: who goes on after a crash finds it with the settings it is for */
                r = write_files(d, profile->id, in->digest ? in : &files, e);
        if (!r)
                r = profile_restore(d, profile, &stored, e);
        if (r)
                return r;
        *ret_old = old;
        old = (struct stored_profile){0};
        return ERR_OK;
}

enum err profile_forget(struct daemon *d, struct profile_entry *profile, struct error *e)
{
        char path[OBJECT_PATH_MAX];
        struct bus_object gone;
        /* Its own file first: what a crash leaves without that is no profile, and goes at the next start. */
        enum err r = store_file_remove(d->store, STORE_PROFILES, profile->id, "profile.json", e);

        if (!r)
                r = store_remove(d->store, STORE_PROFILES, profile->id, e);
        if (r)
                return r;
        if (d->shown_profile)
                shown_profile_free(STEAL(d->shown_profile));
        describe_profile_object(d, profile, path, &gone);
        if (d->bus)
                bus_server_removed(d->bus, &gone);
        model_remove_profile(d->model, profile);
        return ERR_OK;
}
