/*
 * service/store on a disk that refuses: each system call of each operation fails in turn, once or from there
 * on, with EIO, ENOSPC and EMFILE. The error is told by its code, what is kept is as before or as after, no
 * descriptor stays open, and the same operation succeeds once the disk is well. The calls are those of our
 * own objects: the linker's --wrap, in CMakeLists.txt.
 */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ossl.h"
#include "store-faults.h"
#include "store/store.h"

enum { PATH = 4096 };

/* In memory, where there is such a place: on a disk that others write to, 18,000 fsync() calls take minutes.
 */
static char in_memory[] = "/dev/shm/scepter-store-faults.XXXXXX",
            on_disk[] = "/tmp/scepter-store-faults.XXXXXX";
static const char *dir;
static char root[sizeof in_memory + 8]; /* the state directory, made anew for each fault */
static struct store *store;
static X509 *cert, *other_cert;
static struct record record, other_record;
static struct stored_profile profile;
static struct stored_instance instance;

static const char id[] = "0123456789abcdef0123456789abcdef";

/* What an operation that reads has read. */
static char got[256];

/* Operations, and what has to be there before. */

static enum err open_store(struct error *e)
{
        struct store *opened = NULL;
        enum err r = store_open(root, &opened, e);

        store_close(opened);
        return r;
}

static enum err write_record(struct error *e)
{
        return store_record_write(store, id, &record, e);
}

static enum err replace_record(struct error *e)
{
        return store_record_write(store, id, &other_record, e);
}

static enum err read_record(struct error *e)
{
        CLEANUP(record_done_p) struct record back = {0};
        enum err r = store_record_read(store, id, &back, e);

        (void)snprintf(got, sizeof got, "%s", back.name ? back.name : "");
        return r;
}

static enum err count(void *ctx, const char *found, struct error *e)
{
        (void)ctx;
        (void)found;
        (void)e;
        return ERR_OK;
}

static enum err each_certificate(struct error *e)
{
        return store_each(store, STORE_CERTIFICATES, count, NULL, e);
}

static enum err generation(uint64_t n, bool create, struct error *e)
{
        CLEANUP(close_p) int fd = -1;

        return store_generation(store, id, n, create, &fd, e);
}

static enum err make_generation(struct error *e)
{
        return generation(1, true, e);
}

static enum err open_generation(struct error *e)
{
        return generation(1, false, e);
}

static enum err fill_generation(struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = store_generation(store, id, 1, true, &fd, e);

        return r ? r : file_write(fd, "cert.pem", 0644, str_view("x"), e);
}

static enum err commit(struct error *e)
{
        return store_commit(store, id, 1, e);
}

static enum err commit_another(struct error *e)
{
        return store_commit(store, id, 2, e);
}

static enum err read_current(struct error *e)
{
        uint64_t n = 0;
        enum err r = store_current(store, id, &n, e);

        if (n)
                (void)snprintf(got, sizeof got, "%u", (unsigned)n);
        return r;
}

static enum err remove_generation(struct error *e)
{
        return store_generation_remove(store, id, 1, e);
}

static enum err remove_certificate(struct error *e)
{
        return store_remove(store, STORE_CERTIFICATES, id, e);
}

static enum err write_profile(struct error *e)
{
        return store_profile_write(store, id, &profile, e);
}

static enum err read_profile(struct error *e)
{
        CLEANUP(stored_profile_done) struct stored_profile back = {0};
        enum err r = store_profile_read(store, id, &back, e);

        (void)snprintf(got, sizeof got, "%s", back.location ? back.location : "");
        return r;
}

static enum err write_file(struct error *e)
{
        return store_file_write(store, STORE_PROFILES, id, "challenge", 0600, str_view("4711"), e);
}

static enum err read_file(struct error *e)
{
        CLEANUP(secret_done) struct secret secret = {0};
        enum err r = store_file_read(store, STORE_PROFILES, id, "challenge", &secret, e);

