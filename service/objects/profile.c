/* org.scepter1.Profile: its settings under their own names, and its removal. */
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "enroll/enrollment.h"
#include "internal.h"
#include "placed/placed.h"
#include "policy/profile.h"

/* Settings with defaults, canonical; empty where the profile cannot be read. A GetAll asks thirty times: the
 * profile shown last is kept until one changes (profiles.c). */
struct shown_profile {
        store_id id;
        struct stored_profile stored;
        struct settings settings;
        char *client; /* subject of its client certificate; NULL: none */
};

void shown_profile_free(struct shown_profile *shown)
{
        if (!shown)
                return;
        stored_profile_done(&shown->stored);
        settings_done(&shown->settings);
        free(shown->client);
        free(shown);
}

/* Never the key, and not the path either: that is of the machine it was added on. */
static char *client_subject(struct daemon *d, const char *id)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        char *subject = NULL;

        if (store_pem_read(d->store, STORE_PROFILES, id, "client-cert.pem", &cert, NULL) ||
            x509_name_text(X509_get_subject_name(cert), &subject, NULL))
                return NULL;
        return subject;
}

static const struct shown_profile *read_shown(const void *object)
{
        static const struct shown_profile nothing;
        const struct handle *handle = object;
        CLEANUP(profile_done) struct profile profile = {0};
        struct shown_profile *shown = handle->d->shown_profile;

        if (shown && strcmp(shown->id, handle->profile->id) == 0)
                return shown;
        shown_profile_free(shown);
        handle->d->shown_profile = NULL;
        shown = calloc(1, sizeof *shown);
        if (!shown || store_profile_read(handle->d->store, handle->profile->id, &shown->stored, NULL) ||
            profile_from_settings(&shown->stored.settings, true, &profile, NULL) ||
            profile_to_settings(&profile, true, &shown->settings, NULL)) {
                shown_profile_free(shown);
                return &nothing;
        }
        if (settings_get(&shown->settings, "Server.ClientCertificate"))
                shown->client = client_subject(handle->d, handle->profile->id);
        memcpy(shown->id, handle->profile->id, sizeof shown->id);
        handle->d->shown_profile = shown;
        return shown;
}

static void write_text(void *object, const char *key, struct bus_writer *w)
{
        const struct shown_profile *shown = read_shown(object);
        const char *value;

        value = settings_get(&shown->settings, key);
        bus_write_string(w, value ? value : "");
}

static void write_number(void *object, const char *key, struct bus_writer *w)
{
        const struct shown_profile *shown = read_shown(object);
        const char *value;
        uint64_t v = 0;

        value = settings_get(&shown->settings, key);
        bus_write_u32(w, value && parse_u64(value, UINT32_MAX, &v) ? (uint32_t)v : 0);
}

static void write_bool(void *object, const char *key, struct bus_writer *w)
{
        const struct shown_profile *shown = read_shown(object);
        const char *value;
        bool v = false;

        value = settings_get(&shown->settings, key);
        bus_write_bool(w, value && parse_bool(value, &v) && v);
}

/* All values of the key; one value of several words becomes one item a word. */
static void write_list(void *object, const char *key, bool words, struct bus_writer *w)
{
        const struct shown_profile *shown = read_shown(object);
        CLEANUP(strings_done) struct strings list = {0};
        enum err r = ERR_OK;

        for (size_t i = 0; !r && i < shown->settings.count; i++) {
                const struct setting *setting = &shown->settings.items[i];

                if (strcmp(setting->key, key) == 0)
                        r = words ? strings_add_words(&list, setting->value, NULL)
                                  : strings_add(&list, setting->value, NULL);
        }
        bus_write_strings(w, (const char *const *)list.items, list.count);
}

#define GETTER(function, writer)                                                                             \
        static void function(void *object, uid_t viewer, struct bus_writer *w)                               \
        {                                                                                                    \
                (void)viewer;                                                                                \
                writer;                                                                                      \
        }

