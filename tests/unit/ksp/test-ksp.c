/* ksp.h on a real swtpm and in software: the table of design.md §4, every algorithm, what lies on the disk.
 */
#include "test.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/ossl.h"
#include "ksp.h"
#include "swtpm.h"
#include "tpm.h"

static struct swtpm swtpm;
static const char host_secret[] = "0123456789abcdef0123456789abcdef";

static int start(void **state)
{
        (void)state;
        (void)setenv("TSS2_LOG", "all+NONE", 1);
        return swtpm_start(&swtpm) ? 0 : -1;
}

static int stop(void **state)
{
        (void)state;
        swtpm_stop(&swtpm);
        return 0;
}

static struct ksp *open_ksp(const char *tcti, const char *secret)
{
        const struct ksp_config config = {.tcti = tcti,
                                          .host_secret = secret ? str_view(secret) : (struct view){0}};
        struct ksp *ksp = NULL;
        struct error e = {0};

        expect_ok(ksp_open(&config, &ksp, &e));
        return ksp;
}

static void decisions(void **state)
{
        static const enum err faults[] = {ERR_TPM_FAILED,     ERR_TPM_LOCKED_OUT, ERR_TPM_PERMISSION,
                                          ERR_TPM_OWNER_AUTH, ERR_TPM_FULL,       ERR_NO_MEMORY};
        static const struct {
                enum key_protection protection;
                enum ksp_place works, absent, fault, unsupported;
        } table[] = {
                {KEY_PROTECTION_TPM, KSP_IN_TPM, KSP_REFUSED, KSP_REFUSED, KSP_REFUSED},
                {KEY_PROTECTION_TPM_PREFERRED, KSP_IN_TPM, KSP_IN_SOFTWARE, KSP_REFUSED, KSP_IN_SOFTWARE},
                {KEY_PROTECTION_SOFTWARE, KSP_IN_SOFTWARE, KSP_IN_SOFTWARE, KSP_IN_SOFTWARE, KSP_IN_SOFTWARE},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(table); i++) {
                assert_int_equal(ksp_decide(table[i].protection, ERR_OK, false), table[i].works);
                assert_int_equal(ksp_decide(table[i].protection, ERR_TPM_ABSENT, false), table[i].absent);
                assert_int_equal(ksp_decide(table[i].protection, ERR_KEY_NOT_SUPPORTED, false),
                                 table[i].unsupported);
                for (size_t f = 0; f < N_ELEMENTS(faults); f++)
                        assert_int_equal(ksp_decide(table[i].protection, faults[f], false), table[i].fault);
        }
        assert_int_equal(ksp_decide(KEY_PROTECTION_TPM_PREFERRED, ERR_TPM_ABSENT, true), KSP_REFUSED);
        assert_int_equal(ksp_decide(KEY_PROTECTION_TPM_PREFERRED, ERR_KEY_NOT_SUPPORTED, true), KSP_REFUSED);
}

