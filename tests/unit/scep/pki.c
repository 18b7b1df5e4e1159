#include "pki.h"

#include <fcntl.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "base/file.h"

EVP_PKEY *pki_key(unsigned number)
{
        static EVP_PKEY *keys[8];

        assert_true(number < N_ELEMENTS(keys));
        if (!keys[number])
                keys[number] = EVP_RSA_gen(2048);
        assert_non_null(keys[number]);
        return keys[number];
}

EVP_PKEY *pki_ec_key(void)
{
        static EVP_PKEY *key;

        if (!key)
                key = EVP_EC_gen("P-256");
        assert_non_null(key);
        return key;
}

static X509_NAME *name_of(const char *cn)
{
        X509_NAME *name = X509_NAME_new();

        assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0));
        return name;
}

struct bytes pki_name(const char *cn)
{
        X509_NAME *name = name_of(cn);
        uint8_t *der = NULL;
        int len = i2d_X509_NAME(name, &der);
        struct bytes b;

        assert_int_equal(bytes_copy(&b, der, (size_t)len, NULL), ERR_OK);
        OPENSSL_free(der);
        X509_NAME_free(name);
        return b;
}

static void add_ext(X509 *cert, int nid, const char *value)
{
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

        assert_non_null(ext);
        assert_true(X509_add_ext(cert, ext, -1));
        X509_EXTENSION_free(ext);
}

static void add_usage(X509 *cert, uint32_t usage)
{
        ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();

        for (int i = 0; i < 8; i++)
                assert_true(ASN1_BIT_STRING_set_bit(bits, i, usage >> (7 - i) & 1));
        assert_int_equal(X509_add1_ext_i2d(cert, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT), 1);
        ASN1_BIT_STRING_free(bits);
}

X509 *pki_cert(const struct pki_spec *spec)
{
        X509 *cert = X509_new();
        X509_NAME *subject = name_of(spec->subject);
        int from = spec->from || spec->to ? spec->from : -10, to = spec->from || spec->to ? spec->to : 365;

        assert_true(X509_set_version(cert, X509_VERSION_3));
        assert_true(ASN1_INTEGER_set(X509_get_serialNumber(cert), spec->serial ? spec->serial : 1));
        assert_true(X509_set_subject_name(cert, subject));
        assert_true(X509_set_issuer_name(cert, spec->issuer ? X509_get_subject_name(spec->issuer) : subject));
        assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), PKI_NOW + (time_t)from * PKI_DAY));
        assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), PKI_NOW + (time_t)to * PKI_DAY));
        assert_true(X509_set_pubkey(cert, spec->ec ? pki_ec_key() : pki_key(spec->key)));
        if (spec->ca)
                add_ext(cert, NID_basic_constraints, "critical,CA:TRUE");
        if (spec->san)
                add_ext(cert, NID_subject_alt_name, spec->san);
        if (spec->crl)
                add_ext(cert, NID_crl_distribution_points, spec->crl);
        if (spec->usage)
                add_usage(cert, spec->usage);
        assert_true(X509_sign(cert, pki_key(spec->issuer ? spec->issuer_key : spec->key), EVP_sha256()));
        X509_NAME_free(subject);
        return cert;
}

STACK_OF(X509) * pki_stack(X509 *const *certs, size_t n)
{
        STACK_OF(X509) *stack = sk_X509_new_null();

        for (size_t i = 0; i < n; i++) {
                X509_up_ref(certs[i]);
                assert_true(sk_X509_push(stack, certs[i]));
        }
        return stack;
}

struct bytes pki_crl(const X509 *issuer, unsigned key)
{
        X509_CRL *crl = X509_CRL_new();
        ASN1_TIME *from = ASN1_TIME_set(NULL, PKI_NOW), *to = ASN1_TIME_set(NULL, PKI_NOW + PKI_DAY);
        uint8_t *der = NULL;
        struct bytes b;
        int len;

