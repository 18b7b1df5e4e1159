/* The functions of the standard: each takes the lock, checks what it was given, and calls the one that does
 * it. What this module does not do says so. */
#include "internal.h"

#include <pthread.h>
#include <string.h>

/* PKCS#11 gives its functions no context: the one state of this process, and its lock. */
static struct module module;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void take_lock(void)
{
        (void)pthread_mutex_lock(&lock);
}

static void leave_lock(void)
{
        (void)pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
        objects_forget_secrets(&module); /* their memory was wiped: what is there is not them */
        sessions_forget_pins(&module);
        leave_lock();
}

/* No thread is in the middle of something when a child begins; it goes on with what it inherited, by a
 * connection of its own, or initializes us anew. */
static void on_fork(void)
{
        (void)pthread_atfork(take_lock, leave_lock, in_child);
}

static ck_rv_t leave(ck_rv_t rv)
{
        leave_lock();
        return rv;
}

/* Not CKR_OK: the lock is not held. */
static ck_rv_t enter(void)
{
        take_lock();
        return module.initialized ? CKR_OK : leave(CKR_CRYPTOKI_NOT_INITIALIZED);
}

static ck_rv_t enter_session(ck_session_handle_t handle, struct session **ret)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        *ret = session_find(&module, handle);
        return *ret ? CKR_OK : leave(CKR_SESSION_HANDLE_INVALID);
}

static ck_rv_t enter_object(ck_session_handle_t handle, ck_object_handle_t object, struct session **ret,
                            struct object **ret_object)
{
        ck_rv_t rv = enter_session(handle, ret);

        if (rv != CKR_OK)
                return rv;
        *ret_object = object_find(&module, object);
        return *ret_object && (*ret_object)->slot == (*ret)->slot ? CKR_OK : leave(CKR_OBJECT_HANDLE_INVALID);
}

/* Bad arguments end what is being done, too: all but a question for the length does (§5.2, §5.11). */
static ck_rv_t leave_operation(struct session *s, enum operation_kind kind)
{
        if (s->operation.kind == kind)
                operation_end(&s->operation);
        return leave(CKR_ARGUMENTS_BAD);
}

static ck_rv_t unsupported(void)
{
        ck_rv_t rv = enter();

        return rv == CKR_OK ? leave(CKR_FUNCTION_NOT_SUPPORTED) : rv;
}

/* General */

ck_rv_t C_Initialize(void *init_args)
{
        (void)pthread_once(&fork_once, on_fork);
        take_lock();
        return leave(module_initialize(&module, init_args));
}

ck_rv_t C_Finalize(void *reserved)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        return leave(reserved ? CKR_ARGUMENTS_BAD : module_finalize(&module));
}

ck_rv_t C_GetInfo(struct ck_info *info)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        if (!info)
                return leave(CKR_ARGUMENTS_BAD);
        *info = (struct ck_info){.cryptoki_version = {2, 40},
                                 .library_version = {SCEPTER_MAJOR, SCEPTER_MINOR}};
        put_text(info->manufacturer_id, sizeof info->manufacturer_id, "Scepter");
        put_text(info->library_description, sizeof info->library_description, "Scepter PKCS#11 module");
        return leave(CKR_OK);
}

/* Slots */

ck_rv_t C_GetSlotList(unsigned char token_present, ck_slot_id_t *list, unsigned long *count)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        return leave(count ? slot_list(&module, token_present, list, count) : CKR_ARGUMENTS_BAD);
}

ck_rv_t C_GetSlotInfo(ck_slot_id_t slot_id, struct ck_slot_info *info)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        return leave(info ? slot_info(&module, slot_id, info) : CKR_ARGUMENTS_BAD);
}

ck_rv_t C_GetTokenInfo(ck_slot_id_t slot_id, struct ck_token_info *info)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        return leave(info ? token_info(&module, slot_id, info) : CKR_ARGUMENTS_BAD);
}

ck_rv_t C_WaitForSlotEvent(ck_flags_t flags, ck_slot_id_t *slot, void *reserved)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        if (!slot || reserved)
                return leave(CKR_ARGUMENTS_BAD);
        return leave(flags & CKF_DONT_BLOCK ? CKR_NO_EVENT : CKR_FUNCTION_NOT_SUPPORTED);
}

ck_rv_t C_GetMechanismList(ck_slot_id_t slot_id, ck_mechanism_type_t *list, unsigned long *count)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        if (!slot_find(&module, slot_id))
                return leave(CKR_SLOT_ID_INVALID);
        return leave(count ? mechanism_list(list, count) : CKR_ARGUMENTS_BAD);
}

