/* Its beginning and end, and what the standard's codes are called here. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS_SOCKET "/run/scepter/keys.sock"

ck_rv_t rv_of(enum err r)
{
        switch (r) {
        case ERR_OK:
                return CKR_OK;
        case ERR_NO_MEMORY:
                return CKR_HOST_MEMORY;
        case ERR_NOT_FOUND: /* it was removed, or the right to it was taken */
        case ERR_KEY_DENIED:
        case ERR_DENIED:
                return CKR_KEY_HANDLE_INVALID;
        case ERR_INVALID:
        case ERR_TOO_LARGE:
                return CKR_DATA_INVALID;
        case ERR_UNSUPPORTED:
        case ERR_KEY_NOT_SUPPORTED:
                return CKR_MECHANISM_PARAM_INVALID;
        case ERR_TPM_WRONG_AUTH:
                return CKR_PIN_INCORRECT;
        case ERR_PIN_LOCKED:
        case ERR_TPM_LOCKED_OUT:
                return CKR_PIN_LOCKED;
        case ERR_PIN_NEEDED:
                return CKR_USER_NOT_LOGGED_IN;
        case ERR_TPM_FULL:
                return CKR_DEVICE_MEMORY;
        case ERR_LIMIT:
        case ERR_BUSY:
                return CKR_FUNCTION_FAILED;
        default:
                return CKR_DEVICE_ERROR;
        }
}

/* The library context stays: programs finalize us from their own exit, when OpenSSL's may have come before.
 */
static void clear(struct module *m)
{
        OSSL_LIB_CTX *libctx = m->libctx;

        sessions_close(m, 0, true);
        objects_free(m);
        free(m->slots);
        channel_client_free(m->client);
        *m = (struct module){.libctx = libctx};
}

/* PKCS#11 2.40 §5.4, C_Initialize: all four functions for mutexes or none. Ours are pthread's: where a
 * program gives its own and does not allow others, it cannot be served. */
static ck_rv_t check_arguments(const struct ck_c_initialize_args *args)
{
        const bool all = args->create_mutex && args->destroy_mutex && args->lock_mutex && args->unlock_mutex;
        const bool any = args->create_mutex || args->destroy_mutex || args->lock_mutex || args->unlock_mutex;

        if (args->reserved || all != any)
                return CKR_ARGUMENTS_BAD;
        return all && !(args->flags & CKF_OS_LOCKING_OK) ? CKR_CANT_LOCK : CKR_OK;
}

ck_rv_t module_initialize(struct module *m, const struct ck_c_initialize_args *args)
{
        /* secure_getenv: a set-user-id program must not be led to another socket. */
        const char *path = secure_getenv("SCEPTER_KEYS");
        ck_rv_t rv = args ? check_arguments(args) : CKR_OK;

        if (rv != CKR_OK)
                return rv;
        if (m->initialized && m->pid == getpid())
                return CKR_CRYPTOKI_ALREADY_INITIALIZED;
        clear(m); /* what a child inherited */
        if (ossl_begin(NULL))
                return CKR_HOST_MEMORY;
        rv = rv_of(channel_client_new(path ? path : KEYS_SOCKET, &m->client, NULL));
        if (rv != CKR_OK)
                return rv;
        m->initialized = true;
        m->pid = getpid();
        if (slot_add(m, DEVICE_SLOT) && (geteuid() == 0 || slot_add(m, (ck_slot_id_t)geteuid() + 1)))
                return CKR_OK;
        clear(m);
        return CKR_HOST_MEMORY;
}

ck_rv_t module_finalize(struct module *m)
{
        clear(m);
        return CKR_OK;
}

ck_rv_t module_libctx(struct module *m)
{
        if (!m->libctx)
                m->libctx = OSSL_LIB_CTX_new();
        return m->libctx ? CKR_OK : CKR_HOST_MEMORY;
}
