/* Evidence from a real swtpm, and what the checks say of it: as it is, changed by an octet, and made up. */
#include "test.h"

#include <fcntl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <tss2/tss2_mu.h>

#include "base/file.h"
#include "base/ossl.h"
#include "ksp.h"
#include "swtpm.h"

static struct swtpm swtpm;
static struct ksp *ksp;
static char dir_name[64];
static int dir = -1;
static struct error e;
static const uint8_t qualifying[EVIDENCE_HASH_LEN] = "qualifying";

#define PIN "4711 right"

static void open_ksp(void)
{
        const struct ksp_config config = {.tcti = swtpm.tcti,
                                          .host_secret = str_view("0123456789abcdef0123456789abcdef")};

        expect_ok(ksp_open(&config, &ksp, &e));
}

static int start(void **state)
{
        (void)state;
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        if (!swtpm_start(&swtpm))
                return -1;
        (void)setenv("TPM2TOOLS_TCTI", swtpm.tcti, 1);
        (void)strcpy(dir_name, "/tmp/scepter-attest.XXXXXX");
        assert_non_null(mkdtemp(dir_name));
        dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        open_ksp();
        return 0;
}

static int stop(void **state)
{
        (void)state;
        ksp_close(ksp);
        swtpm_stop(&swtpm);
        (void)close(dir);
        (void)!tree_remove(AT_FDCWD, dir_name, NULL);
        return 0;
}

static struct ksp_key *make(enum key_alg alg, enum key_protection protection)
{
        const struct ksp_spec spec = {.alg = alg,
                                      .protection = protection,
                                      .pin = protection == KEY_PROTECTION_USER_VERIFIED ? str_view(PIN)
                                                                                        : (struct view){0}};
        CLEANUP(free_p) char *reason = NULL;
        struct ksp_key *key = NULL;

        expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
        return key;
}

static enum err attest(struct ksp_key *key, const char *pin, struct evidence *ret)
{
        struct ksp_attest order = {.dirfd = dir, .name = "attester.pem"};
        struct ksp_op op = {.key = key,
                            .use = KSP_USE_ATTEST,
                            .attest = &order,
                            .data = {qualifying, sizeof qualifying},
                            .pin = pin ? str_view(pin) : (struct view){0}};
        enum err r = ksp_run(&op);

        if (r)
                e = op.error;
        else
                *ret = order.evidence;
        return r;
}

/* The first check that does not hold. */
static enum err check(const struct evidence *evidence, EVP_PKEY *certified)
{
        enum err r = evidence_key(evidence, certified, &e);

        if (!r)
                r = evidence_origin(evidence, &e);
        if (!r)
                r = evidence_attester(evidence, &e);
        if (!r)
                r = evidence_certified(evidence, qualifying, &e);
        return r ? r : evidence_created(evidence, qualifying, &e);
}

static void a_key_of_each_kind(void **state)
{
        static const struct {
                enum key_alg alg;
                enum key_protection protection;
        } cases[] = {{KEY_ALG_EC_P256, KEY_PROTECTION_TPM},
                     {KEY_ALG_EC_P384, KEY_PROTECTION_TPM},
                     {KEY_ALG_RSA_2048, KEY_PROTECTION_TPM},
                     {KEY_ALG_EC_P256, KEY_PROTECTION_USER_VERIFIED}};
        uint8_t first[EVIDENCE_NAME_LEN] = {0}, name[EVIDENCE_NAME_LEN];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(ksp_key_unref_p) struct ksp_key *key = make(cases[i].alg, cases[i].protection);
                const bool pin = ksp_key_wants_pin(key);
                CLEANUP(evidence_done) struct evidence evidence = {0};

                expect_ok(attest(key, pin ? PIN : NULL, &evidence));
                expect_ok(check(&evidence, ksp_key_public(key)));
                assert_true(evidence_siblings(&evidence));
                expect_ok(evidence_name(&evidence, name, &e));
                if (i == 0)
                        memcpy(first, name, sizeof name);
                assert_memory_equal(first, name, sizeof name); /* one for all */
        }
}

