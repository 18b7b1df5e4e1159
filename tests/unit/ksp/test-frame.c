/* ksp/channel/frame: what is encoded comes back; what is malformed is refused. */
#include "test.h"

#include "channel/frame.h"
#include "channel/tls13.h"

static void headers(void **state)
{
        uint8_t octets[FRAME_HEADER];
        const struct frame_header h = {FRAME_SIGN, 0x01020304, 77};
        struct frame_header back;
        struct error e = {0};

        (void)state;
        frame_header_encode(&h, octets);
        expect_ok(frame_header_decode(octets, 77, &back, &e));
        assert_int_equal(back.type, h.type);
        assert_int_equal(back.id, h.id);
        assert_int_equal(back.len, h.len);
        expect_err(frame_header_decode(octets, 76, &back, &e), ERR_PROTOCOL);
        octets[0] = 2;
        expect_err(frame_header_decode(octets, 77, &back, &e), ERR_PROTOCOL);
        octets[0] = FRAME_VERSION;
        octets[1] = 99;
        expect_err(frame_header_decode(octets, 77, &back, &e), ERR_PROTOCOL);
        octets[1] = FRAME_SIGN;
        octets[3] = 1;
        expect_err(frame_header_decode(octets, 77, &back, &e), ERR_PROTOCOL);
}

static void requests(void **state)
{
        static const struct {
                const char *name;
                enum frame_type type;
                struct key_request request;
        } cases[] = {
                {"/open/label", FRAME_OPEN, {.label = "corp-wifi"}},
                {"/open/id", FRAME_OPEN, {.key_id = {1, 2, 3}}},
                {"/sign/pss",
                 FRAME_SIGN,
                 {.handle = 5, .sign = {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256, KEY_DIGEST_SHA1, 20}}},
                {"/sign/ecdsa", FRAME_SIGN, {.handle = 6, .sign = {.scheme = KEY_SCHEME_ECDSA}}},
                {"/decrypt/oaep",
                 FRAME_DECRYPT,
                 {.handle = 7, .decrypt = {KEY_PADDING_RSA_OAEP, KEY_DIGEST_SHA256, KEY_DIGEST_SHA256, {0}}}},
                {"/derive", FRAME_DERIVE, {.handle = 7}},
                {"/sign/pin", FRAME_SIGN, {.handle = 8, .pin = {(const uint8_t *)"4711 right", 10}}},
                {"/decrypt/pin", FRAME_DECRYPT, {.handle = 9, .pin = {(const uint8_t *)"4711", 4}}},
                {"/derive/pin", FRAME_DERIVE, {.handle = 9, .pin = {(const uint8_t *)"4711", 4}}},
                {"/verify", FRAME_VERIFY, {.handle = 9, .pin = {(const uint8_t *)"4711", 4}}},
                {"/unwrap",
                 FRAME_UNWRAP,
                 {.unwrap = {{(const uint8_t *)"salt", 4},
                             KEY_ITERATIONS_MAX,
                             KEY_DIGEST_SHA256,
                             KEY_KEK_AES256,
                             {(const uint8_t *)"0123456789abcdef", 16}}}},
                {"/close", FRAME_CLOSE, {.handle = 8}},
                {"/list", FRAME_LIST, {.index = 7}},
                {"/describe", FRAME_DESCRIBE, {.key_id = {4, 5}, .index = 2}},
                {"/tls-sign", FRAME_TLS_SIGN, {.tls_scheme = 0x0804}},
        };
        const uint8_t data[] = "0123456789abcdef0123456789abcde"; /* 32 octets: a transcript hash */
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(bytes_done) struct bytes body = {0};
                struct key_request request = cases[i].request, back;

                request.data = (struct view){data, sizeof data};
                expect_ok(key_request_encode(cases[i].type, &request, &body, &e));
                expect_ok(key_request_decode(cases[i].type, bytes_view(&body), &back, &e));
                assert_string_equal(back.label, request.label);
                assert_memory_equal(back.key_id, request.key_id, KEY_ID_LEN);
                assert_true(back.handle == request.handle);
                assert_true(back.index == request.index);
                assert_int_equal(back.sign.scheme, request.sign.scheme);
                assert_int_equal(back.sign.salt_len, request.sign.salt_len);
                assert_int_equal(back.decrypt.digest, request.decrypt.digest);
                assert_int_equal(back.tls_scheme, request.tls_scheme);
                assert_int_equal(back.unwrap.iterations, request.unwrap.iterations);
                assert_int_equal(back.unwrap.kek, request.unwrap.kek);
                assert_true(view_equal(back.unwrap.salt, request.unwrap.salt));
                assert_true(view_equal(back.unwrap.iv, request.unwrap.iv));
                assert_true(view_equal(back.pin, request.pin));
                /* Every cut is refused: fields that are missing, or halves of them. */
                for (size_t len = 0; len < body.len; len++)
                        expect_err(
                                key_request_decode(cases[i].type, (struct view){body.data, len}, &back, &e),
                                ERR_PROTOCOL);
        }
}

