/* service/attest: a bundle's form, as it is written, and as strangers would have it. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "attest/bundle.h"
#include "base/file.h"

static struct error e;

static struct bytes whole(void)
{
        struct bytes text = {0};

        expect_ok(file_read(AT_FDCWD, TEST_DATA "/attest/bundle.json", BUNDLE_MAX, &text, &e));
        return text;
}

/* The text with the first @from in it replaced; free(). */
static char *replaced(const char *text, const char *from, const char *to)
{
        const char *at = strstr(text, from);
        char *ret;

        if (!at)
                fail_msg("there is no '%s'", from);
        assert_true(asprintf(&ret, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
        return ret;
}

static void written_as_read(void **state)
{
        CLEANUP(bytes_done) struct bytes text = whole();
        CLEANUP(bundle_done) struct bundle bundle = {0};
        CLEANUP(free_p) char *again = NULL;

        (void)state;
        expect_ok(bundle_read(bytes_view(&text), &bundle, &e));
        assert_int_equal(bundle.chain.count, 1);
        assert_int_equal(bundle.evidence.endorsement.count, 2);
        assert_int_equal(bundle.evidence.endorsement_chain.count, 0);
        assert_true(view_equal(bytes_view(&bundle.nonce), str_view("abc")));
        expect_ok(bundle_write(&bundle, &again, &e));
        assert_string_equal(again, (const char *)text.data);
}

static void refused(void **state)
{
        static const struct {
                const char *from, *to, *sentence;
        } cases[] = {
                {"{", "[", "not a JSON object"},
                {"\"version\": 1", "\"version\": 2", "version"},
                {"\"version\": 1", "\"version\": \"1\"", "version"},
                {"\"version\": 1,", "", "version"},
                {"\"version\": 1,", "\"version\": 1, \"more\": 1,", "does not know"},
                {"\"version\": 1,", "\"version\": 1, \"nonce\": \"\",", "not a JSON object"}, /* twice */
                {"\"nonce\"", "\"Nonce\"", "no member 'nonce'"},
                {"\"endorsementChain\"", "\"endorsementchain\"", "no member 'endorsementChain'"},
                {"\"YWJj\"", "17", "'nonce' of the bundle is not base64"},
                {"\"YWJj\"", "[\"YWJj\"]", "'nonce' of the bundle is not base64"},
                {"YWJj", "YWJ", "not base64"},
                {"YWJj", "YWJj\\n\\n\\n\\n", "not base64"},
                {"YWJj", " WJj", "not base64"},
                {"YWJj", "YWJ-", "not base64"},
                {"YWJj", "YW==YWJj", "not base64"},
                {"YWJj", "Y===", "not base64"},
                {"YWJj", "====", "not base64"},
                {"YWJj", "YR==", "not base64"}, /* bits behind the end */
                {"YWJj", "YWJj\\u0000abc", "not a JSON object"},
                {"\"endorsementChain\": []", "\"endorsementChain\": {}", "not a list"},
                {"\"endorsementChain\": []", "\"endorsementChain\": [1]", "not base64"},
                {"\"endorsementChain\": []",
                 "\"endorsementChain\": [\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]", "at most 8"},
        };
        CLEANUP(bytes_done) struct bytes text = whole();

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(bundle_done) struct bundle bundle = {0};
                CLEANUP(free_p) char *changed = replaced((const char *)text.data, cases[i].from, cases[i].to);

                expect_err(bundle_read(str_view(changed), &bundle, &e), ERR_EVIDENCE);
                if (!strstr(e.message, cases[i].sentence))
                        fail_msg("%s: %s", cases[i].to, e.message);
        }
}

static void bounds(void **state)
{
        CLEANUP(bytes_done) struct bytes text = whole();
        CLEANUP(bundle_done) struct bundle most = {0};
        CLEANUP(bundle_done) struct bundle more = {0};
        CLEANUP(free_p) char *long_nonce = NULL;
        CLEANUP(free_p) char *large = calloc(1, BUNDLE_MAX + 1);
        char nonce[BUNDLE_NONCE_MAX / 3 * 4 + 8];

        (void)state;
        memset(nonce, 'A', sizeof nonce);
        strcpy(nonce + (BUNDLE_NONCE_MAX / 3 * 4), "AA=="); /* 1024 is 3 * 341 + 1 */
        long_nonce = replaced((const char *)text.data, "YWJj", nonce);
        expect_ok(bundle_read(str_view(long_nonce), &most, &e));
        assert_int_equal(most.nonce.len, BUNDLE_NONCE_MAX);
        strcpy(nonce + (BUNDLE_NONCE_MAX / 3 * 4), "AAA=");
        free(long_nonce);
        long_nonce = replaced((const char *)text.data, "YWJj", nonce);
        expect_err(bundle_read(str_view(long_nonce), &more, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "more than 1024"));
        expect_err(bundle_read((struct view){(const uint8_t *)large, BUNDLE_MAX + 1}, &more, &e),
                   ERR_EVIDENCE);
        expect_err(bundle_read((struct view){0}, &more, &e), ERR_EVIDENCE);
}

static void certificates_of_a_file(void **state)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        CLEANUP(cert_list_done) struct cert_list list = {0};
        CLEANUP(free_p) char *broken = NULL;

        (void)state;
        expect_ok(file_read(AT_FDCWD, TEST_DATA "/attest/root.pem", BUNDLE_MAX, &pem, &e));
        for (size_t i = 1; i <= EVIDENCE_CERTS_MAX; i++) {
                expect_ok(bundle_add_pem(&list, bytes_view(&pem), &e));
                assert_int_equal(list.count, i);
        }
        expect_err(bundle_add_pem(&list, bytes_view(&pem), &e), ERR_TOO_LARGE);
        expect_ok(bundle_add_pem(&list, str_view("no certificate"), &e));
        broken = replaced((const char *)pem.data, "MII", "MIJ");
        expect_err(bundle_add_pem(&list, str_view(broken), &e), ERR_CONFIG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(written_as_read),
                cmocka_unit_test(refused),
                cmocka_unit_test(bounds),
                cmocka_unit_test(certificates_of_a_file),
        };

        return cmocka_run_group_tests_name("service-bundle", tests, NULL, NULL);
}