static void what_is_not_attested(void **state)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *soft = make(KEY_ALG_EC_P256, KEY_PROTECTION_SOFTWARE);
        CLEANUP(ksp_key_unref_p)
        struct ksp_key *verified = make(KEY_ALG_EC_P256, KEY_PROTECTION_USER_VERIFIED);
        struct evidence none = {0};

        (void)state;
        expect_err(attest(soft, NULL, &none), ERR_KEY_NOT_SUPPORTED);
        expect_err(attest(verified, NULL, &none), ERR_PIN_NEEDED);
        expect_err(attest(verified, "4711 wrong", &none), ERR_TPM_WRONG_AUTH);
        assert_null(none.public.data);
        assert_true(run_program("tpm2_dictionarylockout", "--clear-lockout", NULL));
}

/* More keys than the TPM has slots for, each with the attestation key beside it. */
static void many_keys(void **state)
{
        struct ksp_key *keys[4];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                keys[i] = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        for (size_t i = 0; i < 2 * N_ELEMENTS(keys); i++) {
                struct ksp_key *key = keys[i % N_ELEMENTS(keys)];
                CLEANUP(evidence_done) struct evidence evidence = {0};

                expect_ok(attest(key, NULL, &evidence));
                expect_ok(check(&evidence, ksp_key_public(key)));
        }
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                ksp_key_unref(keys[i]);
}

/* It outlives the process and the TPM's start, and is made anew where it is lost. */
static void the_attestation_key(void **state)
{
        static const char *const lost[] = {NULL, "", "-----BEGIN TSS2 PRIVATE KEY-----\nAA==\n"};
        uint8_t before[EVIDENCE_NAME_LEN], after[EVIDENCE_NAME_LEN];
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        CLEANUP(evidence_done) struct evidence first = {0};
        CLEANUP(evidence_done) struct evidence again = {0};

        (void)state;
        expect_ok(attest(key, NULL, &first));
        expect_ok(evidence_name(&first, before, &e));
        swtpm_kill(&swtpm, SIGTERM);
        swtpm_again(&swtpm);
        expect_ok(attest(key, NULL, &again));
        expect_ok(check(&again, ksp_key_public(key)));
        expect_ok(evidence_name(&again, after, &e));
        assert_memory_equal(before, after, sizeof before);
        for (size_t i = 0; i < N_ELEMENTS(lost); i++) {
                CLEANUP(evidence_done) struct evidence fresh = {0};

                if (lost[i])
                        expect_ok(file_write(dir, "attester.pem", 0600, str_view(lost[i]), &e));
                else
                        expect_ok(file_remove(dir, "attester.pem", &e));
                expect_ok(attest(key, NULL, &fresh));
                expect_ok(check(&fresh, ksp_key_public(key)));
                expect_ok(evidence_name(&fresh, after, &e));
                assert_memory_not_equal(before, after, sizeof before);
        }
}

/* It goes away, and comes back without what was loaded. */
static void a_tpm_that_was_away(void **state)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        CLEANUP(evidence_done) struct evidence evidence = {0};

        (void)state;
        swtpm_kill(&swtpm, SIGKILL);
        expect_err(attest(key, NULL, &evidence), ERR_TPM_FAILED);
        swtpm_again(&swtpm);
        expect_ok(attest(key, NULL, &evidence));
        expect_ok(check(&evidence, ksp_key_public(key)));
}

static void a_cleared_tpm(void **state)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *old = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        struct ksp_key *key;
        CLEANUP(evidence_done) struct evidence evidence = {0};

        (void)state;
        expect_ok(attest(old, NULL, &evidence));
        evidence_done(&evidence);
        assert_true(run_program("tpm2_clear", NULL));
        expect_err(attest(old, NULL, &evidence), ERR_TPM_CLEARED);
        key = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        expect_ok(attest(key, NULL, &evidence));
        expect_ok(check(&evidence, ksp_key_public(key)));
        ksp_key_unref(key);
}

static struct bytes *part(struct evidence *evidence, size_t i)
{
        struct bytes *const parts[] = {&evidence->public,
                                       &evidence->certify,
                                       &evidence->signature,
                                       &evidence->attester,
                                       &evidence->creation,
                                       &evidence->creation_certify,
                                       &evidence->creation_signature};

