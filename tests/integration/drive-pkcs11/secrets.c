/* What comes out of a private key: plaintexts and shared secrets, made and compared with OpenSSL. */
#include "drive.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

struct oaep {
        const char *md, *mgf1; /* NULL: PKCS#1 */
        ck_mechanism_type_t hash;
        ck_rsa_pkcs_mgf_type_t mgf;
        const char *label;
};

static size_t encrypt(const struct drive *d, const struct oaep *how, const unsigned char *plain, size_t len,
                      unsigned char *ret)
{
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, d->pkey, NULL);
        size_t out = BUFFER;

        CHECK(EVP_PKEY_encrypt_init(ctx) == 1);
        CHECK(EVP_PKEY_CTX_set_rsa_padding(ctx, how->md ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING) == 1);
        if (how->md)
                CHECK(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, how->md, NULL) == 1 &&
                      EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, how->mgf1, NULL) == 1);
        if (how->label)
                CHECK(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, strdup(how->label), (int)strlen(how->label)) ==
                      1);
        CHECK(EVP_PKEY_encrypt(ctx, ret, &out, plain, len) == 1);
        EVP_PKEY_CTX_free(ctx);
        return out;
}

static ck_rv_t begin(const struct drive *d, const struct oaep *how)
{
        struct ck_rsa_pkcs_oaep_params params = {how->hash, how->mgf, CKZ_DATA_SPECIFIED,
                                                 (void *)(size_t)how->label,
                                                 how->label ? strlen(how->label) : 0};
        struct ck_mechanism m = {how->md ? CKM_RSA_PKCS_OAEP : CKM_RSA_PKCS, how->md ? &params : NULL,
                                 how->md ? sizeof params : 0};

        return d->p11->C_DecryptInit(d->session, &m, d->key);
}

static void round_trip(const struct drive *d, const struct oaep *how, size_t len)
{
        unsigned char plain[BUFFER], in[BUFFER], out[BUFFER] = {0};
        unsigned long n = 0;
        size_t in_len;

        memset(plain, 0x5a, sizeof plain);
        in_len = encrypt(d, how, plain, len, in);
        OK(begin(d, how));
        OK(d->p11->C_Decrypt(d->session, in, in_len, NULL, &n));
        CHECK(n >= len && n < BUFFER);
        if (len) {
                n = len - 1;
                WANT(d->p11->C_Decrypt(d->session, in, in_len, out, &n), CKR_BUFFER_TOO_SMALL);
                CHECK(n >= len && n < BUFFER);
        }
        OK(d->p11->C_Decrypt(d->session, in, in_len, out, &n));
        CHECK(n == len && memcmp(out, plain, len) == 0);
        WANT(d->p11->C_Decrypt(d->session, in, in_len, out, &n), CKR_OPERATION_NOT_INITIALIZED);
}

