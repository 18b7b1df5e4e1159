/* Drafts: instances as they will be, and what stands there when they are looked at. */
#include <string.h>

#include "transaction.h"

static void draft_free(struct draft *draft)
{
        stored_instance_done(&draft->next);
        stored_instance_done(&draft->before);
        stored_profile_done(&draft->old_profile);
        secret_done(&draft->challenge);
        X509_free(draft->root);
        settings_done(&draft->settings);
        strings_done(&draft->notes);
        free(draft);
}

void transaction_drop(struct transaction *t)
{
        while (t->drafts) {
                struct draft *draft = t->drafts;

                t->drafts = draft->next_draft;
                draft_free(draft);
        }
}

struct draft *draft_find(const struct transaction *t, const char *key, uid_t owner)
{
        for (struct draft *draft = t->drafts; draft; draft = draft->next_draft)
                if (draft->next.owner == owner && strcmp(draft->next.key, key) == 0)
                        return draft;
        return NULL;
}

/* An instance whose profile somebody removed by hand is none any more; values and roots stay what they are.
 */
static bool lives(struct daemon *d, const struct stored_instance *stored)
{
        return !*stored->profile || instance_profile(d, stored) || stored->values.count;
}

const struct stored_instance *transaction_see(struct transaction *t, const struct node_place *place,
                                              bool user)
{
        const struct draft *draft = draft_find(t, place->key, owner_at(t, user));
        const struct instance *instance;

        if (draft)
                return draft->gone ? NULL : &draft->next;
        instance = instance_find(t->d->instances, owner_at(t, user), place->key);
        return instance && lives(t->d, &instance->stored) ? &instance->stored : NULL;
}

enum err draft_text(char **text, const char *value, struct error *e)
{
        free(*text);
        *text = strdup(value);
        return *text ? ERR_OK : error_no_memory(e);
}

/* A new, empty one in its place. */
static enum err begin_anew(struct draft *draft, const struct node_place *place, uid_t owner, struct error *e)
{
        enum err r;

        stored_instance_done(&draft->next);
        draft->next.owner = owner;
        r = stored_instance_settle(&draft->next, e);
        if (!r)
                r = draft_text(&draft->next.key, place->key, e);
        return r ? r : draft_text(&draft->next.name, place->instance, e);
}

enum err draft_touch(struct transaction *t, const struct node_place *place, uid_t owner, size_t command,
                     struct draft **ret, struct error *e)
{
        struct draft *draft = draft_find(t, place->key, owner);
        struct draft **last = &t->drafts;
        enum err r;

        if (draft && !draft->gone) {
                draft->touched_by = command;
                *ret = draft;
                return ERR_OK;
        }
        if (draft) {
                draft->touched_by = command;
                r = begin_anew(draft, place, owner, e);
                draft->gone = false;
                *ret = draft;
                return r;
        }
        draft = calloc(1, sizeof *draft);
        if (!draft)
                return error_no_memory(e);
        draft->original = instance_find(t->d->instances, owner, place->key);
        if (draft->original && lives(t->d, &draft->original->stored)) {
                CLEANUP(secret_done) struct secret challenge = {0};

                r = stored_instance_copy(&draft->original->stored, &draft->next, e);
                draft->has_challenge = !r && store_instance_challenge_read(t->d->store, &draft->next,
                                                                           &challenge, NULL) == ERR_OK;
        } else {
                r = begin_anew(draft, place, owner, e);
        }
        if (r) {
                draft_free(draft);
                return r;
        }
        draft->touched_by = command;
        while (*last)
                last = &(*last)->next_draft;
        *last = draft;
        *ret = draft;
        return ERR_OK;
}
