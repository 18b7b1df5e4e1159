#include "key/key.h"

#include <string.h>
#include <strings.h>

static const struct {
        const char *name;
        bool rsa;
        unsigned bits;
} algs[_KEY_ALG_MAX] = {
        [KEY_ALG_RSA_2048] = {"rsa-2048", true, 2048}, [KEY_ALG_RSA_3072] = {"rsa-3072", true, 3072},
        [KEY_ALG_RSA_4096] = {"rsa-4096", true, 4096}, [KEY_ALG_EC_P256] = {"ec-p256", false, 256},
        [KEY_ALG_EC_P384] = {"ec-p384", false, 384},
};

bool key_alg_is_rsa(enum key_alg alg)
{
        return algs[alg].rsa;
}

unsigned key_alg_bits(enum key_alg alg)
{
        return algs[alg].bits;
}

const char *key_alg_name(enum key_alg alg)
{
        return algs[alg].name;
}

bool key_alg_from_name(const char *name, enum key_alg *ret)
{
        for (int i = 0; i < _KEY_ALG_MAX; i++) {
                if (strcmp(name, algs[i].name) == 0) {
                        *ret = (enum key_alg)i;
                        return true;
                }
        }
        return false;
}

static const char *const protections[] = {
        [KEY_PROTECTION_DEFAULT] = "default",
        [KEY_PROTECTION_TPM] = "tpm",
        [KEY_PROTECTION_TPM_PREFERRED] = "tpm-preferred",
        [KEY_PROTECTION_SOFTWARE] = "software",
        [KEY_PROTECTION_USER_VERIFIED] = "user-verified",
};

const char *key_protection_name(enum key_protection protection)
{
        return protections[protection];
}

bool key_protection_from_name(const char *name, enum key_protection *ret)
{
        for (size_t i = 0; i < N_ELEMENTS(protections); i++) {
                if (strcmp(name, protections[i]) == 0) {
                        *ret = (enum key_protection)i;
                        return true;
                }
        }
        return false;
}

static const struct {
        size_t len, block;
        const char *cipher;
} keks[_KEY_KEK_MAX] = {
        [KEY_KEK_AES128] = {16, 16, "AES-128-CBC"},
        [KEY_KEK_AES192] = {24, 16, "AES-192-CBC"},
        [KEY_KEK_AES256] = {32, 16, "AES-256-CBC"},
        [KEY_KEK_DES3] = {24, 8, "DES-EDE3-CBC"},
};

size_t key_kek_len(enum key_kek kek)
{
        return keks[kek].len;
}

size_t key_kek_block(enum key_kek kek)
{
        return keks[kek].block;
}

const char *key_kek_cipher(enum key_kek kek)
{
        return keks[kek].cipher;
}

bool key_unwrap_valid(const struct key_unwrap *how, size_t wrapped)
{
        const size_t block = keks[how->kek].block;

        return how->salt.len >= 1 && how->salt.len <= KEY_SALT_MAX && how->iterations >= 1 &&
               how->iterations <= KEY_ITERATIONS_MAX &&
               (how->prf == KEY_DIGEST_SHA1 || how->prf == KEY_DIGEST_SHA256 ||
                how->prf == KEY_DIGEST_SHA384 || how->prf == KEY_DIGEST_SHA512) &&
               how->iv.len == block && wrapped >= 2 * block && wrapped <= KEY_WRAPPED_MAX &&
               wrapped % block == 0;
}

#define NIST_HASH(last, len)                                                                                 \
        0x30, 0x11 + (len), 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, (last),  \
                0x05, 0x00, 0x04, (len)

static const struct {
        const char *name, *spelling; /* spelling: compared without '-' and case, "SHA2" written as "SHA" */
        uint8_t len, prefix_len;
        uint8_t prefix[19];
} digests[_KEY_DIGEST_MAX] = {
        [KEY_DIGEST_NONE] = {NULL, "", 0, 0, {0}},
        [KEY_DIGEST_SHA1] = {"SHA1",
                             "SHA1",
                             20,
                             15,
                             {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00,
                              0x04, 0x14}},
        [KEY_DIGEST_SHA224] = {"SHA224", "SHA224", 28, 19, {NIST_HASH(4, 28)}},
        [KEY_DIGEST_SHA256] = {"SHA256", "SHA256", 32, 19, {NIST_HASH(1, 32)}},
        [KEY_DIGEST_SHA384] = {"SHA384", "SHA384", 48, 19, {NIST_HASH(2, 48)}},
        [KEY_DIGEST_SHA512] = {"SHA512", "SHA512", 64, 19, {NIST_HASH(3, 64)}},
        [KEY_DIGEST_SHA3_256] = {"SHA3-256", "SHA3256", 32, 19, {NIST_HASH(8, 32)}},
        [KEY_DIGEST_SHA3_384] = {"SHA3-384", "SHA3384", 48, 19, {NIST_HASH(9, 48)}},
        [KEY_DIGEST_SHA3_512] = {"SHA3-512", "SHA3512", 64, 19, {NIST_HASH(10, 64)}},
};

size_t key_digest_len(enum key_digest digest)
{
        return digests[digest].len;
}

const char *key_digest_name(enum key_digest digest)
{
        return digests[digest].name;
}

bool key_digest_from_name(const char *name, enum key_digest *ret)
{
        char plain[16];
        size_t n = 0;

        if (strncasecmp(name, "SHA2-", 5) == 0) {
                memcpy(plain, "SHA", 3);
                n = 3;
                name += 5;
        }
        for (; *name; name++) {
                if (*name == '-')
                        continue;
                if (n == sizeof plain - 1)
                        return false;
                plain[n++] = *name;
        }
        plain[n] = 0;
        for (int i = KEY_DIGEST_SHA1; i < _KEY_DIGEST_MAX; i++) {
                if (strcasecmp(plain, digests[i].spelling) == 0) {
                        *ret = (enum key_digest)i;
                        return true;
                }
        }
        return false;
}

struct view key_digest_info_prefix(enum key_digest digest)
{
        return (struct view){digests[digest].prefix, digests[digest].prefix_len};
}

enum err key_pin_check(struct view pin, struct error *e)
{
        if (pin.len < KEY_PIN_MIN || pin.len > KEY_PIN_MAX)
                return error_set(e, ERR_INVALID, "A PIN has %d to %d characters", KEY_PIN_MIN, KEY_PIN_MAX);
        /* The TPM cuts zeroes off the end; the rest cannot be typed everywhere. */
        for (size_t i = 0; i < pin.len; i++)
                if (pin.data[i] < ' ' || pin.data[i] == 0x7f)
                        return error_set(e, ERR_INVALID, "A PIN has no control characters");
        return ERR_OK;
}
