#include "owners.h"

#include <string.h>
#include <strings.h>

#include "daemon/account.h"
#include "daemon/log.h"
#include "enroll/due.h"
#include "model/model.h"
#include "objects/objects.h"

struct owner_account {
        uid_t uid;
        char *login; /* now; NULL: none, or no answer */
};

void owners_done(struct owner_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                free(list->items[i].login);
        free(list->items);
        *list = (struct owner_list){0};
}

static const struct owner_account *find(const struct owner_list *list, uid_t uid)
{
        for (size_t i = 0; i < list->n; i++)
                if (list->items[i].uid == uid)
                        return &list->items[i];
        return NULL;
}

bool owners_collect(const struct daemon *d, struct owner_list *ret)
{
        struct certificate *c;

        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order) {
                struct owner_account *larger;

                if (c->account == NO_OWNER || find(ret, c->account))
                        continue;
                larger = realloc(ret->items, (ret->n + 1) * sizeof *larger);
                if (!larger)
                        return false;
                ret->items = larger;
                larger[ret->n++] = (struct owner_account){.uid = c->account};
        }
        return true;
}

bool owners_ask(struct owner_list *list)
{
        bool answered = true;

        for (size_t i = 0; i < list->n; i++) {
                struct owner_account *account = &list->items[i];
                const enum err r = account_login(account->uid, &account->login, NULL);

                answered = answered && (r == ERR_OK || r == ERR_NOT_FOUND);
        }
        return answered;
}

/* The name alone: after DOMAIN\, before @domain. */
static const char *bare(const char *login, size_t *ret_len)
{
        const char *domain = strrchr(login, '\\');
        const char *start = domain ? domain + 1 : login;

        *ret_len = strcspn(start, "@");
        return start;
}

bool owners_same_login(const char *one, const char *other)
{
        size_t n, m;
        const char *a = bare(one, &n), *b = bare(other, &m);

        return n == m && strncasecmp(a, b, n) == 0;
}

void owners_settle(struct daemon *d, const struct owner_list *list)
{
        struct certificate *c;

        for (uint64_t order = 0; (c = model_next(d->model, order)); order = c->order) {
                const struct owner_account *account = c->account == NO_OWNER ? NULL : find(list, c->account);
                bool other;

                if (!account || !account->login || !*c->owner_name)
                        continue;
                other = !owners_same_login(c->owner_name, account->login);
                if (other == (c->owner == LOST_OWNER))
                        continue;
                model_estrange(c, other);
                due_set(d, c);
                objects_certificate_changed(d, c);
                if (other)
                        log_line(LOG_WARNING,
                                 "Certificate '%s' was made for the account '%s', whose uid %lu is that of "
                                 "'%s' now: it is root's alone, and not renewed. If it is the same person, "
                                 "enroll it again (scepter enroll '%s' --for '%s'); 'scepter remove %s' "
                                 "removes this one",
                                 c->name, c->owner_name, (unsigned long)c->account, account->login, c->name,
                                 account->login, c->id);
                else
                        log_line(LOG_NOTICE, "Certificate '%s' belongs to '%s' again", c->name,
                                 account->login);
        }
}
