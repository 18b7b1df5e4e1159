/* Before a server is asked: the profile is read, then what it asks for on this machine is made, then the
 * keys. */
#include "internal.h"

#include <stdio.h>

#include "enroll/anchors.h"
#include "rollover/trust.h"

/* Of a certificate whose profile is gone. */
static bool load_own_anchor(struct diagnosis *x)
{
        X509 *anchor = NULL;

        x->anchors = sk_X509_new_null();
        if (!x->anchors ||
            store_pem_read(x->d->store, STORE_CERTIFICATES, x->certificate, "anchor.pem", &anchor, NULL))
                return false;
        if (sk_X509_push(x->anchors, anchor))
                return true;
        X509_free(anchor);
        return false;
}

static void run_keys(struct diagnosis *x)
{
        struct error e = {0};

        ksp_tpm(x->d->ksp, &x->tpm);
        findings_keys(&x->findings, x->have_plan ? &x->plan : NULL, &x->tpm, x->d->has_host_secret);
        if (!x->have_plan)
                return;
        if (x->plan.key_usage == KEY_USAGE_KEY_ENCIPHERMENT)
                findings_say(&x->findings, DIAGNOSE_PROFILE_ENCIPHERMENT, NULL,
                             "KeyUsage is keyEncipherment alone");
        if (x->have_profile ? anchors_load(x->d->store, x->profile, x->owner, &x->anchors, &e) == ERR_OK
                            : load_own_anchor(x))
                anchors_add_system(x->anchors, &x->plan.thumbprint);
        if (x->have_record && trust_followed(x->d->store, x->certificate, &x->plan, &x->followed, &e))
                findings_say(&x->findings, DIAGNOSE_CERTIFICATE_UNREADABLE, e.remedy, "%s", e.message);
        if (x->have_profile && server_link_load(x->d, x->profile, x->stored.ca_bundle,
                                                x->stored.client_certificate, &x->link, &e))
                findings_say(&x->findings, DIAGNOSE_PROFILE_UNREADABLE, e.remedy, "%s", e.message);
}

static void run_plan(struct diagnosis *x)
{
        const struct facts facts = facts_of(x->values);
        const struct plan_input input = {&x->stored, &facts, (enum policy_protection)x->d->config.protection,
                                         x->d->device_id};
        struct error e = {0};
        enum err r = plan_make(&input, &x->plan, &e);

        x->have_plan = r == ERR_OK;
        if (r == ERR_OK) {
                x->plan.deny_local = x->own_profile;
                findings_say(&x->findings, DIAGNOSE_PROFILE_OK, NULL, "Profile '%s' can be resolved",
                             x->stored.name);
                return;
        }
        findings_say(&x->findings,
                     r == ERR_VARIABLE                                        ? DIAGNOSE_PROFILE_VARIABLE
                     : r == ERR_TIMEOUT || r == ERR_NO_SERVICE || r == ERR_IO ? DIAGNOSE_PROFILE_SOURCE
                                                                              : DIAGNOSE_PROFILE_INVALID,
                     e.remedy, "%s", e.message);
        /* the certificate's own plan shows what the rest is about */
        if (x->have_record && plan_from_pairs(&x->record.plan, &x->plan, NULL) == ERR_OK)
                x->have_plan = true;
}

static void after_plan(struct diagnosis *x)
{
        diagnosis_in_thread(x, run_keys, diagnosis_servers);
}

static void gathered(void *ctx, struct fact_values *values)
{
        struct diagnosis *x = ctx;

        x->gather = NULL;
        x->values = values;
        diagnosis_in_thread(x, run_plan, after_plan);
}

static void run_read(struct diagnosis *x)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        struct error e = {0};
        enum err r;

        if (*x->certificate) {
                x->have_record = store_record_read(x->d->store, x->certificate, &x->record, &e) == ERR_OK;
                if (!x->have_record) {
                        findings_say(&x->findings, DIAGNOSE_CERTIFICATE_UNREADABLE, e.remedy, "%s",
                                     e.message);
                        return;
                }
                (void)snprintf(x->profile, sizeof x->profile, "%s", x->record.profile);
        }
        if (x->url)
                return;
        if (!*x->profile && x->n_profiles)
                findings_say(&x->findings, DIAGNOSE_PROFILE_OK, NULL, "Profiles here: %u", x->n_profiles);
        else if (!*x->profile)
                findings_say(&x->findings, DIAGNOSE_PROFILE_NONE, NULL, "There is no profile here");
        if (!*x->profile)
                return;
        r = store_profile_read(x->d->store, x->profile, &stored, &e);
        if (r == ERR_NOT_FOUND && x->have_record) {
                findings_say(&x->findings, DIAGNOSE_PROFILE_REMOVED, NULL, "The profile of '%s' is gone",
                             x->record.name);
                x->have_plan = plan_from_pairs(&x->record.plan, &x->plan, NULL) == ERR_OK;
                return;
        }
        if (!r)
                r = profile_from_settings(&stored.settings, /* have_anchor= */ true, &x->stored, &e);
        x->have_profile = r == ERR_OK;
        x->own_profile = stored.owner != NO_OWNER && !stored.managed;
        if (r)
                findings_say(&x->findings, DIAGNOSE_PROFILE_UNREADABLE, e.remedy, "%s", e.message);
}

static void after_read(struct diagnosis *x)
{
        uint32_t needed = x->have_profile ? variables_needed(&x->stored) : 0;
        struct error e = {0};

        if (!x->have_profile)
                diagnosis_in_thread(x, run_keys, diagnosis_servers);
        else if (!needed)
                diagnosis_in_thread(x, run_plan, after_plan);
        else if (facts_gather(x->d, x->owner, needed, gathered, x, &x->gather, &e))
                diagnosis_end(x, &e);
}

enum err diagnosis_prepare(struct diagnosis *x, struct error *e)
{
        return diagnosis_submit(x, run_read, after_read, e);
}
