/* What is refused: functions before and after, handles, NULL, lengths; slots, sessions, logins. */
#include "drive.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef ck_rv_t any_function(unsigned long, void *, void *, void *, void *, void *, void *, void *);

/* Every function of the list by its place there, with nothing but zeros behind the first argument. */
static ck_rv_t call(const struct drive *d, size_t offset, unsigned long first)
{
        any_function *f;

        memcpy(&f, (const char *)d->p11 + offset, sizeof f);
        CHECK(f);
        return f(first, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
}

#define AT(name) offsetof(struct ck_function_list, name)

static void nothing_works(const struct drive *d)
{
        for (size_t at = AT(C_Finalize); at <= AT(C_WaitForSlotEvent); at += sizeof(any_function *))
                if (at != AT(C_GetFunctionList))
                        WANT(call(d, at, 0), CKR_CRYPTOKI_NOT_INITIALIZED);
}

void case_uninitialized(struct drive *d)
{
        nothing_works(d);
        OK(d->p11->C_Initialize(NULL));
        OK(d->p11->C_Finalize(NULL));
        nothing_works(d);
        OK(d->p11->C_Initialize(NULL));
        WANT(d->p11->C_Finalize(d), CKR_ARGUMENTS_BAD);
        OK(d->p11->C_Finalize(NULL));
}

static ck_rv_t make(void **mutex)
{
        *mutex = NULL;
        return CKR_OK;
}

static ck_rv_t use(void *mutex)
{
        (void)mutex;
        return CKR_OK;
}

void case_initialize(struct drive *d)
{
        const struct {
                struct ck_c_initialize_args args;
                ck_rv_t rv;
        } rows[] = {
                {{0}, CKR_OK},
                {{.flags = CKF_OS_LOCKING_OK}, CKR_OK},
                {{.flags = CKF_LIBRARY_CANT_CREATE_OS_THREADS | CKF_OS_LOCKING_OK}, CKR_OK},
                {{.flags = CKF_LIBRARY_CANT_CREATE_OS_THREADS}, CKR_OK},
                {{make, use, use, use, CKF_OS_LOCKING_OK, NULL}, CKR_OK},
                {{make, use, use, use, 0, NULL}, CKR_CANT_LOCK},
                {{.create_mutex = make}, CKR_ARGUMENTS_BAD},
                {{.create_mutex = make, .flags = CKF_OS_LOCKING_OK}, CKR_ARGUMENTS_BAD},
                {{make, use, use, NULL, CKF_OS_LOCKING_OK, NULL}, CKR_ARGUMENTS_BAD},
                {{.reserved = d}, CKR_ARGUMENTS_BAD},
        };
        struct ck_info info;

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct ck_c_initialize_args args = rows[i].args;

                WANT(d->p11->C_Initialize(&args), rows[i].rv);
                WANT(d->p11->C_GetInfo(&info), rows[i].rv ? CKR_CRYPTOKI_NOT_INITIALIZED : CKR_OK);
                if (rows[i].rv)
                        continue;
                CHECK(info.cryptoki_version.major == 2 && info.cryptoki_version.minor == 40 && !info.flags);
                CHECK(memcmp(info.manufacturer_id, "Scepter                         ", 32) == 0);
                WANT(d->p11->C_Initialize(&args), CKR_CRYPTOKI_ALREADY_INITIALIZED);
                WANT(d->p11->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
                OK(d->p11->C_Finalize(NULL));
        }
}

/* What takes a session says so of a handle that is none; what is not done here says that. */
static void no_session(const struct drive *d, ck_session_handle_t session)
{
        static const size_t known[] = {
                AT(C_CloseSession),
                AT(C_GetSessionInfo),
                AT(C_Login),
                AT(C_Logout),
                AT(C_CreateObject),
                AT(C_DestroyObject),
                AT(C_GetObjectSize),
                AT(C_GetAttributeValue),
                AT(C_FindObjectsInit),
                AT(C_FindObjects),
                AT(C_FindObjectsFinal),
                AT(C_SetAttributeValue),
                AT(C_SignInit),
                AT(C_Sign),
                AT(C_SignUpdate),
                AT(C_SignFinal),
                AT(C_DecryptInit),
                AT(C_Decrypt),
                AT(C_DeriveKey),
                AT(C_SeedRandom),
                AT(C_GenerateRandom),
                AT(C_GetFunctionStatus),
                AT(C_CancelFunction),
        };

        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
                WANT(call(d, known[i], session), CKR_SESSION_HANDLE_INVALID);
}

static void not_here(const struct drive *d)
{
        static const size_t unknown[] = {
                AT(C_InitToken),
                AT(C_InitPIN),
                AT(C_SetPIN),
                AT(C_GetOperationState),
                AT(C_SetOperationState),
                AT(C_CopyObject),
                AT(C_EncryptInit),
                AT(C_Encrypt),
                AT(C_EncryptUpdate),
                AT(C_EncryptFinal),
                AT(C_DecryptUpdate),
                AT(C_DecryptFinal),
                AT(C_DigestInit),
                AT(C_Digest),
                AT(C_DigestUpdate),
                AT(C_DigestKey),
                AT(C_DigestFinal),
                AT(C_SignRecoverInit),
                AT(C_SignRecover),
                AT(C_VerifyInit),
                AT(C_Verify),
                AT(C_VerifyUpdate),
                AT(C_VerifyFinal),
                AT(C_VerifyRecoverInit),
                AT(C_VerifyRecover),
                AT(C_GenerateKey),
                AT(C_GenerateKeyPair),
                AT(C_WrapKey),
                AT(C_UnwrapKey),
                AT(C_DigestEncryptUpdate),
                AT(C_DecryptDigestUpdate),
                AT(C_SignEncryptUpdate),
                AT(C_DecryptVerifyUpdate),
        };

        for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
                WANT(call(d, unknown[i], d->session), CKR_FUNCTION_NOT_SUPPORTED);
        WANT(d->p11->C_GetFunctionStatus(d->session), CKR_FUNCTION_NOT_PARALLEL);
        WANT(d->p11->C_CancelFunction(d->session), CKR_FUNCTION_NOT_PARALLEL);
        WANT(d->p11->C_GenerateRandom(d->session, NULL, 0), CKR_RANDOM_NO_RNG);
        WANT(d->p11->C_SeedRandom(d->session, NULL, 0), CKR_RANDOM_NO_RNG);
}

static void objects(const struct drive *d)
{
        static const ck_object_handle_t none[] = {0, 1UL << 40, (ck_object_handle_t)-1};
        struct ck_mechanism mechanism = drive_simple(d->rsa);
        unsigned char buffer[BUFFER];
        struct ck_attribute a = {CKA_LABEL, buffer, sizeof buffer};
        struct ck_mechanism ecdh = {CKM_ECDH1_DERIVE, NULL, 0};
        ck_object_handle_t handle = 0;
        unsigned long n = 0;

        for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
                WANT(d->p11->C_GetAttributeValue(d->session, none[i], &a, 1), CKR_OBJECT_HANDLE_INVALID);
                WANT(d->p11->C_SetAttributeValue(d->session, none[i], &a, 1), CKR_OBJECT_HANDLE_INVALID);
                WANT(d->p11->C_GetObjectSize(d->session, none[i], &n), CKR_OBJECT_HANDLE_INVALID);
                WANT(d->p11->C_DestroyObject(d->session, none[i]), CKR_OBJECT_HANDLE_INVALID);
                WANT(d->p11->C_SignInit(d->session, &mechanism, none[i]), CKR_KEY_HANDLE_INVALID);
                WANT(d->p11->C_DecryptInit(d->session, &mechanism, none[i]), CKR_KEY_HANDLE_INVALID);
                WANT(d->p11->C_DeriveKey(d->session, &ecdh, none[i], NULL, 0, &handle),
                     CKR_KEY_HANDLE_INVALID);
        }
        /* A certificate is no key, and a public key signs nothing. */
        WANT(d->p11->C_SignInit(d->session, &mechanism, d->cert), CKR_KEY_HANDLE_INVALID);
        WANT(d->p11->C_SignInit(d->session, &mechanism, d->public), CKR_KEY_FUNCTION_NOT_PERMITTED);
        WANT(d->p11->C_DeriveKey(d->session, &ecdh, d->cert, NULL, 0, &handle), CKR_KEY_HANDLE_INVALID);
        WANT(d->p11->C_DeriveKey(d->session, &ecdh, d->public, NULL, 0, &handle),
             CKR_KEY_FUNCTION_NOT_PERMITTED);
        WANT(d->p11->C_SetAttributeValue(d->session, d->key, &a, 1), CKR_ACTION_PROHIBITED);
        WANT(d->p11->C_DestroyObject(d->session, d->key), CKR_ACTION_PROHIBITED);
        WANT(d->p11->C_CreateObject(d->session, &a, 1, &handle), CKR_TOKEN_WRITE_PROTECTED);
        OK(d->p11->C_GetObjectSize(d->session, d->key, &n));
}

