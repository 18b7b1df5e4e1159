/* User-verified keys on a real swtpm: what the PIN opens, what the TPM counts, and that nothing locks it. */
#include "test.h"

#include <fcntl.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <stdio.h>

#include "base/file.h"
#include "base/ossl.h"
#include "ksp.h"
#include "swtpm.h"

static struct swtpm swtpm;
static struct ksp *ksp;
static char dir_name[64];
static int dir = -1;
static struct error e;

#define RIGHT    "4711 right"
#define WRONG    "4711 wrong"
#define FRESH    "0815 fresh"
#define RUN(...) assert_true(run_program(__VA_ARGS__, NULL))

static void open_at(const char *tcti)
{
        const struct ksp_config config = {.tcti = tcti,
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
        (void)strcpy(dir_name, "/tmp/scepter-pin.XXXXXX");
        assert_non_null(mkdtemp(dir_name));
        dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        open_at(swtpm.tcti);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        ksp_close(ksp);
        ksp = NULL;
        swtpm_stop(&swtpm);
        (void)close(dir);
        (void)!tree_remove(AT_FDCWD, dir_name, NULL);
        return 0;
}

static struct ksp_key *make(enum key_alg alg, enum key_protection protection, const char *pin)
{
        const struct ksp_spec spec = {
                .alg = alg, .protection = protection, .pin = pin ? str_view(pin) : (struct view){0}};
        CLEANUP(free_p) char *reason = NULL;
        struct ksp_key *key = NULL;

        expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
        return key;
}

static struct ksp_key *make_verified(void)
{
        return make(KEY_ALG_EC_P256, KEY_PROTECTION_USER_VERIFIED, RIGHT);
}

/* Signs and verifies; @ret_tries may be NULL. */
static enum err sign(struct ksp_key *key, const char *pin, unsigned *ret_tries)
{
        static const uint8_t hash[32] = "hash";
        const bool rsa = key_alg_is_rsa(ksp_key_alg(key));
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ksp_key_public(key), NULL);
        struct ksp_op op = {.key = key,
                            .sign = {rsa ? KEY_SCHEME_RSA_PKCS1 : KEY_SCHEME_ECDSA, KEY_DIGEST_SHA256,
                                     KEY_DIGEST_NONE, 0},
                            .data = {hash, sizeof hash},
                            .pin = pin ? str_view(pin) : (struct view){0}};
        enum err r = ksp_run(&op);

        if (ret_tries)
                *ret_tries = op.tries;
        if (r)
                return error_copy(&e, &op.error);
        assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
        assert_int_equal(EVP_PKEY_verify(ctx, op.signature.data, op.signature.len, hash, sizeof hash), 1);
        bytes_done(&op.signature);
        return ERR_OK;
}

static struct ksp_tpm info(void)
{
        struct ksp_tpm ret;

        ksp_tpm(ksp, &ret);
        assert_int_equal(ret.state, KSP_TPM_READY);
        return ret;
}

static void tries(const char *max)
{
        char text[32];

        (void)snprintf(text, sizeof text, "--max-tries=%s", max);
        RUN("tpm2_dictionarylockout", "--setup-parameters", text, "--recovery-time=600",
            "--lockout-recovery-time=600");
}

static void every_algorithm(void **state)
{
        static const enum key_alg algs[] = {KEY_ALG_RSA_2048, KEY_ALG_EC_P256, KEY_ALG_EC_P384};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(algs); i++) {
                struct ksp_key *made = make(algs[i], KEY_PROTECTION_USER_VERIFIED, RIGHT), *key;
                struct ksp_key_info what;

                expect_ok(ksp_key_save(made, dir, "key.pem", &e));
                expect_ok(ksp_load(ksp, dir, "key.pem", &key, &e));
                assert_true(ksp_key_wants_pin(made) && ksp_key_wants_pin(key));
                expect_ok(ksp_describe(key, &what, &e)); /* needs no PIN */
                assert_true(what.in_tpm && what.attributes & KSP_USER_WITH_AUTH);
                assert_false(what.attributes & KSP_NO_DA);
                expect_err(sign(key, NULL, NULL), ERR_PIN_NEEDED);
                expect_ok(sign(key, RIGHT, NULL));
                expect_ok(sign(made, RIGHT, NULL));
                ksp_key_unref(made);
                ksp_key_unref(key);
        }
        assert_int_equal(info().lockout_counter, 0);
}

