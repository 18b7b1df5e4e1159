/* Threads, forks, a service that is not there or comes and goes, many keys. */
#include "drive.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, TURNS = 40 };

struct runner {
        const struct drive *d;
        ck_session_handle_t session;
        bool shared;
        unsigned made;
        unsigned char number;
};

/* In a session that others use, too, an operation of theirs may be active, or have been ended; but what is
 * signed is signed rightly. */
static void *run(void *ctx)
{
        struct runner *r = ctx;
        const struct drive *d = r->d;
        struct ck_mechanism m = drive_simple(d->rsa);

        for (unsigned char i = 0; i < TURNS; i++) {
                const unsigned char data[] = {r->number, i, 3, 4};
                unsigned char signature[BUFFER];
                unsigned long len;
                ck_rv_t rv = drive_sign(d, r->session, d->key, &m, data, sizeof data, signature, &len);

                if (r->shared && rv == CKR_OPERATION_ACTIVE) {
                        len = sizeof signature;
                        rv = d->p11->C_Sign(r->session, (unsigned char *)(size_t)data, sizeof data, signature,
                                            &len);
                }
                if (r->shared && rv == CKR_OPERATION_NOT_INITIALIZED)
                        continue;
                OK(rv);
                CHECK(drive_verify_simple(d->pkey, data, sizeof data, signature, len));
                r->made++;
        }
        return NULL;
}

static unsigned hammer(const struct drive *d, bool shared)
{
        struct runner runners[THREADS];
        pthread_t threads[THREADS];
        unsigned made = 0;

        for (size_t i = 0; i < THREADS; i++) {
                runners[i] = (struct runner){d, d->session, shared, 0, (unsigned char)i};
                if (!shared)
                        OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION, NULL, NULL,
                                                 &runners[i].session));
                CHECK(pthread_create(&threads[i], NULL, run, &runners[i]) == 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
                CHECK(pthread_join(threads[i], NULL) == 0);
                made += runners[i].made;
        }
        return made;
}

void case_threads(struct drive *d)
{
        drive_open(d);
        CHECK(hammer(d, true) > 0);
        CHECK(hammer(d, false) == THREADS * TURNS);
        drive_close(d);
}

static void signs(const struct drive *d)
{
        struct ck_mechanism m = drive_simple(d->rsa);
        unsigned char signature[BUFFER];
        unsigned long len;

        OK(drive_sign(d, d->session, d->key, &m, (const unsigned char *)"x", 1, signature, &len));
        CHECK(drive_verify_simple(d->pkey, (const unsigned char *)"x", 1, signature, len));
}

