/* Manager.Enroll: whose, from which profile, with which challenge. */
#include <string.h>

#include "ask.h"
#include "daemon/account.h"
#include "enroll/enrollment.h"
#include "internal.h"

struct enrolling {
        struct later later;
        store_id profile;
        bool for_users;
        char *login; /* option "user"; NULL: the caller */
        struct enrollment_order order;
        enum err result;
        struct error error;
};

static void enrolling_free(struct enrolling *enrolling)
{
        secret_done(&enrolling->order.challenge);
        secret_done(&enrolling->order.pin);
        bus_call_unref(enrolling->later.call);
        free(enrolling->login);
        free(enrolling);
}

static void reply_certificate(struct enrolling *enrolling, const char *id)
{
        struct bus_writer *w = bus_call_begin(enrolling->later.call);
        char path[OBJECT_PATH_MAX];
        struct error e = {0};

        certificate_path(id, path);
        bus_write_path(w, path);
        if (bus_call_reply(enrolling->later.call, w, &e))
                bus_call_fail(enrolling->later.call, &e);
        enrolling_free(enrolling);
}

static void fail(struct enrolling *enrolling, const struct error *e)
{
        bus_call_fail(enrolling->later.call, e);
        enrolling_free(enrolling);
}

static void begun(void *ctx, struct certificate *certificate, const struct error *failure)
{
        if (failure)
                fail(ctx, failure);
        else
                reply_certificate(ctx, certificate->id);
}

static void start(struct enrolling *enrolling)
{
        struct daemon *d = enrolling->later.d;
        const struct enrollment_ops ops = {begun, enrolling};
        const struct certificate *existing;
        struct error e = {0};

        if (!model_find_profile(d->model, enrolling->profile)) {
                (void)error_set(&e, ERR_NOT_FOUND, "The profile was removed meanwhile");
                fail(enrolling, &e);
                return;
        }
        enrolling->order.profile = enrolling->profile;
        /* Who asks for another user does not know his PIN. */
        enrolling->order.pin_later = bus_call_uid(enrolling->later.call) != enrolling->order.owner &&
                                     ask_can(d, enrolling->order.owner);
        existing = model_find_origin(d->model, enrolling->profile, enrolling->order.owner);
        /* A repeated request gets the one that runs. */
        if (existing && existing->enrollment && activity_is_running(existing->activity))
                reply_certificate(enrolling, existing->id);
        else if (enrollment_start(d, &enrolling->order, &ops, &e))
                fail(enrolling, &e);
}

static void run_login(void *ctx)
{
        struct enrolling *enrolling = ctx;

        enrolling->result = account_uid(enrolling->login, &enrolling->order.owner, &enrolling->error);
}

static void login_done(void *ctx)
{
        struct enrolling *enrolling = ctx;

        if (enrolling->result)
                fail(enrolling, &enrolling->error);
        else
                start(enrolling);
}

enum err enroll_permitted(const struct bus_call *call, const struct profile_entry *profile, const char *user,
                          struct error *e)
{
        const bool root = bus_call_is_root(call);

        if (!profile || (profile->owner != NO_OWNER && profile->owner != bus_call_uid(call) && !root))
                return error_set(e, ERR_NOT_FOUND, "There is no such profile");
        if (user && !root)
                return error_set(e, ERR_DENIED, "Only root enrolls for other users");
        if (user && !profile->for_users)
                return error_set(e, ERR_INVALID, "The profile '%s' is for the device, not for users",
                                 profile->name);
        return ERR_OK;
}

uid_t enroll_owner(const struct bus_call *call, const struct profile_entry *profile)
{
        if (profile->owner != NO_OWNER)
                return profile->owner;
        return profile->for_users ? bus_call_uid(call) : NO_OWNER;
}

enum err pin_read(int fd, struct secret *ret, struct error *e)
{
        enum err r = memfd_read_secret(fd, BUS_PIN_MAX, ret, e);

        if (!r)
                r = key_pin_check(secret_view(ret), e);
        if (r)
                secret_done(ret);
        return r;
}

enum { CERTIFICATES_PER_USER = 16 };

/* Device certificates are not counted, and neither is a new generation of one that exists. */
static enum err within_limit(const struct daemon *d, const struct enrolling *enrolling, struct error *e)
{
        const uid_t owner = enrolling->order.owner;

        if (owner == NO_OWNER || daemon_is_root(d, owner) ||
            model_find_origin(d->model, enrolling->profile, owner) ||
            model_count(d->model, owner) < CERTIFICATES_PER_USER)
                return ERR_OK;
        return error_set(e, ERR_LIMIT, "A user has at most %d certificates", CERTIFICATES_PER_USER);
}

enum err manager_enroll(void *object, struct bus_call *call, struct error *e)
{
        struct daemon *d = ((struct manager *)object)->d;
        struct bus_reader *reader = bus_call_reader(call);
        const char *path, *slash, *user = NULL;
        CLEANUP(close_p) int challenge = -1;
        CLEANUP(close_p) int pin = -1;
        const struct bus_option options[] = {
                BUS_OPTION_AS_FD(BUS_OPTION_CHALLENGE, challenge),
                BUS_OPTION_AS_FD(BUS_OPTION_PIN, pin),
                BUS_OPTION_AS_STRING(BUS_OPTION_USER, user),
        };
        struct profile_entry *profile = NULL;
        struct enrolling *enrolling;
        enum err r = bus_read_path(reader, "profile", &path, e);

        if (!r)
                r = bus_options_read(reader, options, N_ELEMENTS(options), e);
        if (r)
                return r;
        slash = strrchr(path, '/');
        if (strncmp(path, BUS_PATH_PROFILES "/", sizeof BUS_PATH_PROFILES) == 0)
                profile = model_find_profile(d->model, slash + 1);
        r = enroll_permitted(call, profile, user, e);
        if (r)
                return r;
        enrolling = calloc(1, sizeof *enrolling);
        if (!enrolling)
                return error_no_memory(e);
        enrolling->later = (struct later){d, bus_call_ref(call)};
        memcpy(enrolling->profile, profile->id, sizeof enrolling->profile);
        enrolling->order.owner = enroll_owner(call, profile);
        r = within_limit(d, enrolling, e);
        if (!r && challenge >= 0)
                r = memfd_read_secret(challenge, BUS_CHALLENGE_MAX, &enrolling->order.challenge, e);
        if (!r && pin >= 0)
                r = pin_read(pin, &enrolling->order.pin, e);
        if (!r && user) {
                enrolling->login = strdup(user);
                r = enrolling->login ? pool_submit(d->names, run_login, login_done, enrolling, e)
                                     : error_no_memory(e);
                if (!r)
                        return ERR_OK;
        }
        if (r) {
                enrolling_free(enrolling);
                return r;
        }
        start(enrolling);
        return ERR_OK;
}
