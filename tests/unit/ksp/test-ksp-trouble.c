/* ksp.h at a TPM that somebody else has changed: reset, cleared, with passwords, with another storage key.
 * Each test has a TPM of its own. */
#include "test.h"

#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>

#include "ksp.h"
#include "swtpm.h"

static struct swtpm swtpm;
static struct ksp *ksp;
static struct error e; /* of the last call, for expect_err() */

static void open_it(const char *owner)
{
        const struct ksp_config config = {.tcti = swtpm.tcti, .owner_auth = str_view(owner)};

        expect_ok(ksp_open(&config, &ksp, &e));
}

/* As a restart of the service does; what the killed one had loaded is flushed by the kernel. */
static void open_again(const char *owner)
{
        ksp_close(ksp);
        open_it(owner);
}

static int start(void **state)
{
        (void)state;
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        if (access("/usr/bin/tpm2_clear", X_OK) < 0 || access("/usr/bin/swtpm_ioctl", X_OK) < 0 ||
            !swtpm_start(&swtpm))
                skip();
        (void)setenv("TPM2TOOLS_TCTI", swtpm.tcti, 1);
        open_it("");
        return 0;
}

static int stop(void **state)
{
        (void)state;
        ksp_close(ksp);
        swtpm_stop(&swtpm);
        return 0;
}

/* A key is flushed in a thread, and swtpm stands still where a program comes to it at that moment: when the
 * TPM has been asked something else, it is over. */
static void release(struct ksp_key *key)
{
        struct ksp_tpm info;

        ksp_key_unref(key);
        ksp_tpm(ksp, &info);
}

static struct ksp_key *make(enum err wanted)
{
        const struct ksp_spec spec = {.alg = KEY_ALG_EC_P256, .protection = KEY_PROTECTION_TPM_PREFERRED};
        struct ksp_key *key = NULL;
        char *reason = NULL;

        if (wanted)
                expect_err(ksp_create(ksp, &spec, &key, &reason, &e), wanted);
        else
                expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
        free(reason);
        return key;
}

static enum err sign(struct ksp_key *key)
{
        const struct key_sign how = {.scheme = KEY_SCHEME_ECDSA, .digest = KEY_DIGEST_SHA256};
        const uint8_t hash[32] = {1};
        CLEANUP(bytes_done) struct bytes signature = {0};
        enum err r = ksp_sign(key, 0, &how, (struct view){hash, 32}, &signature, &e);
        EVP_PKEY_CTX *ctx;

        if (r)
                return r;
        ctx = EVP_PKEY_CTX_new(ksp_key_public(key), NULL);
        assert_non_null(ctx);
        assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
        assert_int_equal(EVP_PKEY_verify(ctx, signature.data, signature.len, hash, 32), 1);
        EVP_PKEY_CTX_free(ctx);
        return ERR_OK;
}

static void control(const char *word)
{
        char path[128];

        (void)snprintf(path, sizeof path, "%s/sock.ctrl", swtpm.dir);
        assert_true(run_program("swtpm_ioctl", "--unix", path, word, NULL));
}

static void reset(void)
{
        control("--stop");
        control("-i");
        assert_true(run_program("tpm2_startup", "-c", NULL));
}

#define RUN(...) assert_true(run_program(__VA_ARGS__, NULL))

/* Makes a storage key persistent at 0x81000001; @pem is free for words such as "-a". */
static void persist(const char *owner, const char *attributes)
{
        char context[96];

        (void)snprintf(context, sizeof context, "%s/srk.ctx", swtpm.dir);
        RUN("tpm2_createprimary", "-Q", "-P", owner, "-G", "ecc", "-a", attributes, "-c", context);
        RUN("tpm2_evictcontrol", "-Q", "-P", owner, "-c", context, "0x81000001");
        RUN("tpm2_flushcontext", "-t");
}

static const char srk[] = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
static const char counting[] = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt";

/* A handle that was lost is given to the next key: the first must not sign with the second. */
static void each_key_signs_after_a_reset(void **state)
{
        struct ksp_key *a, *b;

        (void)state;
        a = make(ERR_OK);
        b = make(ERR_OK);
        expect_ok(sign(a));
        for (int round = 0; round < 3; round++) {
                reset();
                expect_ok(sign(b));
                expect_ok(sign(a));
                expect_ok(sign(b));
        }
        release(a);
        release(b);
}