        return i < N_ELEMENTS(parts) ? parts[i] : NULL;
}

/* Each octet of each structure counts, and none may be missing or follow. */
static void every_octet_counts(void **state)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        CLEANUP(evidence_done) struct evidence evidence = {0};
        struct bytes *p;

        (void)state;
        expect_ok(attest(key, NULL, &evidence));
        for (size_t i = 0; (p = part(&evidence, i)); i++) {
                const struct bytes whole = *p;

                for (size_t at = 0; at < p->len; at++) {
                        p->data[at] ^= 1;
                        expect_err(check(&evidence, ksp_key_public(key)), ERR_EVIDENCE);
                        p->data[at] ^= 1;
                }
                for (p->len = 0; p->len < whole.len; p->len++)
                        expect_err(check(&evidence, ksp_key_public(key)), ERR_EVIDENCE);
                p->len = whole.len + 1; /* the NUL behind it */
                expect_err(check(&evidence, ksp_key_public(key)), ERR_EVIDENCE);
                *p = whole;
        }
        expect_ok(check(&evidence, ksp_key_public(key)));
}

static void sentences(void **state)
{
        static const uint8_t other_qualifying[EVIDENCE_HASH_LEN] = "another nonce";
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        CLEANUP(ksp_key_unref_p) struct ksp_key *other = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        CLEANUP(evidence_done) struct evidence evidence = {0};
        CLEANUP(evidence_done) struct evidence others = {0};
        struct evidence mixed;

        (void)state;
        expect_ok(attest(key, NULL, &evidence));
        expect_ok(attest(other, NULL, &others));
        expect_err(evidence_key(&evidence, ksp_key_public(other), &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "another key"));
        expect_err(evidence_certified(&evidence, other_qualifying, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "another nonce"));
        expect_err(evidence_created(&evidence, other_qualifying, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "another nonce"));
        mixed = evidence;
        mixed.certify = others.certify;
        expect_err(evidence_certified(&mixed, qualifying, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "has not signed"));
        mixed.signature = others.signature;
        expect_err(evidence_certified(&mixed, qualifying, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "about another key"));
        mixed = evidence; /* one statement in the place of the other */
        mixed.certify = evidence.creation_certify;
        mixed.signature = evidence.creation_signature;
        expect_err(evidence_certified(&mixed, qualifying, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "another statement"));
        mixed = evidence; /* a key that signs anything in the place of one that does not */
        mixed.attester = others.public;
        expect_err(evidence_attester(&mixed, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "not restricted"));
        expect_err(evidence_certified(&mixed, qualifying, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "has not signed"));
}

static void another_attestation_key(void **state)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM);
        CLEANUP(evidence_done) struct evidence evidence = {0};
        CLEANUP(evidence_done) struct evidence others = {0};
        struct evidence mixed;

        (void)state;
        expect_ok(attest(key, NULL, &evidence));
        expect_ok(file_remove(dir, "attester.pem", &e));
        expect_ok(attest(key, NULL, &others));
        mixed = evidence;
        mixed.attester = others.attester;
        expect_err(evidence_certified(&mixed, qualifying, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "has not signed"));
        mixed.certify = others.certify;
        mixed.signature = others.signature;
        expect_ok(evidence_certified(&mixed, qualifying, &e));
        expect_err(evidence_created(&mixed, qualifying, &e), ERR_EVIDENCE);
        mixed.creation_certify = others.creation_certify;
        mixed.creation_signature = others.creation_signature;
        expect_ok(evidence_created(&mixed, qualifying,
                                   &e)); /* made in the same place, they have the same data */
        mixed.creation.data[mixed.creation.len / 2] ^= 1;
        expect_err(evidence_created(&mixed, qualifying, &e), ERR_EVIDENCE);
        assert_non_null(strstr(e.message, "creation data"));
}