static void presence(void **state)
{
        static const struct {
                const char *name, *tcti,
                        *make; /* make: shell-free list of paths, files unless they end in / */
                enum err wanted;
                const char *says;
        } cases[] = {
                {"/none", "none", "", ERR_TPM_ABSENT, "Tcti=none"},
                {"/node", "device:/dev/tpmrm0", "dev/ dev/tpmrm0", ERR_OK, NULL},
                {"/nothing", "device:/dev/tpmrm0", "", ERR_TPM_ABSENT, "no TPM"},
                {"/default-node", "device", "", ERR_TPM_ABSENT, "/dev/tpmrm0"},
                {"/sysfs-without-node", "device:/dev/tpmrm0",
                 "sys/ sys/class/ sys/class/tpm/ sys/class/tpm/tpm0/", ERR_TPM_FAILED, "announces"},
                {"/acpi-without-node", "device:/dev/tpmrm0",
                 "sys/ sys/firmware/ sys/firmware/acpi/ sys/firmware/acpi/tables/ "
                 "sys/firmware/acpi/tables/TPM2",
                 ERR_TPM_FAILED, "announces"},
                {"/swtpm-is-never-absent", "swtpm:path=/nowhere", "", ERR_OK, NULL},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char root[] = "/tmp/scepter-presence.XXXXXX", list[256], *save, *path;
                CLEANUP(close_p) int fd = -1;
                struct error e = {0};

                assert_non_null(mkdtemp(root));
                fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                strcpy(list, cases[i].make);
                for (path = strtok_r(list, " ", &save); path; path = strtok_r(NULL, " ", &save)) {
                        if (path[strlen(path) - 1] == '/')
                                assert_int_equal(mkdirat(fd, path, 0755), 0);
                        else
                                expect_ok(file_write(fd, path, 0600, str_view(""), &e));
                }
                if (cases[i].wanted == ERR_OK) {
                        expect_ok(tpm_presence(cases[i].tcti, root, &e));
                } else {
                        expect_err(tpm_presence(cases[i].tcti, root, &e), cases[i].wanted);
                        assert_non_null(strstr(e.message, cases[i].says));
                        /* what was configured is not mended in the firmware */
                        if (strcmp(cases[i].tcti, "none") == 0)
                                assert_non_null(strstr(e.remedy, "Take Tcti=none out"));
                }
                (void)!tree_remove(AT_FDCWD, root, NULL);
        }
}

static void choice(void **state)
{
        static const struct {
                const char *tcti, *make, *wanted; /* make: files below dev */
        } cases[] = {
                {"none", "tpmrm0", "none"},
                {"device:/dev/tpmrm7", "tpmrm0", "device:/dev/tpmrm7"},
                {"auto", "tpmrm1 tpmrm0", "device:/dev/tpmrm0"},
                {"auto", "tpm0 tpmrm tpmrmx tpmrm1x tpmrm-1 tpmrm99999999999", "device:/dev/tpmrm0"},
                {"auto", "tpmrm10 tpmrm2 tpm0", "device:/dev/tpmrm2"},
                {"auto", "tpmrm65535", "device:/dev/tpmrm65535"},
                {"auto", "", "device:/dev/tpmrm0"},
        };
        char chosen[TPM_CHOSEN_MAX];

        (void)state;
        assert_null(tpm_choose(NULL, "", chosen));
        assert_string_equal(tpm_choose("auto", "/nowhere", chosen), "device:/dev/tpmrm0");
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                char root[] = "/tmp/scepter-choice.XXXXXX", dev[64], list[256], *save, *path;
                CLEANUP(close_p) int fd = -1;
                struct error e = {0};

                assert_non_null(mkdtemp(root));
                (void)snprintf(dev, sizeof dev, "%s/dev", root);
                assert_int_equal(mkdir(dev, 0755), 0);
                fd = open(dev, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                strcpy(list, cases[i].make);
                for (path = strtok_r(list, " ", &save); path; path = strtok_r(NULL, " ", &save))
                        expect_ok(file_write(fd, path, 0600, str_view(""), &e));
                assert_string_equal(tpm_choose(cases[i].tcti, root, chosen), cases[i].wanted);
                (void)!tree_remove(AT_FDCWD, root, NULL);
        }
}

static void verify(struct ksp_key *key, const struct key_sign *how, struct view hash,
                   const struct bytes *signature)
{
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ksp_key_public(key), NULL);

        assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
        if (how->scheme == KEY_SCHEME_RSA_PSS)
                assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
        if (how->digest != KEY_DIGEST_NONE)
                assert_int_equal(EVP_PKEY_CTX_set_signature_md(
                                         ctx, EVP_get_digestbyname(key_digest_name(how->digest))),
                                 1);
        if (how->scheme == KEY_SCHEME_RSA_PSS)
                assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, how->salt_len), 1);
        assert_int_equal(EVP_PKEY_verify(ctx, signature->data, signature->len, hash.data, hash.len), 1);
}

