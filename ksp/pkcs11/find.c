/* Searches: all of the answer is known when one begins. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* A template whose values cannot be what they say is refused, not compared. */
static ck_rv_t check_template(const struct ck_attribute *template, unsigned long n)
{
        if (n && !template)
                return CKR_ARGUMENTS_BAD;
        for (unsigned long i = 0; i < n; i++)
                if (!template[i].value && template[i].value_len)
                        return CKR_ARGUMENTS_BAD;
        return CKR_OK;
}

static const struct ck_attribute *given(const struct ck_attribute *template, unsigned long n,
                                        ck_attribute_type_t type, size_t len)
{
        for (unsigned long i = 0; i < n; i++)
                if (template[i].type == type && template[i].value_len == len)
                        return &template[i];
        return NULL;
}

static bool is_visible(const struct session *s, const struct object *o)
{
        return o->slot == s->slot && (!o->identity || o->identity->current);
}

static ck_rv_t collect(struct module *m, struct session *s, const struct ck_attribute *template,
                       unsigned long n, bool (*visible)(const struct session *, const struct object *))
{
        s->n_found = 0;
        for (size_t i = 0; i < m->n_objects; i++) {
                bool matches = false;
                const ck_rv_t rv = visible(s, m->objects[i])
                                           ? attributes_match(m, m->objects[i], template, n, &matches)
                                           : CKR_OK;

                if (rv != CKR_OK)
                        return rv;
                if (matches)
                        s->found[s->n_found++] = m->objects[i]->handle;
        }
        return CKR_OK;
}

static bool is_old(const struct session *s, const struct object *o)
{
        return o->slot == s->slot && o->identity && !o->identity->current && !o->identity->gone;
}

/* Labels lead to the current generation, ids to any that still exists. */
static ck_rv_t collect_old(struct module *m, struct session *s, const struct ck_attribute *template,
                           unsigned long n)
{
        const struct ck_attribute *id = given(template, n, CKA_ID, KEY_ID_LEN);
        ck_object_handle_t *more;
        ck_rv_t rv;

        if (!id)
                return CKR_OK;
        rv = objects_by_id(m, id->value);
        if (rv != CKR_OK)
                return rv;
        more = realloc(s->found, (m->n_objects + 1) * sizeof *more);
        if (!more)
                return CKR_HOST_MEMORY;
        s->found = more;
        return collect(m, s, template, n, is_old);
}

ck_rv_t find_begin(struct module *m, struct session *s, const struct ck_attribute *template, unsigned long n)
{
        const struct ck_attribute *class;
        ck_object_class_t wanted = CKO_CERTIFICATE;
        ck_rv_t rv = check_template(template, n);

        if (rv != CKR_OK)
                return rv;
        if (s->found)
                return CKR_OPERATION_ACTIVE;
        class = given(template, n, CKA_CLASS, sizeof(ck_object_class_t));
        if (class)
                memcpy(&wanted, class->value, sizeof wanted);
        rv = objects_refresh(m);
        if (rv == CKR_OK && wanted == CKO_CERTIFICATE)
                rv = objects_chains(m, s->slot);
        if (rv != CKR_OK)
                return rv;
        s->found = malloc((m->n_objects + 1) * sizeof *s->found);
        if (!s->found)
                return CKR_HOST_MEMORY;
        s->next_found = 0;
        rv = collect(m, s, template, n, is_visible);
        if (rv == CKR_OK && !s->n_found)
                rv = collect_old(m, s, template, n);
        if (rv != CKR_OK)
                free(STEAL(s->found));
        return rv;
}

ck_rv_t find_next(struct session *s, ck_object_handle_t *ret, unsigned long max, unsigned long *count)
{
        size_t n = 0;

        if (!s->found)
                return CKR_OPERATION_NOT_INITIALIZED;
        while (n < max && s->next_found < s->n_found)
                ret[n++] = s->found[s->next_found++];
        *count = n;
        return CKR_OK;
}

ck_rv_t find_end(struct session *s)
{
        if (!s->found)
                return CKR_OPERATION_NOT_INITIALIZED;
        free(STEAL(s->found));
        return CKR_OK;
}
