/* service/scep/wire: capabilities, exchange, certificates of GetCACert. */
#include "pki.h"

#include <openssl/cms.h>
#include <stdio.h>

#include "scep-wire/ca-certs.h"
#include "scep-wire/caps.h"
#include "scep-wire/exchange.h"

#define STD (SCEP_CAP_AES | SCEP_CAP_POST | SCEP_CAP_SHA256)

static void caps_table(void **state)
{
        static const struct {
                const char *body;
                uint32_t flags;
                const char *text;
        } cases[] = {
                {"", 0, ""},
                {"\r\n\r\n", 0, ""},
                {"POSTPKIOperation\nRenewal\nSHA-512\nSHA-256\nSHA-1\nDES3",
                 SCEP_CAP_POST | SCEP_CAP_RENEWAL | SCEP_CAP_SHA512 | SCEP_CAP_SHA256 | SCEP_CAP_SHA1 |
                         SCEP_CAP_DES3,
                 "POSTPKIOperation Renewal SHA-512 SHA-256 SHA-1 DES3"},
                {"AES\r\nDES3\r\n", SCEP_CAP_AES | SCEP_CAP_DES3, "AES DES3"},
                {"aes\npostpkioperation\nsha-256", STD, "aes postpkioperation sha-256"},
                {"SCEPStandard", STD | SCEP_CAP_STANDARD, "SCEPStandard"},
                {"AESX\nXAES\nExample.com-Name\nUpdate\n", 0, "AESX XAES Example.com-Name Update"},
                {"  AES \t Renewal  ", SCEP_CAP_AES | SCEP_CAP_RENEWAL, "AES Renewal"},
                {"A\x01S \xff", 0, "A?S ?"},
                {"SHA-384\nDES\nGetNextCACert", SCEP_CAP_SHA384 | SCEP_CAP_DES | SCEP_CAP_GET_NEXT_CA,
                 "SHA-384 DES GetNextCACert"},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct scep_caps caps = {.flags = 77};

                expect_ok(caps_parse(str_view(cases[i].body), &caps, &e));
                assert_int_equal(caps.flags, cases[i].flags);
                assert_string_equal(caps.text, cases[i].text);
        }
}

static void caps_refused(void **state)
{
        static const char *const pages[] = {"<html>AES</html>", "  \r\n<!DOCTYPE html>",
                                            "\xef\xbb\xbf<?xml?>"};
        struct scep_caps caps = {.flags = 77};
        struct error e;
        uint8_t *big = malloc(SCEP_CAPS_BODY_MAX + 1);

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(pages); i++)
                expect_err(caps_parse(str_view(pages[i]), &caps, &e), ERR_REPLY);
        memset(big, 'A', SCEP_CAPS_BODY_MAX + 1);
        expect_err(caps_parse((struct view){big, SCEP_CAPS_BODY_MAX + 1}, &caps, &e), ERR_TOO_LARGE);
        assert_int_equal(caps.flags, 77);
        /* A word longer than the text is read, not kept. */
        expect_ok(caps_parse((struct view){big, SCEP_CAPS_BODY_MAX}, &caps, &e));
        assert_string_equal(caps.text, "");
        free(big);
}

static void captured_caps(const char *folder, const char *name)
{
        struct bytes body = captured_read(folder, name);
        struct scep_caps caps;
        struct error e = {0};

        expect_ok(caps_parse(bytes_view(&body), &caps, &e));
        assert_int_equal(caps.flags & STD, STD);
        bytes_done(&body);
}

static void caps_captured(void **state)
{
        (void)state;
        captured_each("-GetCACaps.resp.bin", captured_caps);
}

#define NDES "POSTPKIOperation Renewal SHA-512 SHA-256 SHA-1 DES3"