/* Refused, or, of a software key, answered with what says nothing. */
static void no_content(struct ksp_key *key, struct view data)
{
        const struct key_decrypt pkcs1 = {.padding = KEY_PADDING_RSA_PKCS1};
        CLEANUP(secret_done) struct secret plain = {0};
        struct error e = {0};

        if (ksp_decrypt(key, 0, &pkcs1, data, &plain, &e)) {
                assert_int_equal(e.code, ERR_INVALID);
                return;
        }
        assert_false(ksp_key_in_tpm(key));
        assert_true(plain.len != 11 || memcmp(plain.data, "content key", 11) != 0);
}

static void use_rsa(struct ksp_key *key)
{
        static const struct key_sign hows[] = {
                {KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA256, KEY_DIGEST_NONE, 0},
                {KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA1, KEY_DIGEST_NONE, 0},
                {KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_NONE, KEY_DIGEST_NONE, 0},
                {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA384, KEY_DIGEST_SHA384, 48},
        };
        static const uint8_t hash[64] = {1, 2, 3};
        const struct key_decrypt pkcs1 = {.padding = KEY_PADDING_RSA_PKCS1};
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ksp_key_public(key), NULL);
        CLEANUP(secret_done) struct secret plain = {0};
        uint8_t encrypted[KEY_MODULUS_MAX];
        size_t len = sizeof encrypted;
        struct error e = {0};

        for (size_t i = 0; i < N_ELEMENTS(hows); i++) {
                CLEANUP(bytes_done) struct bytes signature = {0};
                struct view data = {hash,
                                    key_digest_len(hows[i].digest) ? key_digest_len(hows[i].digest) : 51};

                expect_ok(ksp_sign(key, 0, &hows[i], data, &signature, &e));
                verify(key, &hows[i], data, &signature);
        }
        expect_err(ksp_sign(key, 0, &(struct key_sign){.scheme = KEY_SCHEME_ECDSA}, (struct view){hash, 32},
                            &(struct bytes){0}, &e),
                   ERR_INVALID);
        assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
        assert_int_equal(EVP_PKEY_encrypt(ctx, encrypted, &len, (const uint8_t *)"content key", 11), 1);
        expect_err(ksp_derive(key, 0, (struct view){encrypted, 65}, &plain, &e), ERR_INVALID);
        expect_ok(ksp_decrypt(key, 0, &pkcs1, (struct view){encrypted, len}, &plain, &e));
        assert_string_equal((char *)plain.data, "content key");
        secret_done(&plain);
        encrypted[5] ^= 1;
        no_content(key, (struct view){encrypted, len});
        no_content(key, (struct view){encrypted, len - 1});
        memset(encrypted, 0xff, len); /* above the modulus: must not reach the TPM */
        expect_err(ksp_decrypt(key, 0, &pkcs1, (struct view){encrypted, len}, &plain, &e), ERR_INVALID);
}

/* The same secret on both sides; and nothing for what is no point of the curve. */
static void use_ecdh(struct ksp_key *key)
{
        EVP_PKEY *peer =
                EVP_PKEY_Q_keygen(NULL, NULL, "EC", ksp_key_alg(key) == KEY_ALG_EC_P256 ? "P-256" : "P-384");
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(peer, NULL);
        CLEANUP(secret_done) struct secret shared = {0};
        unsigned char *point = NULL;
        size_t n = EVP_PKEY_get1_encoded_public_key(peer, &point), len;
        uint8_t theirs[64];
        struct error e = {0};

        len = sizeof theirs;
        assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
        assert_int_equal(EVP_PKEY_derive_set_peer(ctx, ksp_key_public(key)), 1);
        assert_int_equal(EVP_PKEY_derive(ctx, theirs, &len), 1);
        expect_ok(ksp_derive(key, 0, (struct view){point, n}, &shared, &e));
        assert_int_equal(shared.len, len);
        assert_memory_equal(shared.data, theirs, len);
        secret_done(&shared);
        expect_err(ksp_derive(key, 0, (struct view){point, n - 1}, &shared, &e), ERR_INVALID);
        expect_err(ksp_derive(key, 0, (struct view){point, 1}, &shared, &e), ERR_INVALID);
        expect_err(ksp_derive(key, 0, (struct view){NULL, 0}, &shared, &e), ERR_INVALID);
        point[n - 1] ^= 1;
        expect_err(ksp_derive(key, 0, (struct view){point, n}, &shared, &e), ERR_INVALID);
        assert_non_null(strstr(e.message, "curve"));
        memset(point + 1, 0, n - 1);
        expect_err(ksp_derive(key, 0, (struct view){point, n}, &shared, &e), ERR_INVALID);
        assert_null(shared.data);
        OPENSSL_free(point);
        EVP_PKEY_free(peer);
}

