/* service/scep/build: what goes out is read again with OpenSSL, field by field. */
#include "pki.h"

#include <openssl/cms.h>
#include <openssl/err.h>

#include "base/parse.h"
#include "scep-build/message.h"
#include "scep-build/request.h"
#include "scep-build/signer.h"

static const char *const client_auth[] = {"1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"};

static struct bytes san_der(void)
{
        GENERAL_NAMES *names = GENERAL_NAMES_new();
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        uint8_t *der = NULL;
        struct bytes b;
        int len;

        ASN1_STRING_set(text, "host.example.org", -1);
        GENERAL_NAME_set0_value(name, GEN_DNS, text);
        sk_GENERAL_NAME_push(names, name);
        len = i2d_GENERAL_NAMES(names, &der);
        assert_int_equal(bytes_copy(&b, der, (size_t)len, NULL), ERR_OK);
        OPENSSL_free(der);
        GENERAL_NAMES_free(names);
        return b;
}

static X509_REQ *reread(const struct secret *der)
{
        const uint8_t *p = der->data;
        X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der->len);

        assert_non_null(req);
        assert_ptr_equal(p, der->data + der->len);
        assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
        return req;
}

static void request_whole(void **state)
{
        CLEANUP(bytes_done) struct bytes subject = pki_name("device-1");
        CLEANUP(bytes_done) struct bytes san = san_der();
        CLEANUP(secret_done) struct secret der = {0};
        const struct request_spec spec = {
                .subject = bytes_view(&subject),
                .san = bytes_view(&san),
                .key_usage = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
                .eku = client_auth,
                .n_eku = 2,
                .validity_unit = "Years",
                .validity_number = 1,
                .challenge = str_view("0123456789ABCDEF"),
                .key = pki_key(0),
                .digest = "SHA256",
        };
        X509_REQ *req;
        X509_EXTENSIONS *exts;
        ASN1_BIT_STRING *usage;
        ASN1_TYPE *value;
        struct error e = {0};
        int at;

        (void)state;
        expect_ok(request_build(&spec, &der, &e));
        req = reread(&der);
        exts = X509_REQ_get_extensions(req);
        assert_int_equal(sk_X509_EXTENSION_num(exts), 3);
        usage = X509V3_get_d2i(exts, NID_key_usage, &at, NULL);
        assert_int_equal(at, 1); /* critical */
        assert_int_equal(usage->data[0], KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT);
        assert_int_equal(usage->flags & 7, 5); /* DER: trailing zero bits are unused */
        ASN1_BIT_STRING_free(usage);
        at = X509v3_get_ext_by_NID(exts, NID_subject_alt_name, -1);
        assert_false(X509_EXTENSION_get_critical(X509v3_get_ext(exts, at)));
        assert_memory_equal(X509_EXTENSION_get_data(X509v3_get_ext(exts, at))->data, san.data, san.len);
        sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
        value = X509_ATTRIBUTE_get0_type(
                X509_REQ_get_attr(req, X509_REQ_get_attr_by_NID(req, NID_pkcs9_challengePassword, -1)), 0);
        assert_int_equal(value->type, V_ASN1_PRINTABLESTRING);
        assert_memory_equal(value->value.printablestring->data, "0123456789ABCDEF", 16);
        {
                ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.311.13.2.1", 1);
                X509_ATTRIBUTE *pair = X509_REQ_get_attr(req, X509_REQ_get_attr_by_OBJ(req, oid, -1));

                assert_int_equal(X509_ATTRIBUTE_count(pair), 2);
                assert_int_equal(X509_ATTRIBUTE_get0_type(pair, 0)->type, V_ASN1_SEQUENCE);
                assert_int_equal(X509_ATTRIBUTE_get0_type(pair, 0)->value.sequence->data[2],
                                 V_ASN1_BMPSTRING);
                ASN1_OBJECT_free(oid);
        }
        X509_REQ_free(req);
}