/* More than the TPM holds: some of them are contexts that it saved before the reset. */
static void saved_contexts_after_a_reset(void **state)
{
        struct ksp_key *keys[5];

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                keys[i] = make(ERR_OK);
        for (int round = 0; round < 3; round++) {
                if (round > 0)
                        reset();
                for (size_t i = 0; i < 2 * N_ELEMENTS(keys); i++)
                        expect_ok(sign(keys[i % N_ELEMENTS(keys)]));
        }
        RUN("tpm2_clear", "-c", "p");
        for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
                expect_err(sign(keys[i]), ERR_TPM_CLEARED);
                release(keys[i]);
        }
}

static void the_same_under_a_persistent_parent(void **state)
{

        (void)state;
        RUN("tpm2_changeauth", "-c", "owner", "secret");
        persist("secret", srk);
        each_key_signs_after_a_reset(state);
        RUN("tpm2_changeauth", "-c", "owner", "-p", "secret");
}

static void cleared(void **state)
{
        struct ksp_key *before = make(ERR_OK), *after;
        struct ksp_tpm info;

        (void)state;
        expect_ok(sign(before));
        RUN("tpm2_clear", "-c", "p");
        expect_err(sign(before), ERR_TPM_CLEARED);
        assert_non_null(strstr(e.message, "cleared"));
        assert_non_null(strstr(e.remedy, "enroll"));
        ksp_tpm(ksp, &info);
        assert_int_equal(info.state, KSP_TPM_READY); /* the TPM is well, the key is lost */
        after = make(ERR_OK);
        expect_ok(sign(after));
        expect_err(sign(before), ERR_TPM_CLEARED);
        expect_ok(sign(after));
        release(before);
        release(after);
}

static void owner_password_is_given(void **state)
{
        struct ksp_key *key = make(ERR_OK);
        struct ksp_tpm info;

        (void)state;
        expect_ok(sign(key));
        RUN("tpm2_changeauth", "-c", "owner", "secret");
        expect_ok(sign(key)); /* loaded, and the parent's context is saved */
        release(key);
        open_again("wrong");
        (void)make(ERR_TPM_OWNER_AUTH);
        assert_non_null(strstr(e.message, "not the one"));
        ksp_tpm(ksp, &info);
        assert_int_equal(info.why.code, ERR_TPM_OWNER_AUTH);
        assert_int_equal(info.lockout_counter, 0); /* asking with it does no harm */
        open_again("secret");
        key = make(ERR_OK);
        expect_ok(sign(key));
        reset();
        expect_ok(sign(key));
        ksp_tpm(ksp, &info);
        assert_int_equal(info.state, KSP_TPM_READY);
        assert_string_equal(info.parent, "0x40000001");
        release(key);
}

/* A key under the hierarchy's primary goes on under the same primary at 0x81000001, and back. */
static void owner_password_and_the_same_key_persistent(void **state)
{
        struct ksp_key *key = make(ERR_OK);

        (void)state;
        persist("", srk);
        RUN("tpm2_changeauth", "-c", "owner", "secret");
        reset();
        expect_ok(sign(key));
        RUN("tpm2_evictcontrol", "-Q", "-P", "secret", "-c", "0x81000001");
        reset();
        expect_err(sign(key), ERR_TPM_OWNER_AUTH);
        RUN("tpm2_changeauth", "-c", "owner", "-p", "secret");
        expect_ok(sign(key));
        release(key);
}

static void another_storage_key(void **state)
{
        struct ksp_key *key;
        struct ksp_tpm info;
        char context[96];

        (void)state;
        RUN("tpm2_changeauth", "-c", "owner", "secret");
        (void)make(ERR_TPM_OWNER_AUTH);
        persist("secret", counting);
        key = make(ERR_OK);
        expect_ok(sign(key));
        /* gone */
        RUN("tpm2_evictcontrol", "-Q", "-P", "secret", "-c", "0x81000001");
        reset();
        expect_err(sign(key), ERR_KEY_FOREIGN);
        /* another one */
        persist("secret", srk);
        reset();
        expect_err(sign(key), ERR_KEY_FOREIGN);
        assert_non_null(strstr(e.message, "0x81000001"));
        /* no storage key at all */
        RUN("tpm2_evictcontrol", "-Q", "-P", "secret", "-c", "0x81000001");
        (void)snprintf(context, sizeof context, "%s/sign.ctx", swtpm.dir);
        RUN("tpm2_createprimary", "-Q", "-P", "secret", "-G", "ecc", "-a",
            "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign", "-c", context);
        RUN("tpm2_evictcontrol", "-Q", "-P", "secret", "-c", context, "0x81000001");
        reset();
        expect_err(sign(key), ERR_KEY_FOREIGN);
        ksp_tpm(ksp, &info);
        assert_int_equal(info.why.code, ERR_TPM_OWNER_AUTH);
        assert_non_null(strstr(info.why.message, "not a storage key"));
        /* the one it was made under */
        RUN("tpm2_evictcontrol", "-Q", "-P", "secret", "-c", "0x81000001");
        persist("secret", counting);
        reset();
        expect_ok(sign(key));
        release(key);
}

