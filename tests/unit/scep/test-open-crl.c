/* service/scep/open: replies to GetCRL. */
#include "rep.h"

#include "scep-open/reply.h"
#include "scep-wire/ca-certs.h"

#define ID "00112233445566778899aabbccddeeff00112233"

enum { CA_KEY = 1, RA_KEY, RSA_KEY, OTHER_KEY };

static const uint8_t nonce[16] = "0123456789abcdef";
static X509 *ca, *ra, *rsa, *ec;
static struct bytes crl, second;

static int make(void **state)
{
        (void)state;
        ca = pki_cert(&(struct pki_spec){.subject = "CA", .key = CA_KEY, .ca = true});
        ra = pki_cert(&(struct pki_spec){
                .subject = "RA", .issuer = ca, .issuer_key = CA_KEY, .key = RA_KEY, .serial = 2});
        rsa = pki_cert(&(struct pki_spec){
                .subject = "device", .issuer = ca, .issuer_key = CA_KEY, .key = RSA_KEY, .serial = 5});
        ec = pki_cert(&(struct pki_spec){
                .subject = "device", .issuer = ca, .issuer_key = CA_KEY, .ec = true, .serial = 6});
        crl = pki_crl(ca, CA_KEY);
        second = pki_crl(ca, OTHER_KEY);
        return 0;
}

static int drop(void **state)
{
        (void)state;
        X509_free(ca), X509_free(ra), X509_free(rsa), X509_free(ec);
        bytes_done(&crl);
        bytes_done(&second);
        return 0;
}

/* A reply to the holder of @to with this in its envelope. */
static enum err open_it(X509 *to, const struct bytes *payload, bool wants_crl, struct reply *ret,
                        struct error *e)
{
        const struct rep rep = {.type = "3",
                                .status = "0",
                                .transaction = ID,
                                .nonce = {nonce, sizeof nonce},
                                .recipient = to,
                                .payload = bytes_view(payload),
                                .signer = ra,
                                .signer_key = pki_key(RA_KEY)};
        CLEANUP(bytes_done) struct bytes der = rep_make(&rep);
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *signers = pki_stack(&ra, 1);
        const struct reply_spec spec = {.reply = bytes_view(&der),
                                        .signers = signers,
                                        .transaction = ID,
                                        .nonce = {nonce, sizeof nonce},
                                        .recipient = to,
                                        .key = to == ec ? pki_ec_key() : pki_key(RSA_KEY),
                                        .transport = to == rsa,
                                        .agreement = to == ec,
                                        .crl = wants_crl,
                                        .now = PKI_NOW};

        return reply_open(&spec, ret, e);
}

static bool is_crl(const struct reply *reply, int at, const struct bytes *wanted)
{
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len = i2d_X509_CRL(sk_X509_CRL_value(reply->crls, at), &der);

        assert_true(len > 0);
        return view_equal((struct view){der, (size_t)len}, bytes_view(wanted));
}

static void taken(void **state)
{
        const struct bytes both[2] = {crl, second};
        const struct {
                const char *row;
                struct bytes payload;
                int n;
        } rows[] = {
                {"a CRL", pki_degenerate_crls(NULL, 0, &crl, 1), 1},
                {"beside certificates", pki_degenerate_crls((X509 *[]){rsa, ca}, 2, &crl, 1), 1},
                {"one for each key of the CA", pki_degenerate_crls(NULL, 0, both, 2), 2},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
                for (int way = 0; way < 2; way++) {
                        struct reply reply = {0};
                        struct error e = {0};

                        if (open_it(way ? ec : rsa, &rows[i].payload, true, &reply, &e))
                                fail_msg("%s: %s", rows[i].row, e.message);
                        assert_int_equal(reply.status, SCEP_SUCCESS);
                        assert_null(reply.certs);
                        assert_int_equal(sk_X509_CRL_num(reply.crls), rows[i].n);
                        /* DER sorts a SET */
                        assert_true(is_crl(&reply, 0, &crl) || is_crl(&reply, rows[i].n - 1, &crl));
                        assert_true(rows[i].n == 1 || is_crl(&reply, 0, &second) ||
                                    is_crl(&reply, 1, &second));
                        reply_done(&reply);
                }
                bytes_done((struct bytes *)(uintptr_t)&rows[i].payload);
        }
}