static void use_ec(struct ksp_key *key)
{
        static const struct {
                enum key_digest digest;
                size_t len;
        } cases[] = {{KEY_DIGEST_SHA256, 32},
                     {KEY_DIGEST_SHA1, 20},
                     {KEY_DIGEST_SHA512, 64},
                     {KEY_DIGEST_NONE, 32}};
        uint8_t hash[64] = {9, 8, 7};
        struct error e = {0};

        use_ecdh(key);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct key_sign how = {.scheme = KEY_SCHEME_ECDSA, .digest = cases[i].digest};
                CLEANUP(bytes_done) struct bytes signature = {0};

                expect_ok(ksp_sign(key, 0, &how, (struct view){hash, cases[i].len}, &signature, &e));
                verify(key, &how, (struct view){hash, cases[i].len}, &signature);
        }
        expect_err(ksp_decrypt(key, 0, &(struct key_decrypt){0}, (struct view){hash, 32}, &(struct secret){0},
                               &e),
                   ERR_INVALID);
}

static void every_key(void **state)
{
        static const struct {
                const char *name;
                enum key_alg alg;
                enum key_protection protection;
                bool in_tpm;
        } cases[] = {
                {"/tpm/rsa-2048", KEY_ALG_RSA_2048, KEY_PROTECTION_TPM, true},
                {"/tpm/rsa-3072", KEY_ALG_RSA_3072, KEY_PROTECTION_TPM, true},
                {"/tpm/ec-p256", KEY_ALG_EC_P256, KEY_PROTECTION_TPM_PREFERRED, true},
                {"/tpm/ec-p384", KEY_ALG_EC_P384, KEY_PROTECTION_TPM, true},
                {"/software/rsa-2048", KEY_ALG_RSA_2048, KEY_PROTECTION_SOFTWARE, false},
                {"/software/rsa-3072", KEY_ALG_RSA_3072, KEY_PROTECTION_SOFTWARE, false},
                {"/software/ec-p256", KEY_ALG_EC_P256, KEY_PROTECTION_SOFTWARE, false},
                {"/preferred/rsa-4096-falls", KEY_ALG_RSA_4096, KEY_PROTECTION_TPM_PREFERRED, false},
        };
        struct ksp *ksp = open_ksp(swtpm.tcti, host_secret);
        char dir[] = "/tmp/scepter-keys.XXXXXX";
        CLEANUP(close_p) int fd = -1;
        struct error e = {0};

        (void)state;
        assert_non_null(mkdtemp(dir));
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct ksp_spec spec = {.alg = cases[i].alg, .protection = cases[i].protection};
                CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
                CLEANUP(ksp_key_unref_p) struct ksp_key *again = NULL;
                CLEANUP(free_p) char *reason = NULL;
                struct ksp_key_info info;
                struct stat st;

                expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
                assert_int_equal(ksp_key_in_tpm(key), cases[i].in_tpm);
                assert_int_equal(ksp_key_alg(key), cases[i].alg);
                if (cases[i].alg == KEY_ALG_RSA_4096)
                        assert_non_null(strstr(reason, "cannot make rsa-4096"));
                expect_ok(ksp_key_save(key, fd, "key.pem", &e));
                assert_int_equal(fstatat(fd, "key.pem", &st, 0), 0);
                assert_int_equal(st.st_mode & 07777, 0600);
                expect_ok(ksp_load(ksp, fd, "key.pem", &again, &e));
                assert_memory_equal(ksp_key_id(key), ksp_key_id(again), KEY_ID_LEN);
                assert_int_equal(EVP_PKEY_eq(ksp_key_public(key), ksp_key_public(again)), 1);
                expect_ok(ksp_describe(again, &info, &e));
                assert_int_equal(info.in_tpm, cases[i].in_tpm);
                assert_int_equal(info.attributes, cases[i].in_tpm ? 0x7f : 0);
                assert_string_equal(info.parent, cases[i].in_tpm ? "0x40000001" : "");
                if (key_alg_is_rsa(cases[i].alg))
                        use_rsa(again);
                else
                        use_ec(again);
                expect_ok(ksp_delete(ksp, again, fd, "key.pem", &e));
                expect_err(ksp_load(ksp, fd, "key.pem", &again, &e), ERR_NOT_FOUND);
        }
        ksp_close(ksp);
        (void)!tree_remove(AT_FDCWD, dir, NULL);
}