static void request_variants(void **state)
{
        CLEANUP(bytes_done) struct bytes subject = pki_name("d");
        CLEANUP(bytes_done) struct bytes san = san_der();
        static const uint8_t empty[] = {0x30, 0x00};
        char *kilobytes = malloc(8001);
        struct error e = {0};

        (void)state;
        memset(kilobytes, 'Q', 8000);
        kilobytes[8000] = 0;
        {
                const struct {
                        const char *challenge;
                        int type;
                } cases[] = {
                        {"a+b/c=d:(e),f.'?-", V_ASN1_PRINTABLESTRING},
                        {"under_score", V_ASN1_UTF8STRING},
                        {"gr\xc3\xbc\xc3\x9f", V_ASN1_UTF8STRING},
                        {kilobytes, V_ASN1_PRINTABLESTRING},
                };

                for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                        CLEANUP(secret_done) struct secret der = {0};
                        const struct request_spec spec = {.subject = bytes_view(&subject),
                                                          .challenge = str_view(cases[i].challenge),
                                                          .key = pki_ec_key(),
                                                          .digest = "SHA256"};
                        X509_REQ *req;
                        ASN1_TYPE *value;

                        expect_ok(request_build(&spec, &der, &e));
                        req = reread(&der);
                        value = X509_ATTRIBUTE_get0_type(
                                X509_REQ_get_attr(
                                        req, X509_REQ_get_attr_by_NID(req, NID_pkcs9_challengePassword, -1)),
                                0);
                        assert_int_equal(value->type, cases[i].type);
                        assert_int_equal(value->value.asn1_string->length, (int)strlen(cases[i].challenge));
                        X509_REQ_free(req);
                }
        }
        {
                CLEANUP(secret_done) struct secret der = {0};
                const struct request_spec spec = {.subject = {empty, sizeof empty},
                                                  .san = bytes_view(&san),
                                                  .key_usage = KU_DECIPHER_ONLY,
                                                  .key = pki_key(0),
                                                  .digest = "SHA512"};
                X509_REQ *req;
                X509_EXTENSIONS *exts;

                expect_ok(request_build(&spec, &der, &e));
                req = reread(&der);
                exts = X509_REQ_get_extensions(req);
                assert_true(X509_EXTENSION_get_critical(
                        X509v3_get_ext(exts, X509v3_get_ext_by_NID(exts, NID_subject_alt_name, -1))));
                sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
                X509_REQ_free(req);
        }
        free(kilobytes);
}

/* The extension whole, octet by octet. */
static void request_template(void **state)
{
        static const struct {
                const char *row, *template, *oid, *value;
        } cases[] = {
                {"6.4 TemplateName, a name", "WebServer", "1.3.6.1.4.1.311.20.2",
                 "1e12005700650062005300650072007600650072"},
                {"6.4 TemplateName, beyond ASCII", "Ger\xc3\xa4t", "1.3.6.1.4.1.311.20.2",
                 "1e0a00470065007200e40074"},
                {"6.4 TemplateName, an OID", "1.3.6.1.4.1.311.21.8.1", "1.3.6.1.4.1.311.21.7",
                 "300c060a2b060104018237150801"},
                {"6.4 TemplateName, like an OID", "1.2.x", "1.3.6.1.4.1.311.20.2",
                 "1e0a0031002e0032002e0078"},
                {"6.4 TemplateName, no OID", "9.9", "1.3.6.1.4.1.311.20.2", "1e060039002e0039"},
                {"6.4 TemplateName, a number", "2", "1.3.6.1.4.1.311.20.2", "1e020032"},
                {"6.4 TemplateName, empty", NULL, NULL, NULL},
        };
        CLEANUP(bytes_done) struct bytes subject = pki_name("d");
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(secret_done) struct secret der = {0};
                const struct request_spec spec = {.subject = bytes_view(&subject),
                                                  .template_name = cases[i].template,
                                                  .key = pki_ec_key(),
                                                  .digest = "SHA256"};
                X509_EXTENSIONS *exts;
                X509_EXTENSION *ext;
                X509_REQ *req;
                char oid[64], hex[128] = "";

                expect_ok(request_build(&spec, &der, &e));
                req = reread(&der);
                exts = X509_REQ_get_extensions(req);
                assert_int_equal(exts ? sk_X509_EXTENSION_num(exts) : 0, cases[i].oid ? 1 : 0);
                ext = cases[i].oid ? sk_X509_EXTENSION_value(exts, 0) : NULL;
                if (ext) {
                        const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(ext);

                        OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(ext), 1);
                        assert_string_equal(oid, cases[i].oid);
                        assert_false(X509_EXTENSION_get_critical(ext));
                        hex_encode((struct view){data->data, (size_t)data->length}, hex);
                        assert_string_equal(hex, cases[i].value);
                }
                sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
                X509_REQ_free(req);
        }
}