        if (secret.data)
                (void)snprintf(got, sizeof got, "%.*s", (int)secret.len, (const char *)secret.data);
        return r;
}

static enum err remove_file(struct error *e)
{
        return store_file_remove(store, STORE_PROFILES, id, "challenge", e);
}

static enum err open_directory(struct error *e)
{
        CLEANUP(close_p) int fd = -1;

        return store_directory(store, STORE_PROFILES, id, &fd, e);
}

static enum err open_attestation(struct error *e)
{
        CLEANUP(close_p) int fd = -1;

        return store_attestation(store, &fd, e);
}

static enum err write_pem(struct error *e)
{
        return store_pem_write(store, STORE_CERTIFICATES, id, "anchor.pem", cert, e);
}

static void note(X509 *read)
{
        if (read)
                (void)snprintf(got, sizeof got, "%s", X509_cmp(read, cert) == 0 ? "it" : "another");
        X509_free(read);
}

static enum err read_pem(struct error *e)
{
        X509 *read = NULL;
        enum err r = store_pem_read(store, STORE_CERTIFICATES, id, "anchor.pem", &read, e);

        note(read);
        return r;
}

static const char *digest(void)
{
        static char hex[65];
        uint8_t octets[32];

        assert_int_equal(X509_digest(cert, EVP_sha256(), octets, NULL), 1);
        for (size_t i = 0; i < sizeof octets; i++)
                (void)snprintf(hex + 2 * i, 3, "%02x", octets[i]);
        return hex;
}

static enum err add_anchor(struct error *e)
{
        bool known;
        enum err r = store_anchor_add(store, NO_OWNER, cert, &known, e);

        if (!r)
                (void)snprintf(got, sizeof got, "%s", known ? "known" : "new");
        return r;
}

static enum err add_users_anchor(struct error *e)
{
        return store_anchor_add(store, 1000, other_cert, NULL, e);
}

static enum err list_anchors(struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *found = NULL;
        enum err r = store_anchors(store, 1000, &found, e);

        if (found)
                (void)snprintf(got, sizeof got, "%d", sk_X509_num(found));
        return r;
}

static enum err read_anchor(struct error *e)
{
        X509 *read = NULL;
        enum err r = store_anchor_read(store, NO_OWNER, digest(), &read, e);

        note(read);
        return r;
}

static enum err remove_anchor(struct error *e)
{
        return store_anchor_remove(store, NO_OWNER, digest(), e);
}

static enum err write_instance(struct error *e)
{
        return store_instance_write(store, &instance, e);
}

static enum err write_challenge(struct error *e)
{
        return store_instance_challenge(store, &instance, str_view("4711"), e);
}

static enum err read_challenge(struct error *e)
{
        CLEANUP(secret_done) struct secret secret = {0};
        enum err r = store_instance_challenge_read(store, &instance, &secret, e);

        if (secret.data)
                (void)snprintf(got, sizeof got, "%.*s", (int)secret.len, (const char *)secret.data);
        return r;
}

static enum err remove_challenge(struct error *e)
{
        return store_instance_challenge(store, &instance, (struct view){0}, e);
}

static enum err take_instance(void *ctx, struct stored_instance *found, struct error *e)
{
        (void)e;
        ++*(unsigned *)ctx;
        stored_instance_done(found);
        return ERR_OK;
}

static enum err each_instance(struct error *e)
{
        unsigned n = 0;
        enum err r = store_instances_each(store, take_instance, &n, e);

        if (!r)
                (void)snprintf(got, sizeof got, "%u", n);
        return r;
}

static enum err remove_instance(struct error *e)
{
        return store_instance_remove(store, &instance, e);
}

static enum err add_event(struct error *e)
{
        return store_event_add(store, id, "{\"n\":1}", e);
}

static enum err add_events(struct error *e)
{
        static char line[STORE_EVENT_MAX / 2];
        enum err r = ERR_OK;

        memset(line, 'x', sizeof line - 1);
        for (int i = 0; !r && i < 2 * STORE_EVENTS_MAX / STORE_EVENT_MAX; i++)
                r = store_event_add(store, id, line, e);
        return r;
}