static void refusals(void **state)
{
        static const struct {
                const char *name, *tcti;
                enum key_alg alg;
                enum key_protection protection;
                bool no_downgrade, secret;
                enum err wanted;
        } cases[] = {
                {"/tpm/absent", "none", KEY_ALG_RSA_2048, KEY_PROTECTION_TPM, false, true, ERR_TPM_ABSENT},
                {"/tpm/failing", "swtpm:path=/nowhere", KEY_ALG_RSA_2048, KEY_PROTECTION_TPM, false, true,
                 ERR_TPM_FAILED},
                {"/preferred/failing-is-no-absence", "swtpm:path=/nowhere", KEY_ALG_RSA_2048,
                 KEY_PROTECTION_TPM_PREFERRED, false, true, ERR_TPM_FAILED},
                {"/preferred/no-downgrade", "none", KEY_ALG_RSA_2048, KEY_PROTECTION_TPM_PREFERRED, true,
                 true, ERR_TPM_ABSENT},
                {"/tpm/unsupported", NULL, KEY_ALG_RSA_4096, KEY_PROTECTION_TPM, false, true,
                 ERR_KEY_NOT_SUPPORTED},
                {"/software/no-host-secret", "none", KEY_ALG_EC_P256, KEY_PROTECTION_SOFTWARE, false, false,
                 ERR_HOST_SECRET},
                {"/user-verified/without-a-pin", NULL, KEY_ALG_RSA_2048, KEY_PROTECTION_USER_VERIFIED, false,
                 true, ERR_PIN_NEEDED},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct ksp *ksp = open_ksp(cases[i].tcti ? cases[i].tcti : swtpm.tcti,
                                           cases[i].secret ? host_secret : NULL);
                const struct ksp_spec spec = {.alg = cases[i].alg,
                                              .protection = cases[i].protection,
                                              .no_downgrade = cases[i].no_downgrade};
                struct ksp_key *key = NULL;
                char *reason = NULL;

                expect_err(ksp_create(ksp, &spec, &key, &reason, &e), cases[i].wanted);
                assert_null(key);
                assert_null(reason);
                ksp_close(ksp);
        }
}

static void damaged_files(void **state)
{
        static const char *const files[] = {
                "",
                "no pem at all",
                "-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
        };
        struct ksp *ksp = open_ksp("none", host_secret), *other = open_ksp("none", "another secret"),
                   *none = open_ksp("none", NULL);
        const struct ksp_spec spec = {.alg = KEY_ALG_EC_P256, .protection = KEY_PROTECTION_SOFTWARE};
        char dir[] = "/tmp/scepter-keys.XXXXXX";
        CLEANUP(free_p) char *reason = NULL;
        CLEANUP(close_p) int fd = -1;
        struct ksp_key *key = NULL;
        struct error e = {0};

        (void)state;
        assert_non_null(mkdtemp(dir));
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < N_ELEMENTS(files); i++) {
                expect_ok(file_write(fd, "key.pem", 0600, str_view(files[i]), &e));
                expect_err(ksp_load(ksp, fd, "key.pem", &key, &e), ERR_KEY_DAMAGED);
        }
        expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
        expect_ok(ksp_key_save(key, fd, "key.pem", &e));
        ksp_key_unref(key);
        key = NULL;
        expect_err(ksp_load(other, fd, "key.pem", &key, &e), ERR_KEY_DAMAGED);
        expect_err(ksp_load(none, fd, "key.pem", &key, &e), ERR_HOST_SECRET);
        assert_null(key);
        ksp_close(ksp);
        ksp_close(other);
        ksp_close(none);
        (void)!tree_remove(AT_FDCWD, dir, NULL);
}