static void refused(void **state)
{
        struct bytes many[SCEP_CRLS_MAX + 1];
        CLEANUP(bytes_done) struct bytes certs = pki_degenerate(&rsa, 1);
        CLEANUP(bytes_done) struct bytes nothing = pki_degenerate(NULL, 0);
        CLEANUP(bytes_done) struct bytes one = pki_degenerate_crls(NULL, 0, &crl, 1);
        CLEANUP(bytes_done) struct bytes trailing = {0};
        CLEANUP(bytes_done) struct bytes too_many = {0};
        const struct {
                const char *row;
                const struct bytes *payload;
                bool wants_crl;
                const char *says;
        } rows[] = {
                {"certificates alone", &certs, true, "without a CRL"},
                {"nothing", &nothing, true, "without a CRL"},
                {"a CRL that stands alone", &crl, true, "CMS message"},
                {"octets behind it", &trailing, true, "followed by 1 other octets"},
                {"more than the limit", &too_many, true, "17 CRLs"},
                {"a CRL where a certificate was asked for", &one, false, "without a certificate"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(many); i++)
                many[i] = crl;
        too_many = pki_degenerate_crls(NULL, 0, many, N_ELEMENTS(many));
        assert_int_equal(bytes_copy(&trailing, one.data, one.len, NULL), ERR_OK);
        trailing.data = realloc(trailing.data, one.len + 1);
        trailing.data[trailing.len++] = 0;
        for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
                struct reply reply = {0};
                struct error e = {0};

                assert_int_equal(open_it(rsa, rows[i].payload, rows[i].wants_crl, &reply, &e), ERR_REPLY);
                if (!strstr(e.message, rows[i].says))
                        fail_msg("%s: %s", rows[i].row, e.message);
        }
}

/* A CRL is larger than what else a server answers, and no larger than that. */
static void sizes(void **state)
{
        CLEANUP(free_p) uint8_t *big = calloc(1, SCEP_CRL_BODY_MAX + 1);
        const struct reply_spec spec = {.reply = {big, SCEP_CRL_BODY_MAX + 1}, .crl = true};
        struct reply_spec smaller = spec;
        STACK_OF(X509_CRL) *crls = NULL;
        struct reply reply = {0};
        struct error e = {0};

        (void)state;
        expect_err(reply_open(&spec, &reply, &e), ERR_TOO_LARGE);
        smaller.reply.len--;
        expect_err(reply_open(&smaller, &reply, &e), ERR_REPLY);
        smaller.crl = false;
        expect_err(reply_open(&smaller, &reply, &e), ERR_TOO_LARGE);
        expect_err(degenerate_crls_parse(spec.reply, &crls, &e), ERR_TOO_LARGE);
        expect_err(degenerate_crls_parse((struct view){0}, &crls, &e), ERR_REPLY);
}

static void mutations(void **state)
{
        CLEANUP(bytes_done) struct bytes good = pki_degenerate_crls(&rsa, 1, &crl, 1);
        uint32_t seed = 8894;

        (void)state;
        for (int i = 0; i < 2000; i++) {
                struct bytes m = mutate(bytes_view(&good), &seed);
                STACK_OF(X509_CRL) *crls = NULL;

                if (degenerate_crls_parse(bytes_view(&m), &crls, NULL) == ERR_OK)
                        sk_X509_CRL_pop_free(crls, X509_CRL_free);
                bytes_done(&m);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(taken),
                cmocka_unit_test(refused),
                cmocka_unit_test(sizes),
                cmocka_unit_test(mutations),
        };

        return cmocka_run_group_tests(tests, make, drop);
}
