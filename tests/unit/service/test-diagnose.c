/* service/diagnose: the table of codes, and what each observation is told as. */
#include "test.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "diagnose/findings.h"
#include "pki.h"
#include "policy/profile.h"
#include "scep-wire/problem.h"

/* The codes of faults and notes, and of what is well, in their order: "dns-ok tcp-failed". */
struct told {
        char codes[512];
        char observed[512]; /* of the last */
};

static void collect(void *ctx, const struct diagnose_row *row, const char *observed, const char *remedy)
{
        struct told *told = ctx;
        const size_t len = strlen(told->codes);

        assert_true(*observed);
        assert_true(row->result != RESULT_FAULT || (*row->cause && *remedy));
        (void)snprintf(told->codes + len, sizeof told->codes - len, "%s%s", len ? " " : "", row->name);
        (void)snprintf(told->observed, sizeof told->observed, "%s", observed);
}

static void codes(void **state)
{
        (void)state;
        for (int i = 0; i < _DIAGNOSE_MAX; i++) {
                const struct diagnose_row *row = diagnose_row((enum diagnose_code)i);
                const struct diagnose_row *before = i ? diagnose_row((enum diagnose_code)(i - 1)) : NULL;
                const char *step = diagnose_step_name(row->step);

                /* in the order of the steps, named after them, each once */
                assert_true(!before || before->step <= row->step);
                assert_int_equal(strncmp(row->name, step, strlen(step)), 0);
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(row->name, diagnose_row((enum diagnose_code)j)->name);
                assert_true((row->result == RESULT_OK) == !*row->cause);
                assert_true(row->result != RESULT_FAULT || *row->remedy);
        }
        assert_string_equal(diagnose_result_name(RESULT_FAULT), "fault");
}

/* A healthy answer, for a case to spoil. */
static struct probe_answer fine(int64_t status)
{
        return (struct probe_answer){
                .asked = 1, .address = "192.0.2.1", .http = {.status = status, .has_date = true}};
}

static struct probe_answer broken(enum http_problem problem, const char *message)
{
        struct probe_answer a = fine(0);

        a.problem = (uint64_t)problem;
        a.name = "NetworkError";
        a.message = message;
        a.remedy = "Do something.";
        a.http.has_date = false;
        return a;
}

static struct probe_answer status(int64_t number, const char *target)
{
        struct probe_answer a = broken(HTTP_STATUS, "The server answered");

        a.http = (struct result_http){.status = number, .has_date = true};
        a.target = target;
        return a;
}

static struct probe_answer unverified(int64_t verify, const char *message)
{
        struct probe_answer a = broken(HTTP_TLS, message);

        a.verify = verify;
        return a;
}

static struct probe_answer at_time(int64_t offset)
{
        struct probe_answer a = fine(200);

        a.http.date_offset = offset;
        return a;
}

static struct probe_answer without_address(struct probe_answer a)
{
        a.address = NULL;
        return a;
}

