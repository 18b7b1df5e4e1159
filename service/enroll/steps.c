/* Steps before anything is sent: the plan, the key, the choice of the server's certificates. Threads of the
 * pool. */
#include "internal.h"
#include "policy/command.h"
#include "policy/renewal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "anchors.h"
#include "base/ossl.h"
#include "base/parse.h"
#include "daemon/account.h"
#include "keys/owners.h"
#include "known-server.h"
#include "scep-build/message.h"
#include "rollover/trust.h"
#include "scep-wire/ca-certs.h"
#include "scep-wire/next-ca.h"
#include "tell.h"

enum { KEY_FILE_MAX = 64 * 1024 };

/* @back: what fails is refused, and nothing takes it up from the disk: there, too, it must not have happened.
 * A record whose directory could not be synchronised is there all the same. */
static enum err write_or_put_back(struct enrollment *en, bool back, struct error *e)
{
        CLEANUP(secret_done) struct secret before = {0};
        struct store *store = en->d->store;
        enum err r =
                back ? store_file_read(store, STORE_CERTIFICATES, en->id, "record.json", &before, e) : ERR_OK;

        if (r && r != ERR_NOT_FOUND)
                return r;
        r = store_record_write(store, en->id, &en->record, e);
        if (r && before.len)
                (void)!store_file_write(store, STORE_CERTIFICATES, en->id, "record.json", 0600,
                                        secret_view(&before), NULL);
        return r;
}

enum err record_move(struct enrollment *en, enum life_event event, struct error *e)
{
        struct record *record = &en->record;
        const struct health_dates dates = {record->not_before, record->not_after, record->renew_at,
                                           record->revoked_at};
        const uint64_t since = record->activity_since, status = record->status;
        const uint64_t now = clock_now(&en->d->clock);
        enum activity from, to;
        enum err r;

        if (!activity_from_name(record->activity, &from))
                return error_set(e, ERR_CONFIG, "The activity '%s' is unknown", record->activity);
        r = lifecycle_next(from, event, &to, e);
        if (!r)
                r = record_set_text(&record->activity, activity_name(to), e);
        if (r)
                return r;
        if (from != to)
                record->activity_since = now;
        record->status = (uint64_t)csp_status(to, health_of(&dates, now));
        r = write_or_put_back(en, !activity_is_running(from), e);
        if (r && record_set_text(&record->activity, activity_name(from), NULL) == ERR_OK) {
                /* The disk says where we are. */
                record->activity_since = since;
                record->status = status;
        }
        return r;
}

static enum err supported(const struct enrollment *en, const struct profile *profile, struct error *e)
{
        if ((profile->type == PROFILE_USER) != (en->owner != NO_OWNER))
                return error_set(e, ERR_INVALID, "The profile '%s' is for %s", profile->name,
                                 profile->type == PROFILE_USER ? "users, not for the device"
                                                               : "the device, not for users");
        if (profile->protection == POLICY_PROTECTION_USER_VERIFIED && !en->pin.len && !en->if_needed &&
            !en->pin_later)
                return pin_needed(en, e);
        if (profile->challenge_reusable)
                return error_set(e, ERR_UNSUPPORTED, "ChallengeReusable=yes is not in this version");
        return ERR_OK;
}

enum err resume_anchors(struct enrollment *en, struct error *e)
{
        enum err r = anchors_load(en->d->store, en->record.profile, en->owner, &en->anchors, e);

        if (!r)
                anchors_add_system(en->anchors, &en->plan.thumbprint);
        return r;
}

enum err plan_of_profile(struct enrollment *en, const struct profile *profile, struct plan *ret,
                         struct error *e)
{
        const struct facts facts = facts_of(en->facts);
        const struct plan_input input = {profile, &facts, (enum policy_protection)en->d->config.protection,
                                         en->d->device_id};

        return plan_make(&input, ret, e);
}

static enum err fix_plan(struct enrollment *en, const struct profile *profile, struct error *e)
{
        enum err r;

        if (en->have_plan) /* of a candidate that did not fit */
                plan_done(&en->plan);
        en->have_plan = false;
        r = plan_of_profile(en, profile, &en->plan, e);
        if (r)
                return r;
        en->have_plan = true;
        if (sk_X509_num(en->anchors) == 1) {
                uint8_t digest[32];

                if (X509_digest(sk_X509_value(en->anchors, 0), EVP_sha256(), digest, NULL) != 1)
                        return ossl_error(e, ERR_FAILED, "The anchor could not be hashed");
                bytes_done(&en->plan.anchor);
                r = bytes_copy(&en->plan.anchor, digest, sizeof digest, e);
        }
        return r;
}