static void request_refused(void **state)
{
        static const uint8_t empty[] = {0x30, 0x00};
        static const char *const bad_oid[] = {"client auth"};
        CLEANUP(bytes_done) struct bytes subject = pki_name("d");
        const struct request_spec good = {
                .subject = bytes_view(&subject), .key = pki_key(0), .digest = "SHA256"};
        struct request_spec spec;
        struct secret der = {0};
        struct error e;
        char *long_challenge = malloc(REQUEST_CHALLENGE_MAX + 2);

        (void)state;
#define REFUSED(member, value, code)                                                                         \
        spec = good;                                                                                         \
        spec.member = value;                                                                                 \
        expect_err(request_build(&spec, &der, &e), code)
        REFUSED(subject, str_view("junk"), ERR_INVALID);
        REFUSED(subject, ((struct view){empty, sizeof empty}), ERR_INVALID);
        REFUSED(subject, ((struct view){subject.data, subject.len - 1}), ERR_INVALID);
        REFUSED(subject, ((struct view){subject.data, subject.len + 1}), ERR_INVALID);
        REFUSED(san, str_view("junk"), ERR_INVALID);
        REFUSED(san, ((struct view){empty, sizeof empty}), ERR_INVALID);
        REFUSED(key_usage, 0x100, ERR_INVALID);
        REFUSED(challenge, str_view("\xff"), ERR_INVALID);
        REFUSED(template_name, "", ERR_INVALID);
        REFUSED(template_name, "\xf0\x9f\x94\x91", ERR_INVALID); /* beyond the BMP */
        REFUSED(template_name, "\xff", ERR_INVALID);
        REFUSED(validity_unit, "Centuries", ERR_INVALID);
        REFUSED(validity_unit, "Days", ERR_INVALID); /* 0 of them */
        REFUSED(digest, "ROT13", ERR_UNSUPPORTED);
        spec = good;
        spec.eku = bad_oid;
        spec.n_eku = 1;
        expect_err(request_build(&spec, &der, &e), ERR_INVALID);
        memset(long_challenge, 'A', REQUEST_CHALLENGE_MAX + 1);
        long_challenge[REQUEST_CHALLENGE_MAX + 1] = 0;
        REFUSED(challenge, str_view(long_challenge), ERR_TOO_LARGE);
        free(long_challenge);
        assert_null(der.data);
}

static void signer(void **state)
{
        CLEANUP(bytes_done) struct bytes subject = pki_name("device-1");
        CLEANUP(x509_free_p) X509 *cert = NULL;
        CLEANUP(x509_free_p) X509 *none = NULL;
        CLEANUP(x509_free_p) X509 *ec = NULL;
        struct error e = {0};
        int days, seconds;

        (void)state;
        expect_ok(signer_build(bytes_view(&subject), pki_key(0), "SHA256", PKI_NOW, 14 * PKI_DAY, &cert, &e));
        assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
        assert_int_equal(X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)), 0);
        assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT);
        assert_ptr_not_equal(X509_get0_pubkey(cert), pki_key(0)); /* re-parsed */
        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), pki_key(0)), 1);
        assert_true(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert)));
        assert_int_equal(days, 15);
        expect_err(signer_build(bytes_view(&subject), pki_key(0), "SHA256", PKI_NOW, 10, &none, &e),
                   ERR_INVALID);
        expect_err(signer_build(bytes_view(&subject), pki_key(0), "SHA256", PKI_NOW, 1u << 30, &none, &e),
                   ERR_INVALID);
        expect_err(signer_build(str_view("x"), pki_key(0), "SHA256", PKI_NOW, PKI_DAY, &none, &e),
                   ERR_INVALID);
        expect_ok(signer_build(bytes_view(&subject), pki_ec_key(), "SHA256", PKI_NOW, PKI_DAY, &ec, &e));
        assert_int_equal(X509_verify(ec, X509_get0_pubkey(ec)), 1);
        assert_int_equal(X509_get_key_usage(ec), KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT);
        expect_err(signer_build(bytes_view(&subject), pki_key(0), "ROT13", PKI_NOW, PKI_DAY, &none, &e),
                   ERR_UNSUPPORTED);
}

