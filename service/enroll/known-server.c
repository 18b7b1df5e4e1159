#include "known-server.h"

#include <string.h>

#include "anchors.h"
#include "base/ossl.h"
#include "rollover/trust.h"
#include "same-server.h"
#include "scep-wire/next-ca.h"

void known_server_done(struct known_server *server)
{
        record_done_p(&server->record);
        if (server->have_plan)
                plan_done(&server->plan);
        server_link_done(&server->link);
        sk_X509_pop_free(server->anchors, X509_free);
        sk_X509_pop_free(server->followed, X509_free);
        *server = (struct known_server){0};
}

enum err known_server_load(struct daemon *d, const char *id, uid_t owner, struct known_server *ret,
                           struct error *e)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        enum err r = store_record_read(d->store, id, &ret->record, e);

        ret->owner = owner;
        if (!r)
                r = plan_from_pairs(&ret->record.plan, &ret->plan, e);
        ret->have_plan = r == ERR_OK;
        if (!r)
                r = store_profile_read(d->store, ret->record.profile, &stored, e);
        if (!r)
                r = server_link_load(
                        d, ret->record.profile, settings_get(&stored.settings, "Server.CaBundle"),
                        settings_get(&stored.settings, "Server.ClientCertificate"), &ret->link, e);
        if (!r)
                r = anchors_load(d->store, ret->record.profile, owner, &ret->anchors, e);
        if (!r)
                anchors_add_system(ret->anchors, &ret->plan.thumbprint);
        return r ? r : trust_followed(d->store, id, &ret->plan, &ret->followed, e);
}

enum err known_server_discover(struct daemon *d, const struct known_server *server, uint64_t want,
                               worker_done *done, void *ctx, struct worker_job **ret, struct error *e)
{
        static const uint64_t suffixes[] = {
                [SUFFIX_AUTO] = 0, [SUFFIX_NO] = 1, [SUFFIX_YES] = 2}; /* enum scep_suffix */
        const struct worker_grant grant = {.uid = server->owner == NO_OWNER ? 0 : server->owner,
                                           .tls = server->link.client_key};
        struct job job = {.kind = JOB_DISCOVER,
                          .of.discover = {.identifier = server->plan.ca_identifier, .want = want}};
        struct job_texts *urls = &job.of.discover.urls;

        for (size_t i = 0; i < server->plan.urls.count && urls->n < JOB_URLS_MAX; i++)
                urls->at[urls->n++] = server->plan.urls.items[i];
        job.of.discover.suffix = suffixes[server->plan.suffix];
        server_link_fill(&server->link, &server->plan, &job.of.discover.link);
        return workers_start(d->workers, &job, &grant, server->owner, done, ctx, ret, e);
}

bool known_server_is(const struct known_server *server, const char *url)
{
        for (size_t i = 0; i < server->plan.urls.count; i++)
                if (same_server(server->plan.urls.items[i], url))
                        return true;
        return false;
}

enum err known_server_choose(const struct known_server *server, const STACK_OF(X509) * certs, time_t now,
                             struct ca_choice *ret, struct error *e)
{
        struct ca_trust trust = {.anchors = server->anchors, .now = now};

        if (!plan_pin(&server->plan, &trust.pin))
                return error_set(e, ERR_CONFIG, "The thumbprint of the plan is malformed");
        return ca_choose_followed(certs, &trust, server->followed, ret, e);
}

struct exchange_plan exchange_plan_of(const struct plan *plan)
{
        static const enum scep_digest digests[] = {[POLICY_SHA_1] = SCEP_SHA1,
                                                   [POLICY_SHA_256] = SCEP_SHA256,
                                                   [POLICY_SHA_384] = SCEP_SHA384,
                                                   [POLICY_SHA_512] = SCEP_SHA512};
        struct exchange_plan wanted = {.digest = digests[plan->hash],
                                       .allow_des = plan->allow_legacy & LEGACY_DES,
                                       .allow_sha1 = plan->allow_legacy & LEGACY_SHA1};

        for (size_t i = 0; i < plan->require_caps.count; i++)
                wanted.require |= caps_word(plan->require_caps.items[i], strlen(plan->require_caps.items[i]));
        return wanted;
}

bool record_key_receives(const struct record *record)
{
        if (strncmp(record->key_algorithm, "rsa", 3) == 0 || strcmp(record->key_protection, "tpm") != 0)
                return true;
        for (size_t i = 0; i < record->key_attributes.count; i++)
                if (strcmp(record->key_attributes.items[i], ksp_attribute_name(KSP_DECRYPT)) == 0)
                        return true;
        return false;
}