/* Without a TPM: a key in software says what a TPM would. */
static void fill_rsa(EVP_PKEY *key, bool signs, TPMT_PUBLIC *area)
{
        TPMS_RSA_PARMS *rsa = &area->parameters.rsaDetail;
        CLEANUP(bn_free_p) BIGNUM *n = NULL;

        rsa->symmetric.algorithm = TPM2_ALG_NULL;
        rsa->scheme.scheme = signs ? TPM2_ALG_RSASSA : TPM2_ALG_NULL;
        rsa->scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
        rsa->keyBits = 2048;
        assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &n), 1);
        area->unique.rsa.size = (UINT16)BN_bn2bin(n, area->unique.rsa.buffer);
}

static void fill_ecc(EVP_PKEY *key, bool signs, TPMT_PUBLIC *area)
{
        TPMS_ECC_PARMS *ecc = &area->parameters.eccDetail;
        uint8_t point[65];
        size_t len;

        ecc->symmetric.algorithm = TPM2_ALG_NULL;
        ecc->scheme.scheme = signs ? TPM2_ALG_ECDSA : TPM2_ALG_NULL;
        ecc->scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
        ecc->curveID = TPM2_ECC_NIST_P256;
        ecc->kdf.scheme = TPM2_ALG_NULL;
        assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof point, &len), 1);
        area->unique.ecc.x.size = area->unique.ecc.y.size = 32;
        memcpy(area->unique.ecc.x.buffer, point + 1, 32);
        memcpy(area->unique.ecc.y.buffer, point + 33, 32);
}

static TPMT_PUBLIC area_of(EVP_PKEY *key, TPMA_OBJECT attributes, bool signs)
{
        const bool rsa = EVP_PKEY_is_a(key, "RSA");
        TPMT_PUBLIC area = {.type = rsa ? TPM2_ALG_RSA : TPM2_ALG_ECC,
                            .nameAlg = TPM2_ALG_SHA256,
                            .objectAttributes = attributes};

        (rsa ? fill_rsa : fill_ecc)(key, signs, &area);
        return area;
}

static struct bytes area_octets(const TPMT_PUBLIC *area)
{
        uint8_t buffer[sizeof *area];
        struct bytes octets = {0};
        size_t len = 0;

        assert_int_equal(Tss2_MU_TPMT_PUBLIC_Marshal(area, buffer, sizeof buffer, &len), 0);
        expect_ok(bytes_copy(&octets, buffer, len, &e));
        return octets;
}

static TPMT_SIGNATURE tpm_form(bool rsa, const uint8_t *octets, size_t len)
{
        TPMT_SIGNATURE signature = {.sigAlg = rsa ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA};
        TPMS_SIGNATURE_ECC *ecc = &signature.signature.ecdsa;
        ECDSA_SIG *parsed;

        if (rsa) {
                signature.signature.rsassa.hash = TPM2_ALG_SHA256;
                signature.signature.rsassa.sig.size = (UINT16)len;
                memcpy(signature.signature.rsassa.sig.buffer, octets, len);
                return signature;
        }
        ecc->hash = TPM2_ALG_SHA256;
        parsed = d2i_ECDSA_SIG(NULL, &octets, (long)len);
        ecc->signatureR.size = (UINT16)BN_bn2bin(ECDSA_SIG_get0_r(parsed), ecc->signatureR.buffer);
        ecc->signatureS.size = (UINT16)BN_bn2bin(ECDSA_SIG_get0_s(parsed), ecc->signatureS.buffer);
        ECDSA_SIG_free(parsed);
        return signature;
}

static struct bytes sign_as_tpm(EVP_PKEY *key, const struct bytes *statement)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        TPMT_SIGNATURE signature;
        uint8_t octets[256], buffer[sizeof signature];
        struct bytes ret = {0};
        size_t len = sizeof octets, out = 0;

        assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
        assert_int_equal(EVP_DigestSign(ctx, octets, &len, statement->data, statement->len), 1);
        signature = tpm_form(EVP_PKEY_is_a(key, "RSA"), octets, len);
        assert_int_equal(Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, buffer, sizeof buffer, &out), 0);
        expect_ok(bytes_copy(&ret, buffer, out, &e));
        return ret;
}

static const TPMA_OBJECT born =
        TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;