static void transactions(void **state)
{
        char a[SCEP_TRANSACTION_LEN + 1], b[SCEP_TRANSACTION_LEN + 1];
        struct error e = {0};

        (void)state;
        expect_ok(transaction_new(a, &e));
        expect_ok(transaction_new(b, &e));
        assert_true(is_lower_hex(a, 40));
        assert_string_not_equal(a, b);
}

/* An attribute of exactly one value of @type. */
static const ASN1_STRING *attribute(CMS_SignerInfo *si, const char *oid, int type)
{
        ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
        const ASN1_STRING *value = CMS_signed_get0_data_by_OBJ(si, object, -3, type);

        ASN1_OBJECT_free(object);
        assert_non_null(value);
        return value;
}

static void message_round_trip(void **state)
{
        static const struct {
                enum scep_type type;
                const char *text;
                enum scep_cipher cipher;
                int cipher_nid;
                enum scep_digest digest;
        } cases[] = {
                {SCEP_PKCS_REQ, "19", SCEP_AES128, NID_aes_128_cbc, SCEP_SHA256},
                {SCEP_CERT_POLL, "20", SCEP_DES3, NID_des_ede3_cbc, SCEP_SHA512},
                {SCEP_RENEWAL_REQ, "17", SCEP_AES128, NID_aes_128_cbc, SCEP_SHA1},
                {SCEP_PKCS_REQ, "19", SCEP_DES, NID_des_cbc, SCEP_SHA256},
                {SCEP_GET_CRL, "22", SCEP_AES128, NID_aes_128_cbc, SCEP_SHA256},
        };
        CLEANUP(x509_free_p) X509 *ra = pki_cert(&(struct pki_spec){.subject = "RA", .key = 1});
        CLEANUP(x509_free_p) X509 *own = pki_cert(&(struct pki_spec){.subject = "me", .key = 0});
        uint8_t last[SCEP_NONCE_LEN] = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct message_spec spec = {cases[i].type,
                                                  str_view("payload"),
                                                  ra,
                                                  cases[i].cipher,
                                                  own,
                                                  pki_key(0),
                                                  cases[i].digest,
                                                  "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff"};
                CLEANUP(bytes_done) struct bytes der = {0};
                CLEANUP(bio_free_p) BIO *out = BIO_new(BIO_s_mem());
                CLEANUP(bio_free_p) BIO *plain = BIO_new(BIO_s_mem());
                CLEANUP(x509_stack_free_p) STACK_OF(X509) *carried = NULL;
                uint8_t nonce[SCEP_NONCE_LEN];
                struct error e = {0};
                const uint8_t *p;
                X509_ALGOR *signature;
                const ASN1_OBJECT *oid;
                const ASN1_STRING *v;
                CMS_ContentInfo *cms, *env;
                CMS_SignerInfo *si;
                uint8_t *again = NULL;
                char *data;
                long len;

                expect_ok(message_build(&spec, nonce, &der, &e));
                assert_memory_not_equal(nonce, last, sizeof nonce);
                memcpy(last, nonce, sizeof last);
                p = der.data;
                cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.len);
                assert_non_null(cms);
                assert_int_equal(i2d_CMS_ContentInfo(cms, &again), (int)der.len); /* DER */
                assert_memory_equal(again, der.data, der.len);
                OPENSSL_free(again);
                assert_int_equal(OBJ_obj2nid(CMS_get0_eContentType(cms)), NID_pkcs7_data);
                carried = CMS_get1_certs(cms);
                assert_int_equal(sk_X509_num(carried), 1);
                assert_int_equal(X509_cmp(sk_X509_value(carried, 0), own), 0);
                assert_int_equal(
                        CMS_verify(cms, NULL, NULL, NULL, out, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 1);
                si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
                CMS_SignerInfo_get0_algs(si, NULL, NULL, NULL, &signature);
                X509_ALGOR_get0(&oid, NULL, NULL, signature);
                assert_int_equal(OBJ_obj2nid(oid), NID_rsaEncryption);
                v = attribute(si, SCEP_OID_MESSAGE_TYPE, V_ASN1_PRINTABLESTRING);
                assert_int_equal(v->length, 2);
                assert_memory_equal(v->data, cases[i].text, 2);
                v = attribute(si, SCEP_OID_TRANSACTION_ID, V_ASN1_PRINTABLESTRING);
                assert_int_equal(v->length, 40);
                v = attribute(si, SCEP_OID_SENDER_NONCE, V_ASN1_OCTET_STRING);
                assert_int_equal(v->length, SCEP_NONCE_LEN);
                assert_memory_equal(v->data, nonce, SCEP_NONCE_LEN);

                len = BIO_get_mem_data(out, &data);
                p = (const uint8_t *)data;
                env = d2i_CMS_ContentInfo(NULL, &p, len);
                assert_non_null(env);
                assert_int_equal(sk_CMS_RecipientInfo_num(CMS_get0_RecipientInfos(env)), 1);
                assert_int_equal(CMS_RecipientInfo_ktri_cert_cmp(
                                         sk_CMS_RecipientInfo_value(CMS_get0_RecipientInfos(env), 0), ra),
                                 0);
                {
                        PKCS7 *p7;

                        p = (const uint8_t *)data;
                        p7 = d2i_PKCS7(NULL, &p, len);
                        assert_int_equal(OBJ_obj2nid(p7->d.enveloped->enc_data->algorithm->algorithm),
                                         cases[i].cipher_nid);
                        PKCS7_free(p7);
                }
                if (cases[i].cipher != SCEP_DES) {
                        assert_int_equal(CMS_decrypt(env, pki_key(1), ra, NULL, plain, CMS_BINARY), 1);
                        assert_int_equal(BIO_get_mem_data(plain, &data), 7);
                        assert_memory_equal(data, "payload", 7);
                }
                CMS_ContentInfo_free(env);
                CMS_ContentInfo_free(cms);
        }
}

