/*
 * Any PKCS#11 module: the private key of a label, one C_SignInit and C_Sign over 32 octets a signature: a
 * DigestInfo by CKM_RSA_PKCS, a hash by CKM_ECDSA, as TLS and SSH call it.
 *
 *     bench-sign-p11 MODULE LABEL [PIN]
 */
#include "turns.h"

#define CRYPTOKI_GNU 1
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <string.h>

#include "key/key.h"

enum { SLOTS_MAX = 16 };

struct token {
        struct ck_function_list *p11;
        const char *label, *pin;
        ck_session_handle_t session;
        ck_object_handle_t key;
        bool rsa;
};

static enum err failed(struct error *e, const char *what, ck_rv_t rv)
{
        return error_set(e, ERR_FAILED, "%s answers 0x%lx", what, rv);
}

/* The key of the label in this session's token; false: it has none. */
static bool find(struct token *t)
{
        ck_object_class_t class = CKO_PRIVATE_KEY;
        ck_key_type_t type = CKK_EC;
        struct ck_attribute wanted[] = {{CKA_CLASS, &class, sizeof class},
                                        {CKA_LABEL, (void *)(uintptr_t)t->label, strlen(t->label)}};
        struct ck_attribute of_type = {CKA_KEY_TYPE, &type, sizeof type};
        unsigned long n = 0;

        if (t->p11->C_FindObjectsInit(t->session, wanted, 2) != CKR_OK)
                return false;
        if (t->p11->C_FindObjects(t->session, &t->key, 1, &n) != CKR_OK)
                n = 0;
        (void)t->p11->C_FindObjectsFinal(t->session);
        if (n != 1 || t->p11->C_GetAttributeValue(t->session, t->key, &of_type, 1) != CKR_OK)
                return false;
        t->rsa = type == CKK_RSA;
        return true;
}

static enum err load(void *ctx, struct error *e)
{
        struct token *t = ctx;
        ck_slot_id_t slots[SLOTS_MAX];
        unsigned long n = SLOTS_MAX;
        ck_rv_t rv = t->p11->C_Initialize(NULL);

        if (rv == CKR_OK)
                rv = t->p11->C_GetSlotList(1, slots, &n);
        if (rv != CKR_OK)
                return failed(e, "The module", rv);
        for (unsigned long i = 0; i < n; i++) {
                if (t->p11->C_OpenSession(slots[i], CKF_SERIAL_SESSION, NULL, NULL, &t->session) != CKR_OK)
                        continue;
                if (t->pin)
                        (void)t->p11->C_Login(t->session, CKU_USER, (unsigned char *)(uintptr_t)t->pin,
                                              strlen(t->pin));
                if (find(t))
                        return ERR_OK;
                (void)t->p11->C_CloseSession(t->session);
        }
        return error_set(e, ERR_NOT_FOUND, "No token has a private key %s", t->label);
}

static void unload(void *ctx)
{
        struct token *t = ctx;

        (void)t->p11->C_Finalize(NULL);
}

static enum err sign(void *ctx, const uint8_t digest[TURN_DIGEST_LEN], struct error *e)
{
        const struct token *t = ctx;
        const struct view prefix = key_digest_info_prefix(t->rsa ? KEY_DIGEST_SHA256 : KEY_DIGEST_NONE);
        struct ck_mechanism mechanism = {t->rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
        uint8_t data[KEY_DIGEST_INFO_MAX], signature[TURN_SIGNATURE_MAX];
        unsigned long len = sizeof signature;
        ck_rv_t rv = t->p11->C_SignInit(t->session, &mechanism, t->key);

        if (prefix.len)
                memcpy(data, prefix.data, prefix.len);
        memcpy(data + prefix.len, digest, TURN_DIGEST_LEN);
        if (rv == CKR_OK)
                rv = t->p11->C_Sign(t->session, data, prefix.len + TURN_DIGEST_LEN, signature, &len);
        return rv == CKR_OK ? ERR_OK : failed(e, "C_Sign", rv);
}

int main(int argc, char **argv)
{
        struct token t = {.label = argc > 2 ? argv[2] : NULL, .pin = argc == 4 ? argv[3] : NULL};
        const struct signer signer = {&t, load, unload, sign};
        ck_rv_t (*list)(struct ck_function_list **) = NULL;
        struct error e = {0};
        void *module;

        if (argc != 3 && argc != 4) {
                (void)fprintf(stderr, "Usage: %s MODULE LABEL [PIN]\n", argv[0]);
                return 2;
        }
        module = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (module)
                *(void **)&list = dlsym(module, "C_GetFunctionList");
        if (!list || list(&t.p11) != CKR_OK) {
                (void)error_set(&e, ERR_NOT_FOUND, "The module %s could not be loaded", argv[1]);
                return turns_fail(&e);
        }
        return turns_serve(&signer);
}