/* The installed certificate is what the edited profile asks for: only the plan is new, and what follows from
 * it. */
static enum err keep_certificate(struct enrollment *en, bool *ret_kept, struct error *e)
{
        const bool wanted = en->if_needed || en->adopting;
        enum activity activity = ACTIVITY_FAILED;
        struct record *record = &en->record;
        struct plan old = {0};
        int64_t renew_at = 0;
        bool same;
        enum err r;

        (void)activity_from_name(en->record.activity, &activity);
        if (!wanted || !record->current || record->not_after <= clock_now(&en->d->clock) ||
            !activity_is_at_rest(activity) || plan_from_pairs(&record->plan, &old, NULL))
                return ERR_OK;
        same = !plan_differs(&old, &en->plan);
        plan_done(&old);
        if (same && en->adopting && adopt_fits(en, &same, NULL))
                same = false; /* what cannot be read is not taken */
        if (!same)
                return ERR_OK;
        r = renewal_date((int64_t)record->not_before, (int64_t)record->not_after, en->plan.threshold,
                         en->d->device_id, en->id, &renew_at, e);
        if (r)
                return r;
        record->renew_at = (uint64_t)renew_at;
        record->requested = 0;
        *ret_kept = true;
        return ERR_OK;
}

enum err refuse_other_account(const char *id, const char *name, const char *login, struct error *e)
{
        (void)error_set(e, ERR_DENIED,
                        "'%s' was made for the account '%s', whose uid belongs to another one now", name,
                        login);
        return error_remedy(e, ERR_DENIED,
                            "Remove it as root with 'scepter remove %s', then enroll for the account that is "
                            "there now: scepter enroll %s --for LOGIN.",
                            id, name);
}

static enum err fill_record(struct enrollment *en, const struct profile *profile, struct error *e)
{
        enum err r = record_set_text(&en->record.name, profile->name, e);

        en->record.owner = en->owner;
        if (!r && en->owner != NO_OWNER) {
                CLEANUP(free_p) char *login = NULL;

                r = account_login(en->owner, &login, e);
                if (!r && *en->record.owner_name && !owners_same_login(en->record.owner_name, login))
                        r = refuse_other_account(en->id, profile->name, en->record.owner_name, e);
                if (!r)
                        r = record_set_text(&en->record.owner_name, login, e);
        }
        if (en->record.requested == 0)
                en->record.requested = en->record.current + 1;
        en->generation = en->record.requested;
        return r;
}

enum err request_forget(struct enrollment *en, struct error *e)
{
        enum err r = record_set_text(&en->record.transaction, "", e);

        /* A request.der that is there is none any more without its nonce. */
        if (!r)
                r = record_set_text(&en->record.nonce, "", e);
        en->record.pending_since = en->record.polls = en->record.next_poll = 0;
        return r;
}

enum err request_identify(struct enrollment *en, struct error *e)
{
        char transaction[SCEP_TRANSACTION_LEN + 1];
        enum err r;

        if (en->record.transaction[0])
                return ERR_OK;
        r = transaction_new(transaction, e);
        return r ? r : record_set_text(&en->record.transaction, transaction, e);
}

enum err record_clear_outcome(struct record *record, struct error *e)
{
        char **const texts[] = {&record->error_name,    &record->error_message, &record->error_remedy,
                                &record->last_url,      &record->last_stage,    &record->last_pki_status,
                                &record->last_fail_info};
        enum err r = ERR_OK;

        for (size_t i = 0; !r && i < N_ELEMENTS(texts); i++)
                r = record_set_text(texts[i], "", e);
        record->last_time = record->last_http_status = record->last_hresult = 0;
        record->retry_at = 0;
        return r;
}

enum err step_read(struct enrollment *en, struct error *e)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        enum err r = store_profile_read(en->d->store, en->profile, &stored, e);

        if (!r)
                r = anchors_load(en->d->store, en->profile, en->owner, &en->anchors, e);
        if (!r)
                r = profile_from_settings(&stored.settings, sk_X509_num(en->anchors) > 0, &en->stored, e);
        if (!r)
                r = supported(en, &en->stored, e);
        if (r)
                return r;
        en->own_profile = stored.owner != NO_OWNER && !stored.managed;
        en->needed = variables_needed(&en->stored);
        return ERR_OK;
}