ck_rv_t C_GetMechanismInfo(ck_slot_id_t slot_id, ck_mechanism_type_t type, struct ck_mechanism_info *info)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        if (!slot_find(&module, slot_id))
                return leave(CKR_SLOT_ID_INVALID);
        return leave(info ? mechanism_info(type, info) : CKR_ARGUMENTS_BAD);
}

/* Sessions */

ck_rv_t C_OpenSession(ck_slot_id_t slot_id, ck_flags_t flags, void *application, ck_notify_t notify,
                      ck_session_handle_t *session)
{
        ck_rv_t rv = enter();

        (void)application;
        (void)notify;
        if (rv != CKR_OK)
                return rv;
        return leave(session ? session_open(&module, slot_id, flags, session) : CKR_ARGUMENTS_BAD);
}

ck_rv_t C_CloseSession(ck_session_handle_t session)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        if (rv != CKR_OK)
                return rv;
        session_close(&module, s);
        return leave(CKR_OK);
}

ck_rv_t C_CloseAllSessions(ck_slot_id_t slot_id)
{
        ck_rv_t rv = enter();

        if (rv != CKR_OK)
                return rv;
        if (!slot_find(&module, slot_id))
                return leave(CKR_SLOT_ID_INVALID);
        sessions_close(&module, slot_id, false);
        return leave(CKR_OK);
}

ck_rv_t C_GetSessionInfo(ck_session_handle_t session, struct ck_session_info *info)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        if (rv != CKR_OK)
                return rv;
        return leave(info ? session_info(&module, s, info) : CKR_ARGUMENTS_BAD);
}

ck_rv_t C_Login(ck_session_handle_t session, ck_user_type_t user_type, unsigned char *pin,
                unsigned long pin_len)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        if (rv != CKR_OK)
                return rv;
        if (pin_len && !pin)
                return leave(CKR_ARGUMENTS_BAD);
        return leave(session_login(&module, s, user_type, (struct view){pin, pin_len}));
}

ck_rv_t C_Logout(ck_session_handle_t session)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        return rv == CKR_OK ? leave(session_logout(&module, s)) : rv;
}

/* Objects */

ck_rv_t C_CreateObject(ck_session_handle_t session, struct ck_attribute *templ, unsigned long count,
                       ck_object_handle_t *object)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        (void)templ;
        (void)count;
        (void)object;
        return rv == CKR_OK ? leave(CKR_TOKEN_WRITE_PROTECTED) : rv;
}

ck_rv_t C_DestroyObject(ck_session_handle_t session, ck_object_handle_t object)
{
        struct session *s;
        struct object *o;
        ck_rv_t rv = enter_object(session, object, &s, &o);

        return rv == CKR_OK ? leave(object_destroy(&module, o)) : rv;
}

ck_rv_t C_GetObjectSize(ck_session_handle_t session, ck_object_handle_t object, unsigned long *size)
{
        struct session *s;
        struct object *o;
        ck_rv_t rv = enter_object(session, object, &s, &o);

        if (rv != CKR_OK)
                return rv;
        if (!size)
                return leave(CKR_ARGUMENTS_BAD);
        *size = CK_UNAVAILABLE_INFORMATION;
        return leave(CKR_OK);
}

ck_rv_t C_GetAttributeValue(ck_session_handle_t session, ck_object_handle_t object,
                            struct ck_attribute *templ, unsigned long count)
{
        struct session *s;
        struct object *o;
        ck_rv_t rv = enter_object(session, object, &s, &o);

        if (rv != CKR_OK)
                return rv;
        return leave(templ && count ? attributes_read(&module, o, templ, count) : CKR_ARGUMENTS_BAD);
}

ck_rv_t C_SetAttributeValue(ck_session_handle_t session, ck_object_handle_t object,
                            struct ck_attribute *templ, unsigned long count)
{
        struct session *s;
        struct object *o;
        ck_rv_t rv = enter_object(session, object, &s, &o);

        (void)templ;
        (void)count;
        return rv == CKR_OK ? leave(CKR_ACTION_PROHIBITED) : rv;
}

ck_rv_t C_FindObjectsInit(ck_session_handle_t session, struct ck_attribute *templ, unsigned long count)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        return rv == CKR_OK ? leave(find_begin(&module, s, templ, count)) : rv;
}

ck_rv_t C_FindObjects(ck_session_handle_t session, ck_object_handle_t *object, unsigned long max_object_count,
                      unsigned long *object_count)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        if (rv != CKR_OK)
                return rv;
        if (!object_count || (max_object_count && !object))
                return leave(CKR_ARGUMENTS_BAD);
        return leave(find_next(s, object, max_object_count, object_count));
}