static void exchange_table(void **state)
{
        static const struct {
                const char *caps;
                struct exchange_plan plan;
                enum err err;
                struct exchange want;
        } cases[] = {
                {"SCEPStandard",
                 {.digest = SCEP_SHA256},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_AES128, SCEP_PKCS_REQ, true, false, true, false}},
                {NDES,
                 {.digest = SCEP_SHA256},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_DES3, SCEP_PKCS_REQ, true, false, true, false}},
                {NDES,
                 {.digest = SCEP_SHA512},
                 ERR_OK,
                 {SCEP_SHA512, SCEP_DES3, SCEP_PKCS_REQ, true, false, true, false}},
                {NDES,
                 {.digest = SCEP_SHA384},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_DES3, SCEP_PKCS_REQ, true, false, true, false}},
                {NDES,
                 {.digest = SCEP_SHA1, .allow_sha1 = true},
                 ERR_OK,
                 {SCEP_SHA1, SCEP_DES3, SCEP_PKCS_REQ, true, false, true, false}},
                {NDES,
                 {.digest = SCEP_SHA1},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_DES3, SCEP_PKCS_REQ, true, false, true, false}},
                {"AES SHA-512",
                 {.digest = SCEP_SHA256},
                 ERR_OK,
                 {SCEP_SHA512, SCEP_AES128, SCEP_PKCS_REQ, false, false, true, false}},
                {"AES SHA-1", {.digest = SCEP_SHA256}, ERR_SERVER_ALGORITHM, {0}},
                {"AES SHA-1",
                 {.digest = SCEP_SHA256, .allow_sha1 = true},
                 ERR_OK,
                 {SCEP_SHA1, SCEP_AES128, SCEP_PKCS_REQ, false, false, true, false}},
                {"", {.digest = SCEP_SHA256}, ERR_SERVER_ALGORITHM, {0}},
                {"",
                 {.digest = SCEP_SHA256, .allow_sha1 = true},
                 ERR_OK,
                 {SCEP_SHA1, SCEP_DES3, SCEP_PKCS_REQ, false, false, true, false}},
                {"DES SHA-256", {.digest = SCEP_SHA256}, ERR_SERVER_ALGORITHM, {0}},
                {"DES SHA-256",
                 {.digest = SCEP_SHA256, .allow_des = true},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_DES, SCEP_PKCS_REQ, false, false, true, false}},
                {"DES DES3 SHA-256",
                 {.digest = SCEP_SHA256, .allow_des = true},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_DES3, SCEP_PKCS_REQ, false, false, true, false}},
                {"SHA-256 POSTPKIOperation",
                 {.digest = SCEP_SHA256, .require = SCEP_CAP_STANDARD},
                 ERR_SERVER_ALGORITHM,
                 {0}},
                {"SCEPStandard",
                 {.digest = SCEP_SHA256, .require = SCEP_CAP_STANDARD | SCEP_CAP_AES},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_AES128, SCEP_PKCS_REQ, true, false, true, false}},
                {"SCEPStandard Renewal",
                 {.digest = SCEP_SHA256, .has_certificate = true},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_AES128, SCEP_RENEWAL_REQ, true, true, false, false}},
                {"SCEPStandard",
                 {.digest = SCEP_SHA256, .has_certificate = true},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_AES128, SCEP_PKCS_REQ, true, true, false, false}},
                {"SCEPStandard Renewal",
                 {.digest = SCEP_SHA256, .has_certificate = true, .method = SCEP_CHALLENGE},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_AES128, SCEP_PKCS_REQ, true, false, true, false}},
                {"SCEPStandard Renewal",
                 {.digest = SCEP_SHA256, .has_certificate = true, .method = SCEP_CHALLENGE_DIRECT},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_AES128, SCEP_PKCS_REQ, true, false, true, true}},
                {"SCEPStandard",
                 {.digest = SCEP_SHA256, .has_certificate = true, .method = SCEP_RENEWAL},
                 ERR_OK,
                 {SCEP_SHA256, SCEP_AES128, SCEP_RENEWAL_REQ, true, true, false, false}},
                {"SCEPStandard", {.digest = SCEP_SHA256, .method = SCEP_RENEWAL}, ERR_INVALID, {0}},
                {"SCEPStandard", {.digest = SCEP_SHA256, .method = SCEP_SIGNED_PKCSREQ}, ERR_INVALID, {0}},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct error e = {0};
                struct scep_caps caps;
                struct exchange x = {0};

                expect_ok(caps_parse(str_view(cases[i].caps), &caps, &e));
                if (cases[i].err) {
                        expect_err(exchange_fix(&cases[i].plan, &caps, &x, &e), cases[i].err);
                        continue;
                }
                expect_ok(exchange_fix(&cases[i].plan, &caps, &x, &e));
                assert_int_equal(x.digest, cases[i].want.digest);
                assert_int_equal(x.cipher, cases[i].want.cipher);
                assert_int_equal(x.type, cases[i].want.type);
                assert_int_equal(x.post, cases[i].want.post);
                assert_int_equal(x.signed_by_old, cases[i].want.signed_by_old);
                assert_int_equal(x.with_challenge, cases[i].want.with_challenge);
        }
}

