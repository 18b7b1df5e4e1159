/* service/revocation: where a CRL lies, and what it says. */
#include "test.h"

#include <openssl/x509v3.h>

#include "pki.h"
#include "revocation/crl.h"

enum { CA, OTHER, LEAF };

/* What a CRL is made of; made by the CA of this name with this key. */
struct crl_spec {
        const char *issuer;
        unsigned key;
        int from, to;                  /* days from PKI_NOW; to 0: no nextUpdate */
        long revoked;                  /* serial number; 0: none */
        int reason;                    /* CRL_REASON_…; 0: none said */
        const char *extension, *value; /* one more; NULL: none */
        bool numbered;                 /* has a cRLNumber, too */
};

static struct bytes crl_make(const struct crl_spec *spec)
{
        X509_CRL *crl = X509_CRL_new();
        CLEANUP(bytes_done) struct bytes name_der = pki_name(spec->issuer);
        const uint8_t *p = name_der.data;
        X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)name_der.len);
        ASN1_TIME *from = ASN1_TIME_set(NULL, PKI_NOW + (time_t)spec->from * PKI_DAY);
        ASN1_TIME *to = ASN1_TIME_set(NULL, PKI_NOW + (time_t)spec->to * PKI_DAY);
        struct bytes ret;
        uint8_t *der = NULL;
        int len;

        assert_true(X509_CRL_set_version(crl, X509_CRL_VERSION_2));
        assert_true(X509_CRL_set_issuer_name(crl, name));
        assert_true(X509_CRL_set1_lastUpdate(crl, from));
        assert_true(!spec->to || X509_CRL_set1_nextUpdate(crl, to));
        if (spec->revoked) {
                X509_REVOKED *entry = X509_REVOKED_new();
                ASN1_INTEGER *serial = ASN1_INTEGER_new();

                assert_true(ASN1_INTEGER_set(serial, spec->revoked));
                assert_true(X509_REVOKED_set_serialNumber(entry, serial));
                assert_true(X509_REVOKED_set_revocationDate(entry, from));
                if (spec->reason) {
                        ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

                        assert_true(ASN1_ENUMERATED_set(reason, spec->reason));
                        assert_true(X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0));
                        ASN1_ENUMERATED_free(reason);
                }
                assert_true(X509_CRL_add0_revoked(crl, entry));
                ASN1_INTEGER_free(serial);
        }
        if (spec->extension) {
                X509_EXTENSION *extension = X509V3_EXT_conf(NULL, NULL, spec->extension, spec->value);

                assert_non_null(extension);
                assert_true(X509_CRL_add_ext(crl, extension, -1));
                X509_EXTENSION_free(extension);
        }
        if (spec->numbered) {
                X509_EXTENSION *extension =
                        X509V3_EXT_conf(NULL, NULL, "crlNumber", "DER:020102"); /* INTEGER 2 */

                assert_non_null(extension);
                assert_true(X509_CRL_add_ext(crl, extension, -1));
                X509_EXTENSION_free(extension);
        }
        assert_true(X509_CRL_sign(crl, pki_key(spec->key), EVP_sha256()));
        len = i2d_X509_CRL(crl, &der);
        assert_true(len > 0);
        assert_int_equal(bytes_copy(&ret, der, (size_t)len, NULL), ERR_OK);
        OPENSSL_free(der);
        ASN1_TIME_free(from);
        ASN1_TIME_free(to);
        X509_NAME_free(name);
        X509_CRL_free(crl);
        return ret;
}

