/* What can be found: for each generation a certificate, a public and a private key; the certificates above
 * them, each once a token; and secrets that were derived. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { CHAIN_MAX = 16, SECRETS_MAX = 1024 };

static ck_rv_t add_object(struct module *m, struct object **ret)
{
        struct object *o;

        if (m->n_objects == m->objects_size) {
                const size_t size = m->objects_size ? 2 * m->objects_size : 16;
                struct object **more = realloc(m->objects, size * sizeof(struct object *));

                if (!more)
                        return CKR_HOST_MEMORY;
                m->objects = more;
                m->objects_size = size;
        }
        o = calloc(1, sizeof *o);
        if (!o)
                return CKR_HOST_MEMORY;
        o->handle = ++m->last_object;
        m->objects[m->n_objects++] = o;
        *ret = o;
        return CKR_OK;
}

static void object_free(struct object *o)
{
        X509_free(o->cert);
        bytes_done(&o->der);
        secret_done(&o->value);
        free(o);
}

static void remove_at(struct module *m, size_t at)
{
        if (m->objects[at]->class == CKO_SECRET_KEY)
                m->n_secrets--;
        object_free(m->objects[at]);
        m->n_objects--;
        memmove(m->objects + at, m->objects + at + 1, (m->n_objects - at) * sizeof(struct object *));
}

/* Position of the handle, or of the first one above it. */
static size_t position(const struct module *m, ck_object_handle_t handle)
{
        size_t low = 0, high = m->n_objects;

        while (low < high) {
                const size_t middle = (low + high) / 2;

                if (m->objects[middle]->handle < handle)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct object *object_find(struct module *m, ck_object_handle_t handle)
{
        const size_t at = position(m, handle);

        return at < m->n_objects && m->objects[at]->handle == handle ? m->objects[at] : NULL;
}

/* Generations */

static struct identity *identity_find(const struct module *m, const uint8_t id[KEY_ID_LEN])
{
        struct identity *i = m->identities;

        while (i && memcmp(i->entry.id, id, KEY_ID_LEN) != 0)
                i = i->next;
        return i;
}

static ck_rv_t identity_add(struct module *m, const struct channel_entry *entry, struct identity **ret)
{
        static const ck_object_class_t classes[] = {CKO_CERTIFICATE, CKO_PUBLIC_KEY, CKO_PRIVATE_KEY};
        struct identity *identity = calloc(1, sizeof *identity);

        if (!identity)
                return CKR_HOST_MEMORY;
        identity->entry = *entry;
        identity->slot = slot_of(entry);
        identity->next = m->identities;
        m->identities = identity;
        for (size_t i = 0; i < N_ELEMENTS(classes); i++) {
                struct object *o;
                ck_rv_t rv = add_object(m, &o);

                if (rv != CKR_OK)
                        return rv;
                o->class = classes[i];
                o->slot = identity->slot;
                o->identity = identity;
        }
        *ret = identity;
        return slot_add(m, identity->slot) ? CKR_OK : CKR_HOST_MEMORY;
}

static enum err take_entry(void *ctx, const struct channel_entry *entry, struct error *e)
{
        struct module *m = ctx;
        struct identity *identity = identity_find(m, entry->id);

        if (!identity && identity_add(m, entry, &identity) != CKR_OK)
                return error_no_memory(e);
        identity->current = true;
        identity->gone = false;
        return ERR_OK;
}

ck_rv_t objects_refresh(struct module *m)
{
        enum err r;

        for (struct identity *i = m->identities; i; i = i->next)
                i->current = false;
        r = channel_list(m->client, take_entry, m, NULL);
        m->reachable = r == ERR_OK;
        return rv_of(r);
}

static ck_rv_t parse(struct module *m, const struct bytes *der, X509 **ret)
{
        const uint8_t *p = der->data;
        X509 *cert;
        ck_rv_t rv = module_libctx(m);

        if (rv != CKR_OK)
                return rv;
        cert = X509_new_ex(m->libctx, NULL);
        if (!cert)
                return CKR_HOST_MEMORY;
        if (!d2i_X509(&cert, &p, (long)der->len) || !X509_get0_pubkey(cert)) {
                X509_free(cert);
                return CKR_DEVICE_ERROR;
        }
        *ret = cert;
        return CKR_OK;
}

/* Keys of which there are no others here: what is done with them has room for no more. */
static bool is_known(X509 *cert)
{
        const EVP_PKEY *key = X509_get0_pubkey(cert);
        const int bits = EVP_PKEY_get_bits(key);
        char group[32];

        if (EVP_PKEY_is_a(key, "RSA"))
                return bits >= RSA_MIN && bits <= RSA_MAX;
        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) &&
               (strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, SN_secp384r1) == 0);
}

ck_rv_t identity_details(struct module *m, struct identity *identity)
{
        struct channel_entry entry = {0};
        ck_rv_t rv;

        if (identity->cert)
                return CKR_OK;
        bytes_done(&identity->der);
        rv = rv_of(channel_describe(m->client, identity->entry.id, 0, &entry, &identity->der, NULL));
        identity->wants_pin = entry.wants_pin;
        if (rv == CKR_OK)
                rv = parse(m, &identity->der, &identity->cert);
        if (rv == CKR_OK && !is_known(identity->cert)) {
                X509_free(STEAL(identity->cert));
                rv = CKR_DEVICE_ERROR;
        }
        return rv;
}

ck_rv_t objects_by_id(struct module *m, const uint8_t id[KEY_ID_LEN])
{
        CLEANUP(bytes_done) struct bytes der = {0};
        struct channel_entry entry;
        struct identity *identity = identity_find(m, id);
        enum err r = channel_describe(m->client, id, 0, &entry, &der, NULL);

        if (identity)
                identity->gone = r == ERR_NOT_FOUND;
        if (r == ERR_NOT_FOUND)
                return CKR_OK;
        return r || identity ? rv_of(r) : identity_add(m, &entry, &identity);
}