static void message_refused(void **state)
{
        CLEANUP(x509_free_p) X509 *ra = pki_cert(&(struct pki_spec){.subject = "RA", .key = 1});
        CLEANUP(x509_free_p) X509 *ec = pki_cert(&(struct pki_spec){.subject = "EC", .ec = true});
        CLEANUP(x509_free_p) X509 *own = pki_cert(&(struct pki_spec){.subject = "me", .key = 0});
        const struct message_spec good = {SCEP_PKCS_REQ, str_view("p"), ra,          SCEP_AES128,
                                          own,           pki_key(0),    SCEP_SHA256, "ab"};
        struct message_spec spec;
        struct bytes der = {0};
        uint8_t nonce[SCEP_NONCE_LEN];
        struct error e;

        (void)state;
#undef REFUSED
#define REFUSED(member, value, code)                                                                         \
        spec = good;                                                                                         \
        spec.member = value;                                                                                 \
        expect_err(message_build(&spec, nonce, &der, &e), code)
        REFUSED(type, SCEP_CERT_REP, ERR_INVALID);
        REFUSED(type, (enum scep_type)18, ERR_INVALID);
        REFUSED(data, ((struct view){NULL, 0}), ERR_INVALID);
        REFUSED(recipient, ec, ERR_UNSUPPORTED);
        REFUSED(transaction, "", ERR_INVALID);
        REFUSED(transaction, "a_b", ERR_INVALID);
        REFUSED(key, pki_key(2), ERR_FAILED); /* not the signer's */
        REFUSED(key, pki_ec_key(), ERR_FAILED);
        assert_null(der.data);
}

