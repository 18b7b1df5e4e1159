/* service/store: records there and back, what is damaged is refused, the commit, anchors, removal. */
#include "test.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ossl.h"
#include "store/store.h"

static char dir[] = "/tmp/scepter-store.XXXXXX";
static struct store *store;

static int start(void **state)
{
        (void)state;
        return mkdtemp(dir) && store_open(dir, &store, NULL) == ERR_OK ? 0 : -1;
}

static int stop(void **state)
{
        (void)state;
        store_close(store);
        return tree_remove(AT_FDCWD, dir, NULL) == ERR_OK ? 0 : -1;
}

static void fill(struct record *record)
{
        struct error e = {0};

        expect_ok(record_new(record, &e));
        expect_ok(record_set_text(&record->name, "wifi \xc3\xbc \"quoted\"", &e));
        expect_ok(record_set_text(&record->activity, "pending", &e));
        record->owner = NO_OWNER;
        record->not_after = 4102444800;
        record->request_post = true;
        expect_ok(settings_add(&record->plan, "url", "http://a/", 0, &e));
        expect_ok(settings_add(&record->plan, "url", "http://b/", 0, &e));
        expect_ok(strings_add(&record->deviations, "A note", &e));
}

static void record_round_trip(void **state)
{
        CLEANUP(record_done_p) struct record record = {0};
        CLEANUP(record_done_p) struct record back = {0};
        CLEANUP(free_p) char *one = NULL;
        CLEANUP(free_p) char *two = NULL;
        struct error e = {0};

        (void)state;
        fill(&record);
        expect_ok(record_to_json(&record, &one, &e));
        expect_ok(record_from_json(str_view(one), &back, &e));
        assert_string_equal(back.name, record.name);
        assert_true(back.owner == NO_OWNER && back.not_after == 4102444800 && back.request_post);
        assert_int_equal(back.plan.count, 2);
        assert_string_equal(back.plan.items[1].value, "http://b/");
        assert_string_equal(back.subject, "");
        expect_ok(record_to_json(&back, &two, &e));
        assert_string_equal(one, two);
}

/* What the version before this one wrote has no last transaction. */
static void older_record(void **state)
{
        CLEANUP(record_done_p) struct record record = {0};
        CLEANUP(record_done_p) struct record back = {0};
        CLEANUP(free_p) char *json = NULL;
        struct error e = {0};

        (void)state;
        expect_ok(record_from_json(
                str_view("{\"version\": 1, \"name\": \"wifi\", \"activity\": \"failed\", \"status\": 16}"),
                &record, &e));
        assert_true(record.last_time == 0 && record.last_http_status == 0 && record.last_hresult == 0);
        assert_string_equal(record.last_url, "");
        assert_string_equal(record.last_stage, "");
        record.last_time = 1;
        record.last_http_status = 200;
        record.last_hresult = 0x80094800;
        expect_ok(record_set_text(&record.last_pki_status, "FAILURE", &e));
        expect_ok(record_set_text(&record.last_fail_info, "badRequest", &e));
        expect_ok(record_to_json(&record, &json, &e));
        expect_ok(record_from_json(str_view(json), &back, &e));
        assert_true(back.last_time == 1 && back.last_http_status == 200 && back.last_hresult == 0x80094800);
        assert_string_equal(back.last_pki_status, "FAILURE");
        assert_string_equal(back.last_fail_info, "badRequest");
}

static void bad_records(void **state)
{
        static const char *const cases[] = {
                "",
                "[]",
                "{",
                "{}",
                "{\"version\": 2}",
                "{\"version\": 1, \"name\": 5}",
                "{\"version\": 1, \"owner\": -1}",
                "{\"version\": 1, \"owner\": \"x\"}",
                "{\"version\": 1, \"plan\": [[\"a\"]]}",
                "{\"version\": 1, \"plan\": [[\"a\", \"b\", \"c\"]]}",
                "{\"version\": 1, \"deviations\": [1]}",
                "{\"version\": 1, \"request_post\": 1}",
                "{\"version\": 1, \"unknown\": 1}",
                "{\"version\": 1, \"name\": \"a\", \"name\": \"b\"}",
                "{\"version\": 1} x",
        };
        struct record record;
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(cases); i++)
                expect_err(record_from_json(str_view(cases[i]), &record, &e), ERR_CONFIG);
}

/* Cut or changed anywhere, a record is read or refused, and never half. */
static void mutated_records(void **state)
{
        CLEANUP(record_done_p) struct record record = {0};
        CLEANUP(free_p) char *json = NULL;
        struct error e = {0};
        unsigned seed = 7;
        size_t len;

        (void)state;
        fill(&record);
        expect_ok(record_to_json(&record, &json, &e));
        len = strlen(json);
        for (int i = 0; i < 5000; i++) {
                CLEANUP(record_done_p) struct record back = {0};
                CLEANUP(free_p) char *copy = strdup(json);

                copy[(size_t)rand_r(&seed) % len] = (char)rand_r(&seed);
                if (record_from_json((struct view){(uint8_t *)copy, (size_t)rand_r(&seed) % (len + 1)}, &back,
                                     &e) == ERR_OK)
                        assert_non_null(back.name);
        }
}

static enum err count(void *ctx, const char *id, struct error *e)
{
        (void)id;
        (void)e;
        ++*(unsigned *)ctx;
        return ERR_OK;
}

