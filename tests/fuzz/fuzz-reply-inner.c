/*
 * What a decrypt gives: certificates or CRLs in a degenerate SignedData; and each of them as the daemon looks
 * at it afterwards. The plan is that of the recorded device.
 */
#include <openssl/err.h>
#include <string.h>

#include "base/parse.h"
#include "fuzz.h"
#include "policy/check.h"
#include "recorded.h"
#include "revocation/crl.h"
#include "scep-wire/ca-certs.h"

static const struct plan *wanted(void)
{
        static struct plan plan;
        static const char *const pairs[][2] = {
                {"subject", "3011310f300d06035504030c06646576696365"},
                {"san", "3003820161"},
                {"keyUsage", "digitalSignature keyEncipherment"},
                {"extendedKeyUsage", "1.3.6.1.5.5.7.3.2"},
                {"protection", "software"},
                {"url", "https://a/"},
                {"threshold", "20"},
                {"retryDelay", "5"},
                {"pendingLimit", "7d"},
        };
        CLEANUP(settings_done) struct settings settings = {0};

        if (plan.subject.len)
                return &plan;
        for (size_t i = 0; i < N_ELEMENTS(pairs); i++)
                fuzz_promise(settings_add(&settings, pairs[i][0], pairs[i][1], 0, NULL) == ERR_OK,
                             "the plan is written");
        fuzz_promise(plan_from_pairs(&settings, &plan, NULL) == ERR_OK, "the plan is read");
        return &plan;
}

static void look(X509 *cert, STACK_OF(X509) * all)
{
        CLEANUP(bytes_done) struct bytes spki = {0};
        CLEANUP(crl_urls_done) struct crl_urls urls = {0};
        CLEANUP(check_result_done) struct check_result result = {0};
        struct check_input in = {.plan = wanted(),
                                 .cert = cert,
                                 .chain = all,
                                 .anchor = recorded()->ca,
                                 .now = RECORDED_NOW,
                                 .clock_trusted = true,
                                 .previous = recorded()->own};
        EVP_PKEY *key = X509_get0_pubkey(cert);
        struct error e = {0};
        enum err r;

        /* Mostly its own key, so that the rest is looked at. */
        if (!key || spki_der(key, &spki, NULL))
                fuzz_promise(spki_der(recorded()->own_key, &spki, NULL) == ERR_OK, "the key is written");
        in.spki = bytes_view(&spki);
        r = certificate_check(&in, &result, &e);
        fuzz_promise(!r || e.code == r, "a failure is whole");
        fuzz_promise(r || (result.verdict == CHECK_ACCEPTED) == (e.code == ERR_OK),
                     "what is not accepted has a reason");
        for (size_t i = 0; i < result.n_deviations; i++)
                fuzz_promise(utf8_valid(str_view(result.deviations[i].text)) &&
                                     !strchr(result.deviations[i].text, '\n'),
                             "a deviation is a line of text");
        r = crl_urls(cert, &urls, &e);
        fuzz_promise(r || urls.n <= CRL_URLS_MAX, "there are not too many places");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = NULL;
        STACK_OF(X509_CRL) *crls = NULL;
        struct error e = {0};
        enum err r = degenerate_parse((struct view){data, size}, &certs, &e);

        fuzz_whole(r, &e);
        fuzz_promise(r || (sk_X509_num(certs) > 0 && sk_X509_num(certs) <= SCEP_CERTS_MAX),
                     "bounds are kept");
        for (int i = 0; i < sk_X509_num(certs); i++)
                look(sk_X509_value(certs, i), certs);
        e = (struct error){0};
        r = degenerate_crls_parse((struct view){data, size}, &crls, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r || (sk_X509_CRL_num(crls) > 0 && sk_X509_CRL_num(crls) <= SCEP_CRLS_MAX),
                     "bounds are kept");
        sk_X509_CRL_pop_free(crls, X509_CRL_free);
        ERR_clear_error();
        return 0;
}