static void bounds(void **state)
{
        static const struct {
                enum frame_tag tag;
                uint64_t value;
        } cases[] = {
                {FRAME_TAG_SCHEME, _KEY_SCHEME_MAX},
                {FRAME_TAG_DIGEST, _KEY_DIGEST_MAX},
                {FRAME_TAG_MGF1, _KEY_DIGEST_MAX},
                {FRAME_TAG_SALT, KEY_MODULUS_MAX + 1},
        };
        struct error e = {0};

        (void)state;
        for (size_t bad = 0; bad <= N_ELEMENTS(cases); bad++) {
                struct fields_writer w = FIELDS_WRITER(1000, false);
                CLEANUP(bytes_done) struct bytes body = {0};
                struct key_request back;

                fields_put_u64(&w, FRAME_TAG_HANDLE, 1);
                fields_put(&w, FRAME_TAG_DATA, (struct view){0});
                for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                        fields_put_u64(&w, (uint16_t)cases[i].tag, i == bad ? cases[i].value : 1);
                expect_ok(fields_finish(&w, &body, &e));
                if (bad == N_ELEMENTS(cases))
                        expect_ok(key_request_decode(FRAME_SIGN, bytes_view(&body), &back, &e));
                else
                        expect_err(key_request_decode(FRAME_SIGN, bytes_view(&body), &back, &e),
                                   ERR_PROTOCOL);
        }
}

/* What can be no PIN is not carried to a key, and a request to verify one has one. */
static void pins(void **state)
{
        static const enum frame_type types[] = {FRAME_SIGN, FRAME_DECRYPT, FRAME_DERIVE, FRAME_VERIFY};
        static const struct {
                const char *pin;
                size_t len;
                bool ok;
        } cases[] = {
                {"1234", 4, true}, {"12345678901234567890123456789012", 32, true},   {"", 0, false},
                {"123", 3, false}, {"123456789012345678901234567890123", 33, false}, {"\0\0\0\0", 4, false},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i <= N_ELEMENTS(cases); i++) {
                const bool none = i == N_ELEMENTS(cases);

                for (size_t j = 0; j < N_ELEMENTS(types); j++) {
                        struct fields_writer w = FIELDS_WRITER(1000, true);
                        CLEANUP(bytes_done) struct bytes body = {0};
                        struct key_request back;

                        if (!none)
                                fields_put(&w, FRAME_TAG_PIN,
                                           (struct view){(const uint8_t *)cases[i].pin, cases[i].len});
                        fields_put_u64(&w, FRAME_TAG_HANDLE, 1);
                        fields_put_u64(&w, FRAME_TAG_SCHEME, 0);
                        fields_put_u64(&w, FRAME_TAG_DIGEST, 0);
                        fields_put_u64(&w, FRAME_TAG_PADDING, 0);
                        fields_put_str(&w, FRAME_TAG_DATA, "data");
                        expect_ok(fields_finish(&w, &body, &e));
                        if ((key_request_decode(types[j], bytes_view(&body), &back, &e) == ERR_OK) !=
                            (none ? types[j] != FRAME_VERIFY : cases[i].ok))
                                fail_msg("case %zu, type %d", i, (int)types[j]);
                }
        }
}