static void in_child(struct drive *d, void (*what)(struct drive *d))
{
        int status = -1;
        pid_t child = fork();

        if (child == 0) {
                what(d);
                _exit(0);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void as_it_is(struct drive *d)
{
        signs(d);
        WANT(d->p11->C_Logout(d->session), CKR_USER_NOT_LOGGED_IN);
        OK(d->p11->C_Finalize(NULL));
        WANT(d->p11->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
}

/* §5.4: a child begins anew, and nothing of its parent's is left. */
static void anew(struct drive *d)
{
        struct ck_session_info info;

        OK(d->p11->C_Initialize(NULL));
        WANT(d->p11->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
        WANT(d->p11->C_GetSessionInfo(d->session, &info), CKR_SESSION_HANDLE_INVALID);
        OK(d->p11->C_Finalize(NULL));
        drive_open(d);
        signs(d);
        in_child(d, as_it_is);
        signs(d);
        drive_close(d);
}

/* What a fork wipes is not shown as if it were the secret. */
static void without_secrets(struct drive *d)
{
        ck_object_class_t class = CKO_SECRET_KEY;
        struct ck_attribute secrets = {CKA_CLASS, &class, sizeof class};

        CHECK(drive_find(d, d->session, &secrets, 1, NULL, 0) == 0);
}

static void derive_one(const struct drive *d)
{
        unsigned char point[BUFFER];
        unsigned long len = drive_get(d, d->public, CKA_EC_POINT, point);
        struct ck_ecdh1_derive_params params = {
                .kdf = CKD_NULL, .public_data = point, .public_data_len = len};
        struct ck_mechanism m = {CKM_ECDH1_DERIVE, &params, sizeof params};
        ck_object_handle_t key;

        OK(d->p11->C_DeriveKey(d->session, &m, d->key, NULL, 0, &key));
}

void case_fork(struct drive *d)
{
        struct runner other = {.d = d, .number = 9};
        pthread_t thread;

        drive_open(d);
        in_child(d, as_it_is); /* before there is a connection for the key */
        signs(d);
        in_child(d, as_it_is);
        in_child(d, anew);
        signs(d);
        if (!d->rsa) {
                derive_one(d);
                in_child(d, without_secrets);
        }
        /* Forks while another thread is in the middle of something. */
        OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION, NULL, NULL, &other.session));
        CHECK(pthread_create(&thread, NULL, run, &other) == 0);
        for (int i = 0; i < 10; i++)
                in_child(d, i % 2 ? as_it_is : anew);
        CHECK(pthread_join(thread, NULL) == 0 && other.made == TURNS);
        signs(d);
        drive_close(d);
}

/* Nobody listens: no tokens, and words for it. */
void case_absent(struct drive *d)
{
        ck_slot_id_t slots[64];
        unsigned long n = 64, all = 64;
        struct ck_slot_info slot;
        struct ck_token_info token;
        ck_session_handle_t session;

        OK(d->p11->C_Initialize(NULL));
        OK(d->p11->C_GetSlotList(1, slots, &n));
        CHECK(n == 0);
        OK(d->p11->C_GetSlotList(0, slots, &all));
        CHECK(all >= 1);
        OK(d->p11->C_GetSlotInfo(slots[0], &slot));
        CHECK(!(slot.flags & CKF_TOKEN_PRESENT));
        WANT(d->p11->C_GetTokenInfo(slots[0], &token), CKR_TOKEN_NOT_PRESENT);
        WANT(d->p11->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &session),
             CKR_TOKEN_NOT_PRESENT);
        OK(d->p11->C_Finalize(NULL));
}

/* It is gone when what it has listed is looked at: a search that cannot be answered finds no nothing. */
void case_ending(struct drive *d)
{
        ck_object_class_t class = CKO_PRIVATE_KEY;
        ck_key_type_t type = CKK_RSA;
        struct ck_attribute wanted[] = {{CKA_CLASS, &class, sizeof class},
                                        {CKA_KEY_TYPE, &type, sizeof type}};
        ck_slot_id_t slot;
        ck_session_handle_t session;
        ck_object_handle_t found;
        unsigned long n = 1;

        OK(d->p11->C_Initialize(NULL));
        OK(d->p11->C_GetSlotList(1, &slot, &n));
        CHECK(n == 1);
        OK(d->p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
        OK(d->p11->C_FindObjectsInit(session, wanted, 1));
        OK(d->p11->C_FindObjects(session, &found, 1, &n));
        CHECK(n == 1);
        OK(d->p11->C_FindObjectsFinal(session));
        for (int i = 0; i < 2; i++) { /* by what only its certificate tells; then it does not even list */
                WANT(d->p11->C_FindObjectsInit(session, wanted, 2), CKR_DEVICE_ERROR);
                WANT(d->p11->C_FindObjects(session, &found, 1, &n), CKR_OPERATION_NOT_INITIALIZED);
        }
        OK(d->p11->C_Finalize(NULL));
}

/* Not a page may be locked: that is told, and does not look as if nobody listened. */
void case_unlocked(struct drive *d)
{
        ck_slot_id_t slots[64];
        unsigned long n = 64;

        OK(d->p11->C_Initialize(NULL));
        WANT(d->p11->C_GetSlotList(1, slots, &n), CKR_HOST_MEMORY);
        WANT(d->p11->C_GetSlotList(1, NULL, &n), CKR_HOST_MEMORY);
        OK(d->p11->C_Finalize(NULL));
}

/* Every private key of the token signs, twice over: more than a connection holds open. */
void case_many(struct drive *d)
{
        enum { MOST = 512 };
        ck_object_class_t class = CKO_PRIVATE_KEY;
        struct ck_attribute keys = {CKA_CLASS, &class, sizeof class};
        ck_object_handle_t found[MOST];
        unsigned long n;

        drive_open(d);
        n = drive_find(d, d->session, &keys, 1, found, MOST);
        CHECK(n > 64 && n < MOST);
        for (unsigned long i = 0; i < 2 * n; i++) {
                unsigned char info[BUFFER], signature[BUFFER];
                const unsigned char *p = info;
                unsigned long info_len = drive_get(d, found[i % n], CKA_PUBLIC_KEY_INFO, info), len;
                EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)info_len);
                struct ck_mechanism m = drive_simple(EVP_PKEY_is_a(pkey, "RSA"));

                OK(drive_sign(d, d->session, found[i % n], &m, info, 16, signature, &len));
                CHECK(drive_verify_simple(pkey, info, 16, signature, len));
                EVP_PKEY_free(pkey);
        }
        (void)printf("%lu\n", n);
        drive_close(d);
}

