/* Attributes of objects (PKCS#11 2.40 §4), by table: for which classes there is one, and where it comes from.
 */
#include "internal.h"

#include <openssl/core_names.h>
#include <string.h>
#include <time.h>

enum { CERT = 1, PUBLIC = 2, PRIVATE = 4, SECRET = 8, KEYS = PUBLIC | PRIVATE, ALL = 15 };
enum { CATEGORY_USER = 1, CATEGORY_AUTHORITY = 2, COORDINATES_MAX = 2 * 48 };

/* A value on its way to the caller: borrowed, or in one of the members. */
struct value {
        struct view view;
        unsigned char boolean;
        unsigned long number;
        struct ck_date date;
        uint8_t octets[KEY_MODULUS_MAX + 8];
        struct bytes owned; /* bytes_done() */
};

struct row {
        ck_attribute_type_t type;
        unsigned classes;
        /* @o has its details. @arg: of the row. */
        ck_rv_t (*get)(const struct object *o, unsigned long arg, struct value *ret);
        unsigned long arg;
};

static unsigned class_bit(const struct object *o)
{
        switch (o->class) {
        case CKO_CERTIFICATE:
                return CERT;
        case CKO_PUBLIC_KEY:
                return PUBLIC;
        case CKO_PRIVATE_KEY:
                return PRIVATE;
        default:
                return SECRET;
        }
}

static X509 *cert_of(const struct object *o)
{
        return o->identity ? o->identity->cert : o->cert;
}

static EVP_PKEY *key_of(const struct object *o)
{
        return X509_get0_pubkey(cert_of(o));
}

static bool is_rsa(const struct object *o)
{
        return EVP_PKEY_is_a(key_of(o), "RSA");
}

static ck_rv_t put_number(struct value *ret, unsigned long number)
{
        ret->number = number;
        ret->view = (struct view){(const uint8_t *)&ret->number, sizeof ret->number};
        return CKR_OK;
}

static ck_rv_t boolean(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)o;
        ret->boolean = arg ? 1 : 0;
        ret->view = (struct view){&ret->boolean, 1};
        return CKR_OK;
}

static ck_rv_t number(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)o;
        return put_number(ret, arg);
}

static ck_rv_t empty(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)o;
        (void)arg;
        ret->view = (struct view){ret->octets, 0};
        return CKR_OK;
}

static ck_rv_t sensitive(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)o;
        (void)arg;
        (void)ret;
        return CKR_ATTRIBUTE_SENSITIVE;
}

static ck_rv_t class(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return put_number(ret, o->class);
}

static ck_rv_t on_token(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return boolean(o, o->class != CKO_SECRET_KEY, ret);
}

static ck_rv_t label(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        ret->view = str_view(o->identity ? o->identity->entry.label : o->label);
        return CKR_OK;
}

static ck_rv_t id(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        ret->view = o->identity ? (struct view){o->identity->entry.id, KEY_ID_LEN}
                                : (struct view){o->id, o->id_len};
        return CKR_OK;
}

/* DER by an i2d function of @arg's choice. */
enum { SUBJECT, ISSUER, SERIAL, PUBLIC_KEY };

static ck_rv_t encoded(const struct object *o, unsigned long arg, struct value *ret)
{
        X509 *cert = cert_of(o);
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len = -1;

        if (arg == SUBJECT)
                len = i2d_X509_NAME(X509_get_subject_name(cert), &der);
        else if (arg == ISSUER)
                len = i2d_X509_NAME(X509_get_issuer_name(cert), &der);
        else if (arg == SERIAL)
                len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &der);
        else
                len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
        if (len < 0 || bytes_copy(&ret->owned, der, (size_t)len, NULL))
                return CKR_HOST_MEMORY;
        ret->view = bytes_view(&ret->owned);
        return CKR_OK;
}

static ck_rv_t whole(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        ret->view = bytes_view(o->identity ? &o->identity->der : &o->der);
        return CKR_OK;
}

static ck_rv_t category(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return put_number(ret, o->identity ? CATEGORY_USER : CATEGORY_AUTHORITY);
}

