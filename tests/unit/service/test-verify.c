/* service/verify: what is said of a bundle that a swtpm has made, as it is, and changed anywhere. */
#include "test.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/ossl.h"
#include "base/parse.h"
#include "verify/verify.h"

enum { NOW = 1795400000 }; /* its certificate is a day old */

static struct error e;
static struct bundle bundle;
static STACK_OF(X509) * root, *maker;
static struct bytes nonce;
static uint8_t name[EVIDENCE_NAME_LEN];

static STACK_OF(X509) * read_pem(const char *file)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        CLEANUP(bio_free_p) BIO *bio = NULL;
        STACK_OF(X509) *certs = sk_X509_new_null();

        expect_ok(file_read(AT_FDCWD, file, BUNDLE_MAX, &pem, &e));
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        assert_true(sk_X509_push(certs, PEM_read_bio_X509(bio, NULL, NULL, NULL)) == 1);
        return certs;
}

static int start(void **state)
{
        CLEANUP(bytes_done) struct bytes text = {0};

        (void)state;
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        expect_ok(file_read(AT_FDCWD, TEST_DATA "/attest/bundle.json", BUNDLE_MAX, &text, &e));
        expect_ok(bundle_read(bytes_view(&text), &bundle, &e));
        expect_ok(evidence_name(&bundle.evidence, name, &e));
        expect_ok(bytes_copy(&nonce, "abc", 3, &e));
        root = read_pem(TEST_DATA "/attest/root.pem");
        maker = read_pem(TEST_DATA "/attest/maker.pem");
        return 0;
}

static int stop(void **state)
{
        (void)state;
        bundle_done(&bundle);
        bytes_done(&nonce);
        sk_X509_pop_free(root, X509_free);
        sk_X509_pop_free(maker, X509_free);
        return 0;
}

static struct known everything(void)
{
        return (struct known){
                .now = NOW, .nonce = &nonce, .authorities = root, .makers = maker, .attester = name};
}

static struct report verify(const struct known *known)
{
        CLEANUP(free_p) char *text = NULL;
        struct report report;

        expect_ok(bundle_write(&bundle, &text, &e));
        verify_text(str_view(text), known, &report);
        return report;
}

/* NULL: there is no such finding. */
static const struct finding *find(const struct report *report, const char *check)
{
        for (size_t i = 0; i < report->count; i++)
                if (strcmp(report->findings[i].check, check) == 0)
                        return &report->findings[i];
        return NULL;
}

static void expect(const struct report *report, const char *check, enum verdict verdict)
{
        const struct finding *finding = find(report, check);

        if (!finding || finding->verdict != verdict)
                fail_msg("%s: %s, not %s", check, finding ? finding->text : "nothing is said",
                         verdict_name(verdict));
}

static const char *const of_itself[] = {"key", "origin", "attester", "certified", "created", "chain"};

static void with_all_that_can_be_known(void **state)
{
        static const char *const asked[] = {"nonce", "name", "authority", "endorsement"};
        const struct known known = everything();
        const struct report report = verify(&known);
        char hex[2 * EVIDENCE_NAME_LEN + 1];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(of_itself); i++)
                expect(&report, of_itself[i], VERDICT_PROVED);
        for (size_t i = 0; i < N_ELEMENTS(asked); i++)
                expect(&report, asked[i], VERDICT_PROVED);
        expect(&report, "same-tpm", VERDICT_OPEN);
        assert_true(report.consistent);
        hex_encode((struct view){name, sizeof name}, hex);
        assert_string_equal(report.attester, hex);
}

/* What nobody asked about is open, and said to be. */
static void with_nothing_known(void **state)
{
        static const char *const open[] = {"nonce", "name", "authority", "endorsement", "same-tpm"};
        const struct known known = {.now = NOW};
        const struct report report = verify(&known);

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(of_itself); i++)
                expect(&report, of_itself[i], VERDICT_PROVED);
        for (size_t i = 0; i < N_ELEMENTS(open); i++)
                expect(&report, open[i], VERDICT_OPEN);
        assert_true(report.consistent);
}

static void knows_otherwise(void **state)
{
        struct bytes other = {name, 3};
        static const uint8_t other_name[EVIDENCE_NAME_LEN] = {0, 11};
        const struct {
                struct known known;
                const char *check;
        } cases[] = {
                {{.now = NOW, .nonce = &other}, "nonce"},
                {{.now = NOW, .nonce = &(struct bytes){0}}, "nonce"},
                {{.now = NOW, .attester = other_name}, "name"},
                {{.now = NOW, .authorities = maker}, "authority"},
                {{.now = NOW, .makers = root}, "endorsement"},
                {{.now = NOW + 2 * 365 * 86400, .authorities = root}, "authority"}, /* expired by then */
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct report report = verify(&cases[i].known);

                expect(&report, cases[i].check, VERDICT_FAILED);
                assert_false(report.consistent);
        }
}