ck_rv_t C_FindObjectsFinal(ck_session_handle_t session)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        return rv == CKR_OK ? leave(find_end(s)) : rv;
}

/* Private operations */

ck_rv_t C_SignInit(ck_session_handle_t session, struct ck_mechanism *mechanism, ck_object_handle_t key)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        return rv == CKR_OK ? leave(operation_begin(&module, s, OPERATION_SIGN, mechanism, key)) : rv;
}

ck_rv_t C_Sign(ck_session_handle_t session, unsigned char *data, unsigned long data_len,
               unsigned char *signature, unsigned long *signature_len)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        if (rv != CKR_OK)
                return rv;
        if (!signature_len || (data_len && !data))
                return leave_operation(s, OPERATION_SIGN);
        return leave(sign_once(&module, s, data, data_len, signature, signature_len));
}

ck_rv_t C_SignUpdate(ck_session_handle_t session, unsigned char *part, unsigned long part_len)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        return rv == CKR_OK ? leave(sign_update(&module, s, part, part_len)) : rv;
}

ck_rv_t C_SignFinal(ck_session_handle_t session, unsigned char *signature, unsigned long *signature_len)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        if (rv != CKR_OK)
                return rv;
        if (!signature_len)
                return leave_operation(s, OPERATION_SIGN);
        return leave(sign_final(&module, s, signature, signature_len));
}

ck_rv_t C_DecryptInit(ck_session_handle_t session, struct ck_mechanism *mechanism, ck_object_handle_t key)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        return rv == CKR_OK ? leave(operation_begin(&module, s, OPERATION_DECRYPT, mechanism, key)) : rv;
}

ck_rv_t C_Decrypt(ck_session_handle_t session, unsigned char *encrypted_data,
                  unsigned long encrypted_data_len, unsigned char *data, unsigned long *data_len)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        if (rv != CKR_OK)
                return rv;
        if (!data_len)
                return leave_operation(s, OPERATION_DECRYPT);
        return leave(decrypt_once(&module, s, encrypted_data, encrypted_data_len, data, data_len));
}

ck_rv_t C_DeriveKey(ck_session_handle_t session, struct ck_mechanism *mechanism, ck_object_handle_t base_key,
                    struct ck_attribute *templ, unsigned long attribute_count, ck_object_handle_t *key)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        if (rv != CKR_OK)
                return rv;
        return leave(derive(&module, s, mechanism, base_key, templ, attribute_count, key));
}

/* What a token without a random number generator, and a standard without parallel functions, answer. */

ck_rv_t C_SeedRandom(ck_session_handle_t session, unsigned char *seed, unsigned long seed_len)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        (void)seed;
        (void)seed_len;
        return rv == CKR_OK ? leave(CKR_RANDOM_NO_RNG) : rv;
}

ck_rv_t C_GenerateRandom(ck_session_handle_t session, unsigned char *random_data, unsigned long random_len)
{
        return C_SeedRandom(session, random_data, random_len);
}

ck_rv_t C_GetFunctionStatus(ck_session_handle_t session)
{
        struct session *s;
        ck_rv_t rv = enter_session(session, &s);

        return rv == CKR_OK ? leave(CKR_FUNCTION_NOT_PARALLEL) : rv;
}

ck_rv_t C_CancelFunction(ck_session_handle_t session)
{
        return C_GetFunctionStatus(session);
}

/* Not done here. Each has the standard's arguments and looks at none of them. */

#define UNSUPPORTED(name, ...)                                                                               \
        ck_rv_t name(__VA_ARGS__)                                                                            \
        {                                                                                                    \
                return unsupported();                                                                        \
        }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
UNSUPPORTED(C_InitToken, ck_slot_id_t slot_id, unsigned char *pin, unsigned long pin_len,
            unsigned char *label)
UNSUPPORTED(C_InitPIN, ck_session_handle_t session, unsigned char *pin, unsigned long pin_len)
UNSUPPORTED(C_SetPIN, ck_session_handle_t session, unsigned char *old_pin, unsigned long old_len,
            unsigned char *new_pin, unsigned long new_len)
UNSUPPORTED(C_GetOperationState, ck_session_handle_t session, unsigned char *operation_state,
            unsigned long *operation_state_len)
UNSUPPORTED(C_SetOperationState, ck_session_handle_t session, unsigned char *operation_state,
            unsigned long operation_state_len, ck_object_handle_t encryption_key,
            ck_object_handle_t authentiation_key)
