/* org.scepter1.Certificate. */
#include <openssl/evp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "base/ossl.h"
#include "base/parse.h"
#include "enroll/enrollment.h"
#include "pin/pin.h"
#include "internal.h"

static const struct certificate *summary(const void *object)
{
        return ((const struct handle *)object)->certificate;
}

/* The record; NULL where it cannot be read, and then properties are empty. */
static const struct record *details(void *object)
{
        struct handle *handle = object;

        return model_details(handle->d->model, handle->certificate);
}

#define TEXT_PROPERTY(function, member)                                                                      \
        static void function(void *object, uid_t viewer, struct bus_writer *w)                               \
        {                                                                                                    \
                const struct record *record = details(object);                                               \
                                                                                                             \
                (void)viewer;                                                                                \
                bus_write_string(w, record ? record->member : "");                                           \
        }

#define LIST_PROPERTY(function, member)                                                                      \
        static void function(void *object, uid_t viewer, struct bus_writer *w)                               \
        {                                                                                                    \
                const struct record *record = details(object);                                               \
                                                                                                             \
                (void)viewer;                                                                                \
                bus_write_strings(w, record ? (const char *const *)record->member.items : NULL,              \
                                  record ? record->member.count : 0);                                        \
        }

#define TIME_PROPERTY(function, member)                                                                      \
        static void function(void *object, uid_t viewer, struct bus_writer *w)                               \
        {                                                                                                    \
                (void)viewer;                                                                                \
                bus_write_u64(w, summary(object)->member);                                                   \
        }

TEXT_PROPERTY(get_subject, subject)
TEXT_PROPERTY(get_serial, serial)
TEXT_PROPERTY(get_thumbprint, thumbprint)
TEXT_PROPERTY(get_respondent, respondent)
LIST_PROPERTY(get_deviations, deviations)
LIST_PROPERTY(get_new_names, new_names)
TIME_PROPERTY(get_activity_since, activity_since)
TIME_PROPERTY(get_not_before, not_before)
TIME_PROPERTY(get_not_after, not_after)
TIME_PROPERTY(get_renew_at, renew_at)

/* Of the certificate that is installed, or, before there is one, of the key that is being requested. */
#define KEY_PROPERTY(function, member)                                                                       \
        static void function(void *object, uid_t viewer, struct bus_writer *w)                               \
        {                                                                                                    \
                const struct record *record = details(object);                                               \
                                                                                                             \
                (void)viewer;                                                                                \
                bus_write_string(w, !record           ? ""                                                   \
                                    : *record->member ? record->member                                       \
                                                      : record->next_##member);                              \
        }
KEY_PROPERTY(get_key_protection, key_protection)
KEY_PROPERTY(get_key_reason, key_reason)
KEY_PROPERTY(get_key_algorithm, key_algorithm)

static void get_key_attributes(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct record *record = details(object);
        const struct strings none = {0}, *attributes = &none;

        (void)viewer;
        if (record)
                attributes = *record->key_id ? &record->key_attributes : &record->next_key_attributes;
        bus_write_strings(w, (const char *const *)attributes->items, attributes->count);
}

static void get_name(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)viewer;
        bus_write_string(w, summary(object)->name);
}

static enum health health_now(const struct handle *handle)
{
        const struct certificate *c = handle->certificate;

        return certificate_health(c, clock_now(&handle->d->clock));
}

static void get_health(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)viewer;
        bus_write_string(w, health_name(health_now(object)));
}

static void get_activity(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)viewer;
        bus_write_string(w, activity_name(summary(object)->activity));
}

static void get_progress(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)viewer;
        bus_write_string(w, summary(object)->progress);
}

static void get_profile(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct handle *handle = object;
        char path[OBJECT_PATH_MAX] = "/";

        (void)viewer;
        if (model_find_profile(handle->d->model, handle->certificate->profile))
                profile_path(handle->certificate->profile, path);
        bus_write_path(w, path);
}

_Static_assert(LOST_OWNER == BUS_LOST_OWNER, "told as it is");

static void get_owner(void *object, uid_t viewer, struct bus_writer *w)
{
        (void)viewer;
        bus_open_struct(w);
        bus_write_u32(w, (uint32_t)summary(object)->owner);
        bus_write_string(w, summary(object)->owner_name);
        bus_close(w);
}