static void decrypts(void **state)
{
        struct ksp_key *key = make(KEY_ALG_RSA_2048, KEY_PROTECTION_USER_VERIFIED, RIGHT);
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ksp_key_public(key), NULL);
        uint8_t in[KEY_MODULUS_MAX];
        size_t len = sizeof in;
        struct ksp_op op = {
                .key = key, .use = KSP_USE_DECRYPT, .decrypt = {.padding = KEY_PADDING_RSA_PKCS1}};

        (void)state;
        assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
        assert_int_equal(EVP_PKEY_encrypt(ctx, in, &len, (const uint8_t *)"content key", 11), 1);
        op.data = (struct view){in, len};
        assert_int_equal(ksp_run(&op), ERR_PIN_NEEDED);
        expect_err(ksp_decrypt(key, 0, &op.decrypt, op.data, &op.plain, &e), ERR_PIN_NEEDED);
        op.pin = str_view(RIGHT);
        assert_int_equal(ksp_run(&op), ERR_OK);
        assert_string_equal((char *)op.plain.data, "content key");
        secret_done(&op.plain);
        ksp_key_unref(key);
}

static void derives(void **state)
{
        struct ksp_key *key = make_verified();
        EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(peer, NULL);
        unsigned char *point = NULL;
        uint8_t theirs[32];
        size_t n = EVP_PKEY_get1_encoded_public_key(peer, &point), len = sizeof theirs;
        struct ksp_op op = {.key = key, .use = KSP_USE_DERIVE, .data = {point, n}};

        (void)state;
        assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
        assert_int_equal(EVP_PKEY_derive_set_peer(ctx, ksp_key_public(key)), 1);
        assert_int_equal(EVP_PKEY_derive(ctx, theirs, &len), 1);
        assert_int_equal(ksp_run(&op), ERR_PIN_NEEDED);
        op.pin = str_view(RIGHT);
        assert_int_equal(ksp_run(&op), ERR_OK);
        assert_memory_equal(op.plain.data, theirs, sizeof theirs);
        secret_done(&op.plain);
        OPENSSL_free(point);
        EVP_PKEY_free(peer);
        ksp_key_unref(key);
}

/* The TPM counts, and is left one try short of its lockout; what has no PIN never notices. */
static void wrong_pins(void **state)
{
        struct ksp_key *key, *plain = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM, NULL);
        unsigned left = 99;

        (void)state;
        tries("4");
        key = make_verified();
        expect_ok(sign(key, RIGHT, &left));
        assert_int_equal(left, 3);
        for (unsigned i = 1; i <= 3; i++) {
                expect_err(sign(key, WRONG, &left), ERR_TPM_WRONG_AUTH);
                assert_int_equal(info().lockout_counter, i);
                assert_int_equal(left, 3 - i);
        }
        for (unsigned i = 0; i < 3; i++) {
                expect_err(sign(key, i ? WRONG : RIGHT, &left), ERR_PIN_LOCKED);
                assert_int_equal(left, 0);
        }
        assert_non_null(strstr(e.message, "whole TPM"));
        assert_non_null(strstr(e.remedy, "600 s"));
        assert_int_equal(info().lockout_counter, 3);
        assert_false(info().in_lockout);
        expect_ok(sign(plain, NULL, NULL));
        RUN("tpm2_dictionarylockout", "--clear-lockout");
        expect_ok(sign(key, RIGHT, &left));
        assert_int_equal(left, 3);
        ksp_key_unref(key);
        ksp_key_unref(plain);
}

/* A TPM that locks at the first wrong one has no try to give. */
static void no_try_at_all(void **state)
{
        struct ksp_key *key = make_verified();

        (void)state;
        tries("1");
        expect_err(sign(key, RIGHT, NULL), ERR_PIN_LOCKED);
        assert_int_equal(info().lockout_counter, 0);
        ksp_key_unref(key);
}