static ck_rv_t date(const struct object *o, unsigned long arg, struct value *ret)
{
        const ASN1_TIME *t = arg ? X509_get0_notAfter(cert_of(o)) : X509_get0_notBefore(cert_of(o));
        struct tm tm;
        char text[9];

        if (!ASN1_TIME_to_tm(t, &tm) || strftime(text, sizeof text, "%Y%m%d", &tm) != 8)
                return empty(o, 0, ret);
        memcpy(ret->date.year, text, 4);
        memcpy(ret->date.month, text + 4, 2);
        memcpy(ret->date.day, text + 6, 2);
        ret->view = (struct view){(const uint8_t *)&ret->date, sizeof ret->date};
        return CKR_OK;
}

static ck_rv_t key_type(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        if (o->class == CKO_SECRET_KEY)
                return put_number(ret, o->type);
        return put_number(ret, is_rsa(o) ? CKK_RSA : CKK_EC);
}

static ck_rv_t decrypts(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return boolean(o, is_rsa(o), ret);
}

static ck_rv_t derives(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return boolean(o, !is_rsa(o) && !o->identity->wants_pin, ret);
}

static ck_rv_t wants_pin(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return boolean(o, o->identity->wants_pin, ret);
}

static ck_rv_t made_by(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return put_number(ret, is_rsa(o) ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN);
}

static ck_rv_t put_parameter(const struct object *o, const char *name, struct value *ret)
{
        BIGNUM *n = NULL;
        ck_rv_t rv = CKR_HOST_MEMORY;

        if (!is_rsa(o))
                return CKR_ATTRIBUTE_TYPE_INVALID;
        if (EVP_PKEY_get_bn_param(key_of(o), name, &n) && BN_num_bytes(n) <= (int)sizeof ret->octets) {
                ret->view = (struct view){ret->octets, (size_t)BN_bn2bin(n, ret->octets)};
                rv = CKR_OK;
        }
        BN_free(n);
        return rv;
}

static ck_rv_t modulus(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return put_parameter(o, OSSL_PKEY_PARAM_RSA_N, ret);
}

static ck_rv_t exponent(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return put_parameter(o, OSSL_PKEY_PARAM_RSA_E, ret);
}

static ck_rv_t modulus_bits(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return is_rsa(o) ? put_number(ret, (unsigned long)EVP_PKEY_get_bits(key_of(o)))
                         : CKR_ATTRIBUTE_TYPE_INVALID;
}

/* The named curve's OID, in DER. */
static ck_rv_t curve(const struct object *o, unsigned long arg, struct value *ret)
{
        static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
        static const uint8_t p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

        (void)arg;
        if (is_rsa(o))
                return CKR_ATTRIBUTE_TYPE_INVALID;
        ret->view = EVP_PKEY_get_bits(key_of(o)) == 256 ? (struct view){p256, sizeof p256}
                                                        : (struct view){p384, sizeof p384};
        return CKR_OK;
}

/* X9.62, uncompressed, in a DER OCTET STRING (its length fits one octet). */
static ck_rv_t point(const struct object *o, unsigned long arg, struct value *ret)
{
        size_t len = 0;

        (void)arg;
        if (is_rsa(o))
                return CKR_ATTRIBUTE_TYPE_INVALID;
        if (!EVP_PKEY_get_octet_string_param(key_of(o), OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, ret->octets + 2,
                                             1 + COORDINATES_MAX, &len))
                return CKR_HOST_MEMORY;
        ret->octets[0] = V_ASN1_OCTET_STRING;
        ret->octets[1] = (uint8_t)len;
        ret->view = (struct view){ret->octets, len + 2};
        return CKR_OK;
}

static ck_rv_t readable(const struct object *o, unsigned long arg, struct value *ret)
{
        return boolean(o, arg ? o->readable : !o->readable, ret);
}

static ck_rv_t value(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        if (!o->readable)
                return CKR_ATTRIBUTE_SENSITIVE;
        ret->view = secret_view(&o->value);
        return CKR_OK;
}

