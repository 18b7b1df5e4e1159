#include "model.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "ksp.h"
#include "policy/plan.h"
#include "store/old.h"

enum { BUCKETS = 4096, DETAILS_MAX = 16 };

struct model {
        struct store *store;
        struct certificate *buckets[BUCKETS];
        struct certificate **ordered; /* ascending by order */
        size_t n, size;
        uint64_t last_order;
        struct profile_entry *profiles;
        struct certificate *shown[DETAILS_MAX]; /* whose details are in memory */
        unsigned n_shown;
};

enum err model_new(struct store *store, struct model **ret, struct error *e)
{
        struct model *model = calloc(1, sizeof *model);

        if (!model)
                return error_no_memory(e);
        model->store = store;
        *ret = model;
        return ERR_OK;
}

static void drop_details(struct certificate *certificate)
{
        if (!certificate->details)
                return;
        record_done_p(certificate->details);
        free(STEAL(certificate->details));
}

static void free_certificate(struct certificate *certificate)
{
        drop_details(certificate);
        ksp_key_unref(certificate->key);
        free(certificate->old);
        free(certificate->name);
        free(certificate->owner_name);
        free(certificate);
}

static void free_profile(struct profile_entry *profile)
{
        free(profile->name);
        free(profile->location);
        strings_done(&profile->groups);
        free(profile);
}

void model_free(struct model *model)
{
        if (!model)
                return;
        for (size_t i = 0; i < model->n; i++)
                free_certificate(model->ordered[i]);
        while (model->profiles) {
                struct profile_entry *profile = model->profiles;

                model->profiles = profile->next;
                free_profile(profile);
        }
        free(model->ordered);
        free(model);
}

/* Ids are random: any 12 bits of them are a hash. */
static unsigned bucket_of(const char *id)
{
        uint8_t octets[2];
        char digits[5];
        size_t len;

        (void)snprintf(digits, sizeof digits, "%.4s", id);
        return hex_decode(digits, octets, sizeof octets, &len) && len == 2
                       ? ((unsigned)octets[0] << 8 | octets[1]) % BUCKETS
                       : 0;
}

struct certificate *model_find(struct model *model, const char *id)
{
        struct certificate *c = model->buckets[bucket_of(id)];

        while (c && strcmp(c->id, id) != 0)
                c = c->next_in_bucket;
        return c;
}

struct certificate *model_find_name(struct model *model, const char *name, uid_t uid, bool all)
{
        struct certificate *own = NULL, *device = NULL, *other = NULL;
        unsigned others = 0;

        for (size_t i = 0; i < model->n; i++) {
                struct certificate *c = model->ordered[i];

                if (strcmp(c->name, name) != 0)
                        continue;
                if (c->owner == uid)
                        own = c;
                else if (c->owner == NO_OWNER)
                        device = c;
                else if (all && ++others)
                        other = c;
        }
        if (own || device)
                return own ? own : device;
        return others == 1 ? other : NULL;
}

struct certificate *model_find_key(struct model *model, const uint8_t key_id[20], uint64_t *ret_generation)
{
        for (size_t i = 0; i < model->n; i++) {
                struct certificate *c = model->ordered[i];

                if (c->has_key && memcmp(c->key_id, key_id, 20) == 0) {
                        *ret_generation = c->current;
                        return c;
                }
                for (size_t j = 0; j < c->n_old; j++) {
                        if (memcmp(c->old[j].key_id, key_id, 20) == 0) {
                                *ret_generation = c->old[j].generation;
                                return c;
                        }
                }
        }
        return NULL;
}

struct certificate *model_find_origin(struct model *model, const char *profile, uid_t owner)
{
        for (size_t i = 0; i < model->n; i++)
                if (model->ordered[i]->owner == owner && strcmp(model->ordered[i]->profile, profile) == 0)
                        return model->ordered[i];
        return NULL;
}

struct certificate *model_next(struct model *model, uint64_t order)
{
        size_t low = 0, high = model->n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (model->ordered[middle]->order > order)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low < model->n ? model->ordered[low] : NULL;
}

/* An attempt that met no SCEP server, or none that works: the network may be why. */
static bool is_unanswered(const char *error_name)
{
        static const enum err codes[] = {ERR_NETWORK, ERR_TIMEOUT, ERR_TLS, ERR_HTTP, ERR_REPLY};

        for (size_t i = 0; i < N_ELEMENTS(codes); i++)
                if (strcmp(error_name, err_name(codes[i])) == 0)
                        return true;
        return false;
}

static enum err keep_old(struct certificate *certificate, const struct strings *lines, struct error *e)
{
        struct old_key *keys = lines->count ? calloc(lines->count, sizeof *keys) : NULL;
        size_t n = 0;

