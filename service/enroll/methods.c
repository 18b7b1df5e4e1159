/*
 * The way a request takes (design §5.3, §6): signed by the old certificate, as RenewalReq or PKCSReq, or with
 * a challenge; and with a challenge for an EC key, signed by an RSA transport key or by the EC key itself, to
 * which the reply comes by key agreement or by the challenge. The next one is taken only after a definitive
 * refusal, and the one that worked comes first the next time. Threads of the pool.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "known-server.h"
#include "tell.h"

static bool for_ec(const struct enrollment *en)
{
        return en->key && !key_alg_is_rsa(ksp_key_alg(en->key));
}

/* A challenge has two ways where the key is an EC key. */
static void add_way(const struct enrollment *en, enum scep_method ret[_SCEP_METHOD_MAX], size_t *n,
                    enum scep_method way)
{
        const bool both = way == SCEP_CHALLENGE && for_ec(en);

        if (both && en->record.direct)
                ret[(*n)++] = SCEP_CHALLENGE_DIRECT;
        ret[(*n)++] = way;
        if (both && !en->record.direct)
                ret[(*n)++] = SCEP_CHALLENGE_DIRECT;
}

/* The ways of the plan, the best first; the end is SCEP_AUTO. */
static void ways_of(const struct enrollment *en, enum scep_method ret[_SCEP_METHOD_MAX])
{
        static const enum scep_method of_plan[] = {[RENEWAL_RENEWALREQ] = SCEP_RENEWAL,
                                                   [RENEWAL_SIGNED_PKCSREQ] = SCEP_SIGNED_PKCSREQ,
                                                   [RENEWAL_CHALLENGE] = SCEP_CHALLENGE};
        enum scep_method before = SCEP_AUTO;
        size_t n = 0;

        if (!en->record.renewing) {
                add_way(en, ret, &n, SCEP_CHALLENGE);
        } else if (en->plan.method != RENEWAL_AUTO) {
                add_way(en, ret, &n, of_plan[en->plan.method]);
        } else {
                if (!scep_method_from_name(en->record.renewed_by, &before))
                        before = SCEP_AUTO;
                if (before == SCEP_CHALLENGE_DIRECT)
                        before = SCEP_CHALLENGE;
                if (before != SCEP_AUTO)
                        add_way(en, ret, &n, before);
                for (int way = SCEP_RENEWAL; way <= SCEP_CHALLENGE; way++)
                        if ((enum scep_method)way != before)
                                add_way(en, ret, &n, (enum scep_method)way);
        }
        if (n < _SCEP_METHOD_MAX)
                ret[n] = SCEP_AUTO;
}

/* The PIN was tried where the plan makes such keys: pin_prepare(). */
static bool has_pin(const struct enrollment *en)
{
        return strcmp(en->record.key_protection, key_protection_name(KEY_PROTECTION_USER_VERIFIED)) != 0 ||
               (en->plan.protection == POLICY_PROTECTION_USER_VERIFIED && en->pin.len);
}

/* Nobody takes a signature of a certificate that was revoked; a key that was lost signs nothing. */
static bool can_sign(const struct enrollment *en)
{
        return !en->old_lost && has_pin(en) && record_key_receives(&en->record) && !en->record.revoked_at &&
               !(en->plan.after_expiry == AFTER_EXPIRY_ENROLL &&
                 en->record.not_after <= clock_now(&en->d->clock));
}

static bool is_open(const struct enrollment *en, enum scep_method way, uint32_t caps)
{
        if (en->record.refused & (UINT64_C(1) << way))
                return false;
        /* The transport key asks nobody for a PIN, however late the reply comes. */
        if (way == SCEP_CHALLENGE_DIRECT && en->plan.protection == POLICY_PROTECTION_USER_VERIFIED)
                return false;
        if (way == SCEP_CHALLENGE || way == SCEP_CHALLENGE_DIRECT)
                return true;
        /* A server that does not list Renewal knows no type 17, unless the profile insists. */
        return can_sign(en) &&
               (way != SCEP_RENEWAL || (caps & SCEP_CAP_RENEWAL) || en->plan.method == RENEWAL_RENEWALREQ);
}

static enum scep_method first_open(const struct enrollment *en, uint32_t caps)
{
        enum scep_method ways[_SCEP_METHOD_MAX];

        ways_of(en, ways);
        for (size_t i = 0; i < _SCEP_METHOD_MAX && ways[i] != SCEP_AUTO; i++)
                if (is_open(en, ways[i], caps))
                        return ways[i];
        return SCEP_AUTO;
}