static void get_last_error(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct record *record = details(object);

        /* Of the request before that of the consumers: it comes first in time. */
        const bool applying = record && !*record->error_name;

        (void)viewer;
        bus_open_struct(w);
        bus_write_string(w, !record ? "" : applying ? record->apply_error : record->error_name);
        bus_write_string(w, !record ? "" : applying ? record->apply_message : record->error_message);
        bus_write_string(w, !record ? "" : applying ? record->apply_remedy : record->error_remedy);
        bus_close(w);
}

static void get_status(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct handle *handle = object;

        (void)viewer;
        bus_write_i32(w, csp_status(handle->certificate->activity, health_now(handle)));
}

static void get_attempts(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct record *record = details(object);

        (void)viewer;
        bus_write_u32(w, !record                ? 0
                         : *record->apply_error ? (uint32_t)(record->attempts + record->apply_attempts)
                                                : (uint32_t)record->attempts);
}

/* RFC 7512 §2.3: what may stand as it is, the rest as %XX. Token and label as scepter-pkcs11.so has them. */
static void pkcs11_uri(const struct certificate *c, char *ret, size_t size)
{
        static const char bare[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
        size_t n;

        if (c->owner == NO_OWNER)
                n = (size_t)snprintf(ret, size, "pkcs11:token=Scepter;object=");
        else
                n = (size_t)snprintf(ret, size,
                                     "pkcs11:token=Scepter%%20uid%%20%lu;object=", (unsigned long)c->owner);
        for (const char *p = c->name; *p && n + 4 < size; p++)
                n += (size_t)snprintf(ret + n, size - n, strchr(bare, *p) ? "%c" : "%%%02X",
                                      (unsigned char)*p);
}

static void get_uris(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct certificate *c = summary(object);
        char name[PATH_MAX], id[64], hex[2 * KEY_ID_LEN + 1], pkcs11[PATH_MAX];
        const char *const uris[] = {name, id, pkcs11};

        (void)viewer;
        (void)snprintf(name, sizeof name, "ksp:%s", c->name);
        hex_encode((struct view){c->key_id, sizeof c->key_id}, hex);
        (void)snprintf(id, sizeof id, "ksp:id=%s", hex);
        pkcs11_uri(c, pkcs11, sizeof pkcs11);
        bus_write_strings(w, uris, c->has_key ? N_ELEMENTS(uris) : 0);
}

/* Of the profile as it is now. */
static void get_groups(void *object, uid_t viewer, struct bus_writer *w)
{
        const struct handle *handle = object;
        const struct profile_entry *profile = model_find_profile(handle->d->model, summary(object)->profile);

        (void)viewer;
        bus_write_strings(w, profile ? (const char *const *)profile->groups.items : NULL,
                          profile ? profile->groups.count : 0);
}

static enum err no_options(struct bus_call *call, struct error *e)
{
        return bus_options_read(bus_call_reader(call), NULL, 0, e);
}

static enum err cancel(void *object, struct bus_call *call, struct error *e)
{
        const struct handle *handle = object;
        enum err r = no_options(call, e);

        /* The question alone ends, and it waits on. */
        if (!r && !ask_end(handle->d, handle->certificate, ASK_CANCELLED))
                r = enrollment_cancel(handle->certificate, e);
        return r ? r : bus_call_reply_empty(call, e);
}

static void removed(void *ctx, const struct error *failure)
{
        struct bus_call *call = ctx;
        struct error e = {0};

        if (failure)
                bus_call_fail(call, failure);
        else if (bus_call_reply_empty(call, &e))
                bus_call_fail(call, &e);
        bus_call_unref(call);
}

static enum err remove_certificate(void *object, struct bus_call *call, struct error *e)
{
        const struct handle *handle = object;
        enum err r = no_options(call, e);

        if (r)
                return r;
        r = certificate_remove(handle->d, handle->certificate, removed, bus_call_ref(call), e);
        if (r)
                bus_call_unref(call);
        return r;
}

static enum err get_chain(void *object, struct bus_call *call, struct error *e)
{
        const struct handle *handle = object;
        CLEANUP(secret_done) struct secret cert = {0};
        CLEANUP(secret_done) struct secret chain = {0};
        CLEANUP(free_p) char *all = NULL;
        CLEANUP(close_p) int fd = -1;
        struct text text = TEXT(STORE_FILE_MAX);
        struct bus_writer *w;
        enum err r = no_options(call, e);

        if (!r && !handle->certificate->current)
                r = error_set(e, ERR_NOT_FOUND, "'%s' has no certificate yet", handle->certificate->name);
        if (!r)
                r = store_file_read(handle->d->store, STORE_CERTIFICATES, handle->certificate->id,
                                    "current/cert.pem", &cert, e);
        if (!r)
                r = store_file_read(handle->d->store, STORE_CERTIFICATES, handle->certificate->id,
                                    "current/chain.pem", &chain, e);
        if (r)
                return r;
        text_add_n(&text, (const char *)cert.data, cert.len);
        text_add_n(&text, (const char *)chain.data, chain.len);
        r = text_finish(&text, &all, e);
        if (!r)
                r = memfd_make("scepter-chain", str_view(all), &fd, e);
        if (r)
                return r;
        w = bus_call_begin(call);
        bus_write_fd(w, fd);
        return bus_call_reply(call, w, e);
}

struct testing {
        struct later later;
        struct secret pin;
        int generation; /* directory, of a key that wants a PIN */
        uint64_t now;
        char *name;
        struct ksp_key *key;
        uid_t uid;
        uint64_t usec;
        enum err result;
        struct error error;
};

static uint64_t now_usec(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Signs a hash and verifies the signature with the public half. */
static enum err test_key(struct testing *testing, struct error *e)
{
        static const char text[] = "scepter key test";
        const struct key_sign how = {
                .scheme = key_alg_is_rsa(ksp_key_alg(testing->key)) ? KEY_SCHEME_RSA_PKCS1 : KEY_SCHEME_ECDSA,
                .digest = KEY_DIGEST_SHA256};
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ksp_key_public(testing->key), NULL);
        CLEANUP(bytes_done) struct bytes signature = {0};
        uint8_t hash[32];
        struct ksp_op op = {.key = testing->key,
                            .uid = testing->uid,
                            .sign = how,
                            .data = {hash, sizeof hash},
                            .pin = secret_view(&testing->pin)};
        uint64_t begin = now_usec();
        enum err r;

        if (EVP_Digest(text, sizeof text, hash, NULL, EVP_sha256(), NULL) != 1)
                return ossl_error(e, ERR_FAILED, "The test could not be made");
        r = pin_run(testing->later.d->pins, testing->generation, testing->name, testing->now, &op);
        testing->usec = now_usec() - begin;
        if (r)
                return error_copy(e, &op.error);
        signature = op.signature;
        if (!ctx || EVP_PKEY_verify_init(ctx) != 1 || EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) != 1 ||
            EVP_PKEY_verify(ctx, signature.data, signature.len, hash, sizeof hash) != 1)
                return ossl_error(e, ERR_KEY_DAMAGED, "The key signed, but its signature does not verify");
        return ERR_OK;
}