static ck_rv_t value_len(const struct object *o, unsigned long arg, struct value *ret)
{
        (void)arg;
        return put_number(ret, o->value.len);
}

/* Without details of the certificate. */
static const struct row cheap[] = {
        {CKA_CLASS, ALL, class, 0},
        {CKA_TOKEN, ALL, on_token, 0},
        {CKA_PRIVATE, ALL, boolean, false}, /* there is no login that would hide it */
        {CKA_MODIFIABLE, ALL, boolean, false},
        {CKA_COPYABLE, ALL, boolean, false},
        {CKA_DESTROYABLE, ALL & ~(unsigned)SECRET, boolean, false},
        {CKA_DESTROYABLE, SECRET, boolean, true},
        {CKA_LABEL, ALL, label, 0},
        {CKA_ID, ALL, id, 0},
        {CKA_TRUSTED, CERT | PUBLIC, boolean, false},
        {CKA_CERTIFICATE_TYPE, CERT, number, CKC_X_509},
        {CKA_CERTIFICATE_CATEGORY, CERT, category, 0},
        {CKA_LOCAL, KEYS, boolean, true},
        {CKA_LOCAL, SECRET, boolean, false},
        {CKA_SENSITIVE, PRIVATE, boolean, true},
        {CKA_ALWAYS_SENSITIVE, PRIVATE, boolean, true},
        {CKA_EXTRACTABLE, PRIVATE, boolean, false},
        {CKA_NEVER_EXTRACTABLE, PRIVATE, boolean, true},
        {CKA_SIGN, PRIVATE, boolean, true},
        {CKA_SIGN_RECOVER, PRIVATE, boolean, false},
        {CKA_UNWRAP, PRIVATE | SECRET, boolean, false},
        {CKA_WRAP_WITH_TRUSTED, PRIVATE | SECRET, boolean, false},
        /* Nothing is done here that a public key is enough for. */
        {CKA_ENCRYPT, PUBLIC | SECRET, boolean, false},
        {CKA_VERIFY, PUBLIC | SECRET, boolean, false},
        {CKA_VERIFY_RECOVER, PUBLIC, boolean, false},
        {CKA_WRAP, PUBLIC | SECRET, boolean, false},
        {CKA_DERIVE, PUBLIC | SECRET, boolean, false},
        {CKA_DECRYPT, SECRET, boolean, false},
        {CKA_SIGN, SECRET, boolean, false},
        {CKA_KEY_TYPE, SECRET, key_type, 0},
        {CKA_SENSITIVE, SECRET, readable, false},
        {CKA_EXTRACTABLE, SECRET, readable, true},
        {CKA_ALWAYS_SENSITIVE, SECRET, boolean, false},
        {CKA_NEVER_EXTRACTABLE, SECRET, boolean, false},
        {CKA_VALUE, SECRET, value, 0},
        {CKA_VALUE_LEN, SECRET, value_len, 0},
        {CKA_START_DATE, KEYS | SECRET, empty, 0},
        {CKA_END_DATE, KEYS | SECRET, empty, 0},
        {CKA_PRIVATE_EXPONENT, PRIVATE, sensitive, 0},
        {CKA_PRIME_1, PRIVATE, sensitive, 0},
        {CKA_PRIME_2, PRIVATE, sensitive, 0},
        {CKA_EXPONENT_1, PRIVATE, sensitive, 0},
        {CKA_EXPONENT_2, PRIVATE, sensitive, 0},
        {CKA_COEFFICIENT, PRIVATE, sensitive, 0},
        {CKA_VALUE, PRIVATE, sensitive, 0},
};