GETTER(get_name, bus_write_string(w, ((struct handle *)object)->profile->name))
GETTER(get_type, bus_write_string(w, ((struct handle *)object)->profile->for_users ? "user" : "device"))
GETTER(get_owner, bus_write_u32(w, (uint32_t)((struct handle *)object)->profile->owner))
GETTER(get_url, write_list(object, "Server.Url", false, w))
GETTER(get_thumbprint, write_text(object, "Server.CaThumbprint", w))
GETTER(get_identifier, write_text(object, "Server.CaIdentifier", w))
GETTER(get_suffix, write_text(object, "Server.PkiClientSuffix", w))
GETTER(get_require, write_list(object, "Server.RequireCaps", true, w))
GETTER(get_legacy, write_list(object, "Server.AllowLegacy", true, w))
GETTER(get_rollover, write_bool(object, "Server.FollowRollover", w))
GETTER(get_protection, write_text(object, "Key.Protection", w))
GETTER(get_algorithm, write_text(object, "Key.Algorithm", w))
GETTER(get_reuse, write_bool(object, "Key.ReuseAtRenewal", w))
GETTER(get_downgrade, write_bool(object, "Key.AllowDowngrade", w))
GETTER(get_groups, write_list(object, "Key.Groups", true, w))
GETTER(get_subject, write_text(object, "Subject.Name", w))
GETTER(get_alternative, write_list(object, "Subject.AlternativeName", false, w))
GETTER(get_key_usage, write_list(object, "Subject.KeyUsage", true, w))
GETTER(get_eku, write_list(object, "Subject.ExtendedKeyUsage", false, w))
GETTER(get_hash, write_text(object, "Subject.Hash", w))
GETTER(get_validity, write_text(object, "Subject.Validity", w))
GETTER(get_template, write_text(object, "Subject.TemplateName", w))
GETTER(get_threshold, write_number(object, "Renewal.Threshold", w))
GETTER(get_method, write_text(object, "Renewal.Method", w))
GETTER(get_retry_count, write_number(object, "Renewal.RetryCount", w))
GETTER(get_retry_delay, write_number(object, "Renewal.RetryDelay", w))
GETTER(get_after_expiry, write_text(object, "Renewal.AfterExpiry", w))

static void get_client(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct shown_profile *shown = read_shown(object);

        (void)viewer;
        bus_write_string(w, shown->client ? shown->client : "");
}

static void get_pending_limit(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct shown_profile *shown = read_shown(object);
        CLEANUP(profile_done) struct profile profile = {0};

        (void)viewer;
        bus_write_u64(
                w, profile_from_settings(&shown->settings, true, &profile, NULL) ? 0 : profile.pending_limit);
}

static void get_challenge_kind(void *object, uid_t viewer, struct bus_writer *w)
{
        static const char *const names[] = {[CHALLENGE_NONE] = "none",
                                            [CHALLENGE_ASK] = "ask",
                                            [CHALLENGE_FILE] = "file",
                                            [CHALLENGE_CREDENTIAL] = "credential",
                                            [CHALLENGE_SOCKET] = "socket"};
        const struct shown_profile *shown = read_shown(object);
        CLEANUP(profile_done) struct profile profile = {0};
        const char *kind = "";

        (void)viewer;
        if (profile_from_settings(&shown->settings, true, &profile, NULL) == ERR_OK)
                kind = profile.origin != ORIGIN_INI ? "document" : names[profile_challenge_kind(&profile)];
        bus_write_string(w, kind);
}

static void get_notes(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct shown_profile *shown = read_shown(object);

        (void)viewer;
        bus_write_strings(w, (const char *const *)shown->stored.notes.items, shown->stored.notes.count);
}

static void get_certificates(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct handle handle = *(struct handle *)object;
        struct certificate *c;
        uint64_t order = 0;

        bus_open_array(w, "o");
        while ((c = model_next(handle.d->model, order))) {
                char path[OBJECT_PATH_MAX];

                order = c->order;
                if (strcmp(c->profile, handle.profile->id) != 0 ||
                    (c->owner != NO_OWNER && c->owner != viewer && viewer != 0))
                        continue;
                certificate_path(c->id, path);
                bus_write_path(w, path);
        }
        bus_close(w);
}

struct leaving {
        struct later later;
        store_id id;
        unsigned waiting; /* certificates that are being removed, and this call */
        enum err result;
        struct error error;
};

static void leaving_done(struct leaving *leaving)
{
        struct error e = {0};

        if (--leaving->waiting)
                return;
        if (leaving->result)
                bus_call_fail(leaving->later.call, &leaving->error);
        else if (bus_call_reply_empty(leaving->later.call, &e))
                bus_call_fail(leaving->later.call, &e);
        bus_call_unref(leaving->later.call);
        free(leaving);
}

static void certificate_gone(void *ctx, const struct error *failure)
{
        struct leaving *leaving = ctx;

        if (failure)
                leaving->result = error_copy(&leaving->error, failure);
        leaving_done(leaving);
}

/* Its certificates stay, orphaned, unless they are to go too. */
static void take_certificates(struct leaving *leaving, bool remove)
{
        struct daemon *d = leaving->later.d;
        struct certificate *c;
        uint64_t order = 0;

        while ((c = model_next(d->model, order))) {
                order = c->order;
                if (strcmp(c->profile, leaving->id) != 0)
                        continue;
                if (!remove) {
                        objects_certificate_changed(d, c);
                        continue;
                }
                if (c->leaving)
                        continue; /* somebody removes it already */
                leaving->waiting++;
                if (certificate_remove(d, c, certificate_gone, leaving, &leaving->error)) {
                        leaving->result = leaving->error.code;
                        leaving->waiting--;
                }
        }
}

static enum err check_idle(struct daemon *d, const char *id, struct error *e)
{
        struct certificate *c;
        uint64_t order = 0;

