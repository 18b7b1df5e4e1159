/* Profile.Resolve: the values a profile's variables would have in an enrollment, without one. */
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "daemon/account.h"
#include "facts/facts.h"
#include "internal.h"
#include "policy/general-name.h"
#include "policy/plan.h"
#include "store/store.h"

enum {
        RESOLVING_PER_USER = 4, /* at once: each asks other services */
        ALTERNATIVE_NAME_TEXT = 2400,
};

struct resolving {
        struct later later;
        struct resolving *next;
        store_id profile;
        uid_t owner;
        char *login; /* option "user"; NULL: the caller */
        struct profile stored;
        struct facts_gather *gather;
        enum err result;
        struct error error;
};

static void resolving_free(struct resolving *resolving)
{
        struct resolving **p = &resolving->later.d->resolving;

        while (*p && *p != resolving)
                p = &(*p)->next;
        if (*p)
                *p = resolving->next;
        bus_call_unref(resolving->later.call);
        profile_done(&resolving->stored);
        free(resolving->login);
        free(resolving);
}

static void fail(struct resolving *resolving, const struct error *e)
{
        bus_call_fail(resolving->later.call, e);
        resolving_free(resolving);
}

/* Each variable by the name of Intune's lists. */
static enum err write_variables(const struct profile *profile, const struct facts *facts,
                                struct bus_writer *w, struct error *e)
{
        const uint32_t used = variables_used(profile);

        for (size_t i = 0; variable_at(i); i++) {
                CLEANUP(free_p) char *value = NULL;
                enum err r;

                if (!(used & UINT32_C(1) << i))
                        continue;
                r = facts->get(facts->ctx, variable_at(i)->fact, &value, e);
                if (r)
                        return r;
                bus_entry_pair(w, variable_at(i)->name, value);
        }
        return ERR_OK;
}

/* As they will be asked for, read back from the plan. */
static enum err write_alternative_names(const struct plan *plan, struct bus_writer *w, struct error *e)
{
        const unsigned char *der = plan->san.data;
        CLEANUP(general_names_free_p) GENERAL_NAMES *names = NULL;

        if (!plan->san.len)
                return ERR_OK;
        names = d2i_GENERAL_NAMES(NULL, &der, (long)plan->san.len);
        if (!names)
                return ossl_error(e, ERR_FAILED, "The alternative names could not be read back");
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
                char key[48], text[ALTERNATIVE_NAME_TEXT];

                general_name_text(sk_GENERAL_NAME_value(names, i), text, sizeof text);
                utf8_scrub(text, sizeof text);
                (void)snprintf(key, sizeof key, "Subject.AlternativeName.%d", i + 1);
                bus_entry_pair(w, key, text);
        }
        return ERR_OK;
}

static enum err write_names(const struct plan *plan, struct bus_writer *w, struct error *e)
{
        const unsigned char *der = plan->subject.data;
        CLEANUP(x509_name_free_p) X509_NAME *name = d2i_X509_NAME(NULL, &der, (long)plan->subject.len);
        CLEANUP(free_p) char *subject = NULL;
        enum err r = name ? x509_name_text(name, &subject, e)
                          : ossl_error(e, ERR_FAILED, "The subject could not be read back");

        if (r)
                return r;
        bus_entry_pair(w, "Subject.Name", subject);
        return write_alternative_names(plan, w, e);
}

/* The plan is made as for an enrollment, so that what would fail there fails here with the same words. */
static enum err answer(struct resolving *resolving, const struct facts *facts, struct error *e)
{
        const struct profile *profile = &resolving->stored;
        CLEANUP(plan_done) struct plan plan = {0};
        CLEANUP(bus_writer_free_p) struct bus_writer *w = NULL;
        const struct plan_input input = {profile, facts,
                                         (enum policy_protection)resolving->later.d->config.protection,
                                         resolving->later.d->device_id};
        enum err r = plan_make(&input, &plan, e);

        if (r)
                return r;
        w = bus_call_begin(resolving->later.call);
        bus_open_array(w, "{ss}");
        r = write_variables(profile, facts, w, e);
        if (!r)
                r = write_names(&plan, w, e);
        bus_close(w);
        return r ? r : bus_call_reply(resolving->later.call, STEAL(w), e);
}

static void gathered(void *ctx, struct fact_values *values)
{
        CLEANUP(fact_values_free_p) struct fact_values *own = values;
        struct resolving *resolving = ctx;
        const struct facts facts = facts_of(own);
        struct error e = {0};

        if (answer(resolving, &facts, &e))
                fail(resolving, &e);
        else
                resolving_free(resolving);
}

/* A thread of a pool: names and disk. */
static void run_read(void *ctx)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        struct resolving *resolving = ctx;
        struct error *e = &resolving->error;
        enum err r = ERR_OK;

        if (resolving->login)
                r = account_uid(resolving->login, &resolving->owner, e);
        if (!r)
                r = store_profile_read(resolving->later.d->store, resolving->profile, &stored, e);
        if (!r)
                r = profile_from_settings(&stored.settings, /* have_anchor= */ true, &resolving->stored, e);
        resolving->result = r;
}

static void read_done(void *ctx)
{
        struct resolving *resolving = ctx;

        if (!resolving->result)
                resolving->result = facts_gather(resolving->later.d, resolving->owner,
                                                 variables_needed(&resolving->stored), gathered, resolving,
                                                 &resolving->gather, &resolving->error);
        if (resolving->result)
                fail(resolving, &resolving->error);
}

static enum err within_limit(const struct daemon *d, const struct bus_call *call, struct error *e)
{
        unsigned n = 0;

        for (const struct resolving *other = d->resolving; other; other = other->next)
                n += bus_call_uid(other->later.call) == bus_call_uid(call);
        if (bus_call_is_root(call) || n < RESOLVING_PER_USER)
                return ERR_OK;
        (void)error_set(e, ERR_LIMIT, "A user has at most %d profiles resolved at once", RESOLVING_PER_USER);
        return error_remedy(e, ERR_LIMIT, "Wait for the others to be answered, then try again.");
}

enum err profile_resolve(void *object, struct bus_call *call, struct error *e)
{
        const struct handle handle = *(struct handle *)object;
        const char *user = NULL;
        const struct bus_option options[] = {BUS_OPTION_AS_STRING(BUS_OPTION_USER, user)};
        struct resolving *resolving;
        enum err r = bus_options_read(bus_call_reader(call), options, N_ELEMENTS(options), e);

        if (!r)
                r = enroll_permitted(call, handle.profile, user, e);
        if (!r)
                r = within_limit(handle.d, call, e);
        if (r)
                return r;
        resolving = calloc(1, sizeof *resolving);
        if (!resolving)
                return error_no_memory(e);
        resolving->later = (struct later){handle.d, bus_call_ref(call)};
        memcpy(resolving->profile, handle.profile->id, sizeof resolving->profile);
        resolving->owner = enroll_owner(call, handle.profile);
        resolving->next = handle.d->resolving;
        handle.d->resolving = resolving;
        if (user && !(resolving->login = strdup(user)))
                r = error_no_memory(e);
        if (!r)
                r = pool_submit(user ? handle.d->names : handle.d->pool, run_read, read_done, resolving, e);
        if (r)
                resolving_free(resolving);
        return r;
}