static const struct row dear[] = {
        {CKA_SUBJECT, CERT | KEYS, encoded, SUBJECT},
        {CKA_ISSUER, CERT, encoded, ISSUER},
        {CKA_SERIAL_NUMBER, CERT, encoded, SERIAL},
        {CKA_PUBLIC_KEY_INFO, CERT | KEYS, encoded, PUBLIC_KEY},
        {CKA_VALUE, CERT, whole, 0},
        {CKA_START_DATE, CERT, date, 0},
        {CKA_END_DATE, CERT, date, 1},
        {CKA_KEY_TYPE, KEYS, key_type, 0},
        {CKA_KEY_GEN_MECHANISM, KEYS, made_by, 0},
        {CKA_DECRYPT, PRIVATE, decrypts, 0},
        {CKA_DERIVE, PRIVATE, derives, 0},
        {CKA_ALWAYS_AUTHENTICATE, PRIVATE, wants_pin, 0},
        {CKA_MODULUS, KEYS, modulus, 0},
        {CKA_MODULUS_BITS, KEYS, modulus_bits, 0},
        {CKA_PUBLIC_EXPONENT, KEYS, exponent, 0},
        {CKA_EC_PARAMS, KEYS, curve, 0},
        {CKA_EC_POINT, KEYS, point, 0},
};

static ck_rv_t get(struct module *m, struct object *o, ck_attribute_type_t type, struct value *ret)
{
        const unsigned bit = class_bit(o);

        for (size_t i = 0; i < N_ELEMENTS(cheap); i++)
                if (cheap[i].type == type && cheap[i].classes & bit)
                        return cheap[i].get(o, cheap[i].arg, ret);
        for (size_t i = 0; i < N_ELEMENTS(dear); i++) {
                ck_rv_t rv;

                if (dear[i].type != type || !(dear[i].classes & bit))
                        continue;
                rv = o->identity ? identity_details(m, o->identity) : CKR_OK;
                return rv == CKR_OK ? dear[i].get(o, dear[i].arg, ret) : rv;
        }
        return CKR_ATTRIBUTE_TYPE_INVALID;
}

/* C_GetAttributeValue, cases 1 to 5: each attribute is looked at, whatever becomes of the others. */
static ck_rv_t read_one(struct module *m, struct object *o, struct ck_attribute *a)
{
        struct value v = {0};
        ck_rv_t rv = get(m, o, a->type, &v);

        if (rv == CKR_OK && a->value && a->value_len < v.view.len)
                rv = CKR_BUFFER_TOO_SMALL;
        if (rv == CKR_OK && a->value && v.view.len)
                memcpy(a->value, v.view.data, v.view.len);
        a->value_len = rv == CKR_OK ? v.view.len : CK_UNAVAILABLE_INFORMATION;
        bytes_done(&v.owned);
        return rv;
}

ck_rv_t attributes_read(struct module *m, struct object *o, struct ck_attribute *template, unsigned long n)
{
        ck_rv_t ret = CKR_OK;

        for (unsigned long i = 0; i < n; i++) {
                const ck_rv_t rv = read_one(m, o, &template[i]);

                if (rv == CKR_OK)
                        continue;
                if (rv == CKR_KEY_HANDLE_INVALID) /* it was removed meanwhile */
                        return CKR_OBJECT_HANDLE_INVALID;
                if (rv != CKR_ATTRIBUTE_SENSITIVE && rv != CKR_ATTRIBUTE_TYPE_INVALID &&
                    rv != CKR_BUFFER_TOO_SMALL)
                        return rv;
                ret = rv;
        }
        return ret;
}

/* An attribute that it has not, or is gone with it, is none that differs. */
static bool is_none(ck_rv_t rv)
{
        return rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
               rv == CKR_KEY_HANDLE_INVALID;
}

ck_rv_t attributes_match(struct module *m, struct object *o, const struct ck_attribute *template,
                         unsigned long n, bool *ret)
{
        bool same = true;

        for (unsigned long i = 0; same && i < n; i++) {
                struct value v = {0};
                const ck_rv_t rv = get(m, o, template[i].type, &v);

                same = rv == CKR_OK && v.view.len == template[i].value_len &&
                       (!v.view.len || memcmp(v.view.data, template[i].value, v.view.len) == 0);
                bytes_done(&v.owned);
                if (rv != CKR_OK && !is_none(rv))
                        return rv;
        }
        *ret = same;
        return CKR_OK;
}