enum err method_choose(struct enrollment *en, uint32_t caps, enum scep_method *ret, struct error *e)
{
        enum scep_method way = SCEP_AUTO;

        en->caps_flags = caps;
        /* A request that was made already stays what it is. */
        if (!scep_method_from_name(en->record.method, &way) || way == SCEP_AUTO)
                way = first_open(en, caps);
        if (way == SCEP_AUTO) {
                (void)error_set(e, ERR_SERVER_REFUSED,
                                can_sign(en)
                                        ? "Every way to renew was refused"
                                        : "The old certificate cannot sign a renewal, and Method= has no "
                                          "other way");
                return error_remedy(e, ERR_SERVER_REFUSED,
                                    "Set Method=auto or Method=challenge in the profile, and enroll with a "
                                    "challenge.");
        }
        *ret = way;
        return record_set_text(&en->record.method, scep_method_name(way), e);
}

bool method_is_last(struct enrollment *en)
{
        const uint64_t refused = en->record.refused;
        enum scep_method way;
        bool last;

        if (!scep_method_from_name(en->record.method, &way))
                return true;
        en->record.refused |= UINT64_C(1) << way;
        last = first_open(en, en->caps_flags) == SCEP_AUTO;
        en->record.refused = refused;
        return last;
}

struct error method_refusals(struct enrollment *en, const struct error *why)
{
        struct error all = *why;

        en->reopens = for_ec(en) && !en->record.renewing;
        if (en->refused.code == ERR_OK || !en->exchange.with_challenge)
                return all;
        /* A refusal by the CA itself says more than a status of HTTP. */
        all.code = ERR_OK;
        (void)error_set(&all, en->refused.code == ERR_SERVER_REFUSED ? ERR_SERVER_REFUSED : why->code,
                        "%s; a request signed with %s was refused too: %s", en->refused.message,
                        en->exchange.direct ? "the EC key itself" : "a transport key", why->message);
        (void)error_remedy(&all, all.code, "%s", en->refused.remedy);
        return all;
}

enum err method_reopen(struct enrollment *en, struct error *e)
{
        enum err r = record_set_text(&en->record.method, "", e);

        en->record.refused = 0;
        if (!r)
                r = request_forget(en, e);
        return r ? r : request_identify(en, e);
}

enum err step_next_method(struct enrollment *en, struct error *e)
{
        enum scep_method way = SCEP_AUTO;
        enum err r;

        if (en->exchange.with_challenge)
                en->refused = en->why;
        tell_method_refused(en, &en->why);
        if (scep_method_from_name(en->record.method, &way))
                en->record.refused |= UINT64_C(1) << way;
        if (en->why.code == ERR_HTTP && en->record.last_http_status >= 500)
                en->doubted = UINT64_C(1) << way;
        r = record_set_text(&en->record.method, "", e);
        if (!r)
                r = request_forget(en, e);
        if (!r)
                r = request_identify(en, e);
        X509_free(STEAL(en->signer));
        bytes_done(&en->message);
        return r ? r : store_record_write(en->d->store, en->id, &en->record, e);
}

enum err method_load_old(struct enrollment *en, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = ERR_OK;

        if (en->old_key)
                return ERR_OK;
        r = store_generation(en->d->store, en->id, en->record.current, false, &fd, e);
        if (!r)
                r = ksp_load(en->d->ksp, fd, "key.pem", &en->old_key, e);
        if (!r)
                r = store_pem_read(en->d->store, STORE_CERTIFICATES, en->id, "current/cert.pem",
                                   &en->old_cert, e);
        return r ? error_context(e, r, "The certificate that signs the renewal") : ERR_OK;
}

enum err method_look_at_old(struct enrollment *en, struct error *e)
{
        struct ksp_key_info info;
        enum scep_method way = SCEP_AUTO;
        enum err r;

        if (!en->record.renewing || (strcmp(en->record.key_protection, "tpm") != 0 &&
                                     strcmp(en->record.key_protection, "user-verified") != 0))
                return ERR_OK;
        r = method_load_old(en, e);
        if (!r)
                r = ksp_describe(en->old_key, &info, e);
        if (r != ERR_TPM_CLEARED)
                return r;
        en->old_lost = true;
        /* A request that it has signed could not be polled, nor its reply be opened. */
        if (!scep_method_from_name(en->record.method, &way) || way == SCEP_AUTO || way == SCEP_CHALLENGE)
                return ERR_OK;
        r = record_set_text(&en->record.method, "", e);
        if (!r)
                r = request_forget(en, e);
        return r ? r : request_identify(en, e);
}