static void refusals(const struct drive *d)
{
        static const struct oaep pkcs1 = {0},
                                 labelled = {"SHA256", "SHA256", CKM_SHA256, CKG_MGF1_SHA256, "x"},
                                 bare = {"SHA256", "SHA256", CKM_SHA256, CKG_MGF1_SHA256, NULL};
        unsigned char in[BUFFER] = {0}, out[BUFFER];
        struct ck_rsa_pkcs_oaep_params params = {CKM_SHA256, CKG_MGF1_SHA256, 5, NULL, 0};
        struct ck_mechanism m = {CKM_RSA_PKCS_OAEP, &params, sizeof params};
        unsigned long n = sizeof out;

        /* Another label, octets that nobody encrypted, too many and too few of them, none at all. */
        CHECK(encrypt(d, &labelled, (const unsigned char *)"abc", 3, in) == d->size);
        OK(begin(d, &bare));
        WANT(d->p11->C_Decrypt(d->session, in, d->size, out, &n), CKR_ENCRYPTED_DATA_INVALID);
        memset(in, 0xff, sizeof in); /* above the modulus */
        OK(begin(d, &pkcs1));
        WANT(d->p11->C_Decrypt(d->session, in, d->size, out, &n), CKR_ENCRYPTED_DATA_INVALID);
        OK(begin(d, &pkcs1));
        WANT(d->p11->C_Decrypt(d->session, in, d->size + 1, out, &n), CKR_ENCRYPTED_DATA_LEN_RANGE);
        OK(begin(d, &pkcs1));
        WANT(d->p11->C_Decrypt(d->session, in, d->size - 1, out, &n), CKR_ENCRYPTED_DATA_LEN_RANGE);
        OK(begin(d, &pkcs1));
        WANT(d->p11->C_Decrypt(d->session, NULL, d->size, out, &n), CKR_ARGUMENTS_BAD);
        OK(begin(d, &pkcs1));
        WANT(d->p11->C_Decrypt(d->session, in, d->size, out, NULL), CKR_ARGUMENTS_BAD);
        /* The parameters. */
        WANT(d->p11->C_DecryptInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        params.source = CKZ_DATA_SPECIFIED;
        params.source_data_len = 1;
        WANT(d->p11->C_DecryptInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        params.source_data = in;
        params.source_data_len = BUFFER;
        WANT(d->p11->C_DecryptInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        params = (struct ck_rsa_pkcs_oaep_params){CKM_MD5, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
        WANT(d->p11->C_DecryptInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        m.parameter_len--;
        WANT(d->p11->C_DecryptInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        OK(begin(d, &pkcs1));
}

void case_decrypt(struct drive *d)
{
        static const struct {
                struct oaep how;
                size_t overhead;
        } rows[] = {
                {{0}, 11},
                {{"SHA1", "SHA1", CKM_SHA_1, CKG_MGF1_SHA1, NULL}, 42},
                {{"SHA256", "SHA256", CKM_SHA256, CKG_MGF1_SHA256, NULL}, 66},
                {{"SHA256", "SHA1", CKM_SHA256, CKG_MGF1_SHA1, "a label"}, 66},
                {{"SHA384", "SHA384", CKM_SHA384, CKG_MGF1_SHA384, "another"}, 98},
                {{"SHA512", "SHA512", CKM_SHA512, CKG_MGF1_SHA512, NULL}, 130},
        };

        drive_open(d);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                round_trip(d, &rows[i].how, 0);
                round_trip(d, &rows[i].how, 1);
                round_trip(d, &rows[i].how, 48);
                round_trip(d, &rows[i].how, d->size - rows[i].overhead);
        }
        refusals(d);
        drive_close(d);
}

/* The other side: its point, bare or in DER, and the secret that OpenSSL makes of both keys. */
struct other {
        unsigned char point[BUFFER], secret[BUFFER];
        size_t point_len, secret_len;
};

static struct other other_side(const struct drive *d)
{
        char group[32];
        struct other ret = {.secret_len = sizeof ret.secret};
        EVP_PKEY *peer;
        EVP_PKEY_CTX *ctx;

        CHECK(EVP_PKEY_get_group_name(d->pkey, group, sizeof group, NULL));
        peer = EVP_EC_gen(group);
        CHECK(peer && EVP_PKEY_get_octet_string_param(peer, "encoded-pub-key", ret.point, sizeof ret.point,
                                                      &ret.point_len));
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, peer, NULL);
        CHECK(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, d->pkey) == 1 &&
              EVP_PKEY_derive(ctx, ret.secret, &ret.secret_len) == 1);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(peer);
        return ret;
}

static ck_rv_t derive(const struct drive *d, ck_session_handle_t session, unsigned char *point, size_t len,
                      struct ck_attribute *template, unsigned long n, ck_object_handle_t *ret)
{
        struct ck_ecdh1_derive_params params = {
                .kdf = CKD_NULL, .public_data = point, .public_data_len = len};
        struct ck_mechanism m = {CKM_ECDH1_DERIVE, &params, sizeof params};

        return d->p11->C_DeriveKey(session, &m, d->key, template, n, ret);
}

static void agree(const struct drive *d)
{
        ck_object_class_t class = CKO_SECRET_KEY;
        ck_key_type_t aes = CKK_AES;
        unsigned long length = 16;
        unsigned char value[BUFFER], off = 0, on = 1, der[BUFFER] = {0x04};
        struct ck_attribute usual[] = {{CKA_CLASS, &class, sizeof class},
                                       {CKA_KEY_TYPE, &aes, sizeof aes},
                                       {CKA_VALUE_LEN, &length, sizeof length},
                                       {CKA_TOKEN, &off, 1},
                                       {CKA_SENSITIVE, &off, 1},
                                       {CKA_EXTRACTABLE, &on, 1},
                                       {CKA_LABEL, (void *)(size_t) "mine", 4},
                                       {CKA_ID, (void *)(size_t) "12", 2}};
        struct other other = other_side(d);
        ck_object_handle_t key = 0;

        OK(derive(d, d->session, other.point, other.point_len, NULL, 0, &key));
        CHECK(drive_get(d, key, CKA_VALUE, value) == other.secret_len);
        CHECK(memcmp(value, other.secret, other.secret_len) == 0);
        other = other_side(d);
        der[1] = (unsigned char)other.point_len;
        memcpy(der + 2, other.point, other.point_len);
        OK(derive(d, d->session, der, other.point_len + 2, usual, 8, &key));
        CHECK(drive_get(d, key, CKA_VALUE, value) == length && memcmp(value, other.secret, length) == 0);
        CHECK(drive_get(d, key, CKA_LABEL, value) == 4 && memcmp(value, "mine", 4) == 0);
        CHECK(drive_get(d, key, CKA_ID, value) == 2 && memcmp(value, "12", 2) == 0);
        CHECK(drive_get(d, key, CKA_KEY_TYPE, value) == sizeof aes && memcmp(value, &aes, sizeof aes) == 0);
        CHECK(drive_find(d, d->session, usual, 2, &key, 1) == 1);
        OK(d->p11->C_DestroyObject(d->session, key));
        WANT(d->p11->C_DestroyObject(d->session, key), CKR_OBJECT_HANDLE_INVALID);
        CHECK(drive_find(d, d->session, usual, 2, &key, 1) == 0);
        usual[4].value = &on;
        OK(derive(d, d->session, other.point, other.point_len, usual, 8, &key));
        WANT(d->p11->C_GetAttributeValue(d->session, key, &(struct ck_attribute){CKA_VALUE, value, BUFFER},
                                         1),
             CKR_ATTRIBUTE_SENSITIVE);
}

static void refused(const struct drive *d)
{
        struct other other = other_side(d);
        ck_object_class_t class = CKO_PRIVATE_KEY;
        unsigned long much = 1000;
        unsigned char on = 1;
        struct ck_attribute bad[] = {{CKA_CLASS, &class, sizeof class},
                                     {CKA_VALUE_LEN, &much, sizeof much},
                                     {CKA_VALUE_LEN, &much, 1},
                                     {CKA_TOKEN, &on, 1},
                                     {CKA_SENSITIVE, NULL, 0}};
        struct ck_ecdh1_derive_params params = {
                .kdf = CKD_SHA1_KDF, .public_data = other.point, .public_data_len = other.point_len};
        struct ck_mechanism m = {CKM_ECDH1_DERIVE, &params, sizeof params};
        ck_object_handle_t key = 0;

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                WANT(derive(d, d->session, other.point, other.point_len, &bad[i], 1, &key),
                     CKR_TEMPLATE_INCONSISTENT);
        WANT(derive(d, d->session, other.point, other.point_len, NULL, 1, &key), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_DeriveKey(d->session, &m, d->key, NULL, 0, &key), CKR_MECHANISM_PARAM_INVALID);
        m.parameter = NULL;
        WANT(d->p11->C_DeriveKey(d->session, &m, d->key, NULL, 0, &key), CKR_MECHANISM_PARAM_INVALID);
        WANT(derive(d, d->session, NULL, other.point_len, NULL, 0, &key), CKR_MECHANISM_PARAM_INVALID);
        WANT(derive(d, d->session, other.point, other.point_len - 1, NULL, 0, &key),
             CKR_MECHANISM_PARAM_INVALID);
        other.point[0] = 0x02;
        WANT(derive(d, d->session, other.point, other.point_len, NULL, 0, &key), CKR_MECHANISM_PARAM_INVALID);
        other.point[0] = 0x04;
        other.point[other.point_len - 1] ^= 1; /* not on the curve */
        WANT(derive(d, d->session, other.point, other.point_len, NULL, 0, &key), CKR_MECHANISM_PARAM_INVALID);
        m.mechanism = CKM_ECDSA;
        WANT(d->p11->C_DeriveKey(d->session, &m, d->key, NULL, 0, &key), CKR_MECHANISM_INVALID);
        CHECK(key == 0);
}

/* A secret is there for all sessions of its token, as long as the one that made it. */
static void with_its_session(const struct drive *d)
{
        struct other other = other_side(d);
        ck_session_handle_t maker;
        ck_object_class_t class = CKO_SECRET_KEY;
        struct ck_attribute secrets = {CKA_CLASS, &class, sizeof class};
        unsigned char value[BUFFER];
        const unsigned long before = drive_find(d, d->session, &secrets, 1, NULL, 0);
        ck_object_handle_t key = 0;

        OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION, NULL, NULL, &maker));
        OK(derive(d, maker, other.point, other.point_len, NULL, 0, &key));
        CHECK(drive_get(d, key, CKA_VALUE, value) == other.secret_len);
        OK(d->p11->C_CloseSession(maker));
        WANT(d->p11->C_GetAttributeValue(d->session, key, &(struct ck_attribute){CKA_VALUE, NULL, 0}, 1),
             CKR_OBJECT_HANDLE_INVALID);
        CHECK(drive_find(d, d->session, &secrets, 1, NULL, 0) == before);
}

void case_derive(struct drive *d)
{
        drive_open(d);
        agree(d);
        refused(d);
        with_its_session(d);
        drive_close(d);
}
