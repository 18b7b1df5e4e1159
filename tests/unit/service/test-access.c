/* service/keys/access: who may use what. */
#include "test.h"

#include "keys/access.h"

static void peers(void **state)
{
        static const gid_t wifi[] = {33, 44};
        static const struct {
                const char *name;
                struct key_peer peer;
                struct key_owner owner;
                bool may;
        } cases[] = {
                {"/peer-root/user", {.uid = 0, .root = true}, {1000, NULL, 0}, true},
                {"/peer-root/device", {.uid = 0, .root = true}, {(uid_t)-1, NULL, 0}, true},
                {"/daemon's own uid/device", {.uid = 999, .root = true}, {(uid_t)-1, NULL, 0}, true},
                {"/owner", {.uid = 1000}, {1000, NULL, 0}, true},
                {"/other", {.uid = 1001}, {1000, NULL, 0}, false},
                {"/user/device", {.uid = 1000}, {(uid_t)-1, NULL, 0}, false},
                {"/primary group/device", {.uid = 33, .gid = 33}, {(uid_t)-1, wifi, 2}, true},
                {"/supplementary group/device",
                 {.uid = 5, .gid = 5, .groups = {1, 44}, .n_groups = 2},
                 {(uid_t)-1, wifi, 2},
                 true},
                {"/another group/device",
                 {.uid = 5, .gid = 5, .groups = {1, 2}, .n_groups = 2},
                 {(uid_t)-1, wifi, 2},
                 false},
                {"/a group does not open a user's key", {.uid = 5, .gid = 33}, {1000, wifi, 2}, false},
        };

        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                if ((access_decide(&(struct key_access){.peer = &cases[i].peer}, &cases[i].owner, FRAME_OPEN,
                                   &e) == ERR_OK) != cases[i].may)
                        fail_msg("%s", cases[i].name);
}

static void grants(void **state)
{
        char never_looked_into;
        struct ksp_key *some = (struct ksp_key *)(void *)&never_looked_into;
        struct key_grant grant = {.key = some, .uses = 1}, none = {.uses = 1, .tls_uses = 1};
        static const enum frame_type others[] = {FRAME_OPEN,   FRAME_SIGN,     FRAME_CLOSE,
                                                 FRAME_VERIFY, FRAME_TLS_SIGN, FRAME_JOB};
        struct error e = {0};

        (void)state;
        expect_err(access_decide(&(struct key_access){.peer = &(struct key_peer){.root = true}}, NULL,
                                 FRAME_OPEN, &e),
                   ERR_NOT_FOUND);
        expect_err(access_decide(&(struct key_access){.peer = &(struct key_peer){.root = true}},
                                 &(struct key_owner){.uid = 1000}, FRAME_TLS_SIGN, &e),
                   ERR_KEY_DENIED);
        expect_err(access_decide(&(struct key_access){.grant = &none}, NULL, FRAME_DECRYPT, &e),
                   ERR_KEY_DENIED);
        for (size_t i = 0; i < N_ELEMENTS(others); i++)
                expect_err(access_decide(&(struct key_access){.grant = &grant}, NULL, others[i], &e),
                           ERR_KEY_DENIED);
        expect_ok(access_decide(&(struct key_access){.grant = &grant}, NULL, FRAME_DECRYPT, &e));
        expect_err(access_decide(&(struct key_access){.grant = &grant}, NULL, FRAME_DECRYPT, &e),
                   ERR_KEY_DENIED);
}

static void tls_grants(void **state)
{
        char never_looked_into;
        struct ksp_key *some = (struct ksp_key *)(void *)&never_looked_into;
        struct key_grant grant = {.key = some, .uses = 1, .tls = some, .tls_uses = GRANT_TLS_SIGNATURES};
        struct key_grant tls_alone = {.tls = some, .tls_uses = 1}, none = {.tls_uses = 1};
        static const enum frame_type others[] = {FRAME_OPEN, FRAME_SIGN, FRAME_CLOSE, FRAME_JOB};
        struct error e = {0};

        (void)state;
        assert_int_equal(GRANT_TLS_SIGNATURES, 4);
        expect_err(access_decide(&(struct key_access){.grant = &none}, NULL, FRAME_TLS_SIGN, &e),
                   ERR_KEY_DENIED);
        for (size_t i = 0; i < N_ELEMENTS(others); i++)
                expect_err(access_decide(&(struct key_access){.grant = &grant}, NULL, others[i], &e),
                           ERR_KEY_DENIED);
        /* The two are counted apart. */
        for (int i = 0; i < GRANT_TLS_SIGNATURES; i++)
                expect_ok(access_decide(&(struct key_access){.grant = &grant}, NULL, FRAME_TLS_SIGN, &e));
        expect_err(access_decide(&(struct key_access){.grant = &grant}, NULL, FRAME_TLS_SIGN, &e),
                   ERR_KEY_DENIED);
        expect_ok(access_decide(&(struct key_access){.grant = &grant}, NULL, FRAME_DECRYPT, &e));
        expect_err(access_decide(&(struct key_access){.grant = &grant}, NULL, FRAME_DECRYPT, &e),
                   ERR_KEY_DENIED);
        expect_err(access_decide(&(struct key_access){.grant = &tls_alone}, NULL, FRAME_DECRYPT, &e),
                   ERR_KEY_DENIED);
        expect_ok(access_decide(&(struct key_access){.grant = &tls_alone}, NULL, FRAME_TLS_SIGN, &e));
}

/* Three ways for a reply, one use for all. */
static void reply_grants(void **state)
{
        char never_looked_into;
        struct ksp_key *some = (struct ksp_key *)(void *)&never_looked_into;
        static uint8_t word[] = "challenge";
        static const struct {
                bool key, derives, password;
                bool decrypt, derive, unwrap;
        } cases[] = {
                {true, false, false, true, false, false},  {true, true, false, false, true, false},
                {true, true, true, false, true, true},     {false, false, true, false, false, true},
                {false, true, false, false, false, false},
        };
        static const enum frame_type types[] = {FRAME_DECRYPT, FRAME_DERIVE, FRAME_UNWRAP};
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                const bool may[] = {cases[i].decrypt, cases[i].derive, cases[i].unwrap};

                for (size_t t = 0; t < N_ELEMENTS(types); t++) {
                        struct key_grant grant = {
                                .key = cases[i].key ? some : NULL, .derives = cases[i].derives, .uses = 1};

                        if (cases[i].password)
                                grant.password = (struct secret){word, sizeof word, 0};
                        assert_int_equal(access_decide(&(struct key_access){.grant = &grant}, NULL, types[t],
                                                       &e) == ERR_OK,
                                         may[t]);
                        assert_int_equal(grant.uses, !may[t]);
                        for (size_t again = 0; may[t] && again < N_ELEMENTS(types); again++)
                                expect_err(access_decide(&(struct key_access){.grant = &grant}, NULL,
                                                         types[again], &e),
                                           ERR_KEY_DENIED);
                }
        }
        /* What opens a password is no application's, not even root's. */
        expect_err(access_decide(&(struct key_access){.peer = &(struct key_peer){.root = true}},
                                 &(struct key_owner){.uid = 0}, FRAME_UNWRAP, &e),
                   ERR_KEY_DENIED);
        expect_ok(access_decide(&(struct key_access){.peer = &(struct key_peer){.root = true}},
                                &(struct key_owner){.uid = 0}, FRAME_DERIVE, &e));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(peers), cmocka_unit_test(grants),
                                           cmocka_unit_test(tls_grants), cmocka_unit_test(reply_grants)};

        return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