static void verdicts(void **state)
{
        static const struct {
                const char *row;
                struct crl_spec crl;
                enum crl_verdict verdict;
                const char *reason;
        } rows[] = {
                {"good", {.issuer = "CA", .key = CA, .from = -1, .to = 6, .revoked = 8}, CRL_GOOD, ""},
                {"good, nobody is revoked", {.issuer = "CA", .key = CA, .from = -1, .to = 6}, CRL_GOOD, ""},
                {"good, without a next one", {.issuer = "CA", .key = CA, .from = -1, .to = 0}, CRL_GOOD, ""},
                {"revoked", {.issuer = "CA", .key = CA, .from = -1, .to = 6, .revoked = 7}, CRL_REVOKED, ""},
                {"with a reason",
                 {.issuer = "CA",
                  .key = CA,
                  .from = -1,
                  .to = 6,
                  .revoked = 7,
                  .reason = CRL_REASON_KEY_COMPROMISE},
                 CRL_REVOKED,
                 "keyCompromise"},
                {"on hold",
                 {.issuer = "CA",
                  .key = CA,
                  .from = -1,
                  .to = 6,
                  .revoked = 7,
                  .reason = CRL_REASON_CERTIFICATE_HOLD},
                 CRL_REVOKED,
                 "certificateHold"},
                {"of an unknown reason",
                 {.issuer = "CA", .key = CA, .from = -1, .to = 6, .revoked = 7, .reason = 77},
                 CRL_REVOKED,
                 ""},
                {"revoked by an old one",
                 {.issuer = "CA", .key = CA, .from = -9, .to = -2, .revoked = 7},
                 CRL_REVOKED,
                 ""},
                {"stale", {.issuer = "CA", .key = CA, .from = -9, .to = -2}, CRL_STALE, ""},
                {"early", {.issuer = "CA", .key = CA, .from = 1, .to = 8}, CRL_EARLY, ""},
                {"of another CA",
                 {.issuer = "Other", .key = OTHER, .from = -1, .to = 6, .revoked = 7},
                 CRL_FOREIGN,
                 ""},
                {"with another key",
                 {.issuer = "CA", .key = OTHER, .from = -1, .to = 6, .revoked = 7},
                 CRL_FOREIGN,
                 ""},
                {"for CAs alone",
                 {.issuer = "CA",
                  .key = CA,
                  .from = -1,
                  .to = 6,
                  .revoked = 7,
                  .extension = "issuingDistributionPoint",
                  .value = "critical,onlyCA:TRUE"},
                 CRL_FOREIGN,
                 ""},
                {"for users",
                 {.issuer = "CA",
                  .key = CA,
                  .from = -1,
                  .to = 6,
                  .revoked = 7,
                  .extension = "issuingDistributionPoint",
                  .value = "critical,onlyuser:TRUE"},
                 CRL_REVOKED,
                 ""},
                {"of attributes",
                 {.issuer = "CA",
                  .key = CA,
                  .from = -1,
                  .to = 6,
                  .revoked = 7,
                  .extension = "issuingDistributionPoint",
                  .value = "critical,onlyAA:TRUE"},
                 CRL_FOREIGN,
                 ""},
                {"with something critical that nobody knows",
                 {.issuer = "CA",
                  .key = CA,
                  .from = -1,
                  .to = 6,
                  .extension = "1.2.3.4",
                  .value = "critical,ASN1:NULL"},
                 CRL_FOREIGN,
                 ""},
                {"a delta",
                 {.issuer = "CA",
                  .key = CA,
                  .from = -1,
                  .to = 6,
                  .extension = "deltaCRL",
                  .value = "critical,ASN1:INTEGER:1"},
                 CRL_FOREIGN,
                 ""},
                {"a delta with a number",
                 {.issuer = "CA",
                  .key = CA,
                  .from = -1,
                  .to = 6,
                  .extension = "deltaCRL",
                  .value = "critical,ASN1:INTEGER:1",
                  .numbered = true},
                 CRL_FOREIGN,
                 ""},
        };
        CLEANUP(x509_free_p) X509 *ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = CA, .ca = true});
        CLEANUP(x509_free_p)
        X509 *leaf = pki_cert(&(struct pki_spec){
                .subject = "leaf", .issuer = ca, .issuer_key = CA, .key = LEAF, .serial = 7});

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
                CLEANUP(bytes_done) struct bytes der = crl_make(&rows[i].crl);
                struct crl_answer answer;

                assert_int_equal(crl_check(bytes_view(&der), leaf, ca, PKI_NOW, &answer, NULL), ERR_OK);
                if (answer.verdict != rows[i].verdict || strcmp(answer.reason, rows[i].reason) != 0)
                        fail_msg("%s: verdict %d, reason '%s', %s", rows[i].row, (int)answer.verdict,
                                 answer.reason, answer.why ? answer.why : "");
                assert_int_equal(answer.this_update, PKI_NOW + rows[i].crl.from * PKI_DAY);
                assert_int_equal(answer.next_update, rows[i].crl.to ? PKI_NOW + rows[i].crl.to * PKI_DAY : 0);
                assert_int_equal(answer.revoked_at,
                                 answer.verdict == CRL_REVOKED ? PKI_NOW + rows[i].crl.from * PKI_DAY : 0);
                assert_true((answer.verdict == CRL_FOREIGN) == (answer.why != NULL));
        }
}

