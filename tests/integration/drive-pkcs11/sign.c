/* Signatures, each checked with OpenSSL by the certificate's key. */
#include "drive.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

static const struct hash {
        const char *name;
        ck_mechanism_type_t type, rsa, pss, ecdsa;
        ck_rsa_pkcs_mgf_type_t mgf;
} hashes[] = {
        {"SHA1", CKM_SHA_1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1, CKG_MGF1_SHA1},
        {"SHA224", CKM_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKM_ECDSA_SHA224,
         CKG_MGF1_SHA224},
        {"SHA256", CKM_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256,
         CKG_MGF1_SHA256},
        {"SHA384", CKM_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKM_ECDSA_SHA384,
         CKG_MGF1_SHA384},
        {"SHA512", CKM_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKM_ECDSA_SHA512,
         CKG_MGF1_SHA512},
};
enum { HASHES = sizeof hashes / sizeof *hashes };

static const unsigned char text[] = "to be signed, in one piece or in several";

struct ck_mechanism drive_simple(bool rsa)
{
        return (struct ck_mechanism){rsa ? CKM_SHA256_RSA_PKCS : CKM_ECDSA_SHA256, NULL, 0};
}

ck_rv_t drive_sign(const struct drive *d, ck_session_handle_t session, ck_object_handle_t key,
                   struct ck_mechanism *mechanism, const unsigned char *data, unsigned long len,
                   unsigned char *signature, unsigned long *signature_len)
{
        ck_rv_t rv = d->p11->C_SignInit(session, mechanism, key);

        *signature_len = BUFFER;
        return rv == CKR_OK
                       ? d->p11->C_Sign(session, (unsigned char *)(size_t)data, len, signature, signature_len)
                       : rv;
}

size_t drive_der(const unsigned char *signature, size_t len, unsigned char *ret)
{
        ECDSA_SIG *sig = ECDSA_SIG_new();
        int der_len;

        CHECK(len % 2 == 0 && sig);
        CHECK(ECDSA_SIG_set0(sig, BN_bin2bn(signature, (int)(len / 2), NULL),
                             BN_bin2bn(signature + len / 2, (int)(len / 2), NULL)));
        der_len = i2d_ECDSA_SIG(sig, &ret);
        CHECK(der_len > 0);
        ECDSA_SIG_free(sig);
        return (size_t)der_len;
}

/* @data hashed by @md. @salt: -1: PKCS#1; of PSS, with @mgf1. */
static bool verify(EVP_PKEY *pkey, const char *md, const char *mgf1, int salt, const unsigned char *data,
                   size_t len, const unsigned char *signature, size_t signature_len)
{
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *p = NULL;
        unsigned char der[BUFFER];
        bool good;

        if (!EVP_PKEY_is_a(pkey, "RSA")) {
                signature_len = drive_der(signature, signature_len, der);
                signature = der;
        }
        good = EVP_DigestVerifyInit_ex(ctx, &p, md, NULL, NULL, pkey, NULL) == 1;
        if (good && salt >= 0)
                good = EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
                       EVP_PKEY_CTX_set_rsa_mgf1_md_name(p, mgf1, NULL) == 1 &&
                       EVP_PKEY_CTX_set_rsa_pss_saltlen(p, salt) == 1;
        good = good && EVP_DigestVerify(ctx, signature, signature_len, data, len) == 1;
        EVP_MD_CTX_free(ctx);
        ERR_clear_error();
        return good;
}

bool drive_verify_simple(EVP_PKEY *pkey, const unsigned char *data, size_t len,
                         const unsigned char *signature, size_t signature_len)
{
        return verify(pkey, "SHA256", NULL, -1, data, len, signature, signature_len);
}

static size_t hashed(const struct hash *hash, const unsigned char *data, size_t len, unsigned char *ret)
{
        size_t out = 0;

        CHECK(EVP_Q_digest(NULL, hash->name, NULL, data, len, ret, &out));
        return out;
}