/* Another token's objects are no objects of this session. */
static void other_token(const struct drive *d)
{
        ck_slot_id_t slots[64];
        unsigned long n = 64;
        ck_session_handle_t other = 0;
        struct ck_mechanism mechanism = drive_simple(d->rsa);
        unsigned char buffer[BUFFER];
        struct ck_attribute a = {CKA_LABEL, buffer, sizeof buffer};

        OK(d->p11->C_GetSlotList(1, slots, &n));
        for (unsigned long i = 0; i < n && !other; i++)
                if (slots[i] != d->slot)
                        OK(d->p11->C_OpenSession(slots[i], CKF_SERIAL_SESSION, NULL, NULL, &other));
        CHECK(other || getuid() == 0); /* root may have one token alone */
        if (!other)
                return;
        WANT(d->p11->C_GetAttributeValue(other, d->key, &a, 1), CKR_OBJECT_HANDLE_INVALID);
        WANT(d->p11->C_SetAttributeValue(other, d->key, &a, 1), CKR_OBJECT_HANDLE_INVALID);
        WANT(d->p11->C_GetObjectSize(other, d->key, &n), CKR_OBJECT_HANDLE_INVALID);
        WANT(d->p11->C_DestroyObject(other, d->key), CKR_OBJECT_HANDLE_INVALID);
        WANT(d->p11->C_SignInit(other, &mechanism, d->key), CKR_KEY_HANDLE_INVALID);
        OK(d->p11->C_CloseSession(other));
}

