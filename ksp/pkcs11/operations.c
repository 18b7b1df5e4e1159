/* What a session does with a private key: how it begins and ends. */
#include "internal.h"

#include <string.h>

ck_rv_t private_key(struct module *m, const struct session *s, ck_object_handle_t handle,
                    struct identity **ret)
{
        const struct object *o = object_find(m, handle);
        ck_rv_t rv;

        if (!o || o->slot != s->slot || o->class == CKO_CERTIFICATE)
                return CKR_KEY_HANDLE_INVALID;
        if (o->class != CKO_PRIVATE_KEY)
                return CKR_KEY_FUNCTION_NOT_PERMITTED;
        rv = identity_details(m, o->identity);
        if (rv == CKR_OK)
                *ret = o->identity;
        return rv;
}

ck_rv_t operation_begin(struct module *m, struct session *s, enum operation_kind kind,
                        const struct ck_mechanism *mechanism, ck_object_handle_t key)
{
        struct operation *operation = &s->operation;
        struct identity *identity;
        EVP_PKEY *public;
        bool rsa;
        ck_rv_t rv;

        if (operation->kind != OPERATION_NONE)
                return CKR_OPERATION_ACTIVE;
        if (!mechanism)
                return CKR_ARGUMENTS_BAD;
        rv = private_key(m, s, key, &identity);
        if (rv != CKR_OK)
                return rv;
        public = X509_get0_pubkey(identity->cert);
        rsa = EVP_PKEY_is_a(public, "RSA");
        *operation = (struct operation){.identity = identity};
        rv = mechanism_operation(mechanism, rsa, ((size_t)EVP_PKEY_get_bits(public) + 7) / 8, kind,
                                 operation);
        if (rv == CKR_OK)
                rv = identity_key(m, identity);
        if (rv == CKR_OK)
                operation->kind = kind;
        else
                operation_end(operation);
        return rv;
}

void operation_end(struct operation *operation)
{
        EVP_MD_CTX_free(operation->md);
        wipe(operation->data, sizeof operation->data);
        *operation = (struct operation){0};
}
