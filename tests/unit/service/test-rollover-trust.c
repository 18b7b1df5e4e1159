/* service/rollover/trust: what the disk holds behind a change of the CA, from every state a crash can leave.
 */
#include "test.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

#include "pki.h"
#include "rollover/trust.h"

#define ID "0123456789abcdef0123456789abcdef"

enum { OLD, NEXT, AFTER, _CERTS, NONE };

static char dir[] = "/tmp/scepter-trust.XXXXXX";
static struct store *store;
static X509 *certs[_CERTS], *leaf[_CERTS];
static const char *const names[] = {"anchor.pem", FOLLOWED_ANCHOR, NEXT_ANCHOR};

static int start(void **state)
{
        (void)state;
        for (unsigned i = 0; i < _CERTS; i++) {
                certs[i] = pki_cert(
                        &(struct pki_spec){.subject = "Root", .key = i, .ca = true, .serial = 1 + (long)i});
                leaf[i] = pki_cert(&(struct pki_spec){.subject = "Leaf",
                                                      .key = 5,
                                                      .issuer = certs[i],
                                                      .issuer_key = i,
                                                      .usage = KU_DIGITAL_SIGNATURE});
        }
        return mkdtemp(dir) && store_open(dir, &store, NULL) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
        (void)state;
        for (int i = 0; i < _CERTS; i++) {
                X509_free(certs[i]);
                X509_free(leaf[i]);
        }
        store_close(store);
        return tree_remove(AT_FDCWD, dir, NULL) == ERR_OK ? 0 : -1;
}

/* anchor.pem, followed, next: what they hold */
static void lay(const int held[3])
{
        struct error e = {0};

        expect_ok(store_remove(store, STORE_CERTIFICATES, ID, &e));
        for (int i = 0; i < 3; i++)
                if (held[i] != NONE)
                        expect_ok(
                                store_pem_write(store, STORE_CERTIFICATES, ID, names[i], certs[held[i]], &e));
}

static void expect_laid(const int held[3])
{
        for (int i = 0; i < 3; i++) {
                CLEANUP(x509_free_p) X509 *cert = NULL;
                const enum err r = store_pem_read(store, STORE_CERTIFICATES, ID, names[i], &cert, NULL);

                assert_int_equal(r, held[i] == NONE ? ERR_NOT_FOUND : ERR_OK);
                if (held[i] != NONE)
                        assert_int_equal(X509_cmp(cert, certs[held[i]]), 0);
        }
}

static void install(int which)
{
        struct error e = {0};
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        CLEANUP(bytes_done) struct bytes pem = {0};
        CLEANUP(close_p) int fd = -1;

        assert_true(PEM_write_bio_X509(bio, leaf[which]));
        expect_ok(bio_bytes(bio, &pem, &e));
        expect_ok(store_generation(store, ID, 1, true, &fd, &e));
        expect_ok(file_write(fd, "cert.pem", 0644, bytes_view(&pem), &e));
        expect_ok(store_commit(store, ID, 1, &e));
}

static void settle_table(void **state)
{
        static const struct {
                int before[3], leaf, after[3];
                bool told;
        } cases[] = {
                /* nothing changes */
                {{OLD, NONE, NONE}, OLD, {OLD, NONE, NONE}, false},
                {{OLD, NONE, NEXT}, OLD, {OLD, NONE, NEXT}, false},
                {{NEXT, NEXT, AFTER}, NEXT, {NEXT, NEXT, AFTER}, false},
                /* the change, and what a kill leaves of it */
                {{OLD, NONE, NEXT}, NEXT, {NEXT, NEXT, NONE}, true},
                {{NEXT, NONE, NEXT}, NEXT, {NEXT, NEXT, NONE}, false},
                {{NEXT, NEXT, NEXT}, NEXT, {NEXT, NEXT, NONE}, false},
                /* and once more */
                {{NEXT, NEXT, AFTER}, AFTER, {AFTER, AFTER, NONE}, true},
                /* a server that still is where it was */
                {{NEXT, NEXT, NONE}, OLD, {OLD, NEXT, NONE}, true},
                {{OLD, NEXT, NONE}, NEXT, {NEXT, NEXT, NONE}, true},
                /* the first certificate */
                {{NONE, NONE, NONE}, OLD, {OLD, NONE, NONE}, false},
        };
        STACK_OF(X509) *anchors = pki_stack(&certs[OLD], 1);

        (void)state;
        for (size_t i = 0; i < 2 * N_ELEMENTS(cases); i++) {
                const size_t at = i / 2;
                X509 *known = i % 2 ? certs[cases[at].leaf] : NULL; /* a start has to find it out */
                CLEANUP(trust_change_done) struct trust_change change = {0};
                struct error e = {0};

                print_message("settle %zu\n", i);
                lay(cases[at].before);
                install(cases[at].leaf);
                expect_ok(trust_settle(store, ID, known, anchors, &change, &e));
                expect_laid(cases[at].after);
                assert_int_equal(change.to != NULL, cases[at].told);
                if (change.to) {
                        assert_int_equal(X509_cmp(change.from, certs[cases[at].before[0]]), 0);
                        assert_int_equal(X509_cmp(change.to, certs[cases[at].leaf]), 0);
                }
                trust_change_done(&change);
                expect_ok(trust_settle(store, ID, known, anchors, &change, &e)); /* twice is once */
                expect_laid(cases[at].after);
                assert_null(change.to);
        }
        sk_X509_pop_free(anchors, X509_free);
}