static enum err count_key(void *ctx, const char *name, bool in_tpm, struct error *e)
{
        char *seen = ctx;

        (void)e;
        strcat(seen, name);
        strcat(seen, in_tpm ? "=tpm " : "=software ");
        return ERR_OK;
}

static void listing(void **state)
{
        struct ksp *ksp = open_ksp(swtpm.tcti, host_secret);
        char dir[] = "/tmp/scepter-keys.XXXXXX", seen[128] = "";
        CLEANUP(close_p) int fd = -1;
        struct error e = {0};

        (void)state;
        assert_non_null(mkdtemp(dir));
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int i = 0; i < 2; i++) {
                const struct ksp_spec spec = {.alg = KEY_ALG_EC_P256,
                                              .protection = i ? KEY_PROTECTION_TPM : KEY_PROTECTION_SOFTWARE};
                CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
                CLEANUP(free_p) char *reason = NULL;

                expect_ok(ksp_create(ksp, &spec, &key, &reason, &e));
                expect_ok(ksp_key_save(key, fd, i ? "b.pem" : "a.pem", &e));
        }
        expect_ok(file_write(fd, "cert.pem", 0600, str_view("-----BEGIN CERTIFICATE-----"), &e));
        expect_ok(ksp_list(fd, count_key, seen, &e));
        assert_string_equal(seen, "a.pem=software b.pem=tpm ");
        ksp_close(ksp);
        (void)!tree_remove(AT_FDCWD, dir, NULL);
}

/* More keys than slots, used in turn: nothing leaks, everything signs. */
static void more_keys_than_slots(void **state)
{
        enum { KEYS = 7, ROUNDS = 5 };
        const struct key_sign how = {.scheme = KEY_SCHEME_ECDSA, .digest = KEY_DIGEST_SHA256};
        const struct ksp_spec spec = {.alg = KEY_ALG_EC_P256, .protection = KEY_PROTECTION_TPM};
        struct ksp *ksp = open_ksp(swtpm.tcti, NULL);
        struct ksp_key *keys[KEYS];
        const uint8_t hash[32] = {0};
        struct ksp_tpm info;
        struct error e = {0};

        (void)state;
        for (int i = 0; i < KEYS; i++) {
                char *reason = NULL;

                expect_ok(ksp_create(ksp, &spec, &keys[i], &reason, &e));
                free(reason);
        }
        for (int i = 0; i < KEYS * ROUNDS; i++) {
                CLEANUP(bytes_done) struct bytes signature = {0};

                expect_ok(ksp_sign(keys[i % KEYS], (uid_t)i, &how, (struct view){hash, 32}, &signature, &e));
                verify(keys[i % KEYS], &how, (struct view){hash, 32}, &signature);
        }
        ksp_tpm(ksp, &info);
        assert_int_equal(info.state, KSP_TPM_READY);
        assert_string_equal(info.manufacturer, "IBM");
        assert_int_equal(info.slots, 3);
        assert_true(info.algs[KEY_ALG_RSA_2048] && info.algs[KEY_ALG_EC_P256] &&
                    !info.algs[KEY_ALG_RSA_4096]);
        for (int i = 0; i < KEYS; i++)
                ksp_key_unref(keys[i]);
        ksp_close(ksp);
        /* All three slots are free again: another program can take them. */
        ksp = open_ksp(swtpm.tcti, NULL);
        ksp_tpm(ksp, &info);
        assert_int_equal(info.slots, 3);
        ksp_close(ksp);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(decisions), cmocka_unit_test(presence),
                cmocka_unit_test(choice),    cmocka_unit_test(every_key),
                cmocka_unit_test(refusals),  cmocka_unit_test(damaged_files),
                cmocka_unit_test(listing),   cmocka_unit_test(more_keys_than_slots),
        };

        return cmocka_run_group_tests_name("ksp", tests, start, stop);
}