static void testing_free(struct testing *testing)
{
        ksp_key_unref(testing->key);
        secret_done(&testing->pin);
        close_p(&testing->generation);
        free(testing->name);
        free(testing);
}

static void run_test(void *ctx)
{
        struct testing *testing = ctx;

        testing->result = test_key(testing, &testing->error);
}

static void test_done(void *ctx)
{
        struct testing *testing = ctx;
        struct bus_writer *w;
        struct error e = {0};

        if (testing->result) {
                later_fail(&testing->later, &testing->error);
        } else {
                w = bus_call_begin(testing->later.call);
                bus_open_array(w, "{sv}");
                bus_entry_string(w, "operation", "sign");
                bus_entry_string(w, "algorithm", key_alg_name(ksp_key_alg(testing->key)));
                bus_entry_string(w, "protection",
                                 ksp_key_wants_pin(testing->key) ? "user-verified"
                                 : ksp_key_in_tpm(testing->key)  ? "tpm"
                                                                 : "software");
                bus_entry_u64(w, "usec", testing->usec);
                bus_close(w);
                if (bus_call_reply(testing->later.call, w, &e))
                        bus_call_fail(testing->later.call, &e);
                bus_call_unref(testing->later.call);
        }
        testing_free(testing);
}

static enum err test(void *object, struct bus_call *call, struct error *e)
{
        const struct handle *handle = object;
        CLEANUP(close_p) int pin = -1;
        const struct bus_option options[] = {BUS_OPTION_AS_FD(BUS_OPTION_PIN, pin)};
        struct testing *testing;
        struct ksp_key *key;
        enum err r = bus_options_read(bus_call_reader(call), options, N_ELEMENTS(options), e);