static void nulls(const struct drive *d)
{
        struct ck_mechanism mechanism = drive_simple(d->rsa);
        struct ck_attribute a = {CKA_LABEL, NULL, 3};
        unsigned char buffer[BUFFER];
        unsigned long len = sizeof buffer, n = 0;
        ck_object_handle_t found;

        WANT(d->p11->C_GetInfo(NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_GetSessionInfo(d->session, NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_Login(d->session, CKU_USER, NULL, 4), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_GetObjectSize(d->session, d->key, NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_GetAttributeValue(d->session, d->key, NULL, 1), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_FindObjectsInit(d->session, NULL, 1), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_FindObjectsInit(d->session, &a, 1), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_FindObjects(d->session, &found, 1, &n), CKR_OPERATION_NOT_INITIALIZED);
        WANT(d->p11->C_FindObjectsFinal(d->session), CKR_OPERATION_NOT_INITIALIZED);
        OK(d->p11->C_FindObjectsInit(d->session, NULL, 0));
        WANT(d->p11->C_FindObjects(d->session, NULL, 1, &n), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_FindObjects(d->session, &found, 1, NULL), CKR_ARGUMENTS_BAD);
        OK(d->p11->C_FindObjects(d->session, NULL, 0, &n));
        CHECK(n == 0);
        OK(d->p11->C_FindObjectsFinal(d->session));
        WANT(d->p11->C_SignInit(d->session, NULL, d->key), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_DecryptInit(d->session, NULL, d->key), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_DeriveKey(d->session, NULL, d->key, NULL, 0, &found), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_DeriveKey(d->session, &mechanism, d->key, NULL, 0, NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_Sign(d->session, buffer, 1, buffer, &len), CKR_OPERATION_NOT_INITIALIZED);
        WANT(d->p11->C_SignUpdate(d->session, buffer, 1), CKR_OPERATION_NOT_INITIALIZED);
        WANT(d->p11->C_SignFinal(d->session, buffer, &len), CKR_OPERATION_NOT_INITIALIZED);
        WANT(d->p11->C_Decrypt(d->session, buffer, 1, buffer, &len), CKR_OPERATION_NOT_INITIALIZED);
}

/* §5.11: whatever C_Sign answers but a length ends the operation. */
static void ends(const struct drive *d)
{
        struct ck_mechanism mechanism = drive_simple(d->rsa);
        unsigned char buffer[BUFFER];
        unsigned long len = sizeof buffer;

        OK(d->p11->C_SignInit(d->session, &mechanism, d->key));
        WANT(d->p11->C_SignInit(d->session, &mechanism, d->key), CKR_OPERATION_ACTIVE);
        WANT(d->p11->C_DecryptInit(d->session, &mechanism, d->key), CKR_OPERATION_ACTIVE);
        WANT(d->p11->C_Decrypt(d->session, buffer, 1, buffer, &len), CKR_OPERATION_NOT_INITIALIZED);
        WANT(d->p11->C_Decrypt(d->session, buffer, 1, buffer, NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_Sign(d->session, NULL, 1, buffer, &len), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_Sign(d->session, buffer, 1, buffer, &len), CKR_OPERATION_NOT_INITIALIZED);
        OK(d->p11->C_SignInit(d->session, &mechanism, d->key));
        WANT(d->p11->C_Sign(d->session, buffer, 1, buffer, NULL), CKR_ARGUMENTS_BAD);
        OK(d->p11->C_SignInit(d->session, &mechanism, d->key));
        WANT(d->p11->C_SignUpdate(d->session, NULL, 1), CKR_ARGUMENTS_BAD);
        OK(d->p11->C_SignInit(d->session, &mechanism, d->key));
        WANT(d->p11->C_SignFinal(d->session, buffer, NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_SignFinal(d->session, buffer, &len), CKR_OPERATION_NOT_INITIALIZED);
}

void case_handles(struct drive *d)
{
        drive_open(d);
        no_session(d, 0);
        no_session(d, d->session + 1);
        no_session(d, (ck_session_handle_t)-1);
        not_here(d);
        objects(d);
        other_token(d);
        nulls(d);
        ends(d);
        OK(d->p11->C_CloseSession(d->session));
        no_session(d, d->session);
        drive_close(d);
}

void case_slots(struct drive *d)
{
        ck_slot_id_t slots[64], none = 1UL << 33;
        ck_mechanism_type_t types[64];
        unsigned long n = 0, all;
        struct ck_slot_info slot;
        struct ck_token_info token;
        struct ck_mechanism_info mechanism;

        OK(d->p11->C_Initialize(NULL));
        WANT(d->p11->C_GetSlotList(0, NULL, NULL), CKR_ARGUMENTS_BAD);
        OK(d->p11->C_GetSlotList(0, NULL, &n));
        CHECK(n >= 1 && n < 64);
        all = n;
        n = all - 1;
        WANT(d->p11->C_GetSlotList(1, slots, &n), CKR_BUFFER_TOO_SMALL);
        CHECK(n == all);
        n = 64;
        OK(d->p11->C_GetSlotList(1, slots, &n));
        CHECK(n == all);
        for (unsigned long i = 0; i < n; i++) {
                OK(d->p11->C_GetSlotInfo(slots[i], &slot));
                CHECK(slot.flags & CKF_TOKEN_PRESENT && slot.slot_description[63] == ' ');
                OK(d->p11->C_GetTokenInfo(slots[i], &token));
                CHECK(token.flags & CKF_TOKEN_INITIALIZED && !(token.flags & CKF_LOGIN_REQUIRED));
        }
        WANT(d->p11->C_GetSlotInfo(slots[0], NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_GetTokenInfo(slots[0], NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_GetSlotInfo(none, &slot), CKR_SLOT_ID_INVALID);
        WANT(d->p11->C_GetTokenInfo(none, &token), CKR_SLOT_ID_INVALID);
        WANT(d->p11->C_GetMechanismList(none, NULL, &n), CKR_SLOT_ID_INVALID);
        WANT(d->p11->C_GetMechanismInfo(none, CKM_ECDSA, &mechanism), CKR_SLOT_ID_INVALID);
        WANT(d->p11->C_CloseAllSessions(none), CKR_SLOT_ID_INVALID);
        WANT(d->p11->C_GetMechanismList(slots[0], NULL, NULL), CKR_ARGUMENTS_BAD);
        OK(d->p11->C_GetMechanismList(slots[0], NULL, &n));
        all = n--;
        WANT(d->p11->C_GetMechanismList(slots[0], types, &n), CKR_BUFFER_TOO_SMALL);
        CHECK(n == all && n < 64);
        OK(d->p11->C_GetMechanismList(slots[0], types, &n));
        for (unsigned long i = 0; i < n; i++) {
                OK(d->p11->C_GetMechanismInfo(slots[0], types[i], &mechanism));
                CHECK(mechanism.flags & (CKF_SIGN | CKF_DECRYPT | CKF_DERIVE) &&
                      mechanism.min_key_size <= mechanism.max_key_size);
        }
        WANT(d->p11->C_GetMechanismInfo(slots[0], CKM_ECDSA, NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_GetMechanismInfo(slots[0], CKM_DES_CBC, &mechanism), CKR_MECHANISM_INVALID);
        WANT(d->p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &none, NULL), CKR_NO_EVENT);
        WANT(d->p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL, NULL), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &none, d), CKR_ARGUMENTS_BAD);
        WANT(d->p11->C_WaitForSlotEvent(0, &none, NULL), CKR_FUNCTION_NOT_SUPPORTED);
        OK(d->p11->C_Finalize(NULL));
}

static unsigned long counted(const struct drive *d)
{
        struct ck_token_info info;

        OK(d->p11->C_GetTokenInfo(d->slot, &info));
        return info.session_count;
}

void case_sessions(struct drive *d)
{
        ck_session_handle_t s[3];
        struct ck_session_info info;

        drive_open(d);
        CHECK(counted(d) == 1);
        WANT(d->p11->C_OpenSession(d->slot, 0, NULL, NULL, s), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
        WANT(d->p11->C_OpenSession(1UL << 33, CKF_SERIAL_SESSION, NULL, NULL, s), CKR_SLOT_ID_INVALID);
        WANT(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION, NULL, NULL, NULL), CKR_ARGUMENTS_BAD);
        for (size_t i = 0; i < 3; i++) {
                OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION | (i == 1 ? CKF_RW_SESSION : 0), NULL,
                                         NULL, &s[i]));
                OK(d->p11->C_GetSessionInfo(s[i], &info));
                CHECK(info.slot_id == d->slot && info.flags & CKF_SERIAL_SESSION);
                CHECK(info.state == (i == 1 ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION));
        }
        CHECK(counted(d) == 4);
        WANT(d->p11->C_Logout(s[0]), CKR_USER_NOT_LOGGED_IN);
        WANT(d->p11->C_Login(s[0], 17, NULL, 0), CKR_USER_TYPE_INVALID);
        WANT(d->p11->C_Login(s[0], CKU_CONTEXT_SPECIFIC, NULL, 0), CKR_OPERATION_NOT_INITIALIZED);
        OK(d->p11->C_Login(s[0], CKU_USER, (unsigned char *)(size_t) "1234", 4));
        WANT(d->p11->C_Login(s[1], CKU_USER, NULL, 0), CKR_USER_ALREADY_LOGGED_IN);
        OK(d->p11->C_GetSessionInfo(s[1], &info));
        CHECK(info.state == CKS_RW_USER_FUNCTIONS);
        OK(d->p11->C_Logout(s[2]));
        OK(d->p11->C_Login(s[0], CKU_USER, NULL, 0));
        OK(d->p11->C_CloseSession(s[0]));
        WANT(d->p11->C_CloseSession(s[0]), CKR_SESSION_HANDLE_INVALID);
        CHECK(counted(d) == 3);
        OK(d->p11->C_CloseAllSessions(d->slot));
        CHECK(counted(d) == 0);
        WANT(d->p11->C_GetSessionInfo(s[1], &info), CKR_SESSION_HANDLE_INVALID);
        /* The last session took the login with it. */
        OK(d->p11->C_OpenSession(d->slot, CKF_SERIAL_SESSION, NULL, NULL, &s[0]));
        WANT(d->p11->C_Logout(s[0]), CKR_USER_NOT_LOGGED_IN);
        drive_close(d);
}
