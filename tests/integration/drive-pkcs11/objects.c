/* What can be found, and what it says of itself, beside what OpenSSL says of the certificate. */
#include "drive.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

static unsigned long count(const struct drive *d, struct ck_attribute *template, unsigned long n)
{
        return drive_find(d, d->session, template, n, NULL, 0);
}

void case_find(struct drive *d)
{
        unsigned char id[BUFFER], value[BUFFER], off = 0, on = 1;
        ck_object_class_t class = CKO_PRIVATE_KEY, none = CKO_DATA;
        ck_key_type_t type, wrong;
        struct ck_attribute by_id = {CKA_ID, id, 0}, by_value = {CKA_VALUE, value, 0};
        struct ck_attribute label = {CKA_LABEL, (void *)(size_t)d->label, strlen(d->label)};
        struct ck_attribute of_class = {CKA_CLASS, &class, sizeof class};
        ck_object_handle_t found = 0;
        ck_session_handle_t second;
        unsigned long n;

        drive_open(d);
        by_id.value_len = drive_get(d, d->key, CKA_ID, id);
        by_value.value_len = drive_get(d, d->cert, CKA_VALUE, value);
        type = d->rsa ? CKK_RSA : CKK_EC;
        wrong = d->rsa ? CKK_EC : CKK_RSA;
        CHECK(count(d, NULL, 0) >= 4); /* the CA's certificate, too */
        CHECK(count(d, &label, 1) == 3 && count(d, &by_id, 1) == 3);
        CHECK(drive_find(d, d->session, &by_value, 1, &found, 1) == 1 && found == d->cert);
        CHECK(drive_find(d, d->session, (struct ck_attribute[]){by_id, of_class}, 2, &found, 1) == 1);
        CHECK(found == d->key);
        CHECK(count(d, (struct ck_attribute[]){label, {CKA_KEY_TYPE, &type, sizeof type}}, 2) == 2);
        CHECK(count(d, (struct ck_attribute[]){label, {CKA_KEY_TYPE, &wrong, sizeof wrong}}, 2) == 0);
        CHECK(count(d, (struct ck_attribute[]){label, {CKA_TOKEN, &on, 1}}, 2) == 3);
        CHECK(count(d, (struct ck_attribute[]){label, {CKA_TOKEN, &off, 1}}, 2) == 0);
        CHECK(count(d, (struct ck_attribute[]){label, {CKA_PRIVATE, &off, 1}}, 2) == 3);
        CHECK(count(d, &(struct ck_attribute){CKA_CLASS, &none, sizeof none}, 1) == 0);
        /* Attributes that nothing has, values that nothing is. */
        CHECK(count(d, &(struct ck_attribute){0x80001234, &on, 1}, 1) == 0);
        CHECK(count(d, &(struct ck_attribute){CKA_CLASS, &class, 1}, 1) == 0);
        CHECK(count(d, &(struct ck_attribute){CKA_LABEL, NULL, 0}, 1) == 0);
        CHECK(count(d, &(struct ck_attribute){CKA_LABEL, id, CK_UNAVAILABLE_INFORMATION}, 1) == 0);
        by_id.value_len--;
        CHECK(count(d, &by_id, 1) == 0);
        by_id.value_len++;
        id[0] ^= 1;
        CHECK(count(d, &by_id, 1) == 0);
        /* One search at a time in a session; another session has its own. */
        OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION, NULL, NULL, &second));
        OK(d->p11->C_FindObjectsInit(d->session, &label, 1));
        WANT(d->p11->C_FindObjectsInit(d->session, NULL, 0), CKR_OPERATION_ACTIVE);
        CHECK(drive_find(d, second, &label, 1, NULL, 0) == 3);
        OK(d->p11->C_FindObjects(d->session, &found, 1, &n));
        CHECK(n == 1);
        OK(d->p11->C_FindObjectsFinal(d->session));
        WANT(d->p11->C_FindObjects(d->session, &found, 1, &n), CKR_OPERATION_NOT_INITIALIZED);
        drive_close(d);
}

static void same(const struct drive *d, ck_object_handle_t object, ck_attribute_type_t type,
                 const unsigned char *wanted, int len)
{
        unsigned char value[BUFFER];

        CHECK(len > 0 && drive_get(d, object, type, value) == (unsigned long)len);
        CHECK(memcmp(value, wanted, (size_t)len) == 0);
}