static void network(void **state)
{
        const struct probe_answer none = {0}, ok = fine(200), page = fine(403);
        struct probe_answer dateless = ok, slow = ok;
        struct probe_answer dateless_page = page;

        dateless.http.has_date = dateless_page.http.has_date = false;
        slow.milliseconds = 5001;
        const struct {
                const char *url;
                struct probe_answer page, caps, certs;
                const char *codes;
                bool answered;
        } cases[] = {
                {"http://a/", page, ok, ok, "dns-ok tcp-ok tls-none clock-ok url-policy-module", true},
                {"https://a/", page, ok, ok, "dns-ok tcp-ok tls-ok clock-ok url-policy-module", true},
                {"HTTPS://a/", fine(200), ok, ok, "dns-ok tcp-ok tls-ok clock-ok url-no-policy-module", true},
                {"https://a/", fine(404), ok, ok, "dns-ok tcp-ok tls-ok clock-ok url-ok", true},
                {"https://a/", page, ok, slow, "dns-ok tcp-ok tls-ok clock-ok url-policy-module url-slow",
                 true},
                {"https://a/", broken(HTTP_NAME, "no name"), none, none, "dns-failed", false},
                {"https://a/", broken(HTTP_DENIED, "local"), none, none, "dns-local", false},
                {"https://a/", broken(HTTP_PROXY, "no proxy"), none, none, "tcp-proxy", false},
                {"https://a/", broken(HTTP_CONNECTION, "refused"), none, none, "dns-ok tcp-failed", false},
                {"https://a/", without_address(broken(HTTP_TIMEOUT, "late")), none, none,
                 "dns-ok tcp-timeout", false},
                {"https://a/", unverified(X509_V_ERR_CERT_HAS_EXPIRED, "expired"), none, none,
                 "dns-ok tcp-ok tls-expired", false},
                {"https://a/", unverified(X509_V_ERR_CERT_NOT_YET_VALID, "early"), none, none,
                 "dns-ok tcp-ok tls-expired", false},
                {"https://a/", unverified(X509_V_ERR_HOSTNAME_MISMATCH, "name"), none, none,
                 "dns-ok tcp-ok tls-name", false},
                {"https://a/", broken(HTTP_TLS_NAME, "another"), none, none, "dns-ok tcp-ok tls-name", false},
                {"https://a/", unverified(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "issuer"), none, none,
                 "dns-ok tcp-ok tls-untrusted", false},
                {"https://a/", unverified(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "self"), none, none,
                 "dns-ok tcp-ok tls-untrusted", false},
                {"https://a/", broken(HTTP_TLS_CLIENT, "wanted"), none, none,
                 "dns-ok tcp-ok tls-client-certificate", false},
                {"https://a/", page, ok, broken(HTTP_TLS_CLIENT, "wanted"),
                 "dns-ok tcp-ok tls-client-certificate", false},
                {"https://a/", broken(HTTP_TLS_CLIENT, "asked for"), ok, ok,
                 "dns-ok tcp-ok tls-ok clock-ok url-ok", true},
                {"https://a/", unverified(0, "wrong version number"), none, none, "dns-ok tcp-ok tls-failed",
                 false},
                {"http://a/", page, at_time(299), at_time(300),
                 "dns-ok tcp-ok tls-none clock-ok url-policy-module", true},
                {"http://a/", page, at_time(0), at_time(301),
                 "dns-ok tcp-ok tls-none clock-skew url-policy-module", true},
                {"http://a/", page, at_time(0), at_time(-86400),
                 "dns-ok tcp-ok tls-none clock-skew url-policy-module", true},
                {"http://a/", dateless_page, dateless, dateless,
                 "dns-ok tcp-ok tls-none clock-unknown url-policy-module", true},
                {"http://a/", page, ok, status(302, "https://login.example/"),
                 "dns-ok tcp-ok tls-none clock-ok url-login", true},
                {"http://a/", page, ok, status(401, NULL), "dns-ok tcp-ok tls-none clock-ok url-login", true},
                {"http://a/", page, ok, status(404, NULL), "dns-ok tcp-ok tls-none clock-ok url-not-found",
                 true},
                {"http://a/", page, ok, status(418, NULL), "dns-ok tcp-ok tls-none clock-ok url-status",
                 true},
                {"http://a/", page, ok, broken(HTTP_PAGE, "page"),
                 "dns-ok tcp-ok tls-none clock-ok url-portal", true},
                {"http://a/", page, ok, broken(HTTP_TOO_LARGE, "large"),
                 "dns-ok tcp-ok tls-none clock-ok url-portal", true},
                {"http://a/", page, ok, broken(HTTP_BROKEN, "cut"),
                 "dns-ok tcp-ok tls-none clock-ok url-closed", true},
                {"http://a/", page, ok, broken(HTTP_TIMEOUT, "late"),
                 "dns-ok tcp-ok tls-none clock-ok tcp-timeout", true},
                {"http://a/", page, broken(HTTP_CLOSED, "closed"), none,
                 "dns-ok tcp-ok tls-none clock-ok url-closed", false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct result_probed p = {cases[i].url, cases[i].page, cases[i].caps, cases[i].certs};
                struct told told = {0};
                struct findings f = {collect, &told, 0};

                assert_int_equal(findings_network(&f, &p), cases[i].answered);
                if (strcmp(told.codes, cases[i].codes) != 0)
                        fail_msg("case %zu: wanted %s, got %s", i, cases[i].codes, told.codes);
        }
}

static void revocation(void **state)
{
        static const struct error refused = {.code = ERR_SERVER_REFUSED,
                                             .message = "GetCRL: the server gives none"};
        static const struct error lost = {.code = ERR_NETWORK, .message = "http://pki/: no route"};
        static const struct {
                struct crl_answer answer;
                bool is_ca;
                const char *code, *says;
        } cases[] = {
                {{.verdict = CRL_GOOD, .this_update = 1800000000, .next_update = 1800600000},
                 false,
                 "revocation-ok",
                 "'CN=device' is not in the CRL of 2027-01-15 08:00 UTC, the next comes by 2027-01-22 06:40 "
                 "UTC (http://pki/ca.crl)"},
                {{.verdict = CRL_GOOD, .this_update = 1800000000},
                 true,
                 "revocation-ok",
                 "The CA 'CN=device' is not in the CRL of 2027-01-15 08:00 UTC (http://pki/ca.crl)"},
                {{.verdict = CRL_REVOKED, .revoked_at = 1800000000, .reason = "superseded"},
                 false,
                 "revocation-revoked",
                 "'CN=device' was revoked at 2027-01-15 08:00 UTC, reason superseded (http://pki/ca.crl)"},
                {{.verdict = CRL_REVOKED, .revoked_at = 1800000000},
                 true,
                 "revocation-ca-revoked",
                 "The CA 'CN=device' was revoked at 2027-01-15 08:00 UTC (http://pki/ca.crl)"},
                {{.verdict = CRL_STALE, .next_update = 1800000000},
                 false,
                 "revocation-stale",
                 "'CN=device': a new CRL was due by 2027-01-15 08:00 UTC at http://pki/ca.crl"},
                {{.verdict = CRL_EARLY, .this_update = 1800000000},
                 false,
                 "revocation-early",
                 "'CN=device': the CRL begins at 2027-01-15 08:00 UTC (http://pki/ca.crl)"},
                {{.verdict = CRL_FOREIGN, .why = "it is no CRL in DER"},
                 false,
                 "revocation-foreign",
                 "'CN=device': http://pki/ca.crl: it is no CRL in DER"},
        };
        CLEANUP(x509_free_p) X509 *cert = pki_cert(&(struct pki_spec){.subject = "device"});
        const struct crl_subject own = {cert, false}, ca = {cert, true};
        struct told told = {0};
        struct findings f = {collect, &told, 0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                told = (struct told){0};
                findings_crl(&f, cases[i].is_ca ? &ca : &own, "http://pki/ca.crl", &cases[i].answer);
                assert_string_equal(told.codes, cases[i].code);
                assert_string_equal(told.observed, cases[i].says);
        }
        told = (struct told){0};
        findings_crl_unnamed(&f, &own, false, NULL);
        assert_string_equal(told.observed, "'CN=device' names no CRL");
        findings_crl_unnamed(&f, &own, false, &refused);
        assert_string_equal(told.observed, "'CN=device' names no CRL; GetCRL: the server gives none");
        findings_crl_unnamed(&f, &ca, true, NULL);
        assert_string_equal(told.observed, "The CA 'CN=device' names no CRL by http, only by other ways");
        findings_crl_unreachable(&f, &own, &lost);
        assert_string_equal(told.observed, "'CN=device': http://pki/: no route");
        assert_string_equal(told.codes, "revocation-unnamed revocation-unnamed revocation-unnamed "
                                        "revocation-unreachable");
}

static void consumers(void **state)
{
        static const struct {
                struct key_users users;
                const char *codes, *says; /* of the last */
        } cases[] = {
                {{{{0}, 0}, {{0}, 0}}, "consumers-none", "No program has the key open just now"},
                {{{{7}, 1}, {{0}, 0}}, "consumers-ok", "The key is in use: pid 7"},
                {{{{0}, 0}, {{7, 4194304}, 2}},
                 "consumers-old",
                 "The key of an earlier certificate is in use: pid 7, 4194304"},
                {{{{1, 2, 3, 4, 5, 6, 7, 8}, 8}, {{9}, 1}},
                 "consumers-old consumers-ok",
                 "The key is in use: pid 1, 2, 3, 4, 5, 6, 7, 8 and perhaps more"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct told told = {0};
                struct findings f = {collect, &told, 0};

                findings_consumers(&f, &cases[i].users);
                assert_string_equal(told.codes, cases[i].codes);
                assert_string_equal(told.observed, cases[i].says);
        }
}

static void request(void **state)
{
        static const struct {
                const char *activity, *error, *said, *codes; /* said: failInfo or pkiStatus */
                uint64_t current, hresult;
        } cases[] = {
                {"idle", "", "", "request-none", 0, 0},
                {"idle", "", "", "request-ok", 1, 0},
                {"requesting", "", "", "request-running", 0, 0},
                {"installing", "", "", "request-running", 0, 0},
                {"pending", "", "", "request-pending", 0, 0},
                {"failed", "ServerRefused", "badAlg", "request-algorithm", 0, 0},
                {"failed", "ServerRefused", "badMessageCheck", "request-integrity", 0, 0},
                {"failed", "ServerRefused", "badRequest", "request-challenge", 1, 0},
                {"failed", "ServerRefused", "badTime", "request-time", 0, 0},
                {"failed", "ServerRefused", "badCertId", "request-unknown", 0, 0},
                {"failed", "ServerRefused", "badRequest", "request-template", 0, 0x80094800},
                {"failed", "ServerRefused", "badRequest", "request-key-length", 0, 0x80094811},
                {"failed", "ServerRefused", "badRequest", "request-ca-down", 0, 0x800706ba},
                {"failed", "ServerRefused", "", "request-failed", 0, 0},
                {"failed", "ServerRefused", "PENDING", "request-not-approved", 0, 0},
                {"failed", "ServerAlgorithm", "", "request-algorithm", 0, 0},
                {"failed", "NetworkError", "", "request-unanswered", 0, 0},
                {"failed", "Timeout", "", "request-unanswered", 0, 0},
                {"failed", "TlsError", "", "request-unanswered", 0, 0},
                {"failed", "HttpError", "", "request-http", 0, 0},
                {"failed", "InvalidReply", "", "request-reply", 0, 0},
                {"failed", "CaMismatch", "", "request-reply", 0, 0},
                {"failed", "CertificateRefused", "", "request-certificate", 0, 0},
                {"failed", "TpmFailed", "", "request-key", 0, 0},
                {"failed", "TpmLockedOut", "", "request-key", 0, 0},
                {"failed", "HostSecretMissing", "", "request-key", 0, 0},
                {"failed", "NoSuchErrorEver", "", "request-failed", 0, 0},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct told told = {0};
                struct findings f = {collect, &told, 0};
                struct record record;

                expect_ok(record_new(&record, &e));
                expect_ok(record_set_text(&record.activity, cases[i].activity, &e));
                expect_ok(record_set_text(&record.error_name, cases[i].error, &e));
                expect_ok(record_set_text(&record.error_message, "What happened", &e));
                expect_ok(record_set_text(&record.last_fail_info, cases[i].said, &e));
                expect_ok(record_set_text(&record.last_pki_status, cases[i].said, &e));
                record.last_hresult = cases[i].hresult;
                record.current = cases[i].current;
                findings_request(&f, &record);
                if (strcmp(told.codes, cases[i].codes) != 0)
                        fail_msg("%s: wanted %s, got %s", cases[i].error, cases[i].codes, told.codes);
                record_done_p(&record);
        }
}

static void keys(void **state)
{
        static const struct {
                enum policy_protection wanted;
                enum ksp_tpm_state tpm;
                enum err why;
                bool lockout, host_secret;
                const char *codes;
        } cases[] = {
                {POLICY_PROTECTION_TPM, KSP_TPM_READY, ERR_OK, false, true, "keys-tpm"},
                {POLICY_PROTECTION_TPM, KSP_TPM_READY, ERR_OK, true, true, "keys-tpm keys-tpm-lockout"},
                {POLICY_PROTECTION_TPM_PREFERRED, KSP_TPM_READY, ERR_OK, true, true,
                 "keys-tpm keys-tpm-lockout"},
                {POLICY_PROTECTION_TPM, KSP_TPM_FAILING, ERR_TPM_LOCKED_OUT, true, true,
                 "keys-tpm-locked-out"},
                {POLICY_PROTECTION_TPM_PREFERRED, KSP_TPM_FAILING, ERR_TPM_LOCKED_OUT, true, true,
                 "keys-tpm-locked-out"},
                {POLICY_PROTECTION_TPM_PREFERRED, KSP_TPM_FAILING, ERR_TPM_FULL, false, true,
                 "keys-tpm-full"},
                {POLICY_PROTECTION_TPM_PREFERRED, KSP_TPM_FAILING, ERR_TPM_RESET, false, true,
                 "keys-tpm-reset"},
                {POLICY_PROTECTION_TPM, KSP_TPM_ABSENT, ERR_TPM_ABSENT, false, true, "keys-tpm-absent"},
                {POLICY_PROTECTION_TPM, KSP_TPM_FAILING, ERR_TPM_PERMISSION, false, true,
                 "keys-tpm-permission"},
                {POLICY_PROTECTION_TPM_PREFERRED, KSP_TPM_FAILING, ERR_TPM_PERMISSION, false, true,
                 "keys-tpm-permission"},
                {POLICY_PROTECTION_TPM, KSP_TPM_FAILING, ERR_TPM_OWNER_AUTH, false, true,
                 "keys-tpm-owner-auth"},
                {POLICY_PROTECTION_TPM, KSP_TPM_FAILING, ERR_TPM_FAILED, false, true, "keys-tpm-failed"},
                {POLICY_PROTECTION_TPM_PREFERRED, KSP_TPM_ABSENT, ERR_TPM_ABSENT, false, true,
                 "keys-fall-back keys-software"},
                {POLICY_PROTECTION_TPM_PREFERRED, KSP_TPM_ABSENT, ERR_TPM_ABSENT, false, false,
                 "keys-fall-back keys-host-secret"},
                {POLICY_PROTECTION_SOFTWARE, KSP_TPM_FAILING, ERR_TPM_FAILED, false, true, "keys-software"},
                {POLICY_PROTECTION_SOFTWARE, KSP_TPM_READY, ERR_OK, false, false, "keys-host-secret"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct plan plan = {.protection = cases[i].wanted};
                struct ksp_tpm tpm = {.state = cases[i].tpm, .in_lockout = cases[i].lockout};
                struct told told = {0};
                struct findings f = {collect, &told, 0};

                if (cases[i].why)
                        (void)error_set(&tpm.why, cases[i].why, "why");
                tpm.algs[plan.algorithm] = true;
                findings_keys(&f, &plan, &tpm, cases[i].host_secret);
                if (strcmp(told.codes, cases[i].codes) != 0)
                        fail_msg("case %zu: wanted %s, got %s", i, cases[i].codes, told.codes);
        }
}

static void challenge(void **state)
{
        static const struct {
                enum challenge_kind kind;
                const char *challenge;
                uint64_t since;
                const char *codes;
        } cases[] = {
                {CHALLENGE_NONE, "", 0, "challenge-none"},
                {CHALLENGE_ASK, "", 0, "challenge-needed"},
                {CHALLENGE_ASK, "0123456789ABCDEF", 9000, "challenge-ready"},
                {CHALLENGE_ASK, "0123456789ABCDEF", 6400, "challenge-ready"},
                {CHALLENGE_ASK, "0123456789ABCDEF", 6399, "challenge-old"},
                {CHALLENGE_ASK, "0123456789ABCDEF", 0, "challenge-ready"}, /* when is not known */
                {CHALLENGE_ASK, "Az09 '()+,-./:=?", 9000, "challenge-ready"},
                {CHALLENGE_ASK, "with_underscore", 9000, "challenge-characters"},
                {CHALLENGE_ASK,
                 "Gr\xc3\xbc\xc3\x9f"
                 "e",
                 9000, "challenge-characters"},
                {CHALLENGE_ASK, "star*", 9000, "challenge-characters"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct plan plan = {.challenge = cases[i].kind};
                const struct view given = {(const uint8_t *)cases[i].challenge, strlen(cases[i].challenge)};
                struct told told = {0};
                struct findings f = {collect, &told, 0};

                findings_challenge(&f, &plan, given, cases[i].since, 10000);
                if (strcmp(told.codes, cases[i].codes) != 0)
                        fail_msg("case %zu: wanted %s, got %s", i, cases[i].codes, told.codes);
                /* a secret is counted, never shown */
                assert_true(!given.len || !strstr(told.observed, cases[i].challenge));
        }
}

static void renewal(void **state)
{
        static const struct {
                uint64_t current, at;
                const char *codes;
        } cases[] = {{0, 500, "renewal-none"},
                     {1, 0, "renewal-none"},
                     {1, 1001, "renewal-ok"},
                     {1, 1000, "renewal-due"},
                     {1, 1, "renewal-due"}};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct record record = {.current = cases[i].current, .renew_at = cases[i].at};
                struct told told = {0};
                struct findings f = {collect, &told, 0};

                findings_renewal(&f, &record, 1000);
                assert_string_equal(told.codes, cases[i].codes);
        }
}

/* A CA of one tier, and an RA of it. */
static void ca(void **state)
{
        enum { BOTH = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT };

        static const struct {
                const char *codes;
                int from, to;
                bool ec, foreign, no_anchor, garbage, url_alone;
        } cases[] = {
                {.codes = "ca-ok"},
                {.codes = "ca-ok ca-expires", .from = -300, .to = 29},
                {.codes = "ca-expired", .from = -300, .to = -1},
                {.codes = "ca-expired", .from = 1, .to = 300},
                {.codes = "ca-no-recipient", .ec = true},
                {.codes = "ca-mismatch", .foreign = true},
                {.codes = "profile-no-root", .no_anchor = true},
                {.codes = "ca-unreadable", .garbage = true},
                {.codes = "ca-ok", .url_alone = true},
                {.codes = "ca-expires ca-ok", .from = -300, .to = 29, .url_alone = true},
        };
        const struct plan plan = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                X509 *root = pki_cert(&(struct pki_spec){
                        .subject = "Root", .key = 0, .ca = true, .usage = KU_KEY_CERT_SIGN | KU_CRL_SIGN});
                X509 *other = pki_cert(&(struct pki_spec){
                        .subject = "Other", .key = 2, .ca = true, .usage = KU_KEY_CERT_SIGN | KU_CRL_SIGN});
                X509 *ra = pki_cert(&(struct pki_spec){.subject = "RA",
                                                       .issuer = root,
                                                       .issuer_key = 0,
                                                       .key = 1,
                                                       .ec = cases[i].ec,
                                                       .usage = BOTH,
                                                       .from = cases[i].from,
                                                       .to = cases[i].to,
                                                       .serial = 2});
                CLEANUP(bytes_done) struct bytes body = pki_degenerate((X509 *[]){ra, root}, 2);
                CLEANUP(x509_stack_free_p)
                STACK_OF(X509) *anchors = pki_stack(cases[i].foreign ? &other : &root, !cases[i].no_anchor);
                struct probe_answer answer = fine(200);
                const struct server_view view = {cases[i].url_alone ? NULL : &plan, anchors, PKI_NOW, NULL};
                struct told told = {0};
                struct findings f = {collect, &told, 0};

                answer.body =
                        cases[i].garbage ? (struct view){(const uint8_t *)"<html>", 6} : bytes_view(&body);
                findings_ca(&f, &answer, &view);
                if (strcmp(told.codes, cases[i].codes) != 0)
                        fail_msg("case %zu: wanted %s, got %s", i, cases[i].codes, told.codes);
                X509_free(ra);
                X509_free(other);
                X509_free(root);
        }
}

static void strangers_words(void **state)
{
        struct told told = {0};
        struct findings f = {collect, &told, 0};

        (void)state;
        findings_say(&f, DIAGNOSE_URL_STATUS, NULL, "said \x1b[31mred\r\n");
        assert_null(strpbrk(told.observed, "\x1b\r\n"));
        assert_int_equal(f.faults, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(codes),           cmocka_unit_test(network), cmocka_unit_test(revocation),
                cmocka_unit_test(consumers),       cmocka_unit_test(request), cmocka_unit_test(keys),
                cmocka_unit_test(challenge),       cmocka_unit_test(renewal), cmocka_unit_test(ca),
                cmocka_unit_test(strangers_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