UNSUPPORTED(C_CopyObject, ck_session_handle_t session, ck_object_handle_t object, struct ck_attribute *templ,
            unsigned long count, ck_object_handle_t *new_object)
UNSUPPORTED(C_EncryptInit, ck_session_handle_t session, struct ck_mechanism *mechanism,
            ck_object_handle_t key)
UNSUPPORTED(C_Encrypt, ck_session_handle_t session, unsigned char *data, unsigned long data_len,
            unsigned char *encrypted_data, unsigned long *encrypted_data_len)
UNSUPPORTED(C_EncryptUpdate, ck_session_handle_t session, unsigned char *part, unsigned long part_len,
            unsigned char *encrypted_part, unsigned long *encrypted_part_len)
UNSUPPORTED(C_EncryptFinal, ck_session_handle_t session, unsigned char *last_encrypted_part,
            unsigned long *last_encrypted_part_len)
UNSUPPORTED(C_DecryptUpdate, ck_session_handle_t session, unsigned char *encrypted_part,
            unsigned long encrypted_part_len, unsigned char *part, unsigned long *part_len)
UNSUPPORTED(C_DecryptFinal, ck_session_handle_t session, unsigned char *last_part,
            unsigned long *last_part_len)
UNSUPPORTED(C_DigestInit, ck_session_handle_t session, struct ck_mechanism *mechanism)
UNSUPPORTED(C_Digest, ck_session_handle_t session, unsigned char *data, unsigned long data_len,
            unsigned char *digest, unsigned long *digest_len)
UNSUPPORTED(C_DigestUpdate, ck_session_handle_t session, unsigned char *part, unsigned long part_len)
UNSUPPORTED(C_DigestKey, ck_session_handle_t session, ck_object_handle_t key)
UNSUPPORTED(C_DigestFinal, ck_session_handle_t session, unsigned char *digest, unsigned long *digest_len)
UNSUPPORTED(C_SignRecoverInit, ck_session_handle_t session, struct ck_mechanism *mechanism,
            ck_object_handle_t key)
UNSUPPORTED(C_SignRecover, ck_session_handle_t session, unsigned char *data, unsigned long data_len,
            unsigned char *signature, unsigned long *signature_len)
UNSUPPORTED(C_VerifyInit, ck_session_handle_t session, struct ck_mechanism *mechanism, ck_object_handle_t key)
UNSUPPORTED(C_Verify, ck_session_handle_t session, unsigned char *data, unsigned long data_len,
            unsigned char *signature, unsigned long signature_len)
UNSUPPORTED(C_VerifyUpdate, ck_session_handle_t session, unsigned char *part, unsigned long part_len)
UNSUPPORTED(C_VerifyFinal, ck_session_handle_t session, unsigned char *signature, unsigned long signature_len)
UNSUPPORTED(C_VerifyRecoverInit, ck_session_handle_t session, struct ck_mechanism *mechanism,
            ck_object_handle_t key)
UNSUPPORTED(C_VerifyRecover, ck_session_handle_t session, unsigned char *signature,
            unsigned long signature_len, unsigned char *data, unsigned long *data_len)
UNSUPPORTED(C_DigestEncryptUpdate, ck_session_handle_t session, unsigned char *part, unsigned long part_len,
            unsigned char *encrypted_part, unsigned long *encrypted_part_len)
UNSUPPORTED(C_DecryptDigestUpdate, ck_session_handle_t session, unsigned char *encrypted_part,
            unsigned long encrypted_part_len, unsigned char *part, unsigned long *part_len)
UNSUPPORTED(C_SignEncryptUpdate, ck_session_handle_t session, unsigned char *part, unsigned long part_len,
            unsigned char *encrypted_part, unsigned long *encrypted_part_len)
UNSUPPORTED(C_DecryptVerifyUpdate, ck_session_handle_t session, unsigned char *encrypted_part,
            unsigned long encrypted_part_len, unsigned char *part, unsigned long *part_len)
UNSUPPORTED(C_GenerateKey, ck_session_handle_t session, struct ck_mechanism *mechanism,
            struct ck_attribute *templ, unsigned long count, ck_object_handle_t *key)
UNSUPPORTED(C_GenerateKeyPair, ck_session_handle_t session, struct ck_mechanism *mechanism,
            struct ck_attribute *public_key_template, unsigned long public_key_attribute_count,
            struct ck_attribute *private_key_template, unsigned long private_key_attribute_count,
            ck_object_handle_t *public_key, ck_object_handle_t *private_key)