        if (enrollment_begins(d, id))
                return error_set(e, ERR_BUSY, "A request from this profile begins just now");
        while ((c = model_next(d->model, order))) {
                order = c->order;
                if (strcmp(c->profile, id) == 0 && c->enrollment && !enrollment_give_way(c))
                        return request_is_running(c, e);
        }
        return ERR_OK;
}

static enum err remove_profile(void *object, struct bus_call *call, struct error *e)
{
        const struct handle handle = *(struct handle *)object;
        bool with_certificates = false;
        const struct bus_option options[] = {
                BUS_OPTION_AS_BOOL(BUS_OPTION_WITH_CERTIFICATES, with_certificates)};
        struct leaving *leaving;
        enum err r = bus_options_read(bus_call_reader(call), options, N_ELEMENTS(options), e);

        if (!r && handle.profile->managed && !bus_call_is_root(call))
                r = error_set(e, ERR_DENIED, "The profile '%s' was placed by an administrator",
                              handle.profile->name);
        if (!r && is_placed(handle.profile->location)) {
                r = error_set(e, ERR_INVALID, "The profile '%s' comes from the file %s/%s",
                              handle.profile->name, handle.d->config.profiles,
                              strrchr(handle.profile->location, '/') + 1);
                (void)error_remedy(e, r, "Remove that file: the profile goes with it.");
        }
        if (!r)
                r = check_idle(handle.d, handle.profile->id, e);
        if (r)
                return r;
        leaving = calloc(1, sizeof *leaving);
        if (!leaving)
                return error_no_memory(e);
        memcpy(leaving->id, handle.profile->id, sizeof leaving->id);
        r = profile_forget(handle.d, handle.profile, e);
        if (r) {
                free(leaving);
                return r;
        }
        leaving->later = (struct later){handle.d, bus_call_ref(call)};
        leaving->waiting = 1;
        take_certificates(leaving, with_certificates);
        leaving_done(leaving);
        return ERR_OK;
}

static const struct bus_method methods[] = {
        {"Remove", "a{sv}", "", BUS_ACTION_MANAGE_PROFILES, remove_profile},
        {"Resolve", "a{sv}", "a{ss}", BUS_ACTION_ENROLL_DEVICE, profile_resolve},
};

static const struct bus_property properties[] = {
        {"Name", "s", get_name},
        {"Type", "s", get_type},
        {"Owner", "u", get_owner},
        {"Url", "as", get_url},
        {"CaThumbprint", "s", get_thumbprint},
        {"CaIdentifier", "s", get_identifier},
        {"PkiClientSuffix", "s", get_suffix},
        {"RequireCaps", "as", get_require},
        {"AllowLegacy", "as", get_legacy},
        {"ChallengeKind", "s", get_challenge_kind},
        {"ClientCertificate", "s", get_client},
        {"FollowRollover", "b", get_rollover},
        {"PendingLimit", "t", get_pending_limit},
        {"Protection", "s", get_protection},
        {"Algorithm", "s", get_algorithm},
        {"ReuseAtRenewal", "b", get_reuse},
        {"AllowDowngrade", "b", get_downgrade},
        {"Groups", "as", get_groups},
        {"SubjectName", "s", get_subject},
        {"AlternativeName", "as", get_alternative},
        {"KeyUsage", "as", get_key_usage},
        {"ExtendedKeyUsage", "as", get_eku},
        {"Hash", "s", get_hash},
        {"Validity", "s", get_validity},
        {"TemplateName", "s", get_template},
        {"Threshold", "u", get_threshold},
        {"Method", "s", get_method},
        {"RetryCount", "u", get_retry_count},
        {"RetryDelay", "u", get_retry_delay},
        {"AfterExpiry", "s", get_after_expiry},
        {"Notes", "as", get_notes},
        {"Certificates", "ao", get_certificates},
};

/* What an edit of the profile may change. */
const char *const profile_property_names[] = {
        "Name",
        "Type",
        "Url",
        "CaThumbprint",
        "CaIdentifier",
        "PkiClientSuffix",
        "RequireCaps",
        "AllowLegacy",
        "ChallengeKind",
        "FollowRollover",
        "PendingLimit",
        "Protection",
        "Algorithm",
        "ReuseAtRenewal",
        "AllowDowngrade",
        "Groups",
        "SubjectName",
        "AlternativeName",
        "KeyUsage",
        "ExtendedKeyUsage",
        "Hash",
        "Validity",
        "TemplateName",
        "Threshold",
        "Method",
        "RetryCount",
        "RetryDelay",
        "AfterExpiry",
        "Notes",
        NULL,
};

const struct bus_interface profile_interface = {
        .name = BUS_INTERFACE_PROFILE,
        .introspection = bus_introspection_profile,
        .methods = methods,
        .n_methods = N_ELEMENTS(methods),
        .properties = properties,
        .n_properties = N_ELEMENTS(properties),
};