/* What others did to it. */
static void locked_out(void **state)
{
        struct ksp_key *key = make_verified(), *plain = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM, NULL);
        char parent[96], public[96], private[96], context[96];

        (void)state;
        (void)snprintf(parent, sizeof parent, "%s/parent", swtpm.dir);
        (void)snprintf(public, sizeof public, "%s/pub", swtpm.dir);
        (void)snprintf(private, sizeof private, "%s/priv", swtpm.dir);
        (void)snprintf(context, sizeof context, "%s/ctx", swtpm.dir);
        tries("2");
        RUN("tpm2_flushcontext", "-t");
        RUN("tpm2_createprimary", "-Q", "-C", "n", "-G", "ecc", "-c", parent);
        RUN("tpm2_create", "-Q", "-C", parent, "-G", "ecc", "-p", "right", "-u", public, "-r", private);
        RUN("tpm2_flushcontext", "-t");
        RUN("tpm2_load", "-Q", "-C", parent, "-u", public, "-r", private, "-c", context);
        for (int i = 0; i < 2; i++) {
                RUN("tpm2_flushcontext", "-t");
                assert_false(run_program("tpm2_sign", "-Q", "-c", context, "-p", "wrong", "-o", "/dev/null",
                                         public, NULL));
        }
        RUN("tpm2_flushcontext", "-t");
        assert_true(info().in_lockout);
        expect_err(sign(key, RIGHT, NULL), ERR_TPM_LOCKED_OUT);
        expect_ok(sign(plain, NULL, NULL));
        RUN("tpm2_dictionarylockout", "--clear-lockout");
        expect_ok(sign(key, RIGHT, NULL));
        ksp_key_unref(key);
        ksp_key_unref(plain);
}

static void refused_pins(void **state)
{
        static const char *const pins[] = {"123", "123456789012345678901234567890123", "12\n45", "1234\x7f",
                                           ""};
        struct ksp_key *key = make_verified();

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(pins); i++) {
                const struct ksp_spec spec = {.alg = KEY_ALG_EC_P256,
                                              .protection = KEY_PROTECTION_USER_VERIFIED,
                                              .pin = str_view(pins[i])};
                struct ksp_key *made = NULL;
                char *reason = NULL;
                const enum err wanted = *pins[i] ? ERR_INVALID : ERR_PIN_NEEDED;

                expect_err(ksp_create(ksp, &spec, &made, &reason, &e), wanted);
                expect_err(sign(key, pins[i], NULL), wanted);
        }
        expect_err(key_pin_check((struct view){(const uint8_t *)"123456\0", 7}, &e), ERR_INVALID);
        assert_int_equal(info().lockout_counter, 0); /* none was tried */
        ksp_key_unref(key);
        key = make(KEY_ALG_EC_P256, KEY_PROTECTION_USER_VERIFIED, "12345678901234567890123456789012");
        expect_ok(sign(key, "12345678901234567890123456789012", NULL));
        ksp_key_unref(key);
        key = make(KEY_ALG_EC_P256, KEY_PROTECTION_USER_VERIFIED, "0000");
        expect_ok(sign(key, "0000", NULL));
        ksp_key_unref(key);
}

static void never_software(void **state)
{
        static const struct {
                const char *tcti;
                enum key_alg alg;
                enum key_protection protection;
                enum err wanted;
        } cases[] = {
                {"none", KEY_ALG_EC_P256, KEY_PROTECTION_USER_VERIFIED, ERR_TPM_ABSENT},
                {"swtpm:path=/nowhere", KEY_ALG_EC_P256, KEY_PROTECTION_USER_VERIFIED, ERR_TPM_FAILED},
                {NULL, KEY_ALG_RSA_4096, KEY_PROTECTION_USER_VERIFIED, ERR_KEY_NOT_SUPPORTED},
                {NULL, KEY_ALG_EC_P256, KEY_PROTECTION_TPM,
                 ERR_INVALID}, /* a PIN that nobody would ask for */
                {NULL, KEY_ALG_EC_P256, KEY_PROTECTION_SOFTWARE, ERR_INVALID},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct ksp_spec spec = {
                        .alg = cases[i].alg, .protection = cases[i].protection, .pin = str_view(RIGHT)};
                struct ksp_key *key = NULL;
                char *reason = NULL;

                ksp_close(ksp);
                open_at(cases[i].tcti ? cases[i].tcti : swtpm.tcti);
                expect_err(ksp_create(ksp, &spec, &key, &reason, &e), cases[i].wanted);
                assert_null(key);
        }
}

