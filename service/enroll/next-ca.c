/* What a look at the CA's announcement found, onto the disk and told: as an enrollment of its own, so that no
 * request and no removal of the certificate comes between, or by the one that waits for its CA. */
#include <string.h>

#include "base/ossl.h"
#include "daemon/log.h"
#include "internal.h"
#include "rollover/trust.h"
#include "tell.h"

static enum err step_note(struct enrollment *en, struct error *e)
{
        const struct rollover_found *found = &en->found;
        enum err r;

        if (found->refused.code) {
                tell_next_ca_refused(en);
                return ERR_OK;
        }
        /* A profile that was edited meanwhile may not want it any more. */
        if (!plan_pairs_follow(&en->record.plan))
                return ERR_OK;
        r = store_pem_write(en->d->store, STORE_CERTIFICATES, en->id, NEXT_ANCHOR, found->next, e);
        if (!r)
                tell_next_ca(en);
        return r;
}

static void noted(struct enrollment *en)
{
        if (en->result)
                log_error(LOG_ERR, &en->error);
        enrollment_free(en);
}

enum err enrollment_next_ca(struct daemon *d, struct certificate *certificate, struct rollover_found *found,
                            struct error *e)
{
        struct enrollment *en = certificate->enrollment;
        const bool waits = en && enrollment_waits(en);
        enum err r = waits ? ERR_OK : enrollment_take(d, certificate, &en, e);

        if (r)
                return r;
        rollover_found_done(&en->found); /* of an earlier look, where it waits for long */
        en->found = *found;
        *found = (struct rollover_found){0};
        if (waits)
                return enrollment_note(en, step_note, e);
        certificate->noting = true;
        enrollment_step(en, step_note, noted);
        return ERR_OK;
}

/* Whom the certificate that was just put there leads to now. */
enum err follow_settle(struct enrollment *en, struct error *e)
{
        CLEANUP(trust_change_done) struct trust_change change = {0};
        enum err r;

        if (!en->plan.follow_rollover)
                return ERR_OK;
        r = trust_settle(en->d->store, en->id, en->have_choice ? en->choice.anchor : NULL, en->anchors,
                         &change, e);
        if (!r && change.to)
                tell_followed(en, change.from, change.to);
        return r;
}