static void plan(struct plan *ret, const char *thumbprint, const char *anchor, bool follow)
{
        struct error e = {0};

        memset(ret, 0, sizeof *ret);
        ret->follow_rollover = follow;
        ret->algorithm = POLICY_RSA_2048;
        ret->protection = POLICY_PROTECTION_SOFTWARE;
        ret->hash = POLICY_SHA_256;
        expect_ok(bytes_copy(&ret->thumbprint, thumbprint, strlen(thumbprint), &e));
        expect_ok(bytes_copy(&ret->anchor, anchor, strlen(anchor), &e));
        expect_ok(strings_add(&ret->urls, "http://a/", &e));
        expect_ok(bytes_copy(&ret->subject, "\x30\x00", 2, &e));
        ret->threshold = 20;
        ret->retry_count = 3;
        ret->retry_delay = 5;
        ret->pending_limit = 7 * 86400;
        ret->key_usage = 1;
}

#define SHA1_A   "aaaaaaaaaaaaaaaaaaaa"
#define SHA1_B   "bbbbbbbbbbbbbbbbbbbb"
#define SHA256_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA256_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void rebind_table(void **state)
{
        static const struct {
                const char *thumbprint[2], *anchor[2];
                bool follow, kept;
        } cases[] = {
                {{SHA1_A, SHA1_A}, {"", ""}, true, true},
                {{SHA1_A, SHA1_A}, {SHA256_A, ""}, true, true}, /* the root came or went since */
                {{"", ""}, {SHA256_A, SHA256_A}, true, true},
                {{SHA1_A, SHA1_B}, {"", ""}, true, false},
                {{SHA1_A, ""}, {SHA256_A, SHA256_A}, true, false},
                {{"", ""}, {SHA256_A, SHA256_B}, true, false},
                {{"", ""}, {SHA256_A, ""}, true, false},
                {{SHA1_A, SHA1_A}, {SHA256_A, SHA256_B}, true, false},
                {{SHA1_A, SHA1_A}, {"", ""}, false, false},
        };
        struct settings empty = {0};
        struct plan now = {0};
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                struct settings pairs = {0};
                struct plan old;
                STACK_OF(X509) *followed = NULL;

                print_message("rebind %zu\n", i);
                plan(&old, cases[i].thumbprint[0], cases[i].anchor[0], true);
                plan(&now, cases[i].thumbprint[1], cases[i].anchor[1], cases[i].follow);
                expect_ok(plan_to_pairs(&old, &pairs, &e));
                lay((const int[]){NEXT, NEXT, AFTER});
                expect_ok(trust_rebind(store, ID, &pairs, &now, &e));
                expect_laid(cases[i].kept ? (const int[]){NEXT, NEXT, AFTER}
                                          : (const int[]){NEXT, NONE, NONE});
                expect_ok(trust_followed(store, ID, &now, &followed, &e));
                assert_int_equal(sk_X509_num(followed), !cases[i].follow ? -1 : cases[i].kept ? 2 : 0);
                sk_X509_pop_free(followed, X509_free);
                settings_done(&pairs);
                plan_done(&old);
                plan_done(&now);
        }
        /* a plan that cannot be read is none */
        plan(&now, SHA1_A, "", true);
        lay((const int[]){OLD, NONE, NEXT});
        expect_ok(trust_rebind(store, ID, &empty, &now, &e));
        expect_laid((const int[]){OLD, NONE, NONE});
        plan_done(&now);
}

static void known(void **state)
{
        struct plan off = {.follow_rollover = false};
        STACK_OF(X509) *followed = NULL;
        struct error e = {0};

        (void)state;
        lay((const int[]){NEXT, NEXT, AFTER});
        assert_true(trust_is_known(store, ID, certs[NEXT]));
        assert_true(trust_is_known(store, ID, certs[AFTER]));
        assert_false(trust_is_known(store, ID, certs[OLD]));
        expect_ok(trust_followed(store, ID, &off, &followed, &e));
        assert_null(followed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(settle_table), cmocka_unit_test(rebind_table),
                                           cmocka_unit_test(known)};

        return cmocka_run_group_tests_name("rollover-trust", tests, start, stop);
}