/* Slots and sessions are given back whatever happens, and a restart of the TPM costs nothing. */
static void many_uses(void **state)
{
        struct ksp_key *keys[5];

        (void)state;
        tries("100");
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                keys[i] = make(KEY_ALG_EC_P256, i % 2 ? KEY_PROTECTION_TPM : KEY_PROTECTION_USER_VERIFIED,
                               i % 2 ? NULL : RIGHT);
        for (unsigned i = 0; i < 40; i++) {
                const size_t n = i % N_ELEMENTS(keys);

                if (i % 7 == 3)
                        expect_err(sign(keys[0], WRONG, NULL), ERR_TPM_WRONG_AUTH);
                expect_ok(sign(keys[n], n % 2 ? NULL : RIGHT, NULL));
        }
        assert_int_equal(info().lockout_counter, 6);
        swtpm_kill(&swtpm, SIGKILL);
        swtpm_again(&swtpm);
        expect_ok(sign(keys[0], RIGHT, NULL));
        expect_ok(sign(keys[1], NULL, NULL));
        swtpm_kill(&swtpm, SIGKILL);
        expect_err(sign(keys[0], RIGHT, NULL), ERR_TPM_FAILED);
        swtpm_again(&swtpm);
        expect_ok(sign(keys[0], RIGHT, NULL));
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                ksp_key_unref(keys[i]);
}

static enum err change(struct ksp_key *key, const char *old, const char *fresh)
{
        struct ksp_op op = {
                .key = key, .use = KSP_USE_CHANGE_PIN, .pin = str_view(old), .data = str_view(fresh)};
        enum err r = ksp_run(&op);

        if (r)
                return error_copy(&e, &op.error);
        r = ksp_key_replace(key, dir, "key.pem", bytes_view(&op.file), &e);
        bytes_done(&op.file);
        return r;
}

static struct ksp_key *loaded(void)
{
        struct ksp_key *key;

        expect_ok(ksp_load(ksp, dir, "key.pem", &key, &e));
        return key;
}

/* Whoever holds the key, and whatever the TPM has of it: loaded, or saved to make room. */
static void another_pin(void **state)
{
        static const enum key_alg algs[] = {KEY_ALG_RSA_2048, KEY_ALG_EC_P256};

        (void)state;
        tries("30");
        for (size_t i = 0; i < N_ELEMENTS(algs); i++) {
                struct ksp_key *key = make(algs[i], KEY_PROTECTION_USER_VERIFIED, RIGHT), *others[8], *again;
                uint8_t id[KEY_ID_LEN];

                memcpy(id, ksp_key_id(key), sizeof id);
                expect_ok(ksp_key_save(key, dir, "key.pem", &e));
                expect_ok(sign(key, RIGHT, NULL));
                for (size_t n = 0; n < N_ELEMENTS(others); n++) {
                        others[n] = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM, NULL);
                        expect_ok(sign(others[n], NULL, NULL));
                }
                expect_ok(change(key, RIGHT, WRONG));
                expect_ok(sign(key, WRONG, NULL));
                expect_err(sign(key, RIGHT, NULL), ERR_TPM_WRONG_AUTH);
                again = loaded();
                assert_memory_equal(ksp_key_id(again), id, sizeof id);
                assert_true(ksp_key_wants_pin(again));
                expect_ok(sign(again, WRONG, NULL));
                /* and back, with the longest and the shortest between */
                expect_ok(change(again, WRONG, "01234567890123456789012345678901"));
                expect_ok(change(again, "01234567890123456789012345678901", "1234"));
                expect_ok(sign(again, "1234", NULL));
                /* this one has a copy of its own of what was there before */
                expect_ok(sign(key, WRONG, NULL));
                for (size_t n = 0; n < N_ELEMENTS(others); n++) {
                        expect_ok(sign(others[n], NULL, NULL));
                        ksp_key_unref(others[n]);
                }
                ksp_key_unref(key);
                ksp_key_unref(again);
        }
        assert_int_equal(info().lockout_counter, 2);
}