static enum err trim_events(struct error *e)
{
        return store_events_trim(store, id, e);
}

static enum err read_events(struct error *e)
{
        CLEANUP(bytes_done) struct bytes read = {0};
        enum err r = store_events_read(store, id, &read, e);

        if (read.data)
                (void)snprintf(got, sizeof got, "%zu", read.len);
        return r;
}

static const struct operation {
        const char *name;
        enum err (*run)(struct error *e);
        enum err (*before[3])(struct error *e);
        const char *reads; /* what got holds after a success */
        bool gradual;      /* a removal: it is gone, or the next one goes on with it */
} operations[] = {
        {"open", open_store, {0}, "", false},
        {"record: new", write_record, {0}, "", false},
        {"record: replaced", replace_record, {write_record}, "", false},
        {"record: read", read_record, {write_record}, "one", false},
        {"each certificate", each_certificate, {write_record}, "", false},
        {"generation: new", make_generation, {0}, "", false},
        {"generation: opened", open_generation, {make_generation}, "", false},
        {"commit: first", commit, {fill_generation}, "", false},
        {"commit: another", commit_another, {fill_generation, commit}, "", false},
        {"current", read_current, {fill_generation, commit}, "1", false},
        {"current: none", read_current, {write_record}, "", false},
        {"generation: removed", remove_generation, {fill_generation}, "", true},
        {"certificate: removed", remove_certificate, {fill_generation, commit, write_record}, "", true},
        {"profile: written", write_profile, {0}, "", false},
        {"profile: read", read_profile, {write_profile}, "./Vendor/x", false},
        {"file: written", write_file, {write_profile}, "", false},
        {"file: read", read_file, {write_file}, "4711", false},
        {"file: removed", remove_file, {write_file}, "", false},
        {"directory", open_directory, {write_profile}, "", false},
        {"attestation", open_attestation, {0}, "", false},
        {"pem: written", write_pem, {write_record}, "", false},
        {"pem: read", read_pem, {write_pem}, "it", false},
        {"anchor: new", add_anchor, {0}, "new", false},
        {"anchor: known", add_anchor, {add_anchor}, "known", false},
        {"anchors", list_anchors, {add_anchor, add_users_anchor}, "2", false},
        {"anchor: read", read_anchor, {add_anchor}, "it", false},
        {"anchor: removed", remove_anchor, {add_anchor}, "", false},
        {"instance: written", write_instance, {0}, "", false},
        {"instance: challenge", write_challenge, {write_instance}, "", false},
        {"instance: challenge read", read_challenge, {write_instance, write_challenge}, "4711", false},
        {"instance: challenge removed", remove_challenge, {write_instance, write_challenge}, "", false},
        {"each instance", each_instance, {write_instance}, "1", false},
        {"instance: removed", remove_instance, {write_instance, write_challenge}, "", true},
        {"event: first", add_event, {write_record}, "", false},
        {"event: another", add_event, {write_record, add_event}, "", false},
        {"events: trimmed", trim_events, {write_record, add_events}, "", false},
        {"events: read", read_events, {write_record, add_event}, "8", false},
};

/* What is kept. */