/* CKM_RSA_PKCS: whatever is short enough, and a DigestInfo as TLS and SSH send it. */
static void raw_rsa(const struct drive *d)
{
        static const unsigned char prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                               0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
        struct ck_mechanism raw = {CKM_RSA_PKCS, NULL, 0};
        unsigned char info[sizeof prefix + SHA256_DIGEST_LENGTH], signature[BUFFER], out[BUFFER];
        const size_t most = d->size - 11, lengths[] = {1, 16, 36, most};
        unsigned char *data = calloc(1, most + 1);
        unsigned long len;

        CHECK(data);
        memcpy(info, prefix, sizeof prefix);
        (void)hashed(&hashes[2], text, sizeof text, info + sizeof prefix);
        OK(drive_sign(d, d->session, d->key, &raw, info, sizeof info, signature, &len));
        CHECK(len == d->size && drive_verify_simple(d->pkey, text, sizeof text, signature, len));
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, d->pkey, NULL);
                size_t out_len = sizeof out;

                memset(data, (int)i + 1, most);
                OK(drive_sign(d, d->session, d->key, &raw, data, lengths[i], signature, &len));
                CHECK(EVP_PKEY_verify_recover_init(ctx) == 1 &&
                      EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
                      EVP_PKEY_verify_recover(ctx, out, &out_len, signature, len) == 1);
                CHECK(out_len == lengths[i] && memcmp(out, data, out_len) == 0);
                EVP_PKEY_CTX_free(ctx);
        }
        WANT(drive_sign(d, d->session, d->key, &raw, data, most + 1, signature, &len), CKR_DATA_LEN_RANGE);
        free(data);
}

/* CKM_ECDSA: hashes shorter, as long, and longer than the order. */
static void raw_ecdsa(const struct drive *d)
{
        struct ck_mechanism raw = {CKM_ECDSA, NULL, 0};
        unsigned char hash[EVP_MAX_MD_SIZE + 1] = {0}, signature[BUFFER];
        unsigned long len;

        for (size_t i = 0; i < HASHES; i++) {
                const size_t n = hashed(&hashes[i], text, sizeof text, hash);

                OK(drive_sign(d, d->session, d->key, &raw, hash, n, signature, &len));
                CHECK(len == 2 * d->size);
                CHECK(verify(d->pkey, hashes[i].name, NULL, -1, text, sizeof text, signature, len));
        }
        WANT(drive_sign(d, d->session, d->key, &raw, hash, sizeof hash, signature, &len), CKR_DATA_LEN_RANGE);
        WANT(drive_sign(d, d->session, d->key, &raw, hash, 0, signature, &len), CKR_DATA_LEN_RANGE);
}

void case_sign(struct drive *d)
{
        unsigned char signature[BUFFER];
        unsigned long len;

        drive_open(d);
        for (size_t i = 0; i < HASHES; i++) {
                struct ck_mechanism m = {d->rsa ? hashes[i].rsa : hashes[i].ecdsa, NULL, 0};

                OK(drive_sign(d, d->session, d->key, &m, text, sizeof text, signature, &len));
                CHECK(verify(d->pkey, hashes[i].name, NULL, -1, text, sizeof text, signature, len));
                OK(drive_sign(d, d->session, d->key, &m, NULL, 0, signature, &len));
                CHECK(verify(d->pkey, hashes[i].name, NULL, -1, text, 0, signature, len));
        }
        if (d->rsa)
                raw_rsa(d);
        else
                raw_ecdsa(d);
        drive_close(d);
}

/* The length alone and too little room leave the operation as it was. */
void case_lengths(struct drive *d)
{
        struct ck_mechanism m;
        unsigned char signature[BUFFER];
        unsigned long len = 0, whole;

        drive_open(d);
        m = drive_simple(d->rsa);
        whole = d->rsa ? d->size : 2 * d->size;
        OK(d->p11->C_SignInit(d->session, &m, d->key));
        OK(d->p11->C_Sign(d->session, (unsigned char *)(size_t)text, sizeof text, NULL, &len));
        CHECK(len == whole);
        len--;
        WANT(d->p11->C_Sign(d->session, (unsigned char *)(size_t)text, sizeof text, signature, &len),
             CKR_BUFFER_TOO_SMALL);
        CHECK(len == whole);
        OK(d->p11->C_Sign(d->session, (unsigned char *)(size_t)text, sizeof text, signature, &len));
        CHECK(len == whole && drive_verify_simple(d->pkey, text, sizeof text, signature, len));
        WANT(d->p11->C_Sign(d->session, signature, 1, signature, &len), CKR_OPERATION_NOT_INITIALIZED);
        OK(d->p11->C_SignInit(d->session, &m, d->key));
        OK(d->p11->C_SignUpdate(d->session, (unsigned char *)(size_t)text, 5));
        len = 0;
        WANT(d->p11->C_SignFinal(d->session, signature, &len), CKR_BUFFER_TOO_SMALL);
        OK(d->p11->C_SignUpdate(d->session, (unsigned char *)(size_t)text + 5, sizeof text - 5));
        OK(d->p11->C_SignFinal(d->session, NULL, &len));
        OK(d->p11->C_SignFinal(d->session, signature, &len));
        CHECK(drive_verify_simple(d->pkey, text, sizeof text, signature, len));
        drive_close(d);
}