/* The certificate's own dates, and those of its issuer, are none of a CRL's business. */
static void expired_certificate(void **state)
{
        CLEANUP(x509_free_p)
        X509 *ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = CA, .ca = true, .from = -9, .to = -3});
        CLEANUP(x509_free_p)
        X509 *leaf = pki_cert(&(struct pki_spec){.subject = "leaf",
                                                 .issuer = ca,
                                                 .issuer_key = CA,
                                                 .key = LEAF,
                                                 .serial = 7,
                                                 .from = -9,
                                                 .to = -2});
        CLEANUP(bytes_done)
        struct bytes der = crl_make(&(struct crl_spec){.issuer = "CA", .key = CA, .from = -1, .to = 6});
        struct crl_answer answer;

        (void)state;
        assert_int_equal(crl_check(bytes_view(&der), leaf, ca, PKI_NOW, &answer, NULL), ERR_OK);
        assert_int_equal(answer.verdict, CRL_GOOD);
}

/* An issuing CA below a root is good enough: the caller trusts it. */
static void intermediate(void **state)
{
        CLEANUP(x509_free_p)
        X509 *root = pki_cert(&(struct pki_spec){.subject = "Root", .key = 3, .ca = true});
        CLEANUP(x509_free_p)
        X509 *ca = pki_cert(&(struct pki_spec){
                .subject = "CA", .issuer = root, .issuer_key = 3, .key = CA, .serial = 9, .ca = true});
        CLEANUP(x509_free_p)
        X509 *leaf = pki_cert(&(struct pki_spec){
                .subject = "leaf", .issuer = ca, .issuer_key = CA, .key = LEAF, .serial = 7});
        CLEANUP(bytes_done)
        struct bytes own =
                crl_make(&(struct crl_spec){.issuer = "CA", .key = CA, .from = -1, .to = 6, .revoked = 7});
        CLEANUP(bytes_done)
        struct bytes above =
                crl_make(&(struct crl_spec){.issuer = "Root", .key = 3, .from = -1, .to = 6, .revoked = 9});
        struct crl_answer answer;

        (void)state;
        assert_int_equal(crl_check(bytes_view(&own), leaf, ca, PKI_NOW, &answer, NULL), ERR_OK);
        assert_int_equal(answer.verdict, CRL_REVOKED);
        assert_int_equal(crl_check(bytes_view(&above), ca, root, PKI_NOW, &answer, NULL), ERR_OK);
        assert_int_equal(answer.verdict, CRL_REVOKED);
        assert_int_equal(crl_check(bytes_view(&above), leaf, ca, PKI_NOW, &answer, NULL), ERR_OK);
        assert_int_equal(answer.verdict, CRL_FOREIGN);
}