        if (!r)
                r = model_key(handle->d->model, handle->d->ksp, handle->certificate, &key, e);
        if (r)
                return r;
        testing = calloc(1, sizeof *testing);
        if (!testing)
                return error_no_memory(e);
        *testing = (struct testing){.later = {handle->d, bus_call_ref(call)},
                                    .generation = -1,
                                    .now = clock_now(&handle->d->clock),
                                    .name = strdup(handle->certificate->name),
                                    .key = ksp_key_ref(key),
                                    .uid = bus_call_uid(call)};
        r = testing->name ? ERR_OK : error_no_memory(e);
        if (!r && ksp_key_wants_pin(key))
                r = store_generation(handle->d->store, handle->certificate->id, handle->certificate->current,
                                     false, &testing->generation, e);
        if (!r && pin >= 0)
                r = pin_read(pin, &testing->pin, e);
        if (!r)
                r = pool_submit(handle->d->pool, run_test, test_done, testing, e);
        if (r) {
                bus_call_unref(testing->later.call);
                testing_free(testing);
        }
        return r;
}

static void begun_for_call(void *ctx, struct certificate *certificate, const struct error *failure)
{
        (void)certificate;
        removed(ctx, failure);
}

static enum err set_challenge(void *object, struct bus_call *call, struct error *e)
{
        const struct handle *handle = object;
        struct certificate *c = handle->certificate;
        struct bus_reader *reader = bus_call_reader(call);
        /* No option brings a PIN here. */
        struct enrollment_order order = {
                .profile = c->profile, .owner = c->owner, .pin_later = ask_can(handle->d, c->owner)};
        const struct enrollment_ops ops = {begun_for_call, call};
        CLEANUP(close_p) int fd = -1;
        enum activity next;
        enum err r = bus_read_fd(reader, "challenge", &fd, e);

        if (!r)
                r = bus_options_read(reader, NULL, 0, e);
        if (!r && lifecycle_next(c->activity, LIFE_CHALLENGE, &next, NULL))
                r = error_set(e, ERR_NOT_FOUND, "'%s' does not wait for a challenge", c->name);
        if (!r)
                r = memfd_read_secret(fd, BUS_CHALLENGE_MAX, &order.challenge, e);
        if (r)
                return r;
        (void)bus_call_ref(call);
        r = enrollment_start(handle->d, &order, &ops, e);
        secret_done(&order.challenge);
        if (r)
                bus_call_unref(call);
        return r;
}

/* Another user's machine-wide server is not his to keep busy. */
enum { BY_HAND = 600 };

static enum err renew(void *object, struct bus_call *call, struct error *e)
{
        const struct handle *handle = object;
        struct certificate *c = handle->certificate;
        const struct enrollment_ops ops = {begun_for_call, call};
        const uint64_t now = clock_now(&handle->d->clock);
        struct renewal_order order = {0};
        CLEANUP(close_p) int pin_fd = -1;
        const struct bus_option options[] = {BUS_OPTION_AS_BOOL(BUS_OPTION_ACCEPT, order.accept),
                                             BUS_OPTION_AS_FD(BUS_OPTION_PIN, pin_fd)};
        enum err r = bus_options_read(bus_call_reader(call), options, N_ELEMENTS(options), e);

