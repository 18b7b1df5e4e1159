/* Usage: drive-pkcs11 MODULE CASE [TOKEN LABEL CERTIFICATE.pem [PIN]]. Exit status: 0 all answers were right.
 */
#include "drive.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void drive_check(bool good, const char *file, int line, const char *what)
{
        if (good)
                return;
        (void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
        _exit(1);
}

void drive_want(ck_rv_t got, ck_rv_t wanted, const char *file, int line, const char *what)
{
        if (got == wanted)
                return;
        (void)fprintf(stderr, "%s:%d: 0x%lx, not 0x%lx: %s\n", file, line, got, wanted, what);
        _exit(1);
}

ck_slot_id_t drive_slot(const struct drive *d, const char *token)
{
        ck_slot_id_t slots[64];
        unsigned long n = sizeof slots / sizeof *slots;

        OK(d->p11->C_GetSlotList(1, slots, &n));
        for (unsigned long i = 0; i < n; i++) {
                struct ck_token_info info;

                OK(d->p11->C_GetTokenInfo(slots[i], &info));
                if (memcmp(info.label, token, strlen(token)) == 0 &&
                    (strlen(token) == sizeof info.label || info.label[strlen(token)] == ' ') &&
                    (strlen(token) + 1 >= sizeof info.label || info.label[strlen(token) + 1] == ' '))
                        return slots[i];
        }
        CHECK(!"there is such a token");
        return 0;
}

unsigned long drive_find(const struct drive *d, ck_session_handle_t session, struct ck_attribute *template,
                         unsigned long n, ck_object_handle_t *ret, unsigned long max)
{
        unsigned long count = 0, all = 0;
        ck_object_handle_t some[3]; /* not all at once */

        OK(d->p11->C_FindObjectsInit(session, template, n));
        do {
                OK(d->p11->C_FindObjects(session, some, 3, &count));
                for (unsigned long i = 0; i < count; i++, all++)
                        if (all < max)
                                ret[all] = some[i];
        } while (count);
        OK(d->p11->C_FindObjectsFinal(session));
        return all;
}

ck_object_handle_t drive_object(const struct drive *d, ck_object_class_t class, const char *label)
{
        struct ck_attribute template[] = {{CKA_CLASS, &class, sizeof class},
                                          {CKA_LABEL, (void *)(size_t)label, strlen(label)}};
        ck_object_handle_t found = 0;
        unsigned long n = drive_find(d, d->session, template, 2, &found, 1);

        CHECK(n < 2);
        return n ? found : 0;
}

unsigned long drive_get(const struct drive *d, ck_object_handle_t object, ck_attribute_type_t type,
                        unsigned char *ret)
{
        struct ck_attribute a = {type, ret, BUFFER};

        OK(d->p11->C_GetAttributeValue(d->session, object, &a, 1));
        return a.value_len;
}

void drive_open(struct drive *d)
{
        OK(d->p11->C_Initialize(NULL));
        d->slot = drive_slot(d, d->token);
        OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION, NULL, NULL, &d->session));
        if (!d->certificate)
                return;
        if (!d->x509) {
                BIO *bio = BIO_new_file(d->certificate, "r");

                d->x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
                CHECK(d->x509);
                BIO_free(bio);
        }
        d->pkey = X509_get0_pubkey(d->x509);
        d->rsa = EVP_PKEY_is_a(d->pkey, "RSA");
        d->size = ((size_t)EVP_PKEY_get_bits(d->pkey) + 7) / 8;
        d->key = drive_object(d, CKO_PRIVATE_KEY, d->label);
        d->public = drive_object(d, CKO_PUBLIC_KEY, d->label);
        d->cert = drive_object(d, CKO_CERTIFICATE, d->label);
        CHECK(d->key && d->public && d->cert);
}

void drive_close(struct drive *d)
{
        OK(d->p11->C_Finalize(NULL));
        X509_free(d->x509);
        d->x509 = NULL;
}

static const struct {
        const char *name;
        void (*run)(struct drive *d);
} cases[] = {
        {"uninitialized", case_uninitialized},
        {"initialize", case_initialize},
        {"handles", case_handles},
        {"slots", case_slots},
        {"sessions", case_sessions},
        {"find", case_find},
        {"attributes", case_attributes},
        {"five", case_five},
        {"sign", case_sign},
        {"lengths", case_lengths},
        {"parts", case_parts},
        {"pss", case_pss},
        {"wrong", case_wrong},
        {"decrypt", case_decrypt},
        {"derive", case_derive},
        {"pin", case_pin},
        {"pin-wrong", case_pin_wrong},
        {"pin-none", case_pin_none},
        {"pin-fork", case_pin_fork},
        {"threads", case_threads},
        {"fork", case_fork},
        {"absent", case_absent},
        {"ending", case_ending},
        {"unlocked", case_unlocked},
        {"many", case_many},
        {"talk", case_talk},
};

int main(int argc, char **argv)
{
        struct drive d = {.token = argc > 3 ? argv[3] : NULL,
                          .label = argc > 4 ? argv[4] : NULL,
                          .certificate = argc > 5 ? argv[5] : NULL,
                          .pin = argc > 6 ? argv[6] : NULL};
        void *module = argc > 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
        ck_rv_t (*list)(struct ck_function_list **) = NULL;

        if (!module) {
                (void)fprintf(stderr, "No module, or no case: %s\n", argc > 2 ? dlerror() : "");
                return 2;
        }
        *(void **)&list = dlsym(module, "C_GetFunctionList");
        CHECK(list);
        WANT(list(NULL), CKR_ARGUMENTS_BAD);
        OK(list(&d.p11));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                if (strcmp(cases[i].name, argv[2]) == 0) {
                        cases[i].run(&d);
                        return 0;
                }
        }
        (void)fprintf(stderr, "There is no case %s\n", argv[2]);
        return 2;
}