enum err step_begin(struct enrollment *en, struct error *e)
{
        const char *id = en->profile;
        enum err r = record_set_text(&en->record.profile, id, e);

        if (!r)
                r = fill_record(en, &en->stored, e);
        if (!r)
                r = fix_plan(en, &en->stored, e);
        en->plan.deny_local = en->own_profile;
        if (!r)
                r = keep_certificate(en, &en->unneeded, e);
        if (!r && en->adopting && !en->unneeded)
                return ERR_OK; /* nothing is written: another one is tried */
        if (!r)
                r = trust_rebind(en->d->store, en->id, &en->record.plan, &en->plan, e);
        if (!r) {
                settings_done(&en->record.plan);
                strings_done(&en->record.new_names);
                r = plan_to_pairs(&en->plan, &en->record.plan, e);
        }
        if (!r && en->unneeded) {
                r = store_record_write(en->d->store, en->id, &en->record, e);
                if (!r && en->adopting)
                        tell_adopted(en);
                else if (!r)
                        tell_changed(en);
                return r ? r : store_file_remove(en->d->store, STORE_PROFILES, id, "challenge", e);
        }
        if (r)
                return r;
        anchors_add_system(en->anchors, &en->plan.thumbprint);
        r = server_link_load(en->d, id, en->stored.ca_bundle, en->stored.client_certificate, &en->link, e);
        if (!r)
                r = take_challenge(en, e);
        if (r == ERR_CHALLENGE_NEEDED && (en->accept || challenge_comes_by_itself(en)))
                r = ERR_OK; /* once it is known that one is needed */
        if (!r)
                r = request_forget(en, e);
        if (!r) /* before the key: without one, the challenge is swept at the next start */
                r = request_identify(en, e);
        if (!r)
                r = keep_challenge(en, e);
        if (!r)
                r = record_clear_outcome(&en->record, e);
        en->record.renewing = false;
        en->record.refused = 0;
        if (!r)
                r = record_set_text(&en->record.method, "", e);
        if (!r)
                r = record_move(en, LIFE_ENROLL, e);
        if (!r)
                tell_accepted(en);
        return r;
}

static enum err open_or_make(struct enrollment *en, int fd, const char *file, const struct ksp_spec *spec,
                             struct ksp_key **ret, char **ret_reason, struct error *e)
{
        enum err r = ksp_load(en->d->ksp, fd, file, ret, e);

        if (r != ERR_NOT_FOUND)
                return r;
        r = ksp_create(en->d->ksp, spec, ret, ret_reason, e);
        return r ? r : ksp_key_save(*ret, fd, file, e);
}

/* ReuseAtRenewal=yes: the new generation gets the file of the old one. */
static enum err copy_key(struct enrollment *en, int fd, struct error *e)
{
        CLEANUP(secret_done) struct secret pem = {0};
        CLEANUP(close_p) int old = -1;
        enum err r;

        /* one that was lost is not copied again */
        if (faccessat(fd, "key.pem", F_OK, 0) == 0 || faccessat(fd, KEY_LOST, F_OK, 0) == 0)
                return ERR_OK;
        r = store_generation(en->d->store, en->id, en->record.current, false, &old, e);
        if (!r)
                r = file_read_secret(old, "key.pem", KEY_FILE_MAX, &pem, e);
        return r ? r : file_write(fd, "key.pem", 0600, secret_view(&pem), e);
}

static enum err describe_key(struct enrollment *en, const char *reason, struct error *e)
{
        struct record *record = &en->record;
        struct ksp_key_info info;
        char id[2 * KEY_ID_LEN + 1];
        enum err r = ksp_describe(en->key, &info, e);