        if (r)
                return r;
        /* What was kept aside may still lie there while the next request waits for a challenge. */
        if (!c->current && c->activity != ACTIVITY_FAILED &&
            !(order.accept && c->activity == ACTIVITY_NEEDS_CHALLENGE))
                return error_set(e, ERR_NOT_FOUND, "'%s' has no certificate that could be renewed", c->name);
        if (!model_find_profile(handle->d->model, c->profile)) {
                (void)error_set(e, ERR_NOT_FOUND, "The profile of '%s' was removed, and with it the server",
                                c->name);
                return error_remedy(e, ERR_NOT_FOUND, "Add the profile again, or remove the certificate.");
        }
        if (c->enrollment && !c->noting && order.accept) /* what runs was begun without that word */
                return request_is_running(c, e);
        if (c->enrollment && !c->noting) { /* a repeated request joins what runs */
                (void)bus_call_ref(call);
                r = enrollment_join(c, &ops, e);
                if (r)
                        bus_call_unref(call);
                return r;
        }
        /* Who mistyped his PIN has not asked the server for anything. */
        if (!bus_call_is_root(call) && c->activity != ACTIVITY_WAITING_FOR_USER && c->renewed_by_hand &&
            now < c->renewed_by_hand + BY_HAND) {
                (void)error_set(e, ERR_LIMIT, "'%s' was renewed by hand less than 10 minutes ago", c->name);
                return error_remedy(e, ERR_LIMIT, "Wait, or see what became of it: scepter show %s.",
                                    c->name);
        }
        (void)bus_call_ref(call);
        if (pin_fd >= 0)
                r = pin_read(pin_fd, &order.pin, e);
        order.pin_later = bus_call_uid(call) != c->owner && ask_can(handle->d, c->owner);
        if (!r)
                r = enrollment_renew(handle->d, c, &order, &ops, e);
        secret_done(&order.pin);
        if (r)
                bus_call_unref(call);
        else
                c->renewed_by_hand = now;
        return r;
}

static const struct bus_method methods[] = {
        {"Renew", "a{sv}", "", BUS_ACTION_ENROLL_DEVICE, renew},
        {"Cancel", "a{sv}", "", BUS_ACTION_ENROLL_DEVICE, cancel},
        {"Remove", "a{sv}", "", BUS_ACTION_ENROLL_DEVICE, remove_certificate},
        {"TestKey", "a{sv}", "a{sv}", BUS_ACTION_ENROLL_DEVICE, test},
        {"GetChain", "a{sv}", "h", NULL, get_chain},
        {"Attest", "ha{sv}", "h", BUS_ACTION_ENROLL_DEVICE, certificate_attest},
        {"SetChallenge", "ha{sv}", "", BUS_ACTION_ENROLL_DEVICE, set_challenge},
        {"ChangePin", "hha{sv}", "", BUS_ACTION_ENROLL_DEVICE, certificate_change_pin},
};

static const struct bus_property properties[] = {
        {"Name", "s", get_name},
        {"Health", "s", get_health},
        {"Activity", "s", get_activity},
        {"ActivitySince", "t", get_activity_since},
        {"Progress", "s", get_progress},
        {"Profile", "o", get_profile},
        {"Owner", "(us)", get_owner},
        {"Subject", "s", get_subject},
        {"SerialNumber", "s", get_serial},
        {"Thumbprint", "s", get_thumbprint},
        {"NotBefore", "t", get_not_before},
        {"NotAfter", "t", get_not_after},
        {"RenewAt", "t", get_renew_at},
        {"KeyProtection", "s", get_key_protection},
        {"KeyProtectionReason", "s", get_key_reason},
        {"KeyAlgorithm", "s", get_key_algorithm},
        {"KeyAttributes", "as", get_key_attributes},
        {"RespondentServerUrl", "s", get_respondent},
        {"Deviations", "as", get_deviations},
        {"NewNames", "as", get_new_names},
        {"LastError", "(sss)", get_last_error},
        {"Status", "i", get_status},
        {"Attempts", "u", get_attempts},
        {"Uris", "as", get_uris},
        {"Groups", "as", get_groups},
};

const struct bus_interface certificate_interface = {
        .name = BUS_INTERFACE_CERTIFICATE,
        .introspection = bus_introspection_certificate,
        .methods = methods,
        .n_methods = N_ELEMENTS(methods),
        .properties = properties,
        .n_properties = N_ELEMENTS(properties),
};