static void no_certificate_of_the_tpm(void **state)
{
        struct cert_list kept = bundle.evidence.endorsement;
        struct known known = {.now = NOW};
        struct report report;

        (void)state;
        bundle.evidence.endorsement = (struct cert_list){0};
        report = verify(&known);
        expect(&report, "endorsement", VERDICT_OPEN);
        assert_null(find(&report, "same-tpm"));
        assert_true(report.consistent);
        known.makers = maker;
        report = verify(&known);
        expect(&report, "endorsement", VERDICT_FAILED);
        assert_false(report.consistent);
        bundle.evidence.endorsement = kept;
}

/* One octet of each member, and what is said then. */
static void each_member_counts(void **state)
{
        const struct {
                const char *member;
                struct bytes *octets;
                size_t at;
                uint8_t flip;
                const char *check, *sentence;
        } cases[] = {
                {"certificate", &bundle.certificate, 200, 1, "certified", "another certificate"},
                {"chain", &bundle.chain.items[0], 400, 1, "chain", "has not issued"},
                {"chain, its signature", &bundle.chain.items[0], bundle.chain.items[0].len - 1, 1,
                 "authority", "signature"},
                {"nonce", &bundle.nonce, 0, 1, "nonce", "another nonce"},
                {"public", &bundle.evidence.public, bundle.evidence.public.len - 1, 1, "key", ""},
                {"public, attributes", &bundle.evidence.public, 7, 2, "origin", "fixedTPM"},
                {"certifyInfo", &bundle.evidence.certify, 0, 1, "certified", "magic number"},
                {"certifyInfo, clock", &bundle.evidence.certify, 80, 1, "certified", "has not signed"},
                {"certifySignature", &bundle.evidence.signature, 40, 1, "certified", "has not signed"},
                {"attesterPublic", &bundle.evidence.attester, 5, 1, "attester", "not restricted"},
                {"attesterPublic, name", &bundle.evidence.attester, 6, 1, "name", "another than"},
                {"creationData", &bundle.evidence.creation, 60, 1, "created", "creation data"},
                {"creationInfo", &bundle.evidence.creation_certify, 80, 1, "created", "has not signed"},
                {"creationSignature", &bundle.evidence.creation_signature, 40, 1, "created",
                 "has not signed"},
                {"endorsement", &bundle.evidence.endorsement.items[0], 300, 1, "endorsement", "signature"},
                {"endorsement, the other", &bundle.evidence.endorsement.items[1], 600, 1, "endorsement",
                 "signature"},
        };
        const struct known known = everything();

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct finding *finding;
                struct report report;

                cases[i].octets->data[cases[i].at] ^= cases[i].flip;
                report = verify(&known);
                cases[i].octets->data[cases[i].at] ^= cases[i].flip;
                finding = find(&report, cases[i].check);
                if (report.consistent || !finding || finding->verdict != VERDICT_FAILED ||
                    !strstr(finding->text, cases[i].sentence))
                        fail_msg("%s: %s", cases[i].member, finding ? finding->text : "nothing is said");
        }
}

static void every_member_counts_anywhere(void **state)
{
        struct bytes *const members[] = {&bundle.certificate,
                                         &bundle.chain.items[0],
                                         &bundle.nonce,
                                         &bundle.evidence.public,
                                         &bundle.evidence.certify,
                                         &bundle.evidence.signature,
                                         &bundle.evidence.attester,
                                         &bundle.evidence.creation,
                                         &bundle.evidence.creation_certify,
                                         &bundle.evidence.creation_signature,
                                         &bundle.evidence.endorsement.items[0],
                                         &bundle.evidence.endorsement.items[1]};
        const struct known known = everything();

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(members); i++)
                for (size_t at = 0; at < members[i]->len; at += 5) {
                        struct report report;

                        members[i]->data[at] ^= 1;
                        report = verify(&known);
                        members[i]->data[at] ^= 1;
                        if (report.consistent)
                                fail_msg("member %zu, octet %zu", i, at);
                }
}

static void no_bundle(void **state)
{
        static const char *const texts[] = {"", "{}", "[]", "{\"version\": 1}", "\xff\xfe"};
        const struct known known = everything();

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
                struct report report;

                verify_text(str_view(texts[i]), &known, &report);
                expect(&report, "bundle", VERDICT_FAILED);
                assert_false(report.consistent);
                assert_int_equal(report.count, 1);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(with_all_that_can_be_known),
                cmocka_unit_test(with_nothing_known),
                cmocka_unit_test(knows_otherwise),
                cmocka_unit_test(no_certificate_of_the_tpm),
                cmocka_unit_test(each_member_counts),
                cmocka_unit_test(every_member_counts_anywhere),
                cmocka_unit_test(no_bundle),
        };

        return cmocka_run_group_tests_name("service-verify", tests, start, stop);
}