        if (r)
                return r;
        hex_encode((struct view){ksp_key_id(en->key), KEY_ID_LEN}, id);
        strings_done(&record->next_key_attributes);
        for (unsigned bit = 1; !r && bit <= KSP_USER_WITH_AUTH; bit <<= 1)
                if (info.attributes & bit)
                        r = strings_add(&record->next_key_attributes, ksp_attribute_name(bit), e);
        if (!r)
                r = record_set_text(&record->next_key_id, id, e);
        if (!r)
                r = record_set_text(&record->next_key_algorithm, key_alg_name(info.alg), e);
        if (!r)
                r = record_set_text(&record->next_key_protection,
                                    ksp_key_wants_pin(en->key) ? "user-verified"
                                    : info.in_tpm              ? "tpm"
                                                               : "software",
                                    e);
        if (!r)
                r = record_set_text(&record->next_key_parent, info.parent, e);
        if (!r && reason)
                r = record_set_text(&record->next_key_reason, reason, e);
        return r;
}

enum err key_put_aside(const struct enrollment *en, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = store_generation(en->d->store, en->id, en->generation, false, &fd, e);

        if (r)
                return r;
        if (renameat(fd, "key.pem", fd, KEY_LOST) < 0 && errno != ENOENT)
                return errno_error(e, errno, "A key that was lost could not be put aside");
        return dir_sync(fd, e);
}

enum err step_key(struct enrollment *en, struct error *e)
{
        const struct ksp_spec spec = {
                .alg = (enum key_alg)en->plan.algorithm,
                .protection = (enum key_protection)en->plan.protection,
                .uid = en->owner == NO_OWNER ? 0 : en->owner,
                .no_downgrade = !en->plan.allow_downgrade &&
                                (strcmp(en->record.key_protection, "tpm") == 0 ||
                                 strcmp(en->record.key_protection, "user-verified") == 0),
                .pin = en->plan.protection == POLICY_PROTECTION_USER_VERIFIED ? secret_view(&en->pin)
                                                                              : (struct view){0},
        };
        CLEANUP(free_p) char *reason = NULL;
        CLEANUP(close_p) int fd = -1;
        enum err r = store_generation(en->d->store, en->id, en->generation, true, &fd, e);

        if (!r && en->challenge.len) /* it has moved to this transaction */
                r = store_file_remove(en->d->store, STORE_PROFILES, en->record.profile, "challenge", e);
        if (!r)
                r = pin_prepare(en, fd, e);
        if (!r && en->record.renewing && en->plan.reuse_key)
                r = copy_key(en, fd, e);
        if (!r)
                r = open_or_make(en, fd, "key.pem", &spec, &en->key, &reason, e);
        if (!r)
                r = describe_key(en, reason, e);
        if ((r == ERR_TPM_CLEARED || r == ERR_KEY_FOREIGN) && !*en->record.nonce) {
                /* Nothing was asked for with it: another key will do as well. */
                r = key_put_aside(en, e);
                ksp_key_unref(STEAL(en->key));
                if (!r)
                        r = open_or_make(en, fd, "key.pem", &spec, &en->key, &reason, e);
                if (!r)
                        r = describe_key(en, reason, e);
        }
        en->key_lost = r == ERR_TPM_CLEARED;
        if (!r)
                r = request_identify(en, e);
        /* A key that was there already is in the record; the transaction goes in with the request. */
        return r || !reason ? r : store_record_write(en->d->store, en->id, &en->record, e);
}

/* SCEP's reply is encrypted to the key that signs, and few servers can encrypt to an EC key: a software RSA
 * key signs and receives, and the EC key stands in the request alone. It outlives the daemon: a poll is
 * signed with it too. */
static enum err take_transport(struct enrollment *en, struct error *e)
{
        const struct ksp_spec spec = {
                .alg = KEY_ALG_RSA_2048, .protection = KEY_PROTECTION_SOFTWARE, .uid = tpm_uid(en)};
        CLEANUP(free_p) char *unused = NULL;
        CLEANUP(close_p) int fd = -1;
        enum err r;

        if (en->transport || en->exchange.direct || en->exchange.signed_by_old ||
            (key_alg_is_rsa(ksp_key_alg(en->key)) && !ksp_key_wants_pin(en->key)))
                return ERR_OK;
        r = store_generation(en->d->store, en->id, en->generation, true, &fd, e);
        return r ? r : open_or_make(en, fd, "transport.pem", &spec, &en->transport, &unused, e);
}

static enum err chosen_exchange(struct enrollment *en, const struct scep_caps *caps, struct error *e)
{
        struct exchange_plan wanted = exchange_plan_of(&en->plan);
        char text[128];
        enum err r = method_look_at_old(en, e);

        if (!r)
                r = method_choose(en, caps->flags, &wanted.method, e);