void case_parts(struct drive *d)
{
        enum { LONG = 100000 };
        struct ck_mechanism m;
        unsigned char *data = malloc(LONG), signature[BUFFER];
        unsigned long len = BUFFER;

        CHECK(data);
        drive_open(d);
        for (size_t i = 0; i < LONG; i++)
                data[i] = (unsigned char)(i * 7);
        for (size_t i = 0; i < HASHES; i++) {
                m = (struct ck_mechanism){d->rsa ? hashes[i].rsa : hashes[i].ecdsa, NULL, 0};
                OK(d->p11->C_SignInit(d->session, &m, d->key));
                OK(d->p11->C_SignUpdate(d->session, data, 1));
                OK(d->p11->C_SignUpdate(d->session, NULL, 0));
                OK(d->p11->C_SignUpdate(d->session, data + 1, 4096));
                OK(d->p11->C_SignUpdate(d->session, data + 4097, LONG - 4097));
                len = BUFFER;
                OK(d->p11->C_SignFinal(d->session, signature, &len));
                CHECK(verify(d->pkey, hashes[i].name, NULL, -1, data, LONG, signature, len));
        }
        /* A part, and then all of it: what should that be? */
        OK(d->p11->C_SignInit(d->session, &m, d->key));
        OK(d->p11->C_SignUpdate(d->session, data, 1));
        len = BUFFER;
        WANT(d->p11->C_Sign(d->session, data, 1, signature, &len), CKR_OPERATION_ACTIVE);
        WANT(d->p11->C_SignFinal(d->session, signature, &len), CKR_OPERATION_NOT_INITIALIZED);
        /* What is not hashed here has an end. */
        m = (struct ck_mechanism){d->rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
        OK(d->p11->C_SignInit(d->session, &m, d->key));
        OK(d->p11->C_SignUpdate(d->session, data, 32));
        WANT(d->p11->C_SignUpdate(d->session, data, LONG), CKR_DATA_LEN_RANGE);
        WANT(d->p11->C_SignUpdate(d->session, data, 1), CKR_OPERATION_NOT_INITIALIZED);
        free(data);
        drive_close(d);
}

static void pss(const struct drive *d, const struct hash *hash, const struct hash *mgf1, unsigned long salt)
{
        struct ck_rsa_pkcs_pss_params params = {hash->type, mgf1->mgf, salt};
        struct ck_mechanism whole = {hash->pss, &params, sizeof params};
        struct ck_mechanism raw = {CKM_RSA_PKCS_PSS, &params, sizeof params};
        unsigned char digest[EVP_MAX_MD_SIZE], signature[BUFFER];
        const size_t n = hashed(hash, text, sizeof text, digest);
        unsigned long len;

        OK(drive_sign(d, d->session, d->key, &whole, text, sizeof text, signature, &len));
        CHECK(verify(d->pkey, hash->name, mgf1->name, (int)salt, text, sizeof text, signature, len));
        OK(drive_sign(d, d->session, d->key, &raw, digest, n, signature, &len));
        CHECK(verify(d->pkey, hash->name, mgf1->name, (int)salt, text, sizeof text, signature, len));
        WANT(drive_sign(d, d->session, d->key, &raw, digest, n - 1, signature, &len), CKR_DATA_LEN_RANGE);
        params.s_len = d->size - n - 1;
        WANT(d->p11->C_SignInit(d->session, &raw, d->key), CKR_MECHANISM_PARAM_INVALID);
        params.s_len = (unsigned long)-1;
        WANT(d->p11->C_SignInit(d->session, &raw, d->key), CKR_MECHANISM_PARAM_INVALID);
}

void case_pss(struct drive *d)
{
        struct ck_rsa_pkcs_pss_params params = {CKM_SHA256, CKG_MGF1_SHA256, 32};
        struct ck_mechanism m = {CKM_SHA384_RSA_PKCS_PSS, &params, sizeof params};

        drive_open(d);
        for (size_t i = 0; i < HASHES; i++) {
                unsigned char digest[EVP_MAX_MD_SIZE];
                const size_t n = hashed(&hashes[i], text, sizeof text, digest);

                pss(d, &hashes[i], &hashes[i], 0);
                pss(d, &hashes[i], &hashes[i], n);
                pss(d, &hashes[i], &hashes[i], d->size - n - 2);
                pss(d, &hashes[i], &hashes[(i + 1) % HASHES], n);
        }
        WANT(d->p11->C_SignInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID); /* another hash */
        m.mechanism = CKM_SHA256_RSA_PKCS_PSS;
        m.parameter_len--;
        WANT(d->p11->C_SignInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        m = (struct ck_mechanism){CKM_SHA256_RSA_PKCS_PSS, NULL, 0};
        WANT(d->p11->C_SignInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        m = (struct ck_mechanism){CKM_RSA_PKCS_PSS, &params, sizeof params};
        params.mgf = 77;
        WANT(d->p11->C_SignInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        params = (struct ck_rsa_pkcs_pss_params){CKM_MD5, CKG_MGF1_SHA1, 0};
        WANT(d->p11->C_SignInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        drive_close(d);
}

/* Mechanisms of the other kind of key, that do something else, that do not exist, with what none takes. */
void case_wrong(struct drive *d)
{
        static const ck_mechanism_type_t rsa[] = {CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_RSA_PKCS_PSS};
        static const ck_mechanism_type_t ec[] = {CKM_ECDSA, CKM_ECDSA_SHA256};
        static const ck_mechanism_type_t none[] = {CKM_RSA_PKCS_OAEP, CKM_ECDH1_DERIVE,
                                                   CKM_RSA_X_509,     CKM_SHA256,
                                                   0x80001234,        (ck_mechanism_type_t)-1};
        struct ck_mechanism m = {0};
        unsigned char parameter[8] = {0};

        drive_open(d);
        for (size_t i = 0; i < (d->rsa ? 2 : 3); i++) {
                m = (struct ck_mechanism){d->rsa ? ec[i] : rsa[i], NULL, 0};
                WANT(d->p11->C_SignInit(d->session, &m, d->key), CKR_KEY_TYPE_INCONSISTENT);
        }
        for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
                m = (struct ck_mechanism){none[i], NULL, 0};
                WANT(d->p11->C_SignInit(d->session, &m, d->key), CKR_MECHANISM_INVALID);
        }
        m = (struct ck_mechanism){CKM_ECDSA, NULL, 0};
        WANT(d->p11->C_DecryptInit(d->session, &m, d->key), CKR_MECHANISM_INVALID);
        m = (struct ck_mechanism){CKM_SHA256_RSA_PKCS, NULL, 0};
        WANT(d->p11->C_DecryptInit(d->session, &m, d->key), CKR_MECHANISM_INVALID);
        m = (struct ck_mechanism){CKM_RSA_PKCS, NULL, 0};
        if (!d->rsa)
                WANT(d->p11->C_DecryptInit(d->session, &m, d->key), CKR_KEY_TYPE_INCONSISTENT);
        m = (struct ck_mechanism){d->rsa ? CKM_RSA_PKCS : CKM_ECDSA, parameter, sizeof parameter};
        WANT(d->p11->C_SignInit(d->session, &m, d->key), CKR_MECHANISM_PARAM_INVALID);
        /* None of these left anything behind. */
        m = drive_simple(d->rsa);
        OK(d->p11->C_SignInit(d->session, &m, d->key));
        drive_close(d);
}
