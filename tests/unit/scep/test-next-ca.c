/* service/scep/wire/next-ca: what a CA announces, by whom it has to be signed, where it leads to. */
#include "pki.h"

#include <openssl/cms.h>

#include "scep-wire/next-ca.h"

enum {
        ROOT,
        ISSUING, /* below ROOT; signs */
        RA,
        NEXT,         /* a root of the same name */
        NEXT_ISSUING, /* below NEXT */
        SAME_ROOT,    /* the next issuing CA below ROOT */
        RENEWED,      /* ROOT once more, with its key */
        CROSS,        /* OTHER, certified by ROOT */
        ENDED,
        COMING,
        OTHER,
        PLAIN, /* self-signed, and no CA */
        STRAY, /* a CA below OTHER */
        _CERTS,
        NONE
};

#define CA_USE (KU_KEY_CERT_SIGN | KU_CRL_SIGN)

static X509 *certs[_CERTS];
static const unsigned keys[_CERTS] = {0, 1, 2, 3, 4, 5, 0, 7, 6, 6, 7, 6, 6};

static int make(void **state)
{
        (void)state;
#define MAKE(which, name, by, ...)                                                                           \
        certs[which] = pki_cert(&(struct pki_spec){.subject = (name),                                        \
                                                   .key = keys[which],                                       \
                                                   .issuer = (by) == NONE ? NULL : certs[(by) % _CERTS],     \
                                                   .issuer_key = (by) == NONE ? 0 : keys[(by) % _CERTS],     \
                                                   __VA_ARGS__})
        MAKE(ROOT, "Root", NONE, .ca = true, .usage = CA_USE, .from = -900, .to = 900);
        MAKE(ISSUING, "Issuing", ROOT, .ca = true, .usage = CA_USE, .serial = 7);
        MAKE(RA, "RA", ISSUING, .usage = KU_DIGITAL_SIGNATURE, .serial = 11);
        MAKE(NEXT, "Root", NONE, .ca = true, .usage = CA_USE, .serial = 2);
        MAKE(NEXT_ISSUING, "Issuing", NEXT, .ca = true, .usage = CA_USE, .serial = 7);
        MAKE(SAME_ROOT, "Issuing", ROOT, .ca = true, .usage = CA_USE, .serial = 3);
        MAKE(RENEWED, "Root", NONE, .ca = true, .usage = CA_USE, .serial = 4, .from = -1, .to = 2000);
        MAKE(CROSS, "Other", ROOT, .ca = true, .usage = CA_USE, .serial = 5);
        MAKE(ENDED, "Ended", NONE, .ca = true, .usage = CA_USE, .from = -900, .to = -1);
        MAKE(COMING, "Coming", NONE, .ca = true, .usage = CA_USE, .from = 10, .to = 900);
        MAKE(OTHER, "Other", NONE, .ca = true, .usage = CA_USE);
        MAKE(PLAIN, "Plain", NONE, .usage = KU_DIGITAL_SIGNATURE);
        MAKE(STRAY, "Stray", OTHER, .ca = true, .usage = CA_USE);
#undef MAKE
        return 0;
}

static int drop(void **state)
{
        (void)state;
        for (int i = 0; i < _CERTS; i++)
                X509_free(certs[i]);
        return 0;
}

struct made {
        int certs[4]; /* what it brings; NONE ends */
        int signer;   /* NONE: nobody */
        const char *digest;
        int second; /* another signer; 0: none */
        const char *junk;
        bool ber, attributeless, as_signed;
};

/* bytes_done() */
static struct bytes announce(const struct made *m)
{
        X509 *list[4];
        struct bytes content = {0}, ret = {0};
        unsigned flags = CMS_BINARY | CMS_PARTIAL | (m->ber ? CMS_STREAM : 0);
        BIO *in, *out = BIO_new(BIO_s_mem());
        CMS_ContentInfo *cms;
        size_t n = 0;