        if (lines->count && !keys)
                return error_no_memory(e);
        for (size_t i = 0; i < lines->count; i++) {
                struct old_generation old;

                if (!old_generation_read(lines->items[i], &old))
                        continue;
                keys[n].generation = old.number;
                memcpy(keys[n++].key_id, old.key_id, sizeof old.key_id);
        }
        free(certificate->old);
        certificate->old = keys;
        certificate->n_old = n;
        return ERR_OK;
}

enum err model_update(struct certificate *certificate, const struct record *record, struct error *e)
{
        enum activity activity;
        size_t len;

        if (!activity_from_name(record->activity, &activity))
                return error_set(e, ERR_CONFIG, "The activity '%s' is not one this version knows",
                                 record->activity);
        if (!certificate->name || strcmp(certificate->name, record->name) != 0) {
                enum err r = record_set_text(&certificate->name, record->name, e);

                if (r)
                        return r;
        }
        if (!certificate->owner_name || strcmp(certificate->owner_name, record->owner_name) != 0) {
                enum err r = record_set_text(&certificate->owner_name, record->owner_name, e);

                if (r)
                        return r;
        }
        if (strcmp(certificate->profile, record->profile) != 0 || certificate->renew_at != record->renew_at)
                certificate->put_off = 0; /* another renewal than the one that was put off */
        (void)snprintf(certificate->profile, sizeof certificate->profile, "%s", record->profile);
        certificate->account = (uid_t)record->owner;
        if (certificate->owner != LOST_OWNER)
                certificate->owner = certificate->account;
        certificate->activity = activity;
        certificate->activity_since = record->activity_since;
        certificate->current = record->current;
        certificate->requested = record->requested;
        certificate->not_before = record->not_before;
        certificate->not_after = record->not_after;
        certificate->renew_at = record->renew_at;
        certificate->retry_at = record->retry_at;
        certificate->revoked_at = record->revoked_at;
        certificate->crl_refused = record->crl_refused;
        certificate->unanswered = is_unanswered(record->error_name);
        certificate->apply_at = record->apply_at;
        certificate->stops = plan_pairs_stop(&record->plan);
        certificate->follows = plan_pairs_follow(&record->plan);
        certificate->has_key =
                hex_decode(record->key_id, certificate->key_id, sizeof certificate->key_id, &len) &&
                len == sizeof certificate->key_id;
        drop_details(certificate);
        return keep_old(certificate, &record->old, e);
}

void model_estrange(struct certificate *certificate, bool lost)
{
        certificate->owner = lost ? LOST_OWNER : certificate->account;
}

enum err model_add(struct model *model, const char *id, const struct record *record, struct certificate **ret,
                   struct error *e)
{
        struct certificate *certificate, **bucket;
        enum err r;

        if (model->n == model->size) {
                size_t size = model->size ? 2 * model->size : 64;
                struct certificate **ordered = realloc(model->ordered, size * sizeof *ordered);

                if (!ordered)
                        return error_no_memory(e);
                model->ordered = ordered;
                model->size = size;
        }
        certificate = calloc(1, sizeof *certificate);
        if (!certificate)
                return error_no_memory(e);
        certificate->progress = "";
        (void)snprintf(certificate->id, sizeof certificate->id, "%s", id);
        r = model_update(certificate, record, e);
        if (r) {
                free_certificate(certificate);
                return r;
        }
        certificate->order = ++model->last_order;
        model->ordered[model->n++] = certificate;
        bucket = &model->buckets[bucket_of(id)];
        certificate->next_in_bucket = *bucket;
        *bucket = certificate;
        *ret = certificate;
        return ERR_OK;
}

void model_remove(struct model *model, struct certificate *certificate)
{
        struct certificate **p = &model->buckets[bucket_of(certificate->id)];

        while (*p != certificate)
                p = &(*p)->next_in_bucket;
        *p = certificate->next_in_bucket;
        for (size_t i = 0; i < model->n; i++) {
                if (model->ordered[i] == certificate) {
                        memmove(&model->ordered[i], &model->ordered[i + 1],
                                (model->n - i - 1) * sizeof *model->ordered);
                        model->n--;
                        break;
                }
        }
        for (unsigned i = 0; i < model->n_shown; i++)
                if (model->shown[i] == certificate)
                        model->shown[i] = NULL;
        free_certificate(certificate);
}

unsigned model_count(const struct model *model, uid_t owner)
{
        unsigned count = 0;

        for (size_t i = 0; i < model->n; i++)
                count += model->ordered[i]->owner == owner;
        return count;
}