        assert_true(X509_CRL_set_version(crl, X509_CRL_VERSION_2));
        assert_true(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)));
        assert_true(X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, to));
        assert_true(X509_CRL_sign(crl, pki_key(key), EVP_sha256()));
        len = i2d_X509_CRL(crl, &der);
        assert_true(len > 0);
        assert_int_equal(bytes_copy(&b, der, (size_t)len, NULL), ERR_OK);
        OPENSSL_free(der);
        ASN1_TIME_free(from);
        ASN1_TIME_free(to);
        X509_CRL_free(crl);
        return b;
}

struct bytes pki_degenerate(X509 *const *certs, size_t n)
{
        return pki_degenerate_crls(certs, n, NULL, 0);
}

struct bytes pki_degenerate_crls(X509 *const *certs, size_t n, const struct bytes *crls, size_t n_crls)
{
        PKCS7 *p7 = PKCS7_new();
        uint8_t *der = NULL;
        struct bytes b;
        int len;

        assert_true(PKCS7_set_type(p7, NID_pkcs7_signed));
        p7->d.sign->contents->type = OBJ_nid2obj(NID_pkcs7_data);
        for (size_t i = 0; i < n; i++)
                assert_true(PKCS7_add_certificate(p7, certs[i]));
        for (size_t i = 0; i < n_crls; i++) {
                const uint8_t *p = crls[i].data;
                X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)crls[i].len);

                assert_true(PKCS7_add_crl(p7, crl));
                X509_CRL_free(crl);
        }
        len = i2d_PKCS7(p7, &der);
        assert_true(len > 0);
        assert_int_equal(bytes_copy(&b, der, (size_t)len, NULL), ERR_OK);
        OPENSSL_free(der);
        PKCS7_free(p7);
        return b;
}

struct bytes captured_read(const char *folder, const char *name)
{
        char path[512];
        struct error e = {0};
        struct bytes b = {0};

        snprintf(path, sizeof path, TEST_DATA "/scep/captured/%s/%s", folder, name);
        expect_ok(file_read(AT_FDCWD, path, 1 << 20, &b, &e));
        return b;
}

static bool ends_with(const char *s, const char *suffix)
{
        return strlen(s) >= strlen(suffix) && strcmp(s + strlen(s) - strlen(suffix), suffix) == 0;
}

void captured_each(const char *suffix, void (*each)(const char *folder, const char *name))
{
        CLEANUP(closedir_p) DIR *top = opendir(TEST_DATA "/scep/captured");
        struct dirent *folder, *file;
        unsigned n = 0;

        assert_non_null(top);
        while ((folder = readdir(top))) {
                char path[512];
                CLEANUP(closedir_p) DIR *dir = NULL;

                if (folder->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof path, TEST_DATA "/scep/captured/%s", folder->d_name);
                dir = opendir(path);
                while (dir && (file = readdir(dir))) {
                        if (!ends_with(file->d_name, suffix))
                                continue;
                        each(folder->d_name, file->d_name);
                        n++;
                }
        }
        assert_true(n > 0);
}

uint32_t mutate_next(uint32_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        return *state;
}

struct bytes mutate(struct view in, uint32_t *state)
{
        struct bytes b;
        uint32_t changes = 1 + mutate_next(state) % 4;

        assert_int_equal(bytes_copy(&b, in.data, in.len, NULL), ERR_OK);
        for (uint32_t i = 0; i < changes && b.len > 2; i++) {
                size_t at = mutate_next(state) % b.len, other = mutate_next(state) % b.len;

                switch (mutate_next(state) % 5) {
                case 0:
                        b.data[at] ^= (uint8_t)(1u << mutate_next(state) % 8);
                        break;
                case 1:
                        b.data[at] = (uint8_t)mutate_next(state);
                        break;
                case 2:
                        b.len = at; /* cut */
                        break;
                case 3:
                        memmove(b.data + at, b.data + other, b.len - (at > other ? at : other));
                        break;
                case 4:
                        b.data[at] = mutate_next(state) % 2 ? 0xff : 0x80; /* lengths */
                        break;
                }
        }
        return b;
}