        for (; n < 4 && m->certs[n] != NONE; n++)
                list[n] = certs[m->certs[n]];
        if (!m->junk)
                content = pki_degenerate(list, n);
        in = m->junk ? BIO_new_mem_buf(m->junk, -1) : BIO_new_mem_buf(content.data, (int)content.len);
        cms = CMS_sign(NULL, NULL, NULL, in, flags);
        assert_non_null(cms);
        if (m->as_signed)
                assert_int_equal(CMS_set1_eContentType(cms, OBJ_nid2obj(NID_pkcs7_signed)), 1);
        for (int k = 0; k < 2; k++) {
                const int who = k ? m->second : m->signer;

                if (who == NONE || (k && !who))
                        continue;
                assert_non_null(CMS_add1_signer(cms, certs[who], pki_key(keys[who]),
                                                EVP_get_digestbyname(m->digest ? m->digest : "SHA256"),
                                                flags | (m->attributeless ? CMS_NOATTR : 0)));
        }
        if (!m->ber)
                assert_int_equal(CMS_final(cms, in, NULL, flags), 1);
        assert_int_equal(m->ber ? i2d_CMS_bio_stream(out, cms, in, (int)flags) : i2d_CMS_bio(out, cms), 1);
        assert_int_equal(bio_bytes(out, &ret, NULL), ERR_OK);
        CMS_ContentInfo_free(cms);
        BIO_free(in);
        BIO_free(out);
        bytes_done(&content);
        return ret;
}

static enum err open_it(struct view body, int anchor, bool sha1, X509 **ret, struct error *e)
{
        X509 *all[] = {certs[ISSUING], certs[RA]};
        STACK_OF(X509) *others = pki_stack(all, 2);
        const struct next_ca_spec spec = {certs[ISSUING], others, certs[anchor], sha1, PKI_NOW};
        enum err r = next_ca_open(body, &spec, ret, e);

        sk_X509_pop_free(others, X509_free);
        return r;
}

static void taken(void **state)
{
        static const struct {
                struct made made;
                bool sha1;
                int want; /* NONE: nothing changes */
        } cases[] = {
                {{.certs = {NEXT, NONE}, .signer = ISSUING}, false, NEXT},
                {{.certs = {NEXT_ISSUING, NEXT, NONE}, .signer = ISSUING}, false, NEXT},
                {{.certs = {NEXT, NEXT_ISSUING, NONE}, .signer = ISSUING}, false, NEXT},
                {{.certs = {NEXT_ISSUING, NONE}, .signer = ISSUING}, false, NEXT_ISSUING},
                {{.certs = {COMING, NONE}, .signer = ISSUING}, false, COMING},
                {{.certs = {RENEWED, NONE}, .signer = ISSUING}, false, RENEWED},
                {{.certs = {OTHER, CROSS, NONE}, .signer = ISSUING}, false, OTHER},
                {{.certs = {NEXT, ROOT, ISSUING, NONE}, .signer = ISSUING}, false, NEXT},
                {{.certs = {NEXT, NONE}, .signer = ISSUING, .digest = "SHA512"}, false, NEXT},
                {{.certs = {NEXT, NONE}, .signer = ISSUING, .digest = "SHA1"}, true, NEXT},
                {{.certs = {NEXT, NONE}, .signer = ISSUING, .ber = true}, false, NEXT},
                {{.certs = {NEXT, NONE}, .signer = ISSUING, .attributeless = true}, false, NEXT},
                {{.certs = {NEXT, NONE}, .signer = ISSUING, .as_signed = true}, false, NEXT},
                {{.certs = {SAME_ROOT, NONE}, .signer = ISSUING}, false, NONE},
                {{.certs = {CROSS, NONE}, .signer = ISSUING}, false, NONE},
                {{.certs = {ROOT, ISSUING, NONE}, .signer = ISSUING}, false, NONE},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(bytes_done) struct bytes body = announce(&cases[i].made);
                CLEANUP(x509_free_p) X509 *found = NULL;
                struct error e = {0};

                print_message("taken %zu\n", i);
                expect_ok(open_it(bytes_view(&body), ROOT, cases[i].sha1, &found, &e));
                if (cases[i].want == NONE)
                        assert_null(found);
                else
                        assert_int_equal(X509_cmp(found, certs[cases[i].want]), 0);
        }
}