static void rubbish(void **state)
{
        CLEANUP(x509_free_p) X509 *ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = CA, .ca = true});
        CLEANUP(x509_free_p)
        X509 *leaf = pki_cert(&(struct pki_spec){
                .subject = "leaf", .issuer = ca, .issuer_key = CA, .key = LEAF, .serial = 7});
        CLEANUP(bytes_done)
        struct bytes der =
                crl_make(&(struct crl_spec){.issuer = "CA", .key = CA, .from = -1, .to = 6, .revoked = 7});
        struct crl_answer answer;
        uint32_t seed = 1;

        (void)state;
        assert_int_equal(crl_check(str_view(""), leaf, ca, PKI_NOW, &answer, NULL), ERR_OK);
        assert_int_equal(answer.verdict, CRL_FOREIGN);
        assert_int_equal(crl_check((struct view){der.data, der.len - 1}, leaf, ca, PKI_NOW, &answer, NULL),
                         ERR_OK);
        assert_int_equal(answer.verdict, CRL_FOREIGN);
        /* Nothing that was changed on its way says anything. */
        for (int i = 0; i < 20000; i++) {
                CLEANUP(bytes_done) struct bytes changed = mutate(bytes_view(&der), &seed);

                assert_int_equal(crl_check(bytes_view(&changed), leaf, ca, PKI_NOW, &answer, NULL), ERR_OK);
                if (changed.len != der.len || memcmp(changed.data, der.data, der.len) != 0)
                        assert_int_equal(answer.verdict, CRL_FOREIGN);
        }
}

static void urls(void **state)
{
        static const struct {
                const char *crl, *urls;
                bool other;
        } rows[] = {
                {NULL, "", false},
                {"URI:http://pki/ca.crl", "http://pki/ca.crl", false},
                {"URI:HTTPS://pki/ca.crl", "HTTPS://pki/ca.crl", false},
                {"URI:ldap:///CN=CA", "", true},
                {"URI:ldap:///CN=CA,URI:http://a/1,URI:http://b/2", "http://a/1 http://b/2", true},
                {"URI:file:///etc/passwd,URI:ftp://a/", "", true},
                {"URI:http://u:p@a/,URI:http://", "", true},
                {"DNS:pki", "", true},
                {"URI:http://a/1,URI:http://a/2,URI:http://a/3,URI:http://a/4,URI:http://a/5,URI:http://a/6,"
                 "URI:http://a/7,URI:http://a/8,URI:http://a/9",
                 "http://a/1 http://a/2 http://a/3 http://a/4 http://a/5 http://a/6 http://a/7 http://a/8",
                 false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
                CLEANUP(x509_free_p)
                X509 *cert = pki_cert(&(struct pki_spec){.subject = "leaf", .crl = rows[i].crl});
                CLEANUP(crl_urls_done) struct crl_urls found = {0};
                char seen[256] = "";

                assert_int_equal(crl_urls(cert, &found, NULL), ERR_OK);
                for (size_t j = 0; j < found.n; j++) {
                        strcat(seen, j ? " " : "");
                        strcat(seen, found.at[j]);
                }
                assert_string_equal(seen, rows[i].urls);
                assert_int_equal(found.other, rows[i].other);
        }
}

/* A point for some reasons alone, or of another signer, would not tell all. */
static void partial_points(void **state)
{
        (void)state;
        for (int kind = 0; kind < 3; kind++) {
                CLEANUP(x509_free_p) X509 *cert = pki_cert(&(struct pki_spec){.subject = "leaf"});
                CLEANUP(crl_urls_done) struct crl_urls found = {0};
                X509_EXTENSION *extension =
                        X509V3_EXT_conf_nid(NULL, NULL, NID_crl_distribution_points, "URI:http://a/1");
                CRL_DIST_POINTS *points = X509V3_EXT_d2i(extension);
                DIST_POINT *point = sk_DIST_POINT_value(points, 0);

                if (kind == 1) {
                        point->reasons = ASN1_BIT_STRING_new();
                        assert_true(ASN1_BIT_STRING_set_bit(point->reasons, 1, 1));
                }
                if (kind == 2) {
                        point->CRLissuer = GENERAL_NAMES_new();
                        assert_true(sk_GENERAL_NAME_push(
                                point->CRLissuer, a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_DNS, "other", 0)));
                }
                assert_true(X509_add1_ext_i2d(cert, NID_crl_distribution_points, points, 0, 0));
                assert_int_equal(crl_urls(cert, &found, NULL), ERR_OK);
                assert_int_equal(found.n, kind == 0);
                assert_int_equal(found.other, kind != 0);
                sk_DIST_POINT_pop_free(points, DIST_POINT_free);
                X509_EXTENSION_free(extension);
        }
}