static void another_pin_refused(void **state)
{
        CLEANUP(bytes_done) struct bytes before = {0};
        CLEANUP(bytes_done) struct bytes after = {0};
        struct ksp_key *key = make_verified(), *plain = make(KEY_ALG_EC_P256, KEY_PROTECTION_TPM, NULL),
                       *soft = make(KEY_ALG_EC_P256, KEY_PROTECTION_SOFTWARE, NULL);

        (void)state;
        expect_ok(ksp_key_save(key, dir, "key.pem", &e));
        expect_ok(file_read(dir, "key.pem", 1 << 16, &before, &e));
        expect_err(change(key, WRONG, "5678"), ERR_TPM_WRONG_AUTH);
        expect_err(change(key, "", "5678"), ERR_PIN_NEEDED);
        expect_err(change(key, RIGHT, ""), ERR_INVALID);
        expect_err(change(key, RIGHT, "123"), ERR_INVALID);
        expect_err(change(key, RIGHT, "012345678901234567890123456789012"), ERR_INVALID);
        expect_err(change(plain, RIGHT, "5678"), ERR_UNSUPPORTED);
        expect_err(change(soft, RIGHT, "5678"), ERR_UNSUPPORTED);
        expect_err(ksp_key_replace(key, dir, "key.pem", str_view("nothing"), &e), ERR_KEY_DAMAGED);
        tries("2");
        expect_err(change(key, RIGHT, "5678"), ERR_PIN_LOCKED);
        tries("30");
        swtpm_kill(&swtpm, SIGKILL);
        expect_err(change(key, RIGHT, "5678"), ERR_TPM_FAILED);
        swtpm_again(&swtpm);
        expect_ok(file_read(dir, "key.pem", 1 << 16, &after, &e));
        assert_true(before.len == after.len && memcmp(before.data, after.data, after.len) == 0);
        expect_ok(sign(key, RIGHT, NULL));
        assert_int_equal(info().lockout_counter, 2); /* the kill is counted, too */
        ksp_key_unref(key);
        ksp_key_unref(plain);
        ksp_key_unref(soft);
}

/* All that goes to the TPM and comes back holds neither the PIN nor a wrong one. */
static void nothing_to_read_on_the_wire(void **state)
{
        char tcti[192], file[96];
        CLEANUP(bytes_done) struct bytes wire = {0};
        struct ksp_key *key;

        (void)state;
        (void)snprintf(tcti, sizeof tcti, "pcap:%s", swtpm.tcti);
        (void)snprintf(file, sizeof file, "%s/wire", dir_name);
        (void)setenv("TCTI_PCAP_FILE", file, 1);
        ksp_close(ksp);
        open_at(tcti);
        key = make_verified();
        expect_ok(sign(key, RIGHT, NULL));
        expect_err(sign(key, WRONG, NULL), ERR_TPM_WRONG_AUTH);
        expect_ok(change(key, RIGHT, FRESH));
        ksp_key_unref(key);
        ksp_close(ksp);
        (void)unsetenv("TCTI_PCAP_FILE");
        open_at(swtpm.tcti);
        expect_ok(file_read(dir, "wire", 1 << 20, &wire, &e));
        assert_true(wire.len > 2000);
        assert_null(memmem(wire.data, wire.len, RIGHT, strlen(RIGHT)));
        assert_null(memmem(wire.data, wire.len, WRONG, strlen(WRONG)));
        assert_null(memmem(wire.data, wire.len, FRESH, strlen(FRESH)));
}

/* tpm2-openssl reads the file and asks for the password. */
static void the_file_of_tpm2_openssl(void **state)
{
        struct ksp_key *key = make(KEY_ALG_RSA_2048, KEY_PROTECTION_USER_VERIFIED, RIGHT);
        char file[96], out[96];

        (void)state;
        expect_ok(ksp_key_save(key, dir, "key.pem", &e));
        ksp_key_unref(key);
        ksp_close(ksp); /* its slots are free */
        ksp = NULL;
        (void)setenv("TPM2OPENSSL_TCTI", swtpm.tcti, 1);
        (void)snprintf(file, sizeof file, "%s/key.pem", dir_name);
        (void)snprintf(out, sizeof out, "%s/signature", dir_name);
        for (int i = 0; i < 2; i++)
                assert_int_equal(run_program("openssl", "dgst", "-provider", "tpm2", "-provider", "default",
                                             "-propquery", "?provider=tpm2", "-sign", file, "-passin",
                                             i ? "pass:" WRONG : "pass:" RIGHT, "-out", out, "/dev/null",
                                             NULL),
                                 !i);
        open_at(swtpm.tcti);
        assert_int_equal(info().lockout_counter, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(every_algorithm),
                TEST(decrypts),
                TEST(derives),
                TEST(wrong_pins),
                TEST(no_try_at_all),
                TEST(locked_out),
                TEST(refused_pins),
                TEST(never_software),
                TEST(many_uses),
                TEST(another_pin),
                TEST(another_pin_refused),
                TEST(nothing_to_read_on_the_wire),
                TEST(the_file_of_tpm2_openssl),
        };

        return cmocka_run_group_tests_name("ksp-pin", tests, NULL, NULL);
}