static void made_up(void **state)
{
        static const TPMA_OBJECT restricted = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
        static const struct {
                const char *name;
                TPMA_OBJECT key, attester;
                uint32_t magic;
                bool rsa;             /* the attestation key */
                const char *sentence; /* NULL: it passes, as evidence.h says */
        } cases[] = {
                {"whole", born, born | restricted, TPM2_GENERATED_VALUE, false, NULL},
                {"whole, by RSA", born, born | restricted, TPM2_GENERATED_VALUE, true, NULL},
                {"key without fixedTPM", born & ~TPMA_OBJECT_FIXEDTPM, born | restricted,
                 TPM2_GENERATED_VALUE, false, "The key lacks the attribute fixedTPM"},
                {"key without fixedParent", born & ~TPMA_OBJECT_FIXEDPARENT, born | restricted,
                 TPM2_GENERATED_VALUE, false, "The key lacks the attribute fixedParent"},
                {"key of elsewhere", born & ~TPMA_OBJECT_SENSITIVEDATAORIGIN, born | restricted,
                 TPM2_GENERATED_VALUE, false, "The key lacks the attribute sensitiveDataOrigin"},
                {"attester without fixedTPM", born, (born & ~TPMA_OBJECT_FIXEDTPM) | restricted,
                 TPM2_GENERATED_VALUE, false, "The attestation key lacks the attribute fixedTPM"},
                {"attester signs anything", born, born | TPMA_OBJECT_SIGN_ENCRYPT, TPM2_GENERATED_VALUE,
                 false, "not restricted"},
                {"attester decrypts", born, born | restricted | TPMA_OBJECT_DECRYPT, TPM2_GENERATED_VALUE,
                 false, "not restricted"},
                {"not made by a TPM", born, born | restricted, TPM2_GENERATED_VALUE + 1, false,
                 "magic number"},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(evp_pkey_free_p) EVP_PKEY *key = EVP_EC_gen("P-256");
                CLEANUP(evp_pkey_free_p)
                EVP_PKEY *attester = cases[i].rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
                const TPMT_PUBLIC area = area_of(key, cases[i].key, false);
                const TPMT_PUBLIC signer = area_of(attester, cases[i].attester, true);
                CLEANUP(evidence_done)
                struct evidence evidence = {.public = area_octets(&area), .attester = area_octets(&signer)};
                TPMS_ATTEST attest = {.magic = cases[i].magic, .type = TPM2_ST_ATTEST_CERTIFY};
                TPM2B_NAME *name = &attest.attested.certify.name;
                uint8_t buffer[sizeof attest];
                size_t len = 0;
                enum err r;

                attest.extraData.size = sizeof qualifying;
                memcpy(attest.extraData.buffer, qualifying, sizeof qualifying);
                name->size = EVIDENCE_NAME_LEN;
                name->name[1] = TPM2_ALG_SHA256;
                assert_int_equal(EVP_Digest(evidence.public.data, evidence.public.len, name->name + 2, NULL,
                                            EVP_sha256(), NULL),
                                 1);
                assert_int_equal(Tss2_MU_TPMS_ATTEST_Marshal(&attest, buffer, sizeof buffer, &len), 0);
                expect_ok(bytes_copy(&evidence.certify, buffer, len, &e));
                evidence.signature = sign_as_tpm(attester, &evidence.certify);
                r = evidence_key(&evidence, key, &e);
                if (!r)
                        r = evidence_origin(&evidence, &e);
                if (!r)
                        r = evidence_attester(&evidence, &e);
                if (!r)
                        r = evidence_certified(&evidence, qualifying, &e);
                if (r != (cases[i].sentence ? ERR_EVIDENCE : ERR_OK) ||
                    (r && !strstr(e.message, cases[i].sentence)))
                        fail_msg("%s: %s", cases[i].name, r ? e.message : "it passes");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_key_of_each_kind),
                cmocka_unit_test(what_is_not_attested),
                cmocka_unit_test(many_keys),
                cmocka_unit_test(the_attestation_key),
                cmocka_unit_test(every_octet_counts),
                cmocka_unit_test(sentences),
                cmocka_unit_test(another_attestation_key),
                cmocka_unit_test(made_up),
                cmocka_unit_test(a_tpm_that_was_away),
                cmocka_unit_test(a_cleared_tpm),
        };

        return cmocka_run_group_tests_name("ksp-attest", tests, start, stop);
}