UNSUPPORTED(C_WrapKey, ck_session_handle_t session, struct ck_mechanism *mechanism,
            ck_object_handle_t wrapping_key, ck_object_handle_t key, unsigned char *wrapped_key,
            unsigned long *wrapped_key_len)
UNSUPPORTED(C_UnwrapKey, ck_session_handle_t session, struct ck_mechanism *mechanism,
            ck_object_handle_t unwrapping_key, unsigned char *wrapped_key, unsigned long wrapped_key_len,
            struct ck_attribute *templ, unsigned long attribute_count, ck_object_handle_t *key)
#pragma GCC diagnostic pop

__attribute__((visibility("default"))) ck_rv_t C_GetFunctionList(struct ck_function_list **list)
{
        static struct ck_function_list functions = {
                .version = {2, 40},
                .C_Initialize = C_Initialize,
                .C_Finalize = C_Finalize,
                .C_GetInfo = C_GetInfo,
                .C_GetFunctionList = C_GetFunctionList,
                .C_GetSlotList = C_GetSlotList,
                .C_GetSlotInfo = C_GetSlotInfo,
                .C_GetTokenInfo = C_GetTokenInfo,
                .C_GetMechanismList = C_GetMechanismList,
                .C_GetMechanismInfo = C_GetMechanismInfo,
                .C_InitToken = C_InitToken,
                .C_InitPIN = C_InitPIN,
                .C_SetPIN = C_SetPIN,
                .C_OpenSession = C_OpenSession,
                .C_CloseSession = C_CloseSession,
                .C_CloseAllSessions = C_CloseAllSessions,
                .C_GetSessionInfo = C_GetSessionInfo,
                .C_GetOperationState = C_GetOperationState,
                .C_SetOperationState = C_SetOperationState,
                .C_Login = C_Login,
                .C_Logout = C_Logout,
                .C_CreateObject = C_CreateObject,
                .C_CopyObject = C_CopyObject,
                .C_DestroyObject = C_DestroyObject,
                .C_GetObjectSize = C_GetObjectSize,
                .C_GetAttributeValue = C_GetAttributeValue,
                .C_SetAttributeValue = C_SetAttributeValue,
                .C_FindObjectsInit = C_FindObjectsInit,
                .C_FindObjects = C_FindObjects,
                .C_FindObjectsFinal = C_FindObjectsFinal,
                .C_EncryptInit = C_EncryptInit,
                .C_Encrypt = C_Encrypt,
                .C_EncryptUpdate = C_EncryptUpdate,
                .C_EncryptFinal = C_EncryptFinal,
                .C_DecryptInit = C_DecryptInit,
                .C_Decrypt = C_Decrypt,
                .C_DecryptUpdate = C_DecryptUpdate,
                .C_DecryptFinal = C_DecryptFinal,
                .C_DigestInit = C_DigestInit,
                .C_Digest = C_Digest,
                .C_DigestUpdate = C_DigestUpdate,
                .C_DigestKey = C_DigestKey,
                .C_DigestFinal = C_DigestFinal,
                .C_SignInit = C_SignInit,
                .C_Sign = C_Sign,
                .C_SignUpdate = C_SignUpdate,
                .C_SignFinal = C_SignFinal,
                .C_SignRecoverInit = C_SignRecoverInit,
                .C_SignRecover = C_SignRecover,
                .C_VerifyInit = C_VerifyInit,
                .C_Verify = C_Verify,
                .C_VerifyUpdate = C_VerifyUpdate,
                .C_VerifyFinal = C_VerifyFinal,
                .C_VerifyRecoverInit = C_VerifyRecoverInit,
                .C_VerifyRecover = C_VerifyRecover,
                .C_DigestEncryptUpdate = C_DigestEncryptUpdate,
                .C_DecryptDigestUpdate = C_DecryptDigestUpdate,
                .C_SignEncryptUpdate = C_SignEncryptUpdate,
                .C_DecryptVerifyUpdate = C_DecryptVerifyUpdate,
                .C_GenerateKey = C_GenerateKey,
                .C_GenerateKeyPair = C_GenerateKeyPair,
                .C_WrapKey = C_WrapKey,
                .C_UnwrapKey = C_UnwrapKey,
                .C_DeriveKey = C_DeriveKey,
                .C_SeedRandom = C_SeedRandom,
                .C_GenerateRandom = C_GenerateRandom,
                .C_GetFunctionStatus = C_GetFunctionStatus,
                .C_CancelFunction = C_CancelFunction,
                .C_WaitForSlotEvent = C_WaitForSlotEvent,
        };

        if (!list)
                return CKR_ARGUMENTS_BAD;
        *list = &functions;
        return CKR_OK;
}