/* The service has room for 64 open keys a connection; those that are used are opened again. */
static void close_keys(struct module *m)
{
        for (struct identity *i = m->identities; i; i = i->next)
                channel_key_close(STEAL(i->key));
}

ck_rv_t identity_key(struct module *m, struct identity *identity)
{
        enum err r;

        if (identity->key)
                return CKR_OK;
        r = channel_key_open(m->client, NULL, identity->entry.id, &identity->key, NULL);
        if (r == ERR_LIMIT) {
                close_keys(m);
                r = channel_key_open(m->client, NULL, identity->entry.id, &identity->key, NULL);
        }
        return rv_of(r);
}

/* Certificates of CAs */

static bool has_certificate(const struct module *m, ck_slot_id_t slot, const struct bytes *der)
{
        for (size_t i = 0; i < m->n_objects; i++) {
                const struct object *o = m->objects[i];

                if (o->slot == slot && o->der.data && view_equal(bytes_view(&o->der), bytes_view(der)))
                        return true;
        }
        return false;
}

/* What people call it: the common name, or all of the name. */
static void label_of(const X509 *cert, char ret[LABEL_MAX + 1])
{
        const X509_NAME *name = X509_get_subject_name(cert);
        CLEANUP(free_p) char *text = NULL;

        if (X509_NAME_get_text_by_NID((X509_NAME *)(uintptr_t)name, NID_commonName, ret, LABEL_MAX + 1) > 0)
                return;
        ret[0] = 0;
        if (x509_name_text(name, &text, NULL) == ERR_OK)
                (void)strncat(ret, text, LABEL_MAX);
}

static ck_rv_t add_authority(struct module *m, ck_slot_id_t slot, struct bytes *der)
{
        CLEANUP(evp_md_free_p) EVP_MD *sha1 = NULL;
        struct object *o = NULL;
        X509 *cert;
        ck_rv_t rv = parse(m, der, &cert);

        if (rv == CKR_OK) {
                rv = add_object(m, &o);
                if (rv != CKR_OK)
                        X509_free(cert);
        }
        if (rv != CKR_OK)
                return rv;
        o->class = CKO_CERTIFICATE;
        o->slot = slot;
        o->cert = cert;
        o->der = *der;
        *der = (struct bytes){0};
        label_of(cert, o->label);
        /* CKA_ID as for our keys: RFC 5280 §4.2.1.2, method 1 */
        sha1 = EVP_MD_fetch(m->libctx, "SHA1", NULL);
        o->id_len = KEY_ID_LEN;
        return sha1 && X509_pubkey_digest(cert, sha1, o->id, NULL) ? CKR_OK : CKR_HOST_MEMORY;
}

static ck_rv_t add_chain(struct module *m, struct identity *identity)
{
        ck_rv_t rv = CKR_OK;

        for (uint64_t index = 1; rv == CKR_OK && index <= CHAIN_MAX; index++) {
                CLEANUP(bytes_done) struct bytes der = {0};
                enum err r = channel_describe(m->client, identity->entry.id, index, NULL, &der, NULL);

                if (r == ERR_NOT_FOUND)
                        break;
                rv = rv_of(r);
                if (rv == CKR_OK && !has_certificate(m, identity->slot, &der))
                        rv = add_authority(m, identity->slot, &der);
        }
        identity->chained = rv == CKR_OK;
        return rv;
}

ck_rv_t objects_chains(struct module *m, ck_slot_id_t slot)
{
        ck_rv_t rv = CKR_OK;

        for (struct identity *i = m->identities; rv == CKR_OK && i; i = i->next)
                if (i->slot == slot && i->current && !i->chained)
                        rv = add_chain(m, i);
        return rv;
}

/* Secrets */

ck_rv_t object_add_secret(struct module *m, const struct session *s, struct secret *value, ck_key_type_t type,
                          bool readable, struct object **ret)
{
        struct object *o;
        ck_rv_t rv = m->n_secrets < SECRETS_MAX ? add_object(m, &o) : CKR_DEVICE_MEMORY;

        if (rv != CKR_OK)
                return rv;
        m->n_secrets++;
        o->class = CKO_SECRET_KEY;
        o->slot = s->slot;
        o->session = s->handle;
        o->type = type;
        o->readable = readable;
        o->value = *value;
        *value = (struct secret){0};
        *ret = o;
        return CKR_OK;
}

ck_rv_t object_destroy(struct module *m, const struct object *o)
{
        if (o->class != CKO_SECRET_KEY)
                return CKR_ACTION_PROHIBITED; /* keys go by 'scepter remove' */
        remove_at(m, position(m, o->handle));
        return CKR_OK;
}

void objects_forget_secrets(struct module *m)
{
        for (size_t i = m->n_objects; m->n_secrets && i-- > 0;)
                if (m->objects[i]->class == CKO_SECRET_KEY)
                        remove_at(m, i);
}

void objects_end_session(struct module *m, ck_session_handle_t session)
{
        for (size_t i = m->n_objects; m->n_secrets && i-- > 0;)
                if (m->objects[i]->session == session)
                        remove_at(m, i);
}

void objects_free(struct module *m)
{
        while (m->n_objects)
                object_free(m->objects[--m->n_objects]);
        free(m->objects);
        while (m->identities) {
                struct identity *identity = m->identities;

                m->identities = identity->next;
                channel_key_close(identity->key);
                X509_free(identity->cert);
                bytes_done(&identity->der);
                free(identity);
        }
}