/* Several in one answer: whichever is of this CA and key, and one that says "revoked" before all others. */
static void sets(void **state)
{
        static const struct crl_spec good = {.issuer = "CA", .key = CA, .from = -1, .to = 6},
                                     stale = {.issuer = "CA", .key = CA, .from = -9, .to = -2},
                                     early = {.issuer = "CA", .key = CA, .from = 1, .to = 8},
                                     revoked = {.issuer = "CA",
                                                .key = CA,
                                                .from = -9,
                                                .to = -2,
                                                .revoked = 7},
                                     key = {.issuer = "CA", .key = OTHER, .from = -1, .to = 6, .revoked = 7},
                                     other = {.issuer = "Other", .key = OTHER, .from = -1, .to = 6};
        static const struct {
                const char *row;
                const struct crl_spec *of[3];
                enum crl_verdict verdict;
        } rows[] = {
                {"none", {NULL}, CRL_FOREIGN},
                {"one", {&good}, CRL_GOOD},
                {"of the CA's old key first", {&key, &good}, CRL_GOOD},
                {"of the CA's old key last", {&good, &key}, CRL_GOOD},
                {"of another CA alone", {&other, &key}, CRL_FOREIGN},
                {"revoked first", {&revoked, &good}, CRL_REVOKED},
                {"revoked last", {&good, &early, &revoked}, CRL_REVOKED},
                {"revoked between", {&other, &revoked, &stale}, CRL_REVOKED},
                {"a newer one", {&stale, &good}, CRL_GOOD},
                {"an older one", {&early, &stale, &key}, CRL_STALE},
        };
        CLEANUP(x509_free_p) X509 *ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = CA, .ca = true});
        CLEANUP(x509_free_p)
        X509 *leaf = pki_cert(&(struct pki_spec){
                .subject = "leaf", .issuer = ca, .issuer_key = CA, .key = LEAF, .serial = 7});
        struct crl_set set = {.n = 0};
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
                struct crl_answer answer;

                for (size_t k = 0; k < N_ELEMENTS(rows[i].of) && rows[i].of[k]; k++) {
                        CLEANUP(bytes_done) struct bytes der = crl_make(rows[i].of[k]);

                        expect_ok(crl_set_add(&set, bytes_view(&der), &e));
                }
                expect_ok(crl_set_check(&set, leaf, ca, PKI_NOW, &answer, &e));
                if (answer.verdict != rows[i].verdict)
                        fail_msg("%s: %d", rows[i].row, (int)answer.verdict);
                if (answer.verdict == CRL_FOREIGN)
                        assert_non_null(answer.why);
                crl_set_done(&set);
        }
        for (size_t i = 0; i < CRLS_MAX; i++)
                expect_ok(crl_set_add(&set, str_view("x"), &e));
        expect_err(crl_set_add(&set, str_view("x"), &e), ERR_LIMIT);
        crl_set_done(&set);
        assert_int_equal(set.n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(verdicts),
                cmocka_unit_test(sets),
                cmocka_unit_test(expired_certificate),
                cmocka_unit_test(intermediate),
                cmocka_unit_test(rubbish),
                cmocka_unit_test(urls),
                cmocka_unit_test(partial_points),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
