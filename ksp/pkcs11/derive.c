/* ECDH (CKM_ECDH1_DERIVE, CKD_NULL): the x coordinate of the shared point as a secret of the session. */
#include "internal.h"

#include <string.h>

/* What a template may say of a secret. */
struct wish {
        ck_key_type_t type;
        size_t len; /* 0: all of it */
        bool readable;
        struct view label, id;
};

static bool get_bool(const struct ck_attribute *a, bool *ret)
{
        if (!a->value || a->value_len != 1)
                return false;
        *ret = *(const unsigned char *)a->value != 0;
        return true;
}

static bool get_number(const struct ck_attribute *a, unsigned long *ret)
{
        if (!a->value || a->value_len != sizeof *ret)
                return false;
        memcpy(ret, a->value, sizeof *ret);
        return true;
}

static ck_rv_t read_wish(const struct ck_attribute *template, unsigned long n, struct wish *ret)
{
        *ret = (struct wish){.type = CKK_GENERIC_SECRET, .readable = true};
        if (n && !template)
                return CKR_ARGUMENTS_BAD;
        for (unsigned long i = 0; i < n; i++) {
                const struct ck_attribute *a = &template[i];
                unsigned long number = 0;
                bool on = false, good = true;

                switch (a->type) {
                case CKA_CLASS:
                        good = get_number(a, &number) && number == CKO_SECRET_KEY;
                        break;
                case CKA_KEY_TYPE:
                        good = get_number(a, &ret->type);
                        break;
                case CKA_VALUE_LEN:
                        good = get_number(a, &number) && number > 0;
                        ret->len = number;
                        break;
                case CKA_TOKEN: /* nothing is written to the token */
                case CKA_PRIVATE:
                        good = get_bool(a, &on) && (a->type == CKA_PRIVATE || !on);
                        break;
                case CKA_SENSITIVE:
                        good = get_bool(a, &on);
                        ret->readable &= !on;
                        break;
                case CKA_EXTRACTABLE:
                        good = get_bool(a, &on);
                        ret->readable &= on;
                        break;
                case CKA_LABEL:
                        ret->label = (struct view){a->value, a->value_len};
                        good = (a->value || !a->value_len) && a->value_len <= LABEL_MAX;
                        break;
                case CKA_ID:
                        ret->id = (struct view){a->value, a->value_len};
                        good = (a->value || !a->value_len) && a->value_len <= SECRET_ID_MAX;
                        break;
                default: /* what it may be used for: nothing here uses it */
                        break;
                }
                if (!good)
                        return CKR_TEMPLATE_INCONSISTENT;
        }
        return CKR_OK;
}

/* A point of the curve with coordinates of @size octets, bare or in a DER OCTET STRING: programs send both
 * (Current Mechanisms §2.3.8). */
static bool read_point(const struct ck_mechanism *mechanism, size_t size, struct view *ret)
{
        struct ck_ecdh1_derive_params params;
        const size_t len = 1 + 2 * size;

        if (!mechanism->parameter || mechanism->parameter_len != sizeof params)
                return false;
        memcpy(&params, mechanism->parameter, sizeof params);
        if (params.kdf != CKD_NULL || params.shared_data_len || !params.public_data)
                return false;
        *ret = (struct view){params.public_data, params.public_data_len};
        if (ret->len == len + 2 && ret->data[0] == V_ASN1_OCTET_STRING && ret->data[1] == len)
                *ret = (struct view){ret->data + 2, len};
        return ret->len == len && ret->data[0] == POINT_CONVERSION_UNCOMPRESSED;
}

/* What the service finds invalid is the point: it lies elsewhere. */
static ck_rv_t rv_of_point(enum err r)
{
        return r == ERR_INVALID ? CKR_MECHANISM_PARAM_INVALID : rv_of(r);
}

ck_rv_t derive(struct module *m, const struct session *s, const struct ck_mechanism *mechanism,
               ck_object_handle_t base, const struct ck_attribute *template, unsigned long n,
               ck_object_handle_t *ret)
{
        CLEANUP(secret_done) struct secret shared = {0};
        struct identity *identity;
        struct object *made = NULL;
        struct wish wish;
        struct view point;
        EVP_PKEY *public;
        ck_rv_t rv;

        if (!mechanism || !ret)
                return CKR_ARGUMENTS_BAD;
        if (mechanism->mechanism != CKM_ECDH1_DERIVE)
                return CKR_MECHANISM_INVALID;
        rv = private_key(m, s, base, &identity);
        if (rv == CKR_OK)
                rv = read_wish(template, n, &wish);
        if (rv != CKR_OK)
                return rv;
        if (identity->wants_pin) /* there is no operation that C_Login could give it to */
                return CKR_KEY_FUNCTION_NOT_PERMITTED;
        public = X509_get0_pubkey(identity->cert);
        if (EVP_PKEY_is_a(public, "RSA"))
                return CKR_KEY_TYPE_INCONSISTENT;
        if (!read_point(mechanism, ((size_t)EVP_PKEY_get_bits(public) + 7) / 8, &point))
                return CKR_MECHANISM_PARAM_INVALID;
        rv = identity_key(m, identity);
        if (rv == CKR_OK)
                rv = rv_of_point(channel_key_derive(identity->key, point, (struct view){0}, &shared, NULL));
        if (rv == CKR_OK && wish.len > shared.len)
                rv = CKR_TEMPLATE_INCONSISTENT;
        if (rv != CKR_OK)
                return rv;
        if (wish.len) /* the leading octets */
                shared.len = wish.len;
        rv = object_add_secret(m, s, &shared, wish.type, wish.readable, &made);
        if (rv != CKR_OK)
                return rv;
        if (wish.label.len)
                memcpy(made->label, wish.label.data, wish.label.len);
        if (wish.id.len)
                memcpy(made->id, wish.id.data, wish.id.len);
        made->id_len = wish.id.len;
        *ret = made->handle;
        return CKR_OK;
}