static void refused(void **state)
{
        static const struct {
                struct made made;
                enum err err;
                const char *says;
        } cases[] = {
                {{.certs = {NEXT, NONE}, .signer = RA},
                 ERR_REPLY,
                 "'CN=RA', and only the CA itself, 'CN=Issuing'"},
                {{.certs = {NEXT, NONE}, .signer = ROOT},
                 ERR_REPLY,
                 "somebody else"}, /* it is no longer the one that issues */
                {{.certs = {NEXT, NONE}, .signer = NEXT}, ERR_REPLY, "somebody else"},
                {{.certs = {NEXT, NONE}, .signer = NEXT_ISSUING},
                 ERR_REPLY,
                 ""}, /* the CA's name, issuer and serial */
                {{.certs = {NEXT, NONE}, .signer = OTHER}, ERR_REPLY, "somebody else"},
                {{.certs = {NEXT, NONE}, .signer = ISSUING, .second = OTHER}, ERR_REPLY, "2 signers"},
                {{.certs = {NEXT, NONE}, .signer = ISSUING, .digest = "SHA1"}, ERR_SERVER_ALGORITHM, "sha1"},
                {{.certs = {NEXT, NONE}, .signer = ISSUING, .digest = "MD5"}, ERR_SERVER_ALGORITHM, "md5"},
                {{.certs = {NEXT, OTHER, NONE}, .signer = ISSUING}, ERR_REPLY, "2 next CAs"},
                {{.certs = {NEXT_ISSUING, STRAY, NONE}, .signer = ISSUING}, ERR_REPLY, "2 next CAs"},
                {{.certs = {NEXT, STRAY, NONE}, .signer = ISSUING}, ERR_REPLY, "'CN=Stray' does not lead"},
                {{.certs = {PLAIN, NONE}, .signer = ISSUING}, ERR_REPLY, "'CN=Plain' is not that of a CA"},
                {{.certs = {NEXT, RA, NONE}, .signer = ISSUING}, ERR_REPLY, "'CN=RA' is not that of a CA"},
                {{.certs = {ENDED, NONE}, .signer = ISSUING}, ERR_CA_EXPIRED, "'CN=Ended' has expired"},
                {{.certs = {NONE}, .signer = ISSUING}, ERR_REPLY, "without a certificate"},
                {{.certs = {NONE}, .signer = ISSUING, .junk = "by mail"}, ERR_REPLY, "neither"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(bytes_done) struct bytes body = announce(&cases[i].made);
                X509 *found = NULL;
                struct error e = {0};

                print_message("refused %zu\n", i);
                expect_err(open_it(bytes_view(&body), ROOT, false, &found, &e), cases[i].err);
                assert_null(found);
                assert_non_null(strstr(e.message, cases[i].says));
        }
}

static void malformed(void **state)
{
        CLEANUP(bytes_done)
        struct bytes good = announce(&(struct made){.certs = {NEXT, NONE}, .signer = ISSUING});
        CLEANUP(bytes_done) struct bytes plain = pki_degenerate(&certs[NEXT], 1);
        CLEANUP(bytes_done) struct bytes der = {0};
        CLEANUP(free_p) uint8_t *big = calloc(1, (1024 * 1024) + 1), *longer = malloc(good.len + 1);
        uint32_t seed = 1;
        X509 *found = NULL;
        struct error e = {0};

        (void)state;
        memcpy(longer, good.data, good.len);
        longer[good.len] = 0;
        expect_ok(x509_der(certs[NEXT], &der, &e));
        expect_err(open_it((struct view){0}, ROOT, false, &found, &e), ERR_REPLY);
        expect_err(open_it((struct view){big, (1024 * 1024) + 1}, ROOT, false, &found, &e), ERR_TOO_LARGE);
        expect_err(open_it(str_view("<html>login</html>"), ROOT, false, &found, &e), ERR_REPLY);
        expect_err(open_it(str_view("junk"), ROOT, false, &found, &e), ERR_REPLY);
        expect_err(open_it((struct view){longer, good.len + 1}, ROOT, false, &found, &e), ERR_REPLY);
        expect_err(open_it((struct view){good.data, good.len / 2}, ROOT, false, &found, &e), ERR_REPLY);
        /* as GetCACert answers: signed by nobody */
        expect_err(open_it(bytes_view(&plain), ROOT, false, &found, &e), ERR_REPLY);
        expect_err(open_it(bytes_view(&der), ROOT, false, &found, &e), ERR_REPLY);
        assert_null(found);
        /* What is taken after a change is what was announced. */
        for (int i = 0; i < 3000; i++) {
                CLEANUP(bytes_done) struct bytes changed = mutate(bytes_view(&good), &seed);
                CLEANUP(x509_free_p) X509 *got = NULL;

                if (open_it(bytes_view(&changed), ROOT, false, &got, &e) == ERR_OK && got)
                        assert_int_equal(X509_cmp(got, certs[NEXT]), 0);
        }
}

static void choice(void **state)
{
        static const struct {
                int server[3], followed[3];
                enum err err;
                int anchor;
        } cases[] = {
                {{ISSUING, RA, NONE}, {NONE}, ERR_OK, ROOT},
                {{ISSUING, RA, NONE}, {NEXT, NONE}, ERR_OK, ROOT},
                {{NEXT, NONE}, {NONE}, ERR_CA_MISMATCH, 0},
                {{NEXT, NONE}, {NEXT, NONE}, ERR_OK, NEXT},
                {{NEXT_ISSUING, NONE}, {NEXT, NONE}, ERR_OK, NEXT},
                {{NEXT_ISSUING, NONE}, {OTHER, NEXT, NONE}, ERR_OK, NEXT},
                {{NEXT_ISSUING, NONE}, {NEXT_ISSUING, NONE}, ERR_OK, NEXT_ISSUING},
                {{OTHER, NONE}, {NEXT, NONE}, ERR_CA_MISMATCH, 0},
                {{COMING, NONE}, {COMING, NONE}, ERR_CA_EXPIRED, 0},
                {{COMING, NONE}, {COMING, OTHER, NONE}, ERR_CA_EXPIRED, 0},
                {{ENDED, NONE}, {ENDED, NONE}, ERR_CA_EXPIRED, 0},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                X509 *list[2][3];
                STACK_OF(X509) * stacks[2], *anchors = pki_stack(&certs[ROOT], 1);
                struct ca_trust trust = {.anchors = anchors, .now = PKI_NOW, .pin.len = 32};
                struct ca_choice found = {0};
                struct error e = {0};

                print_message("choice %zu\n", i);
                assert_int_equal(X509_digest(certs[ROOT], EVP_sha256(), trust.pin.digest, NULL), 1);
                for (int k = 0; k < 2; k++) {
                        const int *which = k ? cases[i].followed : cases[i].server;
                        size_t n = 0;

                        for (; n < 3 && which[n] != NONE; n++)
                                list[k][n] = certs[which[n]];
                        stacks[k] = pki_stack(list[k], n);
                }
                if (cases[i].err)
                        expect_err(ca_choose_followed(stacks[0], &trust, stacks[1], &found, &e),
                                   cases[i].err);
                else
                        expect_ok(ca_choose_followed(stacks[0], &trust, stacks[1], &found, &e));
                if (!cases[i].err)
                        assert_int_equal(X509_cmp(found.anchor, certs[cases[i].anchor]), 0);
                ca_choice_done(&found);
                for (int k = 0; k < 2; k++)
                        sk_X509_pop_free(stacks[k], X509_free);
                sk_X509_pop_free(anchors, X509_free);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(taken), cmocka_unit_test(refused),
                                           cmocka_unit_test(malformed), cmocka_unit_test(choice)};

        return cmocka_run_group_tests_name("next-ca", tests, make, drop);
}
