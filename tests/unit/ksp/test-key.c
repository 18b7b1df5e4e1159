/* ksp/key: names there and back. */
#include "test.h"

#include "key/key.h"

static void names(void **state)
{
        (void)state;
        for (int i = 0; i < _KEY_ALG_MAX; i++) {
                enum key_alg alg;

                assert_true(key_alg_from_name(key_alg_name((enum key_alg)i), &alg));
                assert_int_equal(alg, i);
        }
        for (int i = 0; i <= KEY_PROTECTION_USER_VERIFIED; i++) {
                enum key_protection protection;

                assert_true(
                        key_protection_from_name(key_protection_name((enum key_protection)i), &protection));
                assert_int_equal(protection, i);
        }
        assert_false(key_alg_from_name("rsa-1024", &(enum key_alg){0}));
}

static void digests(void **state)
{
        static const struct {
                const char *name;
                int digest; /* -1: unknown */
        } cases[] = {
                {"SHA256", KEY_DIGEST_SHA256},
                {"SHA2-256", KEY_DIGEST_SHA256},
                {"sha-256", KEY_DIGEST_SHA256},
                {"SHA1", KEY_DIGEST_SHA1},
                {"SHA-1", KEY_DIGEST_SHA1},
                {"SHA2-512", KEY_DIGEST_SHA512},
                {"SHA3-384", KEY_DIGEST_SHA3_384},
                {"MD5", -1},
                {"", -1},
                {"SHA256SHA256SHA256", -1},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                enum key_digest digest = KEY_DIGEST_NONE;

                assert_int_equal(key_digest_from_name(cases[i].name, &digest), cases[i].digest >= 0);
                if (cases[i].digest >= 0)
                        assert_int_equal(digest, cases[i].digest);
        }
}

static void pins(void **state)
{
        static const struct {
                const char *pin;
                size_t len;
                bool good;
        } cases[] = {
                {"1234", 4, true},
                {"  12", 4, true},
                {"\xc3\xa4\xc3\xb6", 4, true},
                {"12345678901234567890123456789012", 32, true},
                {"", 0, false},
                {"123", 3, false},
                {"123456789012345678901234567890123", 33, false},
                {"1234\n", 5, false},
                {"1234\x7f", 5, false},
                {"1234\0", 5, false},
                {"\0\0\0\0", 4, false},
        };

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const struct view pin = {(const uint8_t *)cases[i].pin, cases[i].len};

                assert_int_equal(key_pin_check(pin, NULL), cases[i].good ? ERR_OK : ERR_INVALID);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(digests),
                                           cmocka_unit_test(pins)};

        return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