static void names(void **state)
{
        enum scep_digest d;

        (void)state;
        assert_true(scep_digest_from_name("sha-256", &d) && d == SCEP_SHA256);
        assert_true(scep_digest_from_name("SHA512", &d) && d == SCEP_SHA512);
        assert_false(scep_digest_from_name("md5", &d));
        for (int i = 0; i < _SCEP_DIGEST_MAX; i++)
                assert_non_null(EVP_get_digestbyname(scep_digest_ossl((enum scep_digest)i)));
        for (int fail = -1; fail <= 5; fail++) {
                assert_int_equal(scep_fail_valid(fail), fail >= 0 && fail <= 4);
                assert_true(strlen(scep_fail_meaning((enum scep_fail)fail)) > 5);
                assert_true(strlen(scep_fail_remedy((enum scep_fail)fail)) > 5);
        }
        for (unsigned note = 1; note & SCEP_NOTES_ALL; note <<= 1)
                assert_string_not_equal(scep_note_text((enum scep_note)note), "unknown note");
        assert_string_equal(scep_hresult_name(0x80070057), "E_INVALIDARG");
        assert_null(scep_hresult_name(1));
}

static void captured_certs(const char *folder, const char *name)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        struct bytes body = captured_read(folder, name);
        struct error e = {0};

        expect_ok(ca_certs_parse(bytes_view(&body), &certs, &e));
        assert_int_equal(sk_X509_num(certs), body.len > 2000 ? 3 : 1);
        /* Cut anywhere it is no message; with one octet behind it neither. */
        for (size_t len = 0; len < body.len; len += 7) {
                CLEANUP(x509_stack_free_p) STACK_OF(X509) *none = NULL;

                expect_err(ca_certs_parse((struct view){body.data, len}, &none, &e), ERR_REPLY);
        }
        expect_err(ca_certs_parse((struct view){body.data, body.len + 1}, &certs, &e), ERR_REPLY);
        bytes_done(&body);
}

static void certs_captured(void **state)
{
        (void)state;
        captured_each("-GetCACert.resp.bin", captured_certs);
}