static int wanted(const struct dirent *entry)
{
        return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void describe(FILE *to, const char *path, bool all);

static void describe_entry(FILE *to, const char *path, bool all)
{
        CLEANUP(bytes_done) struct bytes content = {0};
        char target[256] = "";
        const char *ending = strrchr(path, '.');
        struct stat st;
        struct error e = {0};

        assert_int_equal(lstat(path, &st), 0);
        if (S_ISDIR(st.st_mode)) {
                if (all)
                        (void)fprintf(to, "%s %o\n", path, st.st_mode);
                describe(to, path, all);
        } else if (all || !ending || strcmp(ending, ".new") != 0) {
                if (S_ISLNK(st.st_mode))
                        assert_true(readlink(path, target, sizeof target - 1) > 0);
                else
                        expect_ok(file_read(AT_FDCWD, path, STORE_FILE_MAX, &content, &e));
                if (all || S_ISLNK(st.st_mode) ||
                    content.len) /* a file for events without one says nothing */
                        (void)fprintf(to, "%s %o %s %.*s\n", path, st.st_mode, target, (int)content.len,
                                      content.data ? (const char *)content.data : "");
        }
}

static void describe(FILE *to, const char *path, bool all)
{
        struct dirent **entries = NULL;
        const int n = scandir(path, &entries, wanted, alphasort);

        assert_true(n >= 0);
        for (int i = 0; i < n; i++) {
                char below[PATH];

                (void)snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
                describe_entry(to, below, all);
                free(entries[i]);
        }
        free(entries);
}

/* @all: with directories, and with what an interrupted operation leaves for the next one. The caller's. */
static char *kept(bool all)
{
        char *text = NULL;
        size_t len;
        FILE *to = open_memstream(&text, &len);

        assert_non_null(to);
        describe(to, root, all);
        assert_int_equal(fclose(to), 0);
        return text;
}

static unsigned descriptors(void)
{
        struct dirent **entries = NULL;
        const int n = scandir("/proc/self/fd", &entries, wanted, NULL);

        assert_true(n > 0);
        for (int i = 0; i < n; i++)
                free(entries[i]);
        free(entries);
        return (unsigned)n;
}

static void fresh(const struct operation *operation)
{
        struct error e = {0};

        store_close(store);
        store = NULL;
        expect_ok(tree_remove(AT_FDCWD, root, &e));
        assert_int_equal(mkdir(root, 0711), 0);
        if (operation->run == open_store)
                return;
        expect_ok(store_open(root, &store, &e));
        for (size_t i = 0; i < N_ELEMENTS(operation->before) && operation->before[i]; i++)
                expect_ok(operation->before[i](&e));
}

struct outcome {
        char *before, *after, *whole; /* whole: after, with all */
};

static void outcome_done(struct outcome *outcome)
{
        free(outcome->before);
        free(outcome->after);
        free(outcome->whole);
}

/* The @step-th call of @operation fails. */
static void fail_at(const struct operation *operation, const struct outcome *right, unsigned step,
                    struct fault fault)
{
        CLEANUP(free_p) char *now = NULL;
        CLEANUP(free_p) char *whole = NULL;
        CLEANUP(free_p) char *where = NULL;
        struct error e = {0};
        unsigned open;
        enum err r;

        fresh(operation);
        open = descriptors();
        got[0] = 0;
        fault_arm(step, fault);
        r = operation->run(&e);
        fault_arm(0, fault);
        assert_true(asprintf(&where, "%s, call %u (%s)%s: %s: %s", operation->name, step, fault_call(),
                             fault.stays ? " and on" : "", strerror(fault.number), e.message) > 0);
        if (r != (fault.number == ENOSPC ? ERR_DISK_FULL : ERR_IO) || e.code != r || !*e.message ||
            !*e.remedy)
                fail_msg("%s: %s", where, err_name(r));
        if (*got)
                fail_msg("%s: it gave '%s'", where, got);
        if (descriptors() != open)
                fail_msg("%s: descriptors are left", where);
        now = kept(false);
        if (!operation->gradual && strcmp(now, right->before) != 0 && strcmp(now, right->after) != 0)
                fail_msg("%s: it is neither as before nor as after:\n%s", where, now);
        if (!fault.stays) {
                CLEANUP(free_p) char *all = kept(true);

                if (strstr(all, ".new "))
                        fail_msg("%s: a half file is left", where);
        }
        r = operation->run(&e);
        whole = kept(true);
        if (r || strcmp(whole, right->whole) != 0)
                fail_msg("%s: the next one: %s %s\n%s", where, err_name(r), e.message, whole);
}

static void each_call_fails(void **state)
{
        static const int numbers[] = {EIO, ENOSPC, EMFILE};
        unsigned total = 0;
        struct error e = {0};

        (void)state;
        for (size_t i = 0; i < N_ELEMENTS(operations); i++) {
                const struct operation *operation = &operations[i];
                CLEANUP(outcome_done) struct outcome right = {0};
                unsigned calls;

                fresh(operation);
                right.before = kept(false);
                got[0] = 0;
                fault_arm(0, (struct fault){0});
                expect_ok(operation->run(&e));
                calls = fault_calls();
                assert_true(calls > 0);
                assert_string_equal(got, operation->reads);
                right.after = kept(false);
                right.whole = kept(true);
                for (unsigned step = 1; step <= calls; step++)
                        for (size_t n = 0; n < N_ELEMENTS(numbers); n++)
                                for (int stays = 0; stays < 2; stays++)
                                        fail_at(operation, &right, step, (struct fault){numbers[n], stays});
                total += calls;
        }
        print_message("%zu operations, %u calls, each failed %zu times\n", N_ELEMENTS(operations), total,
                      2 * N_ELEMENTS(numbers));
}

/* A crash between mkdir and chmod leaves the same. */
static void half_made_directory(void **state)
{
        CLEANUP(close_p) int fd = -1;
        char path[PATH];
        struct stat st;
        struct error e = {0};

        (void)state;
        fresh(&(struct operation){.before = {write_record}});
        (void)snprintf(path, sizeof path, "%s/certificates/%s", root, id);
        assert_int_equal(chmod(path, 0700), 0);
        expect_ok(store_record_write(store, id, &record, &e));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0711);
}

