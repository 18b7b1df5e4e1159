/* The PIN of a user-verified key, in the course of an enrollment: it is there as long as that runs. With a
 * challenge it is asked for until the request is made; a transport key does the rest. A renewal that the old
 * key signs needs it for each poll and for the reply, and so again after a restart. Threads of the pool. */
#include "pin/pin.h"

#include <string.h>

#include "internal.h"

static bool is_verified(const char *protection)
{
        return strcmp(protection, key_protection_name(KEY_PROTECTION_USER_VERIFIED)) == 0;
}

static bool request_is_made(const struct enrollment *en)
{
        CLEANUP(close_p) int fd = -1;

        return *en->record.nonce && en->record.requested &&
               store_generation(en->d->store, en->id, en->record.requested, false, &fd, NULL) == ERR_OK &&
               faccessat(fd, "request.der", F_OK, 0) == 0;
}

bool pin_signs(const struct enrollment *en)
{
        enum scep_method way;

        return en->record.renewing && is_verified(en->record.key_protection) &&
               scep_method_from_name(en->record.method, &way) &&
               (way == SCEP_RENEWAL || way == SCEP_SIGNED_PKCSREQ);
}

bool pin_is_asked(const struct enrollment *en)
{
        struct plan plan = {0};
        bool verified;

        if (plan_from_pairs(&en->record.plan, &plan, NULL))
                return false;
        verified = plan.protection == POLICY_PROTECTION_USER_VERIFIED;
        plan_done(&plan);
        return verified && (!request_is_made(en) || pin_signs(en));
}

enum err pin_needed(const struct enrollment *en, struct error *e)
{
        const char *name = en->record.name && *en->record.name ? en->record.name : en->stored.name;

        (void)error_set(e, ERR_PIN_NEEDED, "The key of '%s' is made and used with its owner's PIN", name);
        return en->record.current
                       ? error_remedy(e, ERR_PIN_NEEDED, "Run 'scepter renew %s' and enter the PIN.", name)
                       : error_remedy(e, ERR_PIN_NEEDED, "Run 'scepter enroll %s' and choose a PIN.", name);
}

bool pin_is_why(const struct enrollment *en, const struct error *why)
{
        return en->plan.protection == POLICY_PROTECTION_USER_VERIFIED &&
               (why->code == ERR_PIN_NEEDED || why->code == ERR_TPM_WRONG_AUTH ||
                why->code == ERR_PIN_LOCKED);
}

static enum err verify_old(struct enrollment *en, struct error *e)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *old = NULL;
        CLEANUP(close_p) int fd = -1;
        enum err r = store_generation(en->d->store, en->id, en->record.current, false, &fd, e);

        if (!r)
                r = ksp_load(en->d->ksp, fd, "key.pem", &old, e);
        if (!r)
                r = pin_verify(en->d->pins, fd, en->record.name, clock_now(&en->d->clock), old, tpm_uid(en),
                               secret_view(&en->pin), &en->pin_tries, e);
        return r;
}

enum err pin_prepare(struct enrollment *en, int fd, struct error *e)
{
        const bool renews = en->record.renewing && is_verified(en->record.key_protection);
        const bool made = request_is_made(en);
        enum err r = ERR_OK;

        if (en->plan.protection != POLICY_PROTECTION_USER_VERIFIED || (made && !pin_signs(en)))
                return ERR_OK;
        if (!en->pin.len)
                return pin_needed(en, e);
        if (!made && *en->record.nonce) {
                r = request_forget(en, e);
                if (!r)
                        r = request_identify(en, e);
        }
        /* One that the TPM does not know any more says nothing of its PIN. */
        if (!r && renews) {
                r = verify_old(en, e);
                if (r == ERR_TPM_CLEARED || r == ERR_KEY_FOREIGN)
                        r = ERR_OK;
        }
        return r || made ? r : file_remove(fd, "key.pem", e);
}
