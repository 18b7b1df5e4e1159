/* ksp.h while the TPM goes away, comes back, is reset, is full. */
#include "test.h"

#include <signal.h>
#include <stdio.h>

#include "ksp.h"
#include "swtpm.h"

static struct swtpm swtpm;
static struct ksp *ksp;
static struct ksp_key *key;

static int start(void **state)
{
        const struct ksp_spec spec = {.alg = KEY_ALG_EC_P256, .protection = KEY_PROTECTION_TPM};
        struct ksp_config config = {0};
        char *reason = NULL;

        (void)state;
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        if (!swtpm_start(&swtpm))
                return -1;
        config.tcti = swtpm.tcti;
        if (ksp_open(&config, &ksp, NULL) || ksp_create(ksp, &spec, &key, &reason, NULL))
                return -1;
        free(reason);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        ksp_key_unref(key);
        ksp_close(ksp);
        swtpm_stop(&swtpm);
        return 0;
}

static enum err sign(struct error *e)
{
        const struct key_sign how = {.scheme = KEY_SCHEME_ECDSA, .digest = KEY_DIGEST_SHA256};
        const uint8_t hash[32] = {0};
        CLEANUP(bytes_done) struct bytes signature = {0};

        return ksp_sign(key, 0, &how, (struct view){hash, 32}, &signature, e);
}

static void killed_and_back(void **state)
{
        struct ksp_tpm info;
        struct error e = {0};

        (void)state;
        for (int round = 0; round < 3; round++) {
                expect_ok(sign(&e));
                swtpm_kill(&swtpm, SIGKILL);
                expect_err(sign(&e), ERR_TPM_FAILED);
                expect_err(sign(&e), ERR_TPM_FAILED);
                ksp_tpm(ksp, &info);
                assert_int_equal(info.state, KSP_TPM_FAILING);
                assert_int_equal(info.why.code, ERR_TPM_FAILED);
                assert_true(info.why.remedy[0]);
                swtpm_again(&swtpm);
        }
        expect_ok(sign(&e));
        ksp_tpm(ksp, &info);
        assert_int_equal(info.state, KSP_TPM_READY);
}

static void restarted_unnoticed(void **state)
{
        struct error e = {0};

        (void)state;
        expect_ok(sign(&e));
        swtpm_kill(&swtpm, SIGTERM);
        swtpm_again(&swtpm);
        expect_ok(sign(
                &e)); /* loaded keys and the saved parent are gone: made anew, the caller does not notice */
}

static void reset(void **state)
{
        char control[128];
        struct error e = {0};

        (void)state;
        if (access("/usr/bin/swtpm_ioctl", X_OK) < 0)
                skip();
        (void)snprintf(control, sizeof control, "%s/sock.ctrl", swtpm.dir);
        expect_ok(sign(&e));
        assert_true(run_program("swtpm_ioctl", "--unix", control, "--stop", NULL));
        assert_true(run_program("swtpm_ioctl", "--unix", control, "-i", NULL));
        /* Initialised, not started: a fault that is told, not hidden. */
        expect_err(sign(&e), ERR_TPM_RESET);
        assert_non_null(strstr(e.remedy, "tpm2_startup"));
        assert_true(run_program("tpm2_startup", "-c", "-T", swtpm.tcti, NULL));
        expect_ok(sign(&e));
}

static void slots_taken_by_others(void **state)
{
        const struct ksp_config config = {.tcti = swtpm.tcti};
        char context[3][96];
        struct ksp *other;
        struct error e = {0};

        (void)state;
        if (access("/usr/bin/tpm2_createprimary", X_OK) < 0)
                skip();
        expect_ok(sign(&e));
        /* tpm2-tools leave their objects loaded: the slots are gone until somebody flushes them. */
        for (int i = 0; i < 3; i++) {
                (void)snprintf(context[i], sizeof context[i], "%s/p%d.ctx", swtpm.dir, i);
                (void)run_program("tpm2_createprimary", "-Q", "-G", "ecc", "-c", context[i], "-T", swtpm.tcti,
                                  NULL);
        }
        expect_ok(ksp_open(&config, &other, &e));
        {
                const struct ksp_spec spec = {.alg = KEY_ALG_EC_P256,
                                              .protection = KEY_PROTECTION_TPM_PREFERRED};
                struct ksp_key *made = NULL;
                char *reason = NULL;

                expect_err(ksp_create(other, &spec, &made, &reason, &e), ERR_TPM_FULL);
                assert_non_null(strstr(e.remedy, "flush"));
        }
        ksp_close(other);
        assert_true(run_program("tpm2_flushcontext", "-t", "-T", swtpm.tcti, NULL));
        expect_ok(sign(&e)); /* our own handle was flushed with the rest: loaded again */
}

static void owner_password(void **state)
{
        const struct ksp_spec spec = {.alg = KEY_ALG_EC_P256, .protection = KEY_PROTECTION_TPM_PREFERRED};
        const struct ksp_config config = {.tcti = swtpm.tcti};
        char context[96];
        struct ksp_key *made = NULL;
        struct ksp_key_info info;
        struct ksp *fresh;
        char *reason = NULL;
        struct error e = {0};

        (void)state;
        if (access("/usr/bin/tpm2_changeauth", X_OK) < 0)
                skip();
        assert_true(run_program("tpm2_changeauth", "-c", "owner", "secret", "-T", swtpm.tcti, NULL));
        expect_ok(ksp_open(&config, &fresh, &e));
        expect_err(ksp_create(fresh, &spec, &made, &reason, &e), ERR_TPM_OWNER_AUTH);
        (void)snprintf(context, sizeof context, "%s/srk.ctx", swtpm.dir);
        (void)setenv("TPM2TOOLS_TCTI", swtpm.tcti, 1);
        assert_true(run_program("tpm2_createprimary", "-Q", "-C", "o", "-P", "secret", "-G", "ecc", "-c",
                                context, NULL));
        assert_true(run_program("tpm2_evictcontrol", "-Q", "-C", "o", "-P", "secret", "-c", context,
                                "0x81000001", NULL));
        assert_true(run_program("tpm2_flushcontext", "-t", NULL));
        expect_ok(ksp_create(fresh, &spec, &made, &reason, &e));
        expect_ok(ksp_describe(made, &info, &e));
        assert_string_equal(info.parent, "0x81000001");
        free(reason);
        ksp_key_unref(made);
        ksp_close(fresh);
        assert_true(run_program("tpm2_changeauth", "-c", "owner", "-p", "secret", NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(killed_and_back), cmocka_unit_test(restarted_unnoticed),
                cmocka_unit_test(reset),           cmocka_unit_test(slots_taken_by_others),
                cmocka_unit_test(owner_password),
        };

        return cmocka_run_group_tests_name("ksp-faults", tests, start, stop);
}