/* What one unwrap may cost, and be about, is bounded: whoever made the envelope chose it. */
static void unwrap_bounds(void **state)
{
        static const uint8_t octets[KEY_WRAPPED_MAX + 16];
        static const struct {
                size_t salt;
                uint64_t iterations, prf, kek;
                size_t iv, data;
                bool ok;
        } cases[] = {
                {1, 1, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, 32, true},
                {KEY_SALT_MAX, KEY_ITERATIONS_MAX, KEY_DIGEST_SHA512, KEY_KEK_AES256, 16, KEY_WRAPPED_MAX,
                 true},
                {8, 2048, KEY_DIGEST_SHA384, KEY_KEK_DES3, 8, 24, true},
                {0, 1, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, 32, false},
                {KEY_SALT_MAX + 1, 1, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, 32, false},
                {8, 0, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, 32, false},
                {8, KEY_ITERATIONS_MAX + 1, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, 32, false},
                {8, (uint64_t)1 << 32, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, 32, false},
                {8, 1, KEY_DIGEST_NONE, KEY_KEK_AES128, 16, 32, false},
                {8, 1, KEY_DIGEST_SHA3_256, KEY_KEK_AES128, 16, 32, false},
                {8, 1, _KEY_DIGEST_MAX, KEY_KEK_AES128, 16, 32, false},
                {8, 1, KEY_DIGEST_SHA1, _KEY_KEK_MAX, 16, 32, false},
                {8, 1, KEY_DIGEST_SHA1, KEY_KEK_AES128, 8, 32, false},
                {8, 1, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, 16, false},
                {8, 1, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, 33, false},
                {8, 1, KEY_DIGEST_SHA1, KEY_KEK_AES128, 16, KEY_WRAPPED_MAX + 16, false},
        };
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct fields_writer w = FIELDS_WRITER(1000, false);
                CLEANUP(bytes_done) struct bytes body = {0};
                struct key_request back;

                fields_put_u64(&w, FRAME_TAG_HANDLE, 0);
                fields_put(&w, FRAME_TAG_SALT_OCTETS, (struct view){octets, cases[i].salt});
                fields_put_u64(&w, FRAME_TAG_ITERATIONS, cases[i].iterations);
                fields_put_u64(&w, FRAME_TAG_DIGEST, cases[i].prf);
                fields_put_u64(&w, FRAME_TAG_KEK, cases[i].kek);
                fields_put(&w, FRAME_TAG_IV, (struct view){octets, cases[i].iv});
                fields_put(&w, FRAME_TAG_DATA, (struct view){octets, cases[i].data});
                expect_ok(fields_finish(&w, &body, &e));
                if ((key_request_decode(FRAME_UNWRAP, bytes_view(&body), &back, &e) == ERR_OK) != cases[i].ok)
                        fail_msg("case %zu", i);
        }
}

/* A worker cannot have anything signed but a CertificateVerify: no other scheme, no other length. */
static void tls_bounds(void **state)
{
        static const struct {
                uint64_t scheme;
                size_t len;
                bool ok;
        } cases[] = {
                {0x0403, 32, true},   {0x0503, 48, true},   {0x0804, 48, true},  {0x0805, 32, true},
                {0x0806, 48, true},   {0x0804, 0, false},   {0x0804, 20, false}, {0x0804, 31, false},
                {0x0804, 64, false},  {0x0804, 130, false}, {0x0401, 32, false}, /* rsa_pkcs1_sha256 */
                {0x0201, 32, false},  {0x0603, 48, false},  {0x0809, 32, false}, /* rsa_pss_pss_sha256 */
                {0x10804, 32, false}, {0, 32, false},
        };
        static const uint8_t octets[130];
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct fields_writer w = FIELDS_WRITER(1000, false);
                CLEANUP(bytes_done) struct bytes body = {0};
                struct key_request back;

                fields_put_u64(&w, FRAME_TAG_HANDLE, 0);
                fields_put_u64(&w, FRAME_TAG_TLS_SCHEME, cases[i].scheme);
                fields_put(&w, FRAME_TAG_DATA, (struct view){octets, cases[i].len});
                expect_ok(fields_finish(&w, &body, &e));
                if ((key_request_decode(FRAME_TLS_SIGN, bytes_view(&body), &back, &e) == ERR_OK) !=
                    cases[i].ok)
                        fail_msg("scheme %04x, %zu octets", (unsigned)cases[i].scheme, cases[i].len);
        }
}