const struct record *model_details(struct model *model, struct certificate *certificate)
{
        struct record *record;

        if (certificate->details)
                return certificate->details;
        if (model->n_shown == DETAILS_MAX)
                model_forget_details(model);
        record = malloc(sizeof *record);
        if (!record)
                return NULL;
        if (store_record_read(model->store, certificate->id, record, NULL)) {
                free(record);
                return NULL;
        }
        certificate->details = record;
        model->shown[model->n_shown++] = certificate;
        return record;
}

enum err model_key(struct model *model, struct ksp *ksp, struct certificate *certificate,
                   struct ksp_key **ret, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        struct ksp_key *key;
        enum err r;

        if (!certificate->current)
                return error_set(e, ERR_NOT_FOUND, "'%s' has no certificate yet", certificate->name);
        if (!certificate->key || certificate->key_generation != certificate->current) {
                r = store_generation(model->store, certificate->id, certificate->current, false, &fd, e);
                if (!r)
                        r = ksp_load(ksp, fd, "key.pem", &key, e);
                if (r)
                        return error_context(e, r, "Certificate '%s'", certificate->name);
                ksp_key_unref(certificate->key);
                certificate->key = key;
                certificate->key_generation = certificate->current;
        }
        *ret = certificate->key;
        return ERR_OK;
}

enum err model_any_key(struct model *model, struct ksp *ksp, struct certificate *certificate,
                       uint64_t generation, struct ksp_key **ret, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        struct ksp_key *key;
        enum err r;

        if (generation == certificate->current) {
                r = model_key(model, ksp, certificate, &key, e);
                if (!r)
                        *ret = ksp_key_ref(key);
                return r;
        }
        r = store_generation(model->store, certificate->id, generation, false, &fd, e);
        if (!r)
                r = ksp_load(ksp, fd, "key.pem", ret, e);
        return r ? error_context(e, r, "Certificate '%s'", certificate->name) : ERR_OK;
}

void model_forget_details(struct model *model)
{
        for (unsigned i = 0; i < model->n_shown; i++)
                if (model->shown[i])
                        drop_details(model->shown[i]);
        model->n_shown = 0;
}

enum err model_change_profile(struct profile_entry *entry, const struct stored_profile *profile,
                              struct error *e)
{
        const char *name = settings_get(&profile->settings, "Profile.Name");
        const char *type = settings_get(&profile->settings, "Profile.Type");
        CLEANUP(free_p) char *own_name = strdup(name ? name : entry->id);
        const char *groups = settings_get(&profile->settings, "Key.Groups");
        CLEANUP(free_p) char *own_location = strdup(profile->location);
        CLEANUP(strings_done) struct strings own_groups = {0};

        if (!own_name || !own_location)
                return error_no_memory(e);
        if (groups && strings_add_words(&own_groups, groups, e))
                return ERR_NO_MEMORY;
        free(entry->name);
        free(entry->location);
        entry->name = STEAL(own_name);
        entry->location = STEAL(own_location);
        strings_done(&entry->groups);
        entry->groups = own_groups;
        own_groups = (struct strings){0};
        entry->for_users = type && strcmp(type, "user") == 0;
        return ERR_OK;
}

enum err model_add_profile(struct model *model, const char *id, const struct stored_profile *profile,
                           struct profile_entry **ret, struct error *e)
{
        struct profile_entry *entry = calloc(1, sizeof *entry);
        enum err r;

        if (!entry)
                return error_no_memory(e);
        (void)snprintf(entry->id, sizeof entry->id, "%s", id);
        entry->owner = (uid_t)profile->owner;
        entry->managed = profile->managed;
        r = model_change_profile(entry, profile, e);
        if (r) {
                free_profile(entry);
                return r;
        }
        entry->next = model->profiles;
        model->profiles = entry;
        if (ret)
                *ret = entry;
        return ERR_OK;
}

void model_remove_profile(struct model *model, struct profile_entry *profile)
{
        struct profile_entry **p = &model->profiles;

        while (*p != profile)
                p = &(*p)->next;
        *p = profile->next;
        free_profile(profile);
}

struct profile_entry *model_find_profile(struct model *model, const char *id)
{
        struct profile_entry *profile = model->profiles;

        while (profile && strcmp(profile->id, id) != 0)
                profile = profile->next;
        return profile;
}

struct profile_entry *model_profile_named(struct model *model, const char *name, uid_t owner)
{
        struct profile_entry *profile = model->profiles;

        while (profile && (profile->owner != owner || strcmp(profile->name, name) != 0))
                profile = profile->next;
        return profile;
}

struct profile_entry *model_profiles(struct model *model)
{
        return model->profiles;
}
