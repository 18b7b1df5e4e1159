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

ck_rv_t operation_login(struct module *m, struct session *s, struct view pin)
{
        struct operation *operation = &s->operation;
        CLEANUP(secret_done) struct secret copy = {0};
        ck_rv_t rv;

        if (operation->kind == OPERATION_NONE || !operation->identity->wants_pin)
                return CKR_OPERATION_NOT_INITIALIZED;
        if (pin.len < KEY_PIN_MIN || pin.len > KEY_PIN_MAX)
                return CKR_PIN_LEN_RANGE;
        if (key_pin_check(pin, NULL))
                return CKR_PIN_INCORRECT;
        rv = rv_of(secret_copy(&copy, pin, NULL));
        if (rv == CKR_OK)
                rv = identity_key(m, operation->identity);
        if (rv == CKR_OK)
                rv = rv_of(channel_key_verify(operation->identity->key, secret_view(&copy), NULL));
        if (rv != CKR_OK)
                return rv;
        secret_done(&operation->pin);
        operation->pin = copy;
        copy = (struct secret){0};
        return CKR_OK;
}

bool operation_waits(const struct operation *operation)
{
        return operation->kind != OPERATION_NONE && operation->identity->wants_pin && !operation->pin.len;
}

ck_rv_t operation_ready(struct operation *operation, enum operation_kind kind, bool length)
{
        if (operation->kind != kind)
                return CKR_OPERATION_NOT_INITIALIZED;
        if (!operation_waits(operation))
                return CKR_OK;
        if (!length)
                operation_end(operation);
        return CKR_USER_NOT_LOGGED_IN;
}

void operation_end(struct operation *operation)
{
        EVP_MD_CTX_free(operation->md);
        secret_done(&operation->pin);
        wipe(operation->data, sizeof operation->data);
        *operation = (struct operation){0};
}