/* Signed by an EC key: ECDSA by its own name. */
static void message_by_ec_of(enum scep_type type)
{
        CLEANUP(x509_free_p) X509 *ra = pki_cert(&(struct pki_spec){.subject = "RA", .key = 1});
        CLEANUP(x509_free_p) X509 *own = pki_cert(&(struct pki_spec){.subject = "me", .ec = true});
        const struct message_spec spec = {type, str_view("p"), ra,          SCEP_AES128,
                                          own,  pki_ec_key(),  SCEP_SHA256, "ab"};
        CLEANUP(bytes_done) struct bytes der = {0};
        uint8_t nonce[SCEP_NONCE_LEN];
        X509_ALGOR *signature;
        const ASN1_OBJECT *oid;
        CMS_ContentInfo *cms;
        const uint8_t *p;
        struct error e = {0};

        expect_ok(message_build(&spec, nonce, &der, &e));
        p = der.data;
        cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.len);
        assert_int_equal(CMS_verify(cms, NULL, NULL, NULL, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY), 1);
        CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0), NULL, NULL, NULL,
                                 &signature);
        X509_ALGOR_get0(&oid, NULL, NULL, signature);
        assert_int_equal(OBJ_obj2nid(oid), NID_ecdsa_with_SHA256);
        CMS_ContentInfo_free(cms);
}

static void message_by_ec(void **state)
{
        (void)state;
        message_by_ec_of(SCEP_RENEWAL_REQ);
        message_by_ec_of(SCEP_GET_CRL);
}

static void poll_data(void **state)
{
        CLEANUP(x509_free_p)
        X509 *ca = pki_cert(&(struct pki_spec){.subject = "Issuing CA", .key = 1, .ca = true});
        CLEANUP(bytes_done) struct bytes subject = pki_name("me");
        CLEANUP(bytes_done) struct bytes name = pki_name("Issuing CA");
        CLEANUP(bytes_done) struct bytes der = {0};
        struct error e = {0};

        (void)state;
        expect_ok(poll_data_build(ca, bytes_view(&subject), &der, &e));
        assert_int_equal(der.len, 2 + name.len + subject.len);
        assert_int_equal(der.data[0], 0x30);
        assert_int_equal(der.data[1], der.len - 2);
        assert_memory_equal(der.data + 2, name.data, name.len);
        assert_memory_equal(der.data + 2 + name.len, subject.data, subject.len);
        expect_err(poll_data_build(ca, str_view("x"), &der, &e), ERR_INVALID);
}

/* RFC 5652 §10.2.4: SEQUENCE { issuer Name, serialNumber INTEGER } of the certificate that is asked for. */
static void crl_data(void **state)
{
        CLEANUP(x509_free_p)
        X509 *ca = pki_cert(&(struct pki_spec){.subject = "Issuing CA", .key = 1, .ca = true});
        static const struct {
                long serial;
                uint8_t der[8];
                size_t len;
        } rows[] = {
                {7, {2, 1, 7}, 3},
                {200, {2, 2, 0, 200}, 4}, /* the first bit is the sign */
                {0x1234567, {2, 4, 1, 0x23, 0x45, 0x67}, 6},
        };
        CLEANUP(bytes_done) struct bytes name = pki_name("Issuing CA");

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
                for (int ec = 0; ec < 2; ec++) {
                        CLEANUP(bytes_done) struct bytes der = {0};
                        CLEANUP(x509_free_p)
                        X509 *own = pki_cert(&(struct pki_spec){.subject = "me",
                                                                .issuer = ca,
                                                                .issuer_key = 1,
                                                                .ec = ec,
                                                                .serial = rows[i].serial});
                        struct error e = {0};

                        expect_ok(crl_data_build(own, &der, &e));
                        assert_int_equal(der.len, 2 + name.len + rows[i].len);
                        assert_int_equal(der.data[0], 0x30);
                        assert_int_equal(der.data[1], der.len - 2);
                        assert_memory_equal(der.data + 2, name.data, name.len);
                        assert_memory_equal(der.data + 2 + name.len, rows[i].der, rows[i].len);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(request_whole),
                cmocka_unit_test(request_variants),
                cmocka_unit_test(request_template),
                cmocka_unit_test(request_refused),
                cmocka_unit_test(signer),
                cmocka_unit_test(transactions),
                cmocka_unit_test(message_round_trip),
                cmocka_unit_test(message_refused),
                cmocka_unit_test(message_by_ec),
                cmocka_unit_test(poll_data),
                cmocka_unit_test(crl_data),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
