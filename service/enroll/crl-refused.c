/* A certificate names no CRL, and its server gives none: onto the disk, so that it is told once and not every
 * day, and told. By an enrollment of its own or by the one that waits for its CA, as next-ca.c has it. */
#include "daemon/log.h"
#include "internal.h"
#include "tell.h"

static enum err step_note(struct enrollment *en, struct error *e)
{
        const uint64_t before = en->record.crl_refused;
        enum err r;

        en->record.crl_refused = en->record.current;
        r = store_record_write(en->d->store, en->id, &en->record, e);
        if (r)
                en->record.crl_refused = before;
        else
                tell_crl_refused(en);
        return r;
}

static void noted(struct enrollment *en)
{
        if (en->result)
                log_error(LOG_ERR, &en->error);
        else
                enrollment_publish(en, "");
        enrollment_free(en);
}

enum err enrollment_crl_refused(struct daemon *d, struct certificate *certificate,
                                struct revocation_found *found, struct error *e)
{
        struct enrollment *en = certificate->enrollment;
        const bool waits = en && enrollment_waits(en);
        enum err r = waits ? ERR_OK : enrollment_take(d, certificate, &en, e);

        if (r)
                return r;
        revocation_found_done(&en->revoked);
        en->revoked = *found;
        *found = (struct revocation_found){0};
        if (waits)
                return enrollment_note(en, step_note, e);
        certificate->noting = true;
        enrollment_step(en, step_note, noted);
        return ERR_OK;
}