        /* A request that is stored already has it inside. */
        if (!r && (wanted.method == SCEP_CHALLENGE || wanted.method == SCEP_CHALLENGE_DIRECT) &&
            !en->challenge.len && !*en->record.nonce) {
                r = take_challenge(en, e);
                if (r == ERR_CHALLENGE_NEEDED && challenge_comes_by_itself(en))
                        r = challenge_fetch(en, e);
                if (r == ERR_CHALLENGE_NEEDED && en->old_lost)
                        (void)error_context(e, r, "The TPM was cleared or replaced, and the old key with it");
                if (!r)
                        r = keep_challenge(en, e);
                if (!r && en->challenge.len)
                        r = store_file_remove(en->d->store, STORE_PROFILES, en->record.profile, "challenge",
                                              e);
        }
        if (r)
                return r;

        wanted.has_certificate = en->record.renewing;
        r = exchange_fix(&wanted, caps, &en->exchange, e);
        if (!r && en->exchange.signed_by_old)
                r = method_load_old(en, e);
        if (!r)
                r = take_transport(en, e);
        if (r)
                return r;
        en->record.request_post = en->exchange.post;
        (void)snprintf(text, sizeof text, "%s, %s, %s", scep_cipher_name(en->exchange.cipher),
                       scep_digest_name(en->exchange.digest), en->exchange.post ? "POST" : "GET");
        return record_set_text(&en->record.exchange, text, e);
}

/* A stored request that nobody here can open: the server has another RA certificate now, or is another one.
 * What is asked for is a new transaction, with the same key. */
static enum err drop_foreign_request(struct enrollment *en, struct error *e)
{
        CLEANUP(bytes_done) struct bytes message = {0};
        CLEANUP(close_p) int fd = -1;
        bool fits = false;
        enum err r;

        if (!*en->record.nonce || strcmp(en->record.activity, activity_name(ACTIVITY_PENDING)) == 0)
                return ERR_OK;
        r = store_generation(en->d->store, en->id, en->generation, false, &fd, e);
        if (!r)
                r = file_read(fd, "request.der", MESSAGE_MAX, &message, e);
        if (r == ERR_NOT_FOUND) /* the record came first, and then the end */
                return ERR_OK;
        if (!r)
                r = message_is_for(bytes_view(&message), en->choice.recipient, &fits, e);
        if (!r && !fits) {
                X509_free(STEAL(en->signer));
                r = request_forget(en, e);
        }
        return r || fits ? r : request_identify(en, e);
}

static enum err keep_anchor(struct enrollment *en, struct error *e)
{
        CLEANUP(x509_free_p) X509 *kept = NULL;

        /* What the installed certificate leads to stays until another one is: follow.c */
        if (en->plan.follow_rollover && en->record.current)
                return ERR_OK;
        if (store_pem_read(en->d->store, STORE_CERTIFICATES, en->id, "anchor.pem", &kept, NULL) == ERR_OK &&
            X509_cmp(kept, en->choice.anchor) == 0)
                return ERR_OK;
        return store_pem_write(en->d->store, STORE_CERTIFICATES, en->id, "anchor.pem", en->choice.anchor, e);
}

enum err step_choose(struct enrollment *en, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL, *followed = NULL;
        struct ca_trust trust = {.anchors = en->anchors, .now = (time_t)clock_now(&en->d->clock)};
        struct scep_caps caps = {0};
        enum err r = caps_parse(bytes_view(&en->caps_body), &caps, e);

        if (!r && !plan_pin(&en->plan, &trust.pin))
                r = error_set(e, ERR_CONFIG, "The thumbprint of the plan is malformed");
        if (!r)
                r = ca_certs_parse(bytes_view(&en->certs_body), &certs, e);
        if (!r)
                tell_server(en, &caps, certs);
        if (en->have_choice) /* once more, with the challenge of an agent */
                ca_choice_done(&en->choice);
        en->have_choice = false;
        if (!r)
                r = trust_followed(en->d->store, en->id, &en->plan, &followed, e);
        if (!r)
                r = ca_choose_followed(certs, &trust, followed, &en->choice, e);
        if (r)
                return r;
        en->have_choice = true;
        r = drop_foreign_request(en, e);
        if (!r)
                r = chosen_exchange(en, &caps, e);
        if (!r)
                r = record_set_text(&en->record.request_url, en->answered_url, e);
        return r ? r : keep_anchor(en, e);
}