static void number(const struct drive *d, ck_object_handle_t object, ck_attribute_type_t type,
                   unsigned long wanted)
{
        same(d, object, type, (unsigned char *)&wanted, sizeof wanted);
}

static void flag(const struct drive *d, ck_object_handle_t object, ck_attribute_type_t type, bool wanted)
{
        same(d, object, type, (unsigned char[]){wanted}, 1);
}

static void absent(const struct drive *d, ck_object_handle_t object, ck_attribute_type_t type)
{
        struct ck_attribute a = {type, NULL, 0};

        WANT(d->p11->C_GetAttributeValue(d->session, object, &a, 1), CKR_ATTRIBUTE_TYPE_INVALID);
        CHECK(a.value_len == CK_UNAVAILABLE_INFORMATION);
}

static void names(const struct drive *d)
{
        unsigned char *der = NULL;
        int len = i2d_X509(d->x509, &der);

        same(d, d->cert, CKA_VALUE, der, len);
        OPENSSL_free(der);
        der = NULL;
        len = i2d_X509_NAME(X509_get_subject_name(d->x509), &der);
        same(d, d->cert, CKA_SUBJECT, der, len);
        same(d, d->key, CKA_SUBJECT, der, len);
        same(d, d->public, CKA_SUBJECT, der, len);
        OPENSSL_free(der);
        der = NULL;
        len = i2d_X509_NAME(X509_get_issuer_name(d->x509), &der);
        same(d, d->cert, CKA_ISSUER, der, len);
        OPENSSL_free(der);
        der = NULL;
        len = i2d_ASN1_INTEGER(X509_get0_serialNumber(d->x509), &der);
        same(d, d->cert, CKA_SERIAL_NUMBER, der, len);
        OPENSSL_free(der);
        der = NULL;
        len = i2d_PUBKEY(d->pkey, &der);
        same(d, d->cert, CKA_PUBLIC_KEY_INFO, der, len);
        same(d, d->key, CKA_PUBLIC_KEY_INFO, der, len);
        OPENSSL_free(der);
}

static void rsa(const struct drive *d, ck_object_handle_t object)
{
        unsigned char octets[BUFFER];
        BIGNUM *n = NULL, *e = NULL;

        CHECK(EVP_PKEY_get_bn_param(d->pkey, OSSL_PKEY_PARAM_RSA_N, &n) &&
              EVP_PKEY_get_bn_param(d->pkey, OSSL_PKEY_PARAM_RSA_E, &e));
        same(d, object, CKA_MODULUS, octets, BN_bn2bin(n, octets));
        same(d, object, CKA_PUBLIC_EXPONENT, octets, BN_bn2bin(e, octets));
        number(d, object, CKA_MODULUS_BITS, (unsigned long)EVP_PKEY_get_bits(d->pkey));
        number(d, object, CKA_KEY_TYPE, CKK_RSA);
        absent(d, object, CKA_EC_PARAMS);
        absent(d, object, CKA_EC_POINT);
        BN_free(n);
        BN_free(e);
}

static void ec(const struct drive *d, ck_object_handle_t object)
{
        unsigned char octets[BUFFER], *der = NULL;
        char group[32];
        size_t len = 0;
        ASN1_OCTET_STRING *point = ASN1_OCTET_STRING_new();
        int der_len;

        CHECK(EVP_PKEY_get_octet_string_param(d->pkey, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, octets,
                                              sizeof octets, &len));
        CHECK(point && ASN1_OCTET_STRING_set(point, octets, (int)len));
        der_len = i2d_ASN1_OCTET_STRING(point, &der);
        same(d, object, CKA_EC_POINT, der, der_len);
        OPENSSL_free(der);
        ASN1_OCTET_STRING_free(point);
        CHECK(EVP_PKEY_get_group_name(d->pkey, group, sizeof group, NULL));
        der = NULL;
        der_len = i2d_ASN1_OBJECT(OBJ_txt2obj(group, 0), &der);
        same(d, object, CKA_EC_PARAMS, der, der_len);
        OPENSSL_free(der);
        number(d, object, CKA_KEY_TYPE, CKK_EC);
        absent(d, object, CKA_MODULUS);
        absent(d, object, CKA_MODULUS_BITS);
        absent(d, object, CKA_PUBLIC_EXPONENT);
}