static void generations(void **state)
{
        CLEANUP(record_done_p) struct record record = {0};
        CLEANUP(record_done_p) struct record back = {0};
        CLEANUP(close_p) int fd = -1, other = -1;
        char path[256];
        store_id id;
        struct stat st;
        uint64_t current;
        unsigned n = 0;
        struct error e = {0};

        (void)state;
        fill(&record);
        expect_ok(store_new_id(id, &e));
        expect_err(store_record_read(store, id, &back, &e), ERR_NOT_FOUND);
        expect_ok(store_record_write(store, id, &record, &e));
        expect_ok(store_record_read(store, id, &back, &e));
        expect_ok(store_current(store, id, &current, &e));
        assert_int_equal(current, 0);
        expect_err(store_generation(store, id, 1, false, &fd, &e), ERR_NOT_FOUND);
        expect_ok(store_generation(store, id, 1, true, &fd, &e));
        expect_ok(file_write(fd, "cert.pem", 0644, str_view("x"), &e));
        for (uint64_t g = 1; g <= 3; g++) {
                expect_ok(store_commit(store, id, g, &e));
                expect_ok(store_current(store, id, &current, &e));
                assert_int_equal(current, g);
        }
        snprintf(path, sizeof path, "%s/certificates/%s/record.json", dir, id);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        snprintf(path, sizeof path, "%s/certificates/%s", dir, id);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0711);
        expect_ok(store_event_add(store, id, "{\"a\":1}", &e));
        /* Directories that are no ids are not ours. */
        snprintf(path, sizeof path, "%s/certificates/lost+found", dir);
        assert_int_equal(mkdir(path, 0700), 0);
        expect_ok(store_each(store, STORE_CERTIFICATES, count, &n, &e));
        assert_int_equal(n, 1);
        expect_err(store_remove(store, STORE_CERTIFICATES, "../profiles", &e), ERR_NOT_FOUND);
        expect_ok(store_remove(store, STORE_CERTIFICATES, id, &e));
        expect_ok(store_remove(store, STORE_CERTIFICATES, id, &e));
        expect_err(store_generation(store, id, 1, false, &other, &e), ERR_NOT_FOUND);
}

static void current_that_leads_away(void **state)
{
        char link[256];
        store_id id;
        uint64_t current;
        CLEANUP(record_done_p) struct record record = {0};
        struct error e = {0};

        (void)state;
        fill(&record);
        expect_ok(store_new_id(id, &e));
        expect_ok(store_record_write(store, id, &record, &e));
        snprintf(link, sizeof link, "%s/certificates/%s/current", dir, id);
        assert_int_equal(symlink("../../etc", link), 0);
        expect_err(store_current(store, id, &current, &e), ERR_CONFIG);
        expect_ok(store_remove(store, STORE_CERTIFICATES, id, &e));
}

static X509 *certificate(void)
{
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        X509 *cert = X509_new();

        X509_gmtime_adj(X509_getm_notBefore(cert), 0);
        X509_gmtime_adj(X509_getm_notAfter(cert), 60);
        X509_set_pubkey(cert, key);
        assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
        EVP_PKEY_free(key);
        return cert;
}

static void anchors(void **state)
{
        CLEANUP(x509_free_p) X509 *device = certificate();
        CLEANUP(x509_free_p) X509 *user = certificate();
        static const struct {
                uid_t owner;
                int sees;
        } cases[] = {{NO_OWNER, 1}, {1000, 2}, {1001, 1}};
        bool known;
        struct error e = {0};

        (void)state;
        expect_ok(store_anchor_add(store, NO_OWNER, device, &known, &e));
        assert_false(known);
        expect_ok(store_anchor_add(store, NO_OWNER, device, &known, &e));
        assert_true(known);
        expect_ok(store_anchor_add(store, 1000, user, NULL, &e));
        for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
                CLEANUP(x509_stack_free_p) STACK_OF(X509) *found = NULL;

                expect_ok(store_anchors(store, cases[i].owner, &found, &e));
                assert_int_equal(sk_X509_num(found), cases[i].sees);
        }
}

static void profiles(void **state)
{
        CLEANUP(stored_profile_done) struct stored_profile profile = {.owner = 1000};
        CLEANUP(stored_profile_done) struct stored_profile back = {0};
        store_id id;
        struct error e = {0};

        (void)state;
        expect_ok(settings_add(&profile.settings, "Profile.Name", "x", 0, &e));
        expect_ok(strings_add(&profile.notes, "note", &e));
        profile.location = strdup("./Vendor/x");
        expect_ok(store_new_id(id, &e));
        expect_ok(store_profile_write(store, id, &profile, &e));
        expect_ok(store_profile_read(store, id, &back, &e));
        assert_true(back.owner == 1000);
        assert_string_equal(settings_get(&back.settings, "Profile.Name"), "x");
        assert_string_equal(back.location, "./Vendor/x");
        expect_err(store_profile_read(store, "no id", &back, &e), ERR_NOT_FOUND);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(record_round_trip), cmocka_unit_test(older_record),
                cmocka_unit_test(bad_records),       cmocka_unit_test(mutated_records),
                cmocka_unit_test(generations),       cmocka_unit_test(current_that_leads_away),
                cmocka_unit_test(anchors),           cmocka_unit_test(profiles),
        };

        return cmocka_run_group_tests_name("store", tests, start, stop);
}