/* One that is damaged is passed over; a disk that refuses is told. */
static void damaged_instance(void **state)
{
        char path[PATH];
        struct error e = {0};

        (void)state;
        fresh(&(struct operation){.before = {write_instance}});
        (void)snprintf(path, sizeof path, "%s/syncml/device/%064d", root, 0);
        expect_ok(file_write(AT_FDCWD, path, 0600, str_view("{"), &e));
        (void)snprintf(path, sizeof path, "%s/syncml/1000", root);
        expect_ok(file_write(AT_FDCWD, path, 0600, str_view("x"), &e));
        expect_ok(each_instance(&e));
        assert_string_equal(got, "1");
}

static X509 *certificate(void)
{
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        X509 *made = X509_new();

        X509_gmtime_adj(X509_getm_notBefore(made), 0);
        X509_gmtime_adj(X509_getm_notAfter(made), 60);
        X509_set_pubkey(made, key);
        assert_true(X509_sign(made, key, EVP_sha256()) > 0);
        EVP_PKEY_free(key);
        return made;
}

static int start(void **state)
{
        struct error e = {0};

        (void)state;
        dir = mkdtemp(in_memory);
        dir = dir ? dir : mkdtemp(on_disk);
        if (!dir)
                return -1;
        (void)snprintf(root, sizeof root, "%s/state", dir);
        cert = certificate();
        other_cert = certificate();
        profile = (struct stored_profile){.owner = 1000, .location = strdup("./Vendor/x")};
        instance = (struct stored_instance){.owner = NO_OWNER, .key = strdup("scep/x"), .name = strdup("x")};
        expect_ok(stored_instance_settle(&instance, &e));
        expect_ok(record_new(&record, &e));
        expect_ok(record_set_text(&record.name, "one", &e));
        expect_ok(record_new(&other_record, &e));
        expect_ok(record_set_text(&other_record.name, "other", &e));
        return 0;
}

static int stop(void **state)
{
        (void)state;
        store_close(store);
        X509_free(cert);
        X509_free(other_cert);
        stored_profile_done(&profile);
        stored_instance_done(&instance);
        record_done_p(&record);
        record_done_p(&other_record);
        return tree_remove(AT_FDCWD, dir, NULL) == ERR_OK ? 0 : -1;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_call_fails),
                cmocka_unit_test(half_made_directory),
                cmocka_unit_test(damaged_instance),
        };

        return cmocka_run_group_tests_name("store/faults", tests, start, stop);
}