/* Somebody's wrong passwords lock what counts them, and nothing of ours. */
static void lock(void)
{
        char public[96], private[96], parent[96], key[96], message[96];

        (void)snprintf(public, sizeof public, "%s/da.pub", swtpm.dir);
        (void)snprintf(private, sizeof private, "%s/da.priv", swtpm.dir);
        (void)snprintf(parent, sizeof parent, "%s/da.parent", swtpm.dir);
        (void)snprintf(key, sizeof key, "%s/da.ctx", swtpm.dir);
        (void)snprintf(message, sizeof message, "%s/pid", swtpm.dir);
        RUN("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=2", "--recovery-time=600",
            "--lockout-recovery-time=600");
        RUN("tpm2_flushcontext", "-t"); /* of ours, too */
        RUN("tpm2_createprimary", "-Q", "-C", "n", "-G", "ecc", "-c", parent);
        RUN("tpm2_create", "-Q", "-C", parent, "-G", "ecc", "-p", "right", "-u", public, "-r", private);
        RUN("tpm2_flushcontext", "-t");
        RUN("tpm2_load", "-Q", "-C", parent, "-u", public, "-r", private, "-c", key);
        for (int i = 0; i < 2; i++) {
                RUN("tpm2_flushcontext", "-t");
                assert_false(run_program("tpm2_sign", "-Q", "-c", key, "-p", "wrong", "-o", "/dev/null",
                                         message, NULL));
        }
        RUN("tpm2_flushcontext", "-t");
}

static void locked_out(void **state)
{
        struct ksp_key *key = make(ERR_OK), *other;
        struct ksp_tpm info;

        (void)state;
        expect_ok(sign(key));
        lock();
        expect_ok(sign(key));
        other = make(ERR_OK);
        ksp_tpm(ksp, &info);
        assert_int_equal(info.state, KSP_TPM_READY);
        assert_true(info.in_lockout && info.lockout_seconds >= 600);
        release(key);
        release(other);
}

static void locked_out_storage_key(void **state)
{
        struct ksp_tpm info;
        unsigned counter;

        (void)state;
        RUN("tpm2_changeauth", "-c", "owner", "secret");
        persist("secret", counting);
        lock();
        ksp_tpm(ksp, &info);
        assert_int_equal(info.state, KSP_TPM_FAILING);
        assert_int_equal(info.why.code, ERR_TPM_LOCKED_OUT);
        assert_non_null(strstr(info.why.remedy, "600 s"));
        counter = info.lockout_counter;
        for (int i = 0; i < 3; i++)
                (void)make(ERR_TPM_LOCKED_OUT);
        ksp_tpm(ksp, &info);
        assert_int_equal(info.lockout_counter, counter);
        RUN("tpm2_dictionarylockout", "--clear-lockout");
        release(make(ERR_OK));
        ksp_tpm(ksp, &info);
        assert_int_equal(info.state, KSP_TPM_READY);
}

/* A storage key with a password is asked once: each time would count towards the lockout. */
static void storage_key_with_a_password(void **state)
{
        struct ksp_tpm info;
        char context[96];

        (void)state;
        RUN("tpm2_changeauth", "-c", "owner", "secret");
        (void)snprintf(context, sizeof context, "%s/srk.ctx", swtpm.dir);
        RUN("tpm2_createprimary", "-Q", "-P", "secret", "-p", "locked", "-G", "ecc", "-c", context);
        RUN("tpm2_evictcontrol", "-Q", "-P", "secret", "-c", context, "0x81000001");
        RUN("tpm2_flushcontext", "-t");
        for (int i = 0; i < 5; i++) {
                (void)make(ERR_TPM_OWNER_AUTH);
                assert_non_null(strstr(e.message, "0x81000001"));
        }
        ksp_tpm(ksp, &info);
        assert_int_equal(info.lockout_counter, 1);
        assert_int_equal(info.why.code, ERR_TPM_OWNER_AUTH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_key_signs_after_a_reset),
                TEST(saved_contexts_after_a_reset),
                TEST(the_same_under_a_persistent_parent),
                TEST(cleared),
                TEST(owner_password_is_given),
                TEST(owner_password_and_the_same_key_persistent),
                TEST(another_storage_key),
                TEST(locked_out),
                TEST(locked_out_storage_key),
                TEST(storage_key_with_a_password),
        };

        return cmocka_run_group_tests_name("ksp-trouble", tests, NULL, NULL);
}