void case_attributes(struct drive *d)
{
        unsigned char id[SHA_DIGEST_LENGTH];
        unsigned len = 0;
        ck_object_handle_t all[3];

        drive_open(d);
        memcpy(all, (ck_object_handle_t[]){d->cert, d->public, d->key}, sizeof all);
        names(d);
        CHECK(X509_pubkey_digest(d->x509, EVP_sha1(), id, &len) && len == sizeof id);
        for (size_t i = 0; i < 3; i++) {
                same(d, all[i], CKA_ID, id, sizeof id);
                same(d, all[i], CKA_LABEL, (const unsigned char *)d->label, (int)strlen(d->label));
                flag(d, all[i], CKA_TOKEN, true);
                flag(d, all[i], CKA_PRIVATE, false);
                flag(d, all[i], CKA_MODIFIABLE, false);
        }
        for (size_t i = 1; i < 3; i++) {
                if (d->rsa)
                        rsa(d, all[i]);
                else
                        ec(d, all[i]);
        }
        number(d, d->cert, CKA_CLASS, CKO_CERTIFICATE);
        number(d, d->cert, CKA_CERTIFICATE_TYPE, CKC_X_509);
        number(d, d->cert, CKA_CERTIFICATE_CATEGORY, 1);
        number(d, d->public, CKA_CLASS, CKO_PUBLIC_KEY);
        number(d, d->key, CKA_CLASS, CKO_PRIVATE_KEY);
        flag(d, d->key, CKA_SENSITIVE, true);
        flag(d, d->key, CKA_EXTRACTABLE, false);
        flag(d, d->key, CKA_NEVER_EXTRACTABLE, true);
        flag(d, d->key, CKA_SIGN, true);
        flag(d, d->key, CKA_DECRYPT, d->rsa);
        flag(d, d->key, CKA_DERIVE, !d->rsa);
        flag(d, d->key, CKA_ALWAYS_AUTHENTICATE, false);
        absent(d, d->key, CKA_ISSUER);
        absent(d, d->cert, CKA_SIGN);
        absent(d, d->public, CKA_SENSITIVE);
        absent(d, d->key, 0x80001234);
        drive_close(d);
}

/* C_GetAttributeValue's five cases, and all of them in one template. */
void case_five(struct drive *d)
{
        static const ck_attribute_type_t secrets[] = {CKA_VALUE,      CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                                      CKA_PRIME_2,    CKA_EXPONENT_1,       CKA_EXPONENT_2,
                                                      CKA_COEFFICIENT};
        unsigned char label[BUFFER], room[BUFFER], small[1] = {7};
        ck_object_class_t class = 0;
        unsigned long len;

        drive_open(d);
        len = strlen(d->label);
        {
                struct ck_attribute t[] = {
                        {CKA_VALUE, room, sizeof room},    /* 1: sensitive */
                        {CKA_ISSUER, room, sizeof room},   /* 2: the object has none */
                        {CKA_LABEL, NULL, 0},              /* 3: the length */
                        {CKA_LABEL, label, sizeof label},  /* 4: there is room */
                        {CKA_ID, small, sizeof small},     /* 5: there is not */
                        {CKA_CLASS, &class, sizeof class}, /* and the rest is done whatever came before */
                };
                ck_rv_t rv = d->p11->C_GetAttributeValue(d->session, d->key, t, 6);

                CHECK(rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
                      rv == CKR_BUFFER_TOO_SMALL);
                CHECK(t[0].value_len == CK_UNAVAILABLE_INFORMATION);
                CHECK(t[1].value_len == CK_UNAVAILABLE_INFORMATION);
                CHECK(t[2].value_len == len);
                CHECK(t[3].value_len == len && memcmp(label, d->label, len) == 0);
                CHECK(t[4].value_len == CK_UNAVAILABLE_INFORMATION && small[0] == 7);
                CHECK(t[5].value_len == sizeof class && class == CKO_PRIVATE_KEY);
                OK(d->p11->C_GetAttributeValue(d->session, d->key, t + 2, 2));
                t[4] = (struct ck_attribute){CKA_ID, small, sizeof small};
                WANT(d->p11->C_GetAttributeValue(d->session, d->key, t + 4, 1), CKR_BUFFER_TOO_SMALL);
        }
        for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
                struct ck_attribute a = {secrets[i], room, sizeof room};

                WANT(d->p11->C_GetAttributeValue(d->session, d->key, &a, 1), CKR_ATTRIBUTE_SENSITIVE);
                CHECK(a.value_len == CK_UNAVAILABLE_INFORMATION);
        }
        drive_close(d);
}