static void tls_input(void **state)
{
        uint8_t hash[48];
        struct tls13_input input;
        struct view back;

        (void)state;
        memset(hash, 0xab, sizeof hash);
        for (size_t len = 0; len <= sizeof hash; len++) {
                bool possible = len == 32 || len == 48;

                assert_true(tls13_input_make((struct view){hash, len}, &input) == possible);
                if (!possible)
                        continue;
                assert_int_equal(input.len, 98 + len);
                assert_memory_equal(input.octets, "                                ", 32);
                assert_memory_equal(input.octets + 64, "TLS 1.3, client CertificateVerify", 34);
                assert_true(tls13_input_transcript((struct view){input.octets, input.len}, &back));
                assert_int_equal(back.len, len);
                assert_memory_equal(back.data, hash, len);
                /* Cut, or another octet in front of the hash: another context, and not this one's to sign. */
                for (size_t cut = 0; cut < input.len; cut++)
                        if (cut != 98 + 32)
                                assert_false(tls13_input_transcript((struct view){input.octets, cut}, &back));
                for (size_t at = 0; at < 98; at++) {
                        input.octets[at] ^= 1;
                        assert_false(tls13_input_transcript((struct view){input.octets, input.len}, &back));
                        input.octets[at] ^= 1;
                }
                /* "server" is as long as "client" */
                memcpy(input.octets + 64, "TLS 1.3, server", 15);
                assert_false(tls13_input_transcript((struct view){input.octets, input.len}, &back));
        }
}

static void tls_schemes(void **state)
{
        static const struct key_sign none[] = {
                {KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA256, 0, 0},
                {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256, KEY_DIGEST_SHA1, 32},
                {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256, KEY_DIGEST_SHA256, 20},
                {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA1, KEY_DIGEST_SHA1, 20},
                {KEY_SCHEME_ECDSA, KEY_DIGEST_NONE, 0, 0},
                {KEY_SCHEME_ECDSA, KEY_DIGEST_SHA512, 0, 0},
        };
        struct key_sign how;
        unsigned known = 0;
        uint16_t back;

        (void)state;
        for (unsigned scheme = 0; scheme <= UINT16_MAX; scheme++) {
                if (!tls13_scheme_sign((uint16_t)scheme, &how))
                        continue;
                known++;
                assert_true(tls13_scheme_of(&how, &back));
                assert_int_equal(back, scheme);
        }
        assert_int_equal(known, 5);
        for (size_t i = 0; i < N_ELEMENTS(none); i++)
                assert_false(tls13_scheme_of(&none[i], &back));
}

static void errors(void **state)
{
        CLEANUP(bytes_done) struct bytes body = {0};
        struct error e = {0}, from = {0};

        (void)state;
        error_set(&from, ERR_TPM_LOCKED_OUT, "The TPM is locked");
        error_remedy(&from, ERR_TPM_LOCKED_OUT, "Wait.");
        expect_ok(frame_error_encode(&from, &body, &e));
        assert_int_equal(frame_error_decode(bytes_view(&body), &e), ERR_TPM_LOCKED_OUT);
        assert_string_equal(e.message, "The TPM is locked");
        assert_string_equal(e.remedy, "Wait.");
        for (size_t len = 0; len < body.len; len++)
                expect_err(frame_error_decode((struct view){body.data, len}, &e), ERR_PROTOCOL);
}

/* Whatever comes, decoding ends with a request inside its bounds or with a named error. */
static void mutations(void **state)
{
        CLEANUP(bytes_done) struct bytes body = {0};
        const struct key_request request = {
                .handle = 1,
                .sign = {KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256, KEY_DIGEST_SHA256, 32},
                .data = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32}};
        struct error e = {0};
        unsigned seed = 1;

        (void)state;
        expect_ok(key_request_encode(FRAME_SIGN, &request, &body, &e));
        for (int i = 0; i < 50000; i++) {
                CLEANUP(free_p) uint8_t *copy = malloc(body.len);
                struct key_request back;

                memcpy(copy, body.data, body.len);
                for (int n = rand_r(&seed) % 4; n >= 0; n--)
                        copy[(size_t)rand_r(&seed) % body.len] = (uint8_t)rand_r(&seed);
                if (key_request_decode((enum frame_type)(1 + rand_r(&seed) % FRAME_VERIFY),
                                       (struct view){copy, (size_t)rand_r(&seed) % (body.len + 1)}, &back,
                                       &e) == ERR_OK)
                        assert_true(back.data.len <= FRAME_DATA_MAX && back.sign.salt_len <= KEY_MODULUS_MAX);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(headers),     cmocka_unit_test(requests),
                                           cmocka_unit_test(bounds),      cmocka_unit_test(errors),
                                           cmocka_unit_test(tls_bounds),  cmocka_unit_test(unwrap_bounds),
                                           cmocka_unit_test(pins),        cmocka_unit_test(tls_input),
                                           cmocka_unit_test(tls_schemes), cmocka_unit_test(mutations)};

        return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