static void tell(ck_rv_t rv)
{
        if (rv == CKR_OK)
                (void)puts("ok");
        else
                (void)printf("0x%lx\n", rv);
}

/* The key's handle as it was found at the beginning; searches by the label and the id that it had then. */
static void obey(struct drive *d, const char *word, const unsigned char id[20])
{
        struct ck_mechanism m = drive_simple(d->rsa);
        ck_object_class_t class = CKO_PRIVATE_KEY;
        struct ck_attribute by_label[] = {{CKA_CLASS, &class, sizeof class},
                                          {CKA_LABEL, (void *)(size_t)d->label, strlen(d->label)}};
        struct ck_attribute by_id[] = {{CKA_CLASS, &class, sizeof class}, {CKA_ID, (void *)(size_t)id, 20}};
        unsigned char signature[BUFFER];
        unsigned long len, n = 0;
        ck_object_handle_t found = 0;
        ck_rv_t rv;

        if (strcmp(word, "sign") == 0) {
                rv = drive_sign(d, d->session, d->key, &m, (const unsigned char *)"x", 1, signature, &len);
                if (rv == CKR_OK)
                        CHECK(drive_verify_simple(d->pkey, (const unsigned char *)"x", 1, signature, len));
                tell(rv);
                return;
        }
        rv = d->p11->C_FindObjectsInit(d->session, strcmp(word, "label") == 0 ? by_label : by_id, 2);
        if (rv != CKR_OK) {
                tell(rv);
                return;
        }
        OK(d->p11->C_FindObjects(d->session, &found, 1, &n));
        OK(d->p11->C_FindObjectsFinal(d->session));
        (void)puts(n == 0 ? "none" : found == d->key ? "same" : "other");
}

/* Words on standard input: sign, label, id, attribute. An answer for each. */
void case_talk(struct drive *d)
{
        unsigned char id[BUFFER];
        char line[64];

        drive_open(d);
        CHECK(drive_get(d, d->key, CKA_ID, id) == 20);
        (void)puts("ready");
        (void)fflush(stdout);
        while (fgets(line, sizeof line, stdin)) {
                line[strcspn(line, "\n")] = 0;
                if (strcmp(line, "attribute") == 0) {
                        struct ck_attribute a = {CKA_SUBJECT, NULL, 0};

                        tell(d->p11->C_GetAttributeValue(d->session, d->key, &a, 1));
                } else {
                        obey(d, line, id);
                }
                (void)fflush(stdout);
        }
        drive_close(d);
}