static void certs_refused(void **state)
{
        static const char *const bodies[] = {"",         "<html>",  "\r\n<!DOCTYPE", "AES\nSHA-256",
                                             "\x30\x00", "\x30\x80"};
        X509 *many[SCEP_CERTS_MAX + 1];
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        CLEANUP(bytes_done) struct bytes most = {0};
        CLEANUP(bytes_done) struct bytes over = {0};
        CLEANUP(bytes_done) struct bytes none = {0};
        CLEANUP(bytes_done) struct bytes twice = {0};
        struct error e;
        X509 *pair[2];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(bodies); i++)
                expect_err(ca_certs_parse(str_view(bodies[i]), &certs, &e), ERR_REPLY);
        for (size_t i = 0; i < N_ELEMENTS(many); i++)
                many[i] = pki_cert(&(struct pki_spec){.subject = "many", .serial = (long)i + 1});
        most = pki_degenerate(many, SCEP_CERTS_MAX);
        over = pki_degenerate(many, SCEP_CERTS_MAX + 1);
        none = pki_degenerate(many, 0);
        expect_err(ca_certs_parse(bytes_view(&over), &certs, &e), ERR_REPLY);
        expect_err(ca_certs_parse(bytes_view(&none), &certs, &e), ERR_REPLY);
        expect_err(degenerate_parse(bytes_view(&none), &certs, &e), ERR_REPLY);
        expect_err(degenerate_parse(str_view(""), &certs, &e), ERR_REPLY);
        assert_null(certs);
        expect_ok(ca_certs_parse(bytes_view(&most), &certs, &e));
        assert_int_equal(sk_X509_num(certs), SCEP_CERTS_MAX);
        sk_X509_pop_free(certs, X509_free);
        certs = NULL;
        pair[0] = pair[1] = many[3];
        twice = pki_degenerate(pair, 2);
        expect_ok(degenerate_parse(bytes_view(&twice), &certs, &e));
        assert_int_equal(sk_X509_num(certs), 1);
        for (size_t i = 0; i < N_ELEMENTS(many); i++)
                X509_free(many[i]);
}

/* A signed message is no degenerate one; a single certificate neither. */
static void degenerate_strict(void **state)
{
        CLEANUP(x509_free_p) X509 *cert = pki_cert(&(struct pki_spec){.subject = "signer"});
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        CLEANUP(bio_free_p) BIO *in = BIO_new_mem_buf("x", 1);
        CMS_ContentInfo *cms = CMS_sign(cert, pki_key(0), NULL, in, CMS_BINARY);
        CLEANUP(bytes_done) struct bytes single = {0};
        uint8_t *der = NULL;
        int len = i2d_CMS_ContentInfo(cms, &der);
        struct error e;

        (void)state;
        expect_err(degenerate_parse((struct view){der, (size_t)len}, &certs, &e), ERR_REPLY);
        expect_ok(ca_certs_parse((struct view){der, (size_t)len}, &certs, &e));
        sk_X509_pop_free(certs, X509_free);
        certs = NULL;
        assert_int_equal(x509_der(cert, &single, NULL), ERR_OK);
        expect_err(degenerate_parse(bytes_view(&single), &certs, &e), ERR_REPLY);
        expect_ok(ca_certs_parse(bytes_view(&single), &certs, &e));
        OPENSSL_free(der);
        CMS_ContentInfo_free(cms);
}

static void mutations(void **state)
{
        struct bytes body = captured_read("jscep--jscep-ra", "02-GetCACert.resp.bin");
        uint32_t seed = 20241;

        (void)state;
        for (int i = 0; i < 4000; i++) {
                struct bytes m = mutate(bytes_view(&body), &seed);
                CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
                struct scep_caps caps;
                char text[128];

                if (ca_certs_parse(bytes_view(&m), &certs, NULL) == ERR_OK)
                        for (int k = 0; k < sk_X509_num(certs); k++)
                                name_text(X509_get_subject_name(sk_X509_value(certs, k)), text, sizeof text);
                (void)!caps_parse(bytes_view(&m), &caps, NULL);
                bytes_done(&m);
        }
        bytes_done(&body);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(caps_table),    cmocka_unit_test(caps_refused),
                cmocka_unit_test(caps_captured), cmocka_unit_test(exchange_table),
                cmocka_unit_test(names),         cmocka_unit_test(certs_captured),
                cmocka_unit_test(certs_refused), cmocka_unit_test(degenerate_strict),
                cmocka_unit_test(mutations),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
