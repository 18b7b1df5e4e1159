/*
 * A document that names Issuers looks for a certificate that is here already [facts §6.4], and so does a file
 * of profiles.d that is back: one whose profile was removed, which nothing renews, and which is what the new
 * profile asks for. It becomes that profile's, with its key, and nothing is requested. Without Issuers it is
 * the one of the same name.
 */
#include <string.h>

#include "base/ossl.h"
#include "internal.h"
#include "policy/issuers.h"

static bool is_candidate(const struct enrollment *en, const struct certificate *c)
{
        const uint64_t now = clock_now(&en->d->clock);
        const struct profile_entry *profile = model_find_profile(en->d->model, en->profile);

        if (!en->stored.issuers && (!profile || strcmp(profile->name, c->name) != 0))
                return false;
        return c->owner == en->owner && c->current && activity_is_at_rest(c->activity) && !c->enrollment &&
               !c->leaving && c->not_after > now && c->renew_at > now &&
               !model_find_profile(en->d->model, c->profile);
}

static void release(struct enrollment *en)
{
        if (en->certificate)
                en->certificate->enrollment = NULL;
        en->certificate = NULL;
        en->adopting = false;
}

enum err adopt_next(struct enrollment *en, struct error *e)
{
        struct certificate *c;
        enum err r;

        release(en);
        while ((c = model_next(en->d->model, en->tried))) {
                en->tried = c->order;
                if (!is_candidate(en, c))
                        continue;
                record_done_p(&en->record);
                r = store_record_read(en->d->store, c->id, &en->record, NULL);
                if (r)
                        continue;
                memcpy(en->id, c->id, sizeof en->id);
                en->certificate = c;
                c->enrollment = en; /* nobody removes it meanwhile */
                en->adopting = true;
                return ERR_OK;
        }
        record_done_p(&en->record);
        return enrollment_new_record(en, e);
}

enum err adopt_fits(struct enrollment *en, bool *ret, struct error *e)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        enum err r;

        *ret = true;
        if (!en->stored.issuers)
                return ERR_OK;
        r = store_pem_read(en->d->store, STORE_CERTIFICATES, en->id, "current/cert.pem", &cert, e);
        if (r)
                return r;
        *ret = issuers_match(en->stored.issuers, X509_get_issuer_name(cert));
        return ERR_OK;
}
